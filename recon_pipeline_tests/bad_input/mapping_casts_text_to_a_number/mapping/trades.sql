SELECT
    "Who" AS account,
    'SPOT' AS wallet,
    "When" AS datetime,
    "What" AS asset,
    CAST("How much" AS DECIMAL(18, 2)) AS amount
FROM movement
