"""Numbers of images, one at a time and from several processes: nothing but the numbers is kept.

    mean = sum m_i / n,     bracket = std(m_i) / sqrt(n),     over the n images of a data set.

Chapters 10 to 12.
"""

from __future__ import annotations

import math
from statistics import fmean, stdev

from softcut_lib.train.batches import gather


class ImageScores:
    """Collects named numbers of each image, in the data set's order, each image once.

    Example:
        >>> scores = ImageScores(count=3)
        >>> for place, iou in [(0, 0.5), (2, 0.7), (1, 0.6), (3, 0.5)]:  # 3 is 0 again
        ...     scores.add(place, iou=iou)
        >>> scores.columns()
        {'iou': [0.5, 0.6, 0.7]}
    """

    def __init__(self, count: int | None = None):
        self.count = count
        self.rows: dict[int, dict] = {}

    def add(self, place: int, **values) -> None:
        """Numbers of the image at ``place``; a place past `count` is a repetition, left out."""
        if self.count is None or place < self.count:
            self.rows[place] = values

    def columns(self) -> dict[str, list]:
        """Every number as a list over the images, those of all processes together."""
        rows = {place: row for part in gather(self.rows) for place, row in part.items()}
        ordered = [rows[place] for place in sorted(rows)]
        return {name: [row[name] for row in ordered] for name in ordered[0]} if ordered else {}


def mean_and_bracket(values) -> tuple[float, float]:
    """Mean, and standard deviation over the root of their number (0 for a single value).

    >>> [round(x, 3) for x in mean_and_bracket([0.2, 0.4])]
    [0.3, 0.1]
    """
    values = [float(value) for value in values]
    spread = stdev(values) if len(values) > 1 else 0.0
    return fmean(values), spread / math.sqrt(len(values))
