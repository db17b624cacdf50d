-- Which markets an account traded, and until when each was asked.
SELECT id, email, symbol, last_trade_time, first_seen, last_checked, is_active, trades, asked_from, asked_through, venue
FROM marts.binance_asked_symbols
WHERE last_trade_time IS NOT NULL
