"""The label table of Cityscapes: number, name, color, and whether evaluation leaves a label out.

A label picture ``*_labelIds.png`` holds the number, ``*_color.png`` the color. Two colors name
several labels: black the numbers 0 to 4, all void, and (153, 153, 153) pole and polegroup; a
color is read as the first of them. A license plate has no number (-1), so in the pictures it is
part of its car. Chapter 11.
"""

from typing import NamedTuple

import numpy as np


class Label(NamedTuple):
    """One label; ``ignored`` ones are void in the evaluation, ``things`` have instance numbers."""

    id: int
    name: str
    color: tuple[int, int, int]
    ignored: bool
    thing: bool


_TABLE = """
 0 unlabeled               0   0   0 ignored
 1 ego_vehicle             0   0   0 ignored
 2 rectification_border    0   0   0 ignored
 3 out_of_roi              0   0   0 ignored
 4 static                  0   0   0 ignored
 5 dynamic               111  74   0 ignored
 6 ground                 81   0  81 ignored
 7 road                  128  64 128
 8 sidewalk              244  35 232
 9 parking               250 170 160 ignored
10 rail_track            230 150 140 ignored
11 building               70  70  70
12 wall                  102 102 156
13 fence                 190 153 153
14 guard_rail            180 165 180 ignored
15 bridge                150 100 100 ignored
16 tunnel                150 120  90 ignored
17 pole                  153 153 153
18 polegroup             153 153 153 ignored
19 traffic_light         250 170  30
20 traffic_sign          220 220   0
21 vegetation            107 142  35
22 terrain               152 251 152
23 sky                    70 130 180
24 person                220  20  60 thing
25 rider                 255   0   0 thing
26 car                     0   0 142 thing
27 truck                   0   0  70 thing
28 bus                     0  60 100 thing
29 caravan                 0   0  90 thing ignored
30 trailer                 0   0 110 thing ignored
31 train                   0  80 100 thing
32 motorcycle              0   0 230 thing
33 bicycle               119  11  32 thing
-1 license_plate           0   0 142 ignored
"""


def _read(line):
    number, name, red, green, blue, *marks = line.split()
    color = (int(red), int(green), int(blue))
    return Label(int(number), name.replace("_", " "), color, "ignored" in marks, "thing" in marks)


LABELS = tuple(_read(line) for line in _TABLE.strip().splitlines())
IDS = {label.name: label.id for label in LABELS}
TRAIN_CLASSES = tuple(label.name for label in LABELS if not label.ignored)
THINGS = tuple(label.id for label in LABELS if label.thing)
IGNORED = tuple(label.id for label in LABELS if label.ignored and label.id >= 0)
# Signs and lights have no instance numbers; their connected pieces are taken as objects.
SEPARATED = (IDS["traffic light"], IDS["traffic sign"])


def colors_to_ids(colors):
    """Label numbers (h, w) of a picture of label colors (h, w, 3), uint8; 255 for unknown colors.

    >>> import numpy as np
    >>> from softcut_lib.data.cityscapes_labels import colors_to_ids
    >>> colors_to_ids(np.array([[[0, 0, 142], [70, 130, 180], [1, 2, 3]]], np.uint8)).tolist()
    [[26, 23, 255]]
    """
    packed = colors.astype(np.int32) @ np.array([65536, 256, 1], np.int32)
    ids = np.full(packed.shape, 255, np.uint8)
    for label in reversed(LABELS):  # so that the first label of a color has the last word
        if label.id >= 0:
            red, green, blue = label.color
            ids[packed == 65536 * red + 256 * green + blue] = label.id
    return ids


def ids_to_colors(ids):
    """Label colors (h, w, 3) of a picture of label numbers, both uint8."""
    palette = np.zeros((256, 3), np.uint8)
    for label in LABELS:
        if label.id >= 0:
            palette[label.id] = label.color
    return palette[ids]
