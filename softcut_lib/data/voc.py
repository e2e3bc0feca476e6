"""PASCAL VOC 2012, 21 labels, in its official layout, with SBD's masks and ScribbleSup's scribbles.

    JPEGImages/<name>.jpg               photographs
    SegmentationClass/<name>.png        masks with a palette: the index is the label, 255 void
    ImageSets/Segmentation/<split>.txt  names: train 1,464, val 1,449, trainval 2,913
    SegmentationClassAug/<name>.png     masks of SBD in the same numbers, for the split train_aug
    ImageSets/Segmentation/train_aug.txt    10,582 names, made by `softcut_lib.write_train_aug`

Chapter 15.
"""

from pathlib import Path

import numpy as np
from PIL import Image
from torch.utils.data import Dataset

from softcut_lib import _checks

from .folders import find_folder
from .horses import first_few
from .pictures import as_item, read_picture, same_size
from .scribbles import read_scribbles

SPLITS = ("train", "val", "trainval", "train_aug")
CLASSES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair",
    "cow", "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa",
    "train", "tvmonitor",
)  # fmt: skip
SHORT = {
    "plane": "aeroplane", "bike": "bicycle", "table": "diningtable", "plant": "pottedplant",
    "monitor": "tvmonitor",
}  # fmt: skip
LABELS = {name: number for number, name in enumerate(CLASSES)}
LABELS |= {
    short: LABELS[name] for short, name in SHORT.items()
}  # as ScribbleSup's files spell them
VOID = 255


class PascalVOC(Dataset):
    """Photographs, masks and scribbles of PASCAL VOC 2012, as a torch data set.

    target = index of the mask's palette: 0 background, 1..20 the classes in alphabetical order, 255
    void (outlines and objects too hard to tell).

    Parameters
    ----------
    root : path or None
        The folder ``VOC2012`` of the development kit, or the one that holds it as ``voc2012/``,
        ``VOC2012/`` or ``VOCdevkit/VOC2012/``; ``None`` reads ``SOFTCUT_DATA``.
    split : "train", "val", "trainval" or "train_aug"
    scribbles : path, True or None
        Folder with one XML file (ScribbleSup's ``pascal_2012/``) or label image (PNG) an image;
        True looks for ``scribbles/`` beside ``JPEGImages/``. ``None`` attaches none.
    scale : float in (0, 1]
        Both sides are multiplied by it and rounded; photographs are resampled bilinearly, masks by
        the nearest pixel, scribbles are drawn anew.
    width : float
        Of the pen, in pixels of the unscaled image, for scribbles in XML.

    Items
    -----
    dict
        ``image`` float32 (3, h, w) in [0, 1], ``target`` int64 (h, w), ``name`` such as
        ``"2007_000032"``, and with scribbles ``seeds`` int64 (h, w), 255 free. Sizes differ.

    Raises
    ------
    FileNotFoundError
        The folder or the split's list is missing.
    ValueError
        A listed image lacks its photograph, mask or scribbles, a file cannot be decoded, a label
        is none of VOC's.

    Source: Everingham et al. 2012, the challenge's development kit; Hariharan et al. 2011 (SBD);
    Lin et al. 2016 (scribbles).

    >>> from softcut_lib import PascalVOC
    >>> PascalVOC("nowhere")
    Traceback (most recent call last):
        ...
    FileNotFoundError: no PASCAL VOC 2012 below 'nowhere' (root): expected the folders ...
    """

    classes = CLASSES

    def __init__(self, root=None, split="train", *, scribbles=None, scale=1.0, width=3.0):
        _checks.one_of("split", split, SPLITS)
        _checks.positive_number("scale", scale)
        _checks.positive_number("width", width)
        if scale > 1:
            raise ValueError(f"scale must be at most 1, got {scale!r}; masks are not enlarged")
        self.root = find_voc(root)
        self.split, self.scale, self.width = split, scale, width
        self.masks = "SegmentationClassAug" if split == "train_aug" else "SegmentationClass"
        self.names = listed_names(self.root, split)
        require_files(self.root / "JPEGImages", self.names, (".jpg",))
        require_files(self.root / self.masks, self.names, (".png",))
        self._marks = None
        if scribbles is not None and scribbles is not False:
            folder = self.root / "scribbles" if scribbles is True else scribbles
            self._marks = require_files(folder, self.names, (".xml", ".png"))

    def __len__(self):
        return len(self.names)

    def __getitem__(self, index):
        name = self.names[index]
        path = self.root / self.masks / f"{name}.png"
        photograph = read_picture(self.root / "JPEGImages" / f"{name}.jpg", "RGB", _COPY_AGAIN)
        labels = to_labels(read_picture(path, None, _COPY_AGAIN), path)
        same_size(photograph, labels, path)
        h, w = labels.shape
        if self.scale != 1:
            h, w = (max(1, round(self.scale * side)) for side in (h, w))
            photograph = np.array(
                Image.fromarray(photograph).resize((w, h), Image.Resampling.BILINEAR)
            )
            labels = np.array(Image.fromarray(labels).resize((w, h), Image.Resampling.NEAREST))
        item = as_item(photograph, labels, name)
        if self._marks is not None:
            seeds = read_scribbles(
                self._marks[name], labels=LABELS, size=(h, w), width=self.scale * self.width
            )
            item["seeds"] = seeds
        return item


