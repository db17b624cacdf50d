SELECT
    "Who" AS account,
    'SPOT' AS wallet,
    instant("When") AS datetime,
    "What" AS asset,
    amount("How much") AS amount
FROM movement
