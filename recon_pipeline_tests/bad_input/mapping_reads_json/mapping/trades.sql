SELECT
    "Who" AS account,
    'SPOT' AS wallet,
    "When" AS datetime,
    "What" AS asset,
    "How much" ->> 'amount' AS amount
FROM movement
