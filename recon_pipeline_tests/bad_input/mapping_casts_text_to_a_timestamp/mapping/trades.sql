SELECT
    "Who" AS account,
    'SPOT' AS wallet,
    TRY_CAST("When" AS TIMESTAMP) AS datetime,
    "What" AS asset,
    amount("How much") AS amount
FROM movement
