"""Cityscapes in its official layout: street scenes with label and instance maps.

    leftImg8bit/<split>/<city>/<city>_<sequence>_<frame>_leftImg8bit.png
    gtFine/<split>/<city>/<city>_<sequence>_<frame>_gtFine_{labelIds,color,instanceIds}.png

An instance map holds 1000 (label number) + k for the k-th object of a label that has objects, and
the bare label number elsewhere. Chapter 11; `write_synthetic_streets` writes the same layout.
"""

import numpy as np
import torch
from torch.utils.data import Dataset

from softcut_lib import _checks

from .cityscapes_labels import IDS, IGNORED, SEPARATED, THINGS, TRAIN_CLASSES, colors_to_ids
from .folders import find_folder
from .pictures import (
    BACKGROUND,
    as_item,
    chosen_classes,
    label_table,
    pieces,
    read_picture,
    same_size,
    to_target,
)

FOLDER = "cityscapes"
PHOTOGRAPHS, LABEL_MAPS = "leftImg8bit", "gtFine"
SPLITS = ("train", "val", "test")
PROTOCOLS = ("official", "thesis")
THESIS_TRAIN, OFFICIAL_TRAIN = 2598, 2975


class Cityscapes(Dataset):
    """Street scenes of Cityscapes and their labels, as a torch data set.

    target(x) = 0, 1, ... the chosen classes, 255 where the label is one that the official
    evaluation ignores (the numbers 0 to 6, 9, 10, 14 to 16, 18, 29, 30) and was not chosen.

    Parameters
    ----------
    root : path or None
        The folder with ``leftImg8bit/`` and ``gtFine/``, or one that holds it as ``cityscapes/``;
        ``None`` reads the environment variable ``SOFTCUT_DATA``.
    split : "train", "val" or "test"
    protocol : "official" or "thesis"
        The official splits (the labels published for ``test`` are dummies, mostly void), or those
        of the thesis: its test set is the official ``val``, its validation set 377 of the 2975
        official training images. Which 377 is not known; here a permutation from seed 1234 of the
        sorted names is cut at 2598/2975 of their number.
    classes : tuple of str or None
        Names such as ``("traffic sign", "car")``: the target is 0 for background, then 1, 2, ...
        ``None`` is the 19 classes of the official evaluation, 0 to 18, without background.
    labels : "ids" or "colors"
        Which label picture is read. Colors do not tell polegroup from pole.
    instances : bool
        Give ``instances`` too: 1000 (label number) + k on object k, 0 elsewhere. Groups of objects
        that the annotators could not separate are no object. A chosen class without instance
        numbers, and traffic signs and lights in any case, is separated into connected pieces
        (8 neighbors) of the image.

    Items
    -----
    dict
        ``image`` float32 (3, h, w) in [0, 1], ``target`` int64 (h, w), ``name`` such as
        ``"aachen_000000_000019"``, and where asked ``instances`` int64 (h, w).

    Attributes
    ----------
    classes : tuple of str
        Names of the target's values 0, 1, ...
    names : list of str
        Names of the images in order.

    Raises
    ------
    FileNotFoundError
        The folder, or one of its parts, is missing.
    ValueError
        An image without labels or labels without image, a file that cannot be decoded, a label
        outside the table, maps of different sizes, an unknown option.

    Source: Cordts and others, the Cityscapes dataset, CVPR 2016; thesis, section 3.

    >>> import tempfile
    >>> from softcut_lib import Cityscapes, write_synthetic_streets
    >>> root = write_synthetic_streets(tempfile.mkdtemp(), counts={"val": 1}, size=(64, 128))
    >>> item = Cityscapes(root, "val", classes=("car", "person"))[0]
    >>> item["name"], tuple(item["image"].shape), tuple(item["target"].shape)
    ('syntheticval_000000_000000', (3, 64, 128), (64, 128))
    """

    def __init__(
        self,
        root=None,
        split="train",
        *,
        protocol="official",
        classes=None,
        labels="ids",
        instances=False,
    ):
        _checks.one_of("split", split, SPLITS)
        _checks.one_of("protocol", protocol, PROTOCOLS)
        _checks.one_of("labels", labels, ("ids", "colors"))
        if not isinstance(instances, bool):
            raise TypeError(f"instances must be True or False, got {instances!r}")
        self.classes = chosen_classes(
            classes, TRAIN_CLASSES if classes is None else tuple(IDS)[:-1]
        )
        self.root, self.split, self.labels, self.instances = (
            find_cityscapes(root), split, labels, instances,
        )  # fmt: skip
        self.frames = split_frames(self.root, split, protocol)
        self.names = [name for _, name in self.frames]

    def __len__(self):
        return len(self.frames)

    def __getitem__(self, index):
        folder, name = self.frames[index]
        photograph = self.root / PHOTOGRAPHS / folder / f"{name}_leftImg8bit.png"
        stem = self.root / LABEL_MAPS / folder / f"{name}_gtFine"
        pixels = read_picture(photograph, "RGB", _COPY_AGAIN)
        ids, path = self._label_ids(stem)
        same_size(pixels, ids, path)
        numbers = None
        if self.instances:
            path = stem.with_name(f"{stem.name}_instanceIds.png")
            numbers = read_picture(path, None, _COPY_AGAIN).astype(np.int32)
            same_size(pixels, numbers, path)
        return scene_item(pixels, ids, name, self.classes, instance_ids=numbers, path=path)

    def _label_ids(self, stem):
        if self.labels == "ids":
            path = stem.with_name(f"{stem.name}_labelIds.png")
            return read_picture(path, None, _COPY_AGAIN), path
        path = stem.with_name(f"{stem.name}_color.png")
        return colors_to_ids(read_picture(path, "RGB", _COPY_AGAIN)), path


