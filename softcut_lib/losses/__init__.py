"""Losses: what a segmentation is trained to make small (chapter 9)."""
