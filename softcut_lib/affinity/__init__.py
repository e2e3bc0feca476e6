"""Gaussian kernels over an image's pixels, as operators never written down (chapter 14)."""
