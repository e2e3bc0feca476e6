"""Tiles of street scenes that hold what is looked for: the data sets of the thesis' U-Nets.

An image is cut into a grid of equal tiles, evenly spread from border to border, overlapping where
they must. A tile is taken when some chosen class covers at least a share s of its pixels,

    |{x in tile : target(x) = c}| >= s |tile|        for one chosen c at least.

Chapters 11 and 12.
"""

import math

import numpy as np
import torch
from torch.utils.data import Dataset

from softcut_lib import _checks

from .pictures import BACKGROUND, VOID, chosen_classes

TASKS = ("binary", "object", "multiclass")


class Tiles(Dataset):
    """Tiles of another data set, for one of three tasks.

    "binary": target 1 on all chosen classes, 0 elsewhere. "multiclass": 1, 2, ... for the chosen
    classes in order, 0 elsewhere. "object": one item for each object in each tile that covers at
    least ``min_share`` of the tile; the target is 1 on that object only, and the image gets a
    fourth channel, 0 but for a single 1 on the object's pixel nearest to its center of gravity.
    Void pixels (255) stay void in all three.

    All images are decoded once, when the length or an item is first asked for, and the chosen
    tiles are kept as uint8 (4 or 5 bytes a pixel); items depend on nothing but the arguments.

    Parameters
    ----------
    dataset : Dataset
        Items with ``image`` in k/255, ``target``, ``name``, and ``instances`` for "object";
        ``dataset.classes`` names the target's values. Its split is the tiles' split.
    task : "binary", "object" or "multiclass"
    classes : tuple of str or None
        Names among ``dataset.classes``; ``None`` takes all but the background, which then has to
        be there.
    tile : int
        Side of a tile in pixels; at most the image's sides.
    grid : pair of int or None
        Rows and columns of tiles in an image; ``None`` takes the fewest that cover it, 3 x 4 for
        tiles of 128 in CamVid, 4 x 8 for tiles of 256 in Cityscapes.
    min_share : float in [0, 1]
        s above. With 0 every tile is taken ("object": every object).
    others : float, at least 0
        Tiles without enough of a class to take as well, as a share of the number of those taken,
        drawn without replacement from all that are left; not for "object".
    seed : int
        Of that draw.

    Items
    -----
    dict
        ``image`` float32 (3 or 4, tile, tile), ``target`` int64 (tile, tile), ``name`` such as
        ``"0001TP_006690-y116-x235"``, with ``-o8003`` for an object.

    Attributes
    ----------
    classes : tuple of str
        Names of the target's values 0, 1, ...; for "object" ``("background", "object")``.

    Raises
    ------
    ValueError
        No tile is left, an image is smaller than a tile, the grid does not cover the image, a
        class is unknown, instances are missing, an option is out of range.

    Source: thesis, section 3 ("the tiles have been sampled in order that the vast majority of them
    contain the selected classes"; the rule itself is not published).

    >>> from softcut_lib import SyntheticStreets, Tiles
    >>> streets = SyntheticStreets("val", count=2, size=(128, 256), classes=("car",))
    >>> tiles = Tiles(streets, tile=64)
    >>> tuple(tiles[0]["image"].shape), bool((tiles[0]["target"] == 1).sum() >= 0.005 * 64**2)
    ((3, 64, 64), True)
    """

    def __init__(
        self,
        dataset,
        *,
        task="binary",
        classes=None,
        tile=128,
        grid=None,
        min_share=0.005,
        others=0.0,
        seed=0,
    ):
        _checks.one_of("task", task, TASKS)
        _checks.positive_integer("tile", tile)
        in_unit = isinstance(min_share, int | float) and 0 <= min_share <= 1
        if not in_unit:
            raise ValueError(f"min_share must be a share in [0, 1], got {min_share!r}")
        if not isinstance(others, int | float) or not 0 <= others < math.inf:
            raise ValueError(f"others must be a finite number of at least 0, got {others!r}")
        if others and task == "object":
            raise ValueError('others must be 0 for task="object": every item shows an object')
        if grid is not None:
            for name, count in zip(("grid[0]", "grid[1]"), grid, strict=True):
                _checks.positive_integer(name, count)
        names = _wanted(dataset.classes, classes)
        self.dataset, self.task, self.tile, self.grid = dataset, task, tile, grid
        self.min_share, self.others, self.seed = min_share, others, seed
        self._values = [dataset.classes.index(name) for name in names]
        single = {"binary": names if len(names) == 1 else ("foreground",), "object": ("object",)}
        self.classes = (BACKGROUND, *single.get(task, names))
        self._kept = None

    def __len__(self):
        return len(self._tiles())

    def __getitem__(self, index):
        image, target, middle, name = self._tiles()[index]
        image = torch.from_numpy(image).float() / 255
        if middle is not None:
            mark = torch.zeros(1, *image.shape[1:])
            mark[0, middle[0], middle[1]] = 1
            image = torch.cat([image, mark])
        return {"image": image, "target": torch.from_numpy(target).long(), "name": name}

    def _tiles(self):
        """The chosen tiles: image uint8, target uint8, place of the mark or None, name."""
        if self._kept is None:
            taken, left = [], []
            for index in range(len(self.dataset)):
                for found, enough in self._cut(self.dataset[index]):
                    (taken if enough else left).append(found)
            if not taken:
                raise ValueError(
                    f"no tile holds at least {self.min_share:.2%} of one of "
                    f"{', '.join(self.dataset.classes[v] for v in self._values)} in the "
                    f"{len(self.dataset)} images; lower min_share, take larger tiles or other "
                    "classes"
                )
            count = min(round(self.others * len(taken)), len(left))
            generator = torch.Generator().manual_seed(self.seed)
            order = torch.randperm(len(left), generator=generator)[:count].sort().values
            self._kept = taken + [left[k] for k in order.tolist()]
        return self._kept

    def _cut(self, item):
        """Yield ((image, target, middle, name), whether it shows enough) for each tile or object.

        Tiles that show too little are left out unless they may be drawn as others.
        """
        labels = item["target"].numpy()
        least = self.min_share * self.tile**2
        for y, x in tile_corners(labels.shape, self.tile, self.grid):
            window = np.s_[y : y + self.tile, x : x + self.tile]
            name = f"{item['name']}-y{y}-x{x}"
            if self.task == "object":
                for number, target, middle in self._objects(item, window, least):
                    yield (_pixels(item, window), target, middle, f"{name}-o{number}"), True
                continue
            seen = labels[window]
            enough = max((seen == value).sum() for value in self._values) >= least
            if enough or self.others:
                yield (_pixels(item, window), self._relabel(seen), None, name), enough

    def _relabel(self, labels):
        target = np.where(labels == VOID, VOID, 0).astype(np.uint8)
        for new, value in enumerate(self._values, start=1):
            target[labels == value] = 1 if self.task == "binary" else new
        return target

    def _objects(self, item, window, least):
        """Yield (number, target, middle) of the objects of the chosen classes in a window."""
        if "instances" not in item:
            raise ValueError(
                'task "object" needs items with "instances"; make the data set with instances=True'
            )
        labels, objects = item["target"].numpy()[window], item["instances"].numpy()[window]
        objects = np.where(np.isin(labels, self._values), objects, 0)
        numbers, sizes = np.unique(objects[objects > 0], return_counts=True)
        for number in numbers[sizes >= least].tolist():
            mask = objects == number
            target = np.where(labels == VOID, VOID, mask).astype(np.uint8)
            yield number, target, middle_of(mask)


