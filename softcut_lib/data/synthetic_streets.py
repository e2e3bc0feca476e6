"""Synthetic streets: generated road scenes with labels and instances, in the layout of Cityscapes.

Sky, houses, road, pavement, trees, lamps, parked and moving cars, persons and traffic signs are
placed in meters and seen through a pinhole camera; shadows, haze, grain and occlusion follow. A
picture depends on (seed, split, index, size) only. Chapters 11 and 12 train on them where neither
Cityscapes nor CamVid is at hand.
"""

import io
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image
from torch.utils.data import Dataset

from softcut_lib import _checks

from .cityscapes import LABEL_MAPS, PHOTOGRAPHS, SPLITS, scene_item
from .cityscapes_labels import IDS, TRAIN_CLASSES, ids_to_colors
from .pictures import chosen_classes
from .shapes import image_size
from .street_scene import paint_street

COUNTS = {"train": 60, "val": 12, "test": 30}


class SyntheticStreets(Dataset):
    """Generated street scenes: the road-scene data that needs no download.

    Items are those that `Cityscapes` reads from a folder that `write_synthetic_streets` wrote with
    the same seed and size, value for value. An item is painted anew whenever it is asked for.

    Parameters
    ----------
    split : "train", "val" or "test"
        Disjoint streams of pictures from one distribution.
    count : int or None
        Number of items; ``None`` takes 60, 12 or 30.
    size : pair of int
        Height and width in pixels, at least 32 each; Cityscapes' own is (1024, 2048).
    classes, instances
        As in `Cityscapes`. The void pixels are the hood of the car that carries the camera, a
        narrow border of the picture, and litter bins.
    seed : int
        From 0 to 999999; another seed is another data set.

    Items
    -----
    dict
        ``image`` float32 (3, h, w) in [0, 1], ``target`` int64 (h, w) with 255 void, ``name``, and
        where asked ``instances`` int64 (h, w).

    Raises
    ------
    ValueError
        For an unknown split or class, a count below 1, a size below 32 or a seed out of range.

    Source: this library; it stands in for the data of the thesis' section 3.

    >>> from softcut_lib import SyntheticStreets
    >>> item = SyntheticStreets("test", count=3, size=(64, 128), classes=("car",))[2]
    >>> item["name"], tuple(item["image"].shape), item["target"].unique().tolist()
    ('synthetictest_000000_000002', (3, 64, 128), [0, 1, 255])
    """

    def __init__(
        self, split="train", *, count=None, size=(256, 512), classes=None, instances=False, seed=0
    ):
        _checks.one_of("split", split, SPLITS)
        self.size, self.seed = _size_and_seed(size, seed)
        self.count = COUNTS[split] if count is None else count
        _checks.positive_integer("count", self.count)
        if not isinstance(instances, bool):
            raise TypeError(f"instances must be True or False, got {instances!r}")
        self.classes = chosen_classes(
            classes, TRAIN_CLASSES if classes is None else tuple(IDS)[:-1]
        )
        self.split, self.instances = split, instances
        self.names = [_name(split, seed, index) for index in range(self.count)]

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        index = range(self.count)[index]
        pixels, ids, numbers = render(self.split, index, size=self.size, seed=self.seed)
        numbers = numbers if self.instances else None
        return scene_item(pixels, ids, self.names[index], self.classes, instance_ids=numbers)


def render(split, index, *, size=(256, 512), seed=0):
    """Picture (h, w, 3) uint8, label numbers uint8 and instance numbers int32 of one scene.

    Instance numbers are Cityscapes': 1000 (label number) + k on cars and persons, the label number
    elsewhere.
    """
    stream = np.random.SeedSequence([seed, SPLITS.index(split), index])
    pixels, ids, numbers = paint_street(size, np.random.default_rng(stream))
    return pixels, ids, np.where(numbers > 0, numbers, ids.astype(np.int32))


def write_synthetic_streets(root, *, counts=None, size=(256, 512), seed=0):
    """Write generated streets as a folder that `Cityscapes` reads like the real one.

        leftImg8bit/<split>/synthetic<split>/<name>_leftImg8bit.png
        gtFine/<split>/synthetic<split>/<name>_gtFine_{labelIds,instanceIds,color}.png

    Files that are there are kept, so an interrupted call goes on where it stopped; each is written
    under a temporary name and renamed. The polygons of the original (``*_polygons.json``) are not
    written.

    Parameters
    ----------
    root : path
        Made when missing.
    counts : dict or None
        Number of pictures of each split, such as ``{"train": 60, "val": 12, "test": 30}`` (the
        default); splits that are left out are not written.
    size, seed
        As in `SyntheticStreets`.

    Returns
    -------
    Path
        The folder, for ``Cityscapes(root)``.

    Raises
    ------
    ValueError
        For an unknown split, a count below 1, a size below 32, a seed out of range, or a picture
        of another size that is already there.

    >>> import tempfile
    >>> from softcut_lib import Cityscapes, write_synthetic_streets
    >>> root = write_synthetic_streets(tempfile.mkdtemp(), counts={"train": 2}, size=(32, 64))
    >>> len(Cityscapes(root, "train"))
    2
    """
    counts = COUNTS if counts is None else counts
    if not isinstance(counts, Mapping) or not counts:
        raise TypeError(f"counts must map splits to numbers of pictures, got {counts!r}")
    for split, count in counts.items():
        _checks.one_of("counts' splits", split, SPLITS)
        _checks.positive_integer(f"counts[{split!r}]", count)
    if not isinstance(root, str | os.PathLike):
        raise TypeError(f"root must be a path, got {type(root).__name__}")
    size, seed = _size_and_seed(size, seed)
    root = Path(root).expanduser()
    for split, count in counts.items():
        for index in range(count):
            _write_scene(root, split, index, size, seed)
    return root


def _write_scene(root, split, index, size, seed):
    name = _name(split, seed, index)
    photographs, labels = (
        root / part / split / f"synthetic{split}" for part in (PHOTOGRAPHS, LABEL_MAPS)
    )
    last = photographs / f"{name}_leftImg8bit.png"  # written last, so it stands for all four
    if last.is_file():
        with Image.open(last) as there:
            if there.size != size[::-1]:
                raise ValueError(
                    f"{str(last)!r} has size {there.size[::-1]}, not the wanted {size}; write into "
                    "another folder"
                )
        return
    pixels, ids, numbers = render(split, index, size=size, seed=seed)
    for ending, map_ in (
        ("labelIds", ids),
        ("instanceIds", numbers.astype(np.uint16)),
        ("color", ids_to_colors(ids)),
    ):
        _write_png(labels / f"{name}_gtFine_{ending}.png", map_)
    _write_png(last, pixels)


def _write_png(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content.getvalue())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)  # where the disk is full


def _name(split, seed, index):
    return f"synthetic{split}_{seed:06d}_{index:06d}"


def _size_and_seed(size, seed):
    image_size("size", size, least=32)
    if type(seed) is not int or not 0 <= seed <= 999999:
        raise ValueError(f"seed must be an integer from 0 to 999999, got {seed!r}")
    return tuple(size), seed