def voc_colors():
    """The color of each label, (256, 3) uint8: the bits of the number dealt out to r, g, b.

    Bit 3 k + c of the label is bit 7 - k of channel c.

    >>> from softcut_lib.data.voc import voc_colors
    >>> voc_colors()[[1, 15, 255]].tolist()
    [[128, 0, 0], [192, 128, 128], [224, 224, 192]]
    """
    number, colors = np.arange(256), np.zeros((256, 3), int)
    for bit in range(8):
        colors[:, bit % 3] |= (number >> bit & 1) << (7 - bit // 3)
    return colors.astype(np.uint8)


def to_labels(pixels, path):
    """Labels (h, w) uint8 of a decoded mask: palette indices, gray labels, or VOC's colors."""
    if pixels.ndim == 3 and pixels.shape[2] == 3 and pixels.dtype == np.uint8:
        code = pixels.astype(int) @ (1 << 16, 1 << 8, 1)
        known = voc_colors().astype(int) @ (1 << 16, 1 << 8, 1)
        order = known.argsort()
        place = order[np.searchsorted(known, code, sorter=order).clip(max=255)]
        if (known[place] != code).any():
            raise ValueError(f"{str(path)!r} holds colors that are not in VOC's palette")
        pixels = place.astype(np.uint8)
    if pixels.ndim != 2 or pixels.dtype != np.uint8:
        raise ValueError(
            f"{str(path)!r} must be a mask with a palette, with labels as gray values, or in VOC's "
            f"colors, got {pixels.dtype} of shape {pixels.shape}"
        )
    wrong = np.unique(pixels[(pixels >= len(CLASSES)) & (pixels != VOID)])
    if wrong.size:
        raise ValueError(
            f"{str(path)!r} must hold labels 0..20 and 255 (void), got {wrong[:5].tolist()}"
        )
    return pixels


def find_voc(root=None):
    """The folder with ``JPEGImages/`` and ``SegmentationClass/``."""
    return find_folder(
        root,
        "PASCAL VOC 2012",
        ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"),
        ("voc2012", "VOC2012", "VOCdevkit/VOC2012"),
        _HOW_TO_GET,
    )


def listed_names(root, split):
    """The names in a split's list; a line may also hold the paths of photograph and mask."""
    folder = root / "ImageSets" / "Segmentation"
    files = [f"{split}.txt"] + ["trainaug.txt"] * (split == "train_aug")
    for file in files:
        if (folder / file).is_file():
            lines = [line.split()[0] for line in (folder / file).read_text().splitlines() if line]
            if not lines:
                raise ValueError(f"{str(folder / file)!r} names no image; copy it again")
            return [line.rsplit("/", 1)[-1].removesuffix(".jpg") for line in lines]
    more = " Make it with softcut_lib.write_train_aug." if split == "train_aug" else ""
    raise FileNotFoundError(f"no list {files[0]} in {str(folder)!r}.{more} {_HOW_TO_GET}")


def require_files(folder, names, endings):
    """name -> path of its file in a folder; names without one are refused."""
    there = {p.stem: p for end in reversed(endings) for p in Path(folder).glob(f"*{end}")}
    lacking = [name for name in names if name not in there]
    if lacking:
        raise ValueError(
            f"{len(lacking)} of {len(names)} listed images lack their file in {str(folder)!r} "
            f"({' or '.join(endings)}): {first_few(lacking)}. The data set is partial; "
            f"{_HOW_TO_GET}"
        )
    return {name: there[name] for name in names}


_HOW_TO_GET = (
    "Get VOCtrainval_11-May-2012.tar from the challenge's page "
    "(host.robots.ox.ac.uk/pascal/VOC/voc2012), unpack it, and point root or SOFTCUT_DATA at it; "
    "the scribbles are the folder pascal_2012 of ScribbleSup (jifengdai.org/downloads/scribble_sup)"
)
_COPY_AGAIN = "Unpack it again from the published archive"
