"""Images of which a training sees scribbles: a data set that hides its masks (chapter 15).

    code = mask + 256 seeds,        one long (h, w) for both, as a training step gets one target.

The scribbles of an image are drawn once, from (seed, its place), as an annotator draws once.
"""

from __future__ import annotations

import torch
from torch.nn.functional import interpolate
from torch.utils.data import Dataset

from softcut_lib import _checks as check
from softcut_lib.train.objectives import step_generator
from softcut_lib.weak.scribbles import simulate_scribbles

FREE = 255


class Scribbled(Dataset):
    """A data set whose targets hold scribbles and masks, for the objectives of this chapter.

    Items of the data set given, resized if asked, with ``seeds`` long (h, w) (theirs where they
    have some, else simulated) and ``target`` = `pack(mask, seeds)`. Everything is kept in memory.

    Args:
        items: data set of dicts with image, target, name, and seeds where somebody drew them.
        size: (h, w) of all images, so that they make a batch; None keeps their own.
        width, keep: of the simulated scribbles, see `simulate_scribbles`.
        seed: of the simulated scribbles.

    Example:
        >>> from softcut_lib import SyntheticHorses
        >>> data = Scribbled(SyntheticHorses("train", count=2), size=(48, 64), width=1.0)
        >>> mask, seeds = unpack(data[1]["target"])
        >>> seeds.shape, mask.unique().tolist(), seeds.unique().tolist()
        (torch.Size([48, 64]), [0, 1], [0, 1, 255])
    """

    def __init__(self, items, *, size=None, width=2.0, keep=(0.5, 0.9), seed=0):
        self.items, self.size, self.seed = items, size, seed
        self.options = {"width": width, "keep": keep}
        self._made = {}

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        index = range(len(self))[index]
        if index not in self._made:
            item = resized(self.items[index], self.size)
            if "seeds" not in item:
                generator = step_generator(self.seed, index)
                item["seeds"] = simulate_scribbles(
                    item["target"], generator=generator, **self.options
                )
            item["target"] = pack(item["target"], item["seeds"])
            self._made[index] = item
        return self._made[index]


class Crops(Dataset):
    """Square crops of images in their own resolution, nothing kept.

    An item is a crop of ``side`` pixels, its target `pack(mask, seeds)`. Crop j of image i is drawn
    from (seed, i, j) and mirrored for odd j. An image with a side below ``side`` is enlarged first;
    where nobody scribbled (no seeds), all pixels are free.

    Args:
        items: data set of dicts with image, target, name, and seeds where somebody drew them.
        side: of the crops in pixels.
        each: crops of an image; the data set is ``each`` times as long as ``items``.
        seed: of the places.

    Example:
        >>> image, target = torch.zeros(3, 20, 30), torch.zeros(20, 30).long()
        >>> item = {"image": image, "target": target, "seeds": target, "name": "a"}
        >>> data = Crops([item], side=16, each=4)
        >>> len(data), data[3]["image"].shape, data[3]["target"].shape
        (4, torch.Size([3, 16, 16]), torch.Size([16, 16]))
    """

    def __init__(self, items, *, side, each=4, seed=0):
        check.positive_integer("side", side)
        check.positive_integer("each", each)
        self.items, self.side, self.each, self.seed = items, side, each, seed

    def __len__(self):
        return self.each * len(self.items)

    def __getitem__(self, index):
        number, place = divmod(range(len(self))[index], len(self.items))
        item = dict(self.items[place])
        item.setdefault("seeds", torch.full_like(item["target"], FREE))
        grid = item["target"].shape
        factor = max(1.0, self.side / min(grid))
        item = resized(item, [max(self.side, round(factor * length)) for length in grid])
        generator = step_generator(self.seed, place, number)
        free = [length - self.side + 1 for length in item["target"].shape]
        y, x = (int(torch.randint(n, (), generator=generator)) for n in free)
        for name in ("image", "target", "seeds"):
            part = item[name][..., y : y + self.side, x : x + self.side]
            item[name] = (part.flip(-1) if number % 2 else part).contiguous()
        item["target"] = pack(item["target"], item["seeds"])
        return item


class Resized(Dataset):
    """A data set at one size: images averaged over areas, masks by the nearest pixel."""

    def __init__(self, items, size):
        self.items, self.size = items, size

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return resized(self.items[index], self.size)


def resized(item, size):
    """A copy of an item at another size; None keeps it."""
    from softcut_lib.data.scribbles import resize_scribbles

    item = dict(item)
    if size is None or tuple(item["target"].shape) == tuple(size):
        return item
    image, mask = item["image"][None], item["target"][None, None].double()
    item["image"] = interpolate(image, size=tuple(size), mode="area")[0]
    item["target"] = interpolate(mask, size=tuple(size), mode="nearest-exact")[0, 0].long()
    if "seeds" in item:
        item["seeds"] = resize_scribbles(item["seeds"], size)
    return item


def pack(mask, seeds):
    """Two label maps in 0..255 as one: mask + 256 seeds.

    >>> import torch
    >>> pack(torch.tensor([1, 255]), torch.tensor([255, 0]))
    tensor([65281,   255])
    """
    for name, labels in (("mask", mask), ("seeds", seeds)):
        check.is_tensor(name, labels)
        if labels.dtype != torch.long or not bool(((labels >= 0) & (labels <= FREE)).all()):
            raise ValueError(f"{name} must be long labels in 0..255, got {labels.dtype}")
    return mask + 256 * seeds


def unpack(code):
    """(mask, seeds) of a packed target."""
    return code % 256, code // 256
