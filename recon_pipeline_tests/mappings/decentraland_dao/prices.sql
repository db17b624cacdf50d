-- The rates beside the balances: one for each symbol and instant, whichever wallet holds it.
SELECT DISTINCT
    "Symbol" AS asset,
    "Timestamp" AS as_of,
    "USD Rate" AS usd_price
FROM balance
