"""Exact cuts of a grid: energy, maximum flow, and the random walker (chapters 1 and 3)."""
