-- The last price of each asset and source that this piece knows.
SELECT rank, asset, max(as_of) AS as_of, arg_max(struct_pack(usd_price := usd_price), as_of).usd_price AS usd_price
FROM prices
GROUP BY rank, asset
