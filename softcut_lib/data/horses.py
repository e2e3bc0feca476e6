"""The Weizmann horses, 328 photographs with figure-ground masks, by the protocol of the thesis.

A mask pixel is foreground where its value is at least 128; the photograph is resized to its mask,

    image = resize(photograph, size of the mask) / 255,      target = [mask >= 128],

and a fixed permutation of the sorted names is cut into 180 / 50 / 98 for training, validation and
test. Chapter 10 trains on it where the reader has the data.
"""

import numpy as np
import torch
from PIL import Image
from torch.utils.data import Dataset

from softcut_lib import _checks

from .folders import find_folder

FOLDER = "weizmann_horse_db"
PHOTOGRAPHS, MASKS = "rgb", "figure_ground"
COUNT = 328
NAMES = tuple(f"horse{k:03d}" for k in range(1, COUNT + 1))
SPLITS = ("train", "val", "test", "all")


def thesis_split():
    """Positions of the sorted names in the thesis' training, validation and test sets.

    The permutation of 0..327 that torch draws from seed 1234, cut at 180 and 230; it is drawn from
    a generator of its own, so the global random state stays as it was.

    Returns
    -------
    dict
        ``"train"``, ``"val"`` and ``"test"`` to lists of 180, 50 and 98 positions, in the order in
        which the thesis visits them; position 0 is ``horse001``.

    Source: thesis, section 4.1 (the sizes); the seed is the one of the published code.

    >>> from softcut_lib.data.horses import thesis_split
    >>> split = thesis_split()
    >>> [len(split[part]) for part in ("train", "val", "test")], split["train"][:3]
    ([180, 50, 98], [223, 265, 58])
    """
    order = torch.randperm(COUNT, generator=torch.Generator().manual_seed(1234)).tolist()
    return {"train": order[:180], "val": order[180:230], "test": order[230:]}


class WeizmannHorses(Dataset):
    """Photographs of horses and their masks, as a torch data set.

    image = resize(photograph, mask size) / 255,  target = [mask >= 128].

    Parameters
    ----------
    root : path or None
        The folder ``weizmann_horse_db`` or the folder that holds it; ``None`` reads the
        environment variable ``SOFTCUT_DATA``.
    split : "train", "val", "test" or "all"
        The thesis' 180 / 50 / 98, in its order, or every photograph found, sorted by name. The
        three parts are defined on the whole database only and refuse a partial one.
    scale : float in (0, 1]
        Both sides are multiplied by it and rounded. The photograph is resampled once, bilinearly,
        to the final size; the gray mask is resampled in the same way and then thresholded.
    cache : bool
        Keep decoded pixels as uint8 in memory; the 328 pairs take about 75 MB at full size.

    Items
    -----
    dict
        ``image`` float32 (3, h, w) in [0, 1], ``target`` int64 (h, w) with 0 and 1, ``name`` such
        as ``"horse001"``. Sizes differ between items.

    Raises
    ------
    FileNotFoundError
        The folder is missing.
    ValueError
        The database is partial, a photograph lacks its mask, or a file cannot be decoded.

    The database holds two photographs twice. One pair is split: horse006 (test) is horse018
    (training), byte for byte. The thesis' split is kept as it is.

    Source: Borenstein and Ullman, the Weizmann horse database; thesis, section 4.1.

    >>> import tempfile, pathlib
    >>> from PIL import Image
    >>> from softcut_lib import WeizmannHorses
    >>> root = pathlib.Path(tempfile.mkdtemp()) / "weizmann_horse_db"
    >>> for part, mode in (("rgb", "RGB"), ("figure_ground", "L")):
    ...     (root / part).mkdir(parents=True)
    ...     Image.new(mode, (20, 16)).save(root / part / "horse001.jpg")
    >>> item = WeizmannHorses(root, split="all", scale=0.5)[0]
    >>> item["name"], tuple(item["image"].shape), tuple(item["target"].shape)
    ('horse001', (3, 8, 10), (8, 10))
    """

    def __init__(self, root=None, split="train", *, scale=1.0, cache=True):
        _checks.one_of("split", split, SPLITS)
        _checks.positive_number("scale", scale)
        if scale > 1:
            raise ValueError(f"scale must be at most 1, got {scale!r}; masks are not enlarged")
        if not isinstance(cache, bool):
            raise TypeError(f"cache must be True or False, got {cache!r}")
        self.root, self.split, self.scale, self.cache = find_database(root), split, scale, cache
        found = paired_names(self.root)
        if split == "all":
            self.names = found
        else:
            require_whole(self.root, found)
            self.names = [found[k] for k in thesis_split()[split]]
        self._pixels = {}

    def __len__(self):
        return len(self.names)

    def __getitem__(self, index):
        name = self.names[index]
        pixels = self._pixels.get(name)
        if pixels is None:
            pixels = decode_pair(self.root, name, scale=self.scale)
            if self.cache:
                self._pixels[name] = pixels
        photograph, mask = pixels
        image = torch.from_numpy(photograph).permute(2, 0, 1).contiguous().float() / 255
        return {"image": image, "target": torch.from_numpy(mask).long(), "name": name}


