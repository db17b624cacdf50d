"""Venues: each a folder that turns what a venue says into canonical frames."""
