"""MSRA10K: 10,000 photographs of one salient object each, with its mask (chapter 13).

    Imgs/<name>.jpg     photograph, 400 pixels at its long side
    Imgs/<name>.png     mask of the same size: 255 on the object, 0 elsewhere

target = [mask >= 128]. The clustering networks of the normalized cut paper were trained on it.
"""

import numpy as np
import torch
from PIL import Image
from torch.utils.data import Dataset

from softcut_lib import _checks

from .folders import find_folder
from .horses import first_few
from .pictures import as_item, read_picture, same_size

COUNT = 10_000
SPLITS = ("train", "val", "test", "all")


class MSRA10K(Dataset):
    """Photographs of MSRA10K and their masks, as a torch data set.

    target = [mask >= 128]: 0 background, 1 the object.

    Parameters
    ----------
    root : path or None
        The folder that has ``Imgs/``, or one that holds it as ``msra10k/`` or
        ``MSRA10K_Imgs_GT/``; ``None`` reads ``SOFTCUT_DATA``.
    split : "train", "val", "test" or "all"
        The database has no split of its own: these are the first 80 %, the next 5 % and the last
        15 % of the names in the order that torch draws from seed 0. The three need the whole
        database, ``"all"`` takes what is there, sorted by name.
    scale : float in (0, 1]
        Both sides are multiplied by it and rounded; photograph and mask are resampled bilinearly,
        the mask is then thresholded.

    Items
    -----
    dict
        ``image`` float32 (3, h, w) in [0, 1], ``target`` int64 (h, w) with 0 and 1, ``name`` such
        as ``"95"``. Sizes differ.

    Raises
    ------
    FileNotFoundError
        The folder is missing.
    ValueError
        A photograph lacks its mask or a mask its photograph, the database is partial, a file cannot
        be decoded, sizes differ.

    Source: Cheng et al. 2015, Global contrast based salient region detection; Tang et al. 2018,
    section 5.1.

    >>> import pathlib, tempfile
    >>> from PIL import Image
    >>> from softcut_lib import MSRA10K
    >>> root = pathlib.Path(tempfile.mkdtemp())
    >>> (root / "Imgs").mkdir()
    >>> Image.new("RGB", (20, 16), "gray").save(root / "Imgs" / "7.jpg")
    >>> Image.new("L", (20, 16), 255).save(root / "Imgs" / "7.png")
    >>> item = MSRA10K(root, "all")[0]
    >>> item["name"], tuple(item["image"].shape), item["target"].unique().tolist()
    ('7', (3, 16, 20), [1])
    """

    def __init__(self, root=None, split="all", *, scale=1.0):
        _checks.one_of("split", split, SPLITS)
        _checks.positive_number("scale", scale)
        if scale > 1:
            raise ValueError(f"scale must be at most 1, got {scale!r}; masks are not enlarged")
        below = ("msra10k", "MSRA10K_Imgs_GT")
        self.root = find_folder(root, "MSRA10K", ("Imgs",), below, _HOW_TO_GET) / "Imgs"
        self.split, self.scale = split, scale
        found = paired_names(self.root)
        if split == "all":
            self.names = found
            return
        if len(found) != COUNT:
            raise ValueError(
                f'the split {split!r} needs all {COUNT} pairs, got {len(found)}; pass split="all" '
                f"to use what is there. {_HOW_TO_GET}"
            )
        order = torch.randperm(COUNT, generator=torch.Generator().manual_seed(0)).tolist()
        part = {"train": order[:8000], "val": order[8000:8500], "test": order[8500:]}[split]
        self.names = [found[k] for k in part]

    def __len__(self):
        return len(self.names)

    def __getitem__(self, index):
        name = self.names[index]
        path = self.root / f"{name}.png"
        photograph = read_picture(self.root / f"{name}.jpg", "RGB", _COPY_AGAIN)
        mask = read_picture(path, "L", _COPY_AGAIN)
        same_size(photograph, mask, path)
        if self.scale != 1:
            size = [max(1, round(self.scale * side)) for side in mask.shape[::-1]]
            photograph, mask = (
                np.array(Image.fromarray(x).resize(size, Image.Resampling.BILINEAR))
                for x in (photograph, mask)
            )
        return as_item(photograph, (mask >= 128).astype(np.uint8), name)


def paired_names(folder):
    """Sorted names that have both a photograph and a mask; a name with only one is refused."""
    photographs = {path.stem for path in folder.glob("*.jpg")}
    masks = {path.stem for path in folder.glob("*.png")}
    for lacking, kind in ((photographs - masks, "mask (.png)"), (masks - photographs, "photo")):
        if lacking:
            raise ValueError(
                f"{len(lacking)} names in {str(folder)!r} lack their {kind}: {first_few(lacking)}. "
                f"The database is partial; {_COPY_AGAIN.lower()}"
            )
    if not photographs:
        raise ValueError(f"{str(folder)!r} holds no *.jpg. {_HOW_TO_GET}")
    return sorted(photographs)


_HOW_TO_GET = (
    "Get MSRA10K_Imgs_GT.zip from its authors' page (mmcheng.net/msra10k), unpack it, and point "
    "root or SOFTCUT_DATA at it"
)
_COPY_AGAIN = "Unpack it again from the published archive"
