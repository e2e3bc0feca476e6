"""Cuts as network layers, called as ``cut(scores, weights)`` (chapters 4, 7 and 8)."""
