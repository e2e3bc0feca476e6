"""Gaussian kernels over an image's pixels, as operators that are never written down (chapter 14)."""