def find_database(root=None):
    """The folder with ``rgb/`` and ``figure_ground/``: ``root`` itself or ``weizmann_horse_db``
    below it."""
    return find_folder(root, "Weizmann horses", (PHOTOGRAPHS, MASKS), (FOLDER,), _HOW_TO_GET)


_HOW_TO_GET = (
    "To download the database, call softcut_lib.fetch_weizmann(folder); the synthetic stand-in "
    "softcut_lib.SyntheticHorses() needs no download."
)


def paired_names(folder):
    """Sorted names that have both a photograph and a mask; a name with only one is refused."""
    photographs = {path.stem for path in (folder / PHOTOGRAPHS).glob("horse*.jpg")}
    masks = {path.stem for path in (folder / MASKS).glob("horse*.jpg")}
    for there, lacking, part in (
        (photographs, photographs - masks, MASKS),
        (masks, masks - photographs, PHOTOGRAPHS),
    ):
        if lacking:
            raise ValueError(
                f"{len(lacking)} of {len(there)} names lack their file in {str(folder / part)!r}: "
                f"{first_few(lacking)}. Restore them with softcut_lib.fetch_weizmann, which writes "
                "only what is missing, or remove the other half of the pair"
            )
    if not photographs:
        raise ValueError(
            f"{str(folder)!r} holds no horse*.jpg. Point root at the database. {_HOW_TO_GET}"
        )
    return sorted(photographs)


def require_whole(folder, names):
    """Refuse a database other than horse001..horse328: its split would not be the thesis'."""
    if list(names) != list(NAMES):
        missing, extra = set(NAMES) - set(names), set(names) - set(NAMES)
        wrong = [f"missing: {first_few(missing)}"] * bool(missing)
        wrong += [f"unknown: {first_few(extra)}"] * bool(extra)
        raise ValueError(
            f"the thesis' split needs the {COUNT} pairs horse001..horse{COUNT}, but "
            f"{str(folder)!r} holds {len(names)} ({'; '.join(wrong)}). Complete it with "
            'softcut_lib.fetch_weizmann, or pass split="all" to use what is there'
        )


def decode_pair(folder, name, *, scale=1.0):
    """Photograph (h, w, 3) as uint8 and mask (h, w) as bool, both of the scaled mask's size."""
    mask = _open(folder / MASKS / f"{name}.jpg", "L")
    photograph = _open(folder / PHOTOGRAPHS / f"{name}.jpg", "RGB")
    size = tuple(max(1, round(scale * side)) for side in mask.size)
    photograph = photograph.resize(size, Image.Resampling.BILINEAR)
    mask = mask.resize(size, Image.Resampling.BILINEAR)
    return np.array(photograph), np.array(mask) >= 128


def _open(path, mode):
    try:
        with Image.open(path) as image:
            return image.convert(mode)
    except OSError as error:
        raise ValueError(
            f"cannot decode {str(path)!r} ({error}): the file is missing, truncated or not a "
            "picture. Delete it and call softcut_lib.fetch_weizmann on its database, which "
            "downloads only what is missing, or copy the file again from the published archive"
        ) from error


def first_few(names, limit=5):
    """The first names in order, for a message."""
    names = sorted(names)
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
