SELECT
    "Who" AS account,
    'SPOT' AS wallet,
    "When" AS datetime,
    "What" AS asset,
    amount("How much") * amount("How much") AS amount
FROM movement
