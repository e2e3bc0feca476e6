"""The grid as a circuit of resistors (chapters 2 and 6)."""
