SELECT
    "Who" AS account,
    'SPOT' AS wallet,
    "When" AS datetime,
    "What" AS asset,
    list_aggregate([amount("How much"), amount('0')], 'avg')::VARCHAR AS amount
FROM movement