def tile_corners(size, tile, grid=None):
    """Upper left corners (y, x) of equal tiles spread evenly over an image of ``size = (h, w)``.

    >>> from softcut_lib.data.tiles import tile_corners
    >>> tile_corners((360, 480), 128)[:5]
    [(0, 0), (0, 117), (0, 235), (0, 352), (116, 0)]
    """
    rows, columns = grid or tuple(math.ceil(side / tile) for side in size)
    starts = []
    for side, count, what in zip(size, (rows, columns), ("rows", "columns")):
        if side < tile:
            raise ValueError(f"tile must be at most the image's {size}, got {tile}")
        if count * tile < side:
            raise ValueError(
                f"grid must cover the image: {count} {what} of {tile} pixels are less than {side}"
            )
        last = side - tile
        starts.append([round(k * last / max(count - 1, 1)) for k in range(count)])
    return [(y, x) for y in starts[0] for x in starts[1]]


def middle_of(mask):
    """The pixel (row, column) of a mask (h, w) that is nearest to its center of gravity.

    >>> import numpy as np
    >>> from softcut_lib.data.tiles import middle_of
    >>> middle_of(np.array([[1, 1, 1], [1, 0, 0], [1, 1, 1]], bool))
    (1, 0)
    """
    places = np.argwhere(mask)
    distance = ((places - places.mean(0)) ** 2).sum(1)
    row, column = places[distance.argmin()].tolist()
    return row, column


def _pixels(item, window):
    """The window's pixels as uint8: exact, because images are k/255."""
    return (item["image"][:, *window] * 255).round().to(torch.uint8).numpy()


def _wanted(known, classes):
    """Names of the classes to look for, among those of the data set."""
    names = tuple(name for name in known if name != BACKGROUND)
    if classes is None and BACKGROUND not in known:
        raise ValueError(
            "classes must be given: the data set labels every pixel with one of "
            f"{', '.join(known)} and has no background"
        )
    return names if classes is None else chosen_classes(classes, names)[1:]
