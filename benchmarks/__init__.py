"""The benchmark: worlds of a given size, and the comparison that prints ratios and peak memory."""
