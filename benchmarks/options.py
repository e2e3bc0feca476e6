"""Options that the commands of this folder share."""

import argparse
from pathlib import Path

from softcut_lib.train.runs import refuse_unwritable


def grid_size(text):
    """HEIGHTxWIDTH of a command line as a pair of numbers."""
    try:
        height, width = map(int, text.split("x"))
    except ValueError:
        height = width = 0
    if min(height, width) < 1:
        raise argparse.ArgumentTypeError(f"expected HEIGHTxWIDTH, got {text!r}")
    return height, width


def count(text):
    """A whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return int(text)


def output_file(text):
    """The path of a results file, refused now if it could not be written after the measuring."""
    try:
        refuse_unwritable("the results file", text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return Path(text)
