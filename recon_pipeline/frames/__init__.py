"""The canonical frames: their columns, their contract, and the exact reading of what claims to be one."""
