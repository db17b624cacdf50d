SELECT
    "Who" AS account,
    'SPOT' AS wallet,
    strptime("When", '%Y-%m-%dT%H:%M:%SZ') AS datetime,
    "What" AS asset,
    amount("How much") AS amount
FROM movement
