"""Options that the commands of this folder share."""

import argparse


def grid_size(text):
    """HEIGHTxWIDTH of a command line as a pair of numbers."""
    try:
        height, width = map(int, text.split("x"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected HEIGHTxWIDTH, got {text!r}") from None
    return height, width
