"""What the road-scene loaders share: reading pictures, mapping labels, telling objects apart.

A label picture holds one number a pixel. A table t of 256 numbers turns it into the target,

    target(x) = t[label(x)],      t = 0 background, 1, 2, ... the chosen classes, 255 void,

and the objects of a class without instance numbers are its connected pieces, 8 neighbors each.
Chapter 11.
"""

import numpy as np
import torch
from PIL import Image

VOID, UNKNOWN = 255, 254
BACKGROUND = "background"


def read_picture(path, mode, advice):
    """Decode a picture to an array; ``mode`` is PIL's, or None for the picture's own.

    Raises ``ValueError`` naming the file and ``advice`` when it is missing, truncated or no
    picture.
    """
    try:
        with Image.open(path) as image:
            return np.array(image if mode is None else image.convert(mode))
    except (OSError, SyntaxError) as error:  # PIL reports a damaged PNG header as SyntaxError
        raise ValueError(
            f"cannot decode {str(path)!r} ({error}): the file is missing, truncated or not a "
            f"picture. {advice}"
        ) from error


def chosen_classes(classes, known):
    """Names of the target's values: ``known`` itself for None, else background and the chosen.

    Raises ``TypeError`` for a plain string and ``ValueError`` for no, unknown or repeated names.
    """
    if classes is None:
        return tuple(known)
    if isinstance(classes, str) or not isinstance(classes, list | tuple):
        raise TypeError(f"classes must be a tuple of names or None, got {classes!r}")
    wrong = [name for name in classes if name not in known]
    if wrong or not classes or len(set(classes)) < len(classes):
        raise ValueError(
            f"classes must be different names among {', '.join(known)}; got {tuple(classes)}"
        )
    return (BACKGROUND, *classes)


def label_table(ids, names, void):
    """The table t: 256 targets for the labels of one data set.

    ``ids`` maps each label's name to its number, ``names`` are the target's names in order (from
    `chosen_classes`), ``void`` the numbers that are void unless chosen. A number without a name is
    `UNKNOWN`.

    >>> from softcut_lib.data.pictures import label_table
    >>> label_table({"sky": 0, "car": 1, "other": 2}, ("background", "car"), {2})[:4].tolist()
    [0, 1, 255, 254]
    """
    table = np.full(256, UNKNOWN, np.uint8)
    table[[number for number in ids.values() if number >= 0]] = 0 if BACKGROUND in names else VOID
    table[list(void)] = VOID
    for value, name in enumerate(names):
        if name != BACKGROUND:
            table[ids[name]] = value
    return table


def to_target(labels, table, path, advice):
    """Apply the table to a label picture (h, w) of uint8; a label outside it is an error."""
    if labels.dtype != np.uint8 or labels.ndim != 2:
        raise ValueError(
            f"{str(path)!r} must be an 8-bit picture with one label number a pixel, got "
            f"{labels.dtype} of shape {labels.shape}. {advice}"
        )
    target = table[labels]
    if (target == UNKNOWN).any():
        counts = np.bincount(labels[target == UNKNOWN])
        listed = ", ".join(f"{k} ({n} pixels)" for k, n in enumerate(counts) if n)
        raise ValueError(f"{str(path)!r} holds labels outside the table: {listed}. {advice}")
    return target


def pieces(mask):
    """Connected pieces of a mask (h, w), 8 neighbors: int32, 0 outside, else 1, 2, ...

    >>> import numpy as np
    >>> from softcut_lib.data.pictures import pieces
    >>> pieces(np.array([[1, 0, 0], [0, 1, 0], [0, 0, 0], [1, 0, 1]], bool)).max()
    np.int32(3)
    """
    from scipy.ndimage import label

    return label(mask, np.ones((3, 3)))[0]


def as_item(photograph, target, name, instances=None):
    """The common form of an item, from a photograph (h, w, 3) and a target (h, w) in uint8."""
    image = torch.from_numpy(photograph).permute(2, 0, 1).contiguous().float() / 255
    item = {"image": image, "target": torch.from_numpy(target).long(), "name": name}
    if instances is not None:
        item["instances"] = torch.from_numpy(instances).long()
    return item


def same_size(photograph, labels, path):
    """Refuse a label picture whose size differs from its photograph's."""
    if photograph.shape[:2] != labels.shape[:2]:
        raise ValueError(
            f"{str(path)!r} must have the size of its photograph, {photograph.shape[:2]}, got "
            f"{labels.shape[:2]}; the two files do not belong together"
        )
