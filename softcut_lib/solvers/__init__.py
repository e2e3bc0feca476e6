"""Solvers of the grid system A x = rhs (chapters 3, 5 and 6)."""
