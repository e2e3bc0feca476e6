"""Segmentation from scribbles: simulated scribbles, proposals, post-processing (chapter 15)."""
