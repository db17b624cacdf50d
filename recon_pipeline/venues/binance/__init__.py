"""Binance: main and sub-accounts, every wallet, over its REST API."""
