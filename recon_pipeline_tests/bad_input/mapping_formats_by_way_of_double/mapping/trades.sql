SELECT
    "Who" AS account,
    'SPOT' AS wallet,
    "When" AS datetime,
    "What" AS asset,
    format('{}', amount("How much")) AS amount
FROM movement