def scene_item(pixels, ids, name, classes, *, instance_ids=None, path="the label picture"):
    """An item from a photograph (h, w, 3), label numbers (h, w) and instance numbers (h, w)."""
    table = label_table(IDS, classes, IGNORED)
    target = to_target(ids, table, path, _OUTSIDE)
    if instance_ids is None:
        return as_item(pixels, target, name)
    objects = np.where(instance_ids >= 1000, instance_ids, 0)
    chosen = {IDS[label] for label in classes if label != BACKGROUND}
    kept = chosen & set(THINGS)
    objects[~np.isin(objects // 1000, list(kept))] = 0
    for number in sorted(chosen - set(THINGS)):
        if BACKGROUND in classes or number in SEPARATED:
            found = pieces(ids == number)
            objects = np.where(found > 0, 1000 * number + found - 1, objects)
    return as_item(pixels, target, name, objects)


def find_cityscapes(root=None):
    """The folder with ``leftImg8bit/`` and ``gtFine/``: ``root`` or ``cityscapes`` below it."""
    return find_folder(root, "Cityscapes", (PHOTOGRAPHS, LABEL_MAPS), (FOLDER,), _HOW_TO_GET)


def split_frames(root, split, protocol="official"):
    """Pairs (``<split>/<city>``, name) of one split, sorted, or in the order of the thesis' cut."""
    if protocol == "thesis":
        if split == "test":
            return paired_frames(root, "val")
        frames = paired_frames(root, "train")
        generator = torch.Generator().manual_seed(1234)
        order = torch.randperm(len(frames), generator=generator).tolist()
        border = round(len(frames) * THESIS_TRAIN / OFFICIAL_TRAIN)
        chosen = order[:border] if split == "train" else order[border:]
        return [frames[k] for k in chosen]
    return paired_frames(root, split)


def paired_frames(root, split):
    """All frames of an official split that have a photograph and labels; halves are refused."""
    found = {}
    for part, ending in ((PHOTOGRAPHS, "_leftImg8bit.png"), (LABEL_MAPS, "_gtFine_labelIds.png")):
        paths = (root / part / split).glob(f"*/*{ending}")
        found[part] = {(f"{split}/{p.parent.name}", p.name.removesuffix(ending)) for p in paths}
    photographs, labelled = found[PHOTOGRAPHS], found[LABEL_MAPS]
    if not photographs:
        raise ValueError(
            f"{str(root / PHOTOGRAPHS / split)!r} holds no <city>/*_leftImg8bit.png: the split is "
            f"missing or the layout is another one. Unpack the official archives unchanged. "
            f"{_HOW_TO_GET}"
        )
    for part, lacking in (
        (f"gtFine/{split}/<city>/*_gtFine_labelIds.png", photographs - labelled),
        (f"leftImg8bit/{split}/<city>/*_leftImg8bit.png", labelled - photographs),
    ):
        if lacking:
            few = ", ".join(sorted(name for _, name in lacking)[:5])
            raise ValueError(
                f"{len(lacking)} frames of {split!r} lack their {part} in {str(root)!r}: {few}. "
                "The data set is partial; unpack the archives again"
            )
    return sorted(photographs)


_HOW_TO_GET = (
    "Cityscapes may not be redistributed: register at www.cityscapes-dataset.com, download "
    "leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip and unpack both into one folder. "
    "softcut_lib.write_synthetic_streets(folder) writes generated scenes in the same layout."
)
_COPY_AGAIN = "Unpack it again from the official archive"
_OUTSIDE = (
    "The label numbers of Cityscapes are 0 to 33 (pictures with train ids instead of label ids, "
    "or colors of another table, cannot be read)"
)
