SELECT
    "Who" AS account,
    'SPOT' AS wallet,
    "When" AS datetime,
    "What" AS asset,
    'x' AS memo,
    amount("How much") AS amount
FROM movement
