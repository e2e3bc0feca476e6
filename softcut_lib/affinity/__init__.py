"""Kernels over an image's pixels, as operators never written down (chapters 14 and 15)."""
