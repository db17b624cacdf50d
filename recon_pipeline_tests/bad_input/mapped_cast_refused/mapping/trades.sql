SELECT
    "Who" AS account,
    'SPOT' AS wallet,
    "When" AS datetime,
    "What" AS asset,
    CAST("How much" AS INTEGER) || '' AS amount
FROM movement
