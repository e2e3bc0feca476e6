"""Data sets of the book: one ``torch.utils.data.Dataset`` each, items as dicts.

An item holds ``image`` float32 (3, h, w) in [0, 1], ``target`` int64 (h, w) (255 would be void) and
``name``. This room knows nothing of cuts or networks.
"""

from .fetch import fetch_weizmann, verify_weizmann
from .horses import WeizmannHorses
from .shapes import toy_scene
from .synthetic_horses import SyntheticHorses

__all__ = [
    "SyntheticHorses",
    "WeizmannHorses",
    "fetch_weizmann",
    "toy_scene",
    "verify_weizmann",
]
