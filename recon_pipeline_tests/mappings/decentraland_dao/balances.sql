-- One row for each token of a wallet on a network, all true at the instant of the listing.
-- MATIC is listed twice, under the native coin's placeholder and under its contract on Polygon, with one balance.
SELECT
    "Wallet" AS account,
    "Network" AS wallet,
    "Symbol" AS asset,
    "Timestamp" AS as_of,
    amount("Balance") AS raw_balance,
    filename,
    file_line
FROM balance
WHERE NOT ("Symbol" = 'MATIC' AND "Token" = '0x0000000000000000000000000000000000001010')
