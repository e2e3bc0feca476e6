"""Synthetic horses: pictures in which a few pixels never tell horse from ground, but edges do.

Every pixel mixes two palette colors by a smooth random field, the mottle m, whose mean is positive
on the horse and negative on the ground,

    color = middle + tanh(m) half,    m = +-CONTRAST + SPREAD N + MOTTLE Z,

with N one standard normal number for each of horse, meadow and trees, and Z a Gaussian field of
variance 1 whose patches are as wide as the 7 x 7 window of the small network: inside a patch the
evidence errs, averaged over the animal it seldom does. Outlines show as a dark rim that fades in
places. Chapter 10 trains on these pictures where the real photographs are not at hand.
"""

import math

import numpy as np
import torch
from torch.utils.data import Dataset

from softcut_lib import _checks

from .shapes import (
    BENDS,
    box_distance,
    coverage,
    horse_distance,
    image_size,
    pixel_centers,
    smooth_noise,
)

COUNTS = {"train": 100, "val": 30, "test": 50}
CONTRAST, SPREAD, MOTTLE = 0.85, 0.3, 0.95
PATCH = 3.0  # standard deviation of the mottle's smoothing in an image 96 pixels high
GRAIN, HAIR = 0.03, 0.07
_MIDDLE, _HALF = torch.tensor([0.54, 0.45, 0.29]), torch.tensor([0.10, -0.06, -0.06])


class SyntheticHorses(Dataset):
    """Generated pictures of horses in a meadow and their masks: the data that needs no download.

    target = [the horse covers more than half of the pixel and nothing stands in front of it].

    Pose, size, place, light, coat, meadow, tree line, stones and fence vary. Item k depends on
    (seed, split, k) only, is made when it is asked for and never stored; torch's global random
    state is not touched.

    Parameters
    ----------
    split : "train", "val" or "test"
        Disjoint streams of pictures from one distribution.
    count : int or None
        Number of items; ``None`` takes 100, 30 or 50.
    size : pair of int
        Height and width in pixels, at least 32 each; shapes and patches scale with them.
    seed : int
        At least 0; another seed is another data set.

    Items
    -----
    dict
        ``image`` float32 (3, h, w) in [0, 1], ``target`` int64 (h, w) with 0 and 1, ``name`` such
        as ``"train0007"``.

    Raises
    ------
    ValueError
        For an unknown split, a count below 1, a size below 32 or a negative seed.

    Source: the silhouette bundled with scikit-image; it stands in for the thesis' section 4.1 data.

    >>> from softcut_lib import SyntheticHorses
    >>> item = SyntheticHorses("test", count=3, size=(48, 64))[2]
    >>> item["name"], tuple(item["image"].shape), item["target"].unique().tolist()
    ('test0002', (3, 48, 64), [0, 1])
    """

    def __init__(self, split="train", *, count=None, size=(96, 128), seed=0):
        _checks.one_of("split", split, tuple(COUNTS))
        image_size("size", size, least=32)
        if type(seed) is not int or seed < 0:
            raise ValueError(f"seed must be an integer of at least 0, got {seed!r}")
        self.split, self.size, self.seed = split, tuple(size), seed
        self.count = COUNTS[split] if count is None else count
        _checks.positive_integer("count", self.count)

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        index = range(self.count)[index]
        stream = np.random.SeedSequence([self.seed, list(COUNTS).index(self.split), index])
        generator = torch.Generator().manual_seed(int(stream.generate_state(1)[0]))
        image, mask = picture(self.size, generator=generator)
        return {"image": image, "target": mask.long(), "name": f"{self.split}{index:04d}"}


def picture(size, *, generator):
    """One picture (3, h, w) in [0, 1] and its mask (h, w), bool, painted from back to front.

    ``level`` is the mean of the mottle and ``shade`` the brightness, both (h, w).
    """
    points, unit = pixel_centers(size), size[0] / 96
    horse, feet, height = place_horse(points, generator)
    shade, trees = meadow(points, feet, height, generator)
    spread = SPREAD * torch.randn(3, generator=generator)
    level = -CONTRAST + spread[0] + trees * (spread[1] - spread[0])
    for distance in stones(points, generator):
        share = coverage(distance)
        level = level + share * (_uniform(generator, -CONTRAST, CONTRAST) - level)
        shade = shade + share * (outline_light(distance, unit, generator) - shade)
    body = coverage(horse)
    coat = 1 + HAIR * smooth_noise(size, 1.0, generator=generator)
    level = level + body * (CONTRAST + spread[2] - level)
    shade = shade + body * (coat * outline_light(horse, unit, generator) - shade)
    front = fence(points, generator)
    share = coverage(front)
    level = level + share * (-CONTRAST - level)
    shade = shade + share * (0.55 + 0.45 * (front / (3 * unit)).clamp(0, 1) - shade)
    mottle = level + MOTTLE * smooth_noise(size, PATCH * unit, generator=generator)
    tint = torch.tensor([_uniform(generator, -0.03, 0.03) for _ in "rgb"])
    colors = (_MIDDLE + tint)[:, None, None] + torch.tanh(mottle) * _HALF[:, None, None]
    image = colors * shade * daylight(points, generator)
    image = image + GRAIN * torch.randn(image.shape, generator=generator)
    return image.clamp(0, 1), body * (1 - share) > 0.5


def place_horse(points, generator):
    """Signed distance of a posed, slightly warped horse, where its feet stand, and its height."""
    h, w = points.shape[:2]
    height = _uniform(generator, 0.75, 1.05) * min(h, 0.8 * w)
    center = (w * _uniform(generator, 0.38, 0.62), h * _uniform(generator, 0.46, 0.54))
    warp = [smooth_noise((h, w), 0.18 * height, generator=generator) for _ in "xy"]
    distance = horse_distance(
        points + 0.015 * height * torch.stack(warp, -1),
        center=center,
        height=height,
        angle=_uniform(generator, -7, 7),
        flip=_chance(generator, 0.5),
        bends={part: _uniform(generator, *limits) for part, limits in BENDS.items()},
    )
    return distance, (center[0], center[1] + 0.44 * height), height


def meadow(points, feet, height, generator):
    """Brightness of streaked grass, with the horse's shadow, and of trees; the trees' share."""
    h, w = points.shape[:2]
    x, y = points.unbind(-1)
    hills = smooth_noise((1, w), (0.0, 6.0), generator=generator)
    horizon = h * (_uniform(generator, 0.15, 0.5) + 0.03 * hills)
    blades = (_uniform(generator, 1.5, 4.0), 0.6)
    grass = 1 + 0.08 * smooth_noise((h, w), blades, generator=generator)
    leaves = 1 + 0.12 * smooth_noise((h, w), 1.3, generator=generator)
    inside = 1 - ((x - feet[0]) / (0.62 * height)) ** 2 - ((y - feet[1]) / (0.1 * height)) ** 2
    grass = grass * (1 - _uniform(generator, 0.1, 0.35) * torch.sigmoid(5 * inside))
    trees = coverage(horizon - y)
    return grass + trees * (_uniform(generator, 0.72, 0.95) * leaves - grass), trees


def stones(points, generator):
    """Signed distances of two to five blobs, smaller than the horse, anywhere below the sky."""
    h, w = points.shape[:2]
    for _ in range(int(_uniform(generator, 2, 6))):
        center = (_uniform(generator, 0, w), _uniform(generator, 0.2, 1) * h)
        x, y = (points - torch.tensor(center)).unbind(-1)
        angle, ragged = torch.atan2(y, x), 1.0
        for waves in (2, 3, 5):
            phase, depth = _uniform(generator, 0, 2 * math.pi), _uniform(generator, 0, 0.2)
            ragged = ragged + depth * torch.cos(waves * angle + phase)
        yield _uniform(generator, 0.04, 0.1) * h * ragged - torch.hypot(x, y)


def outline_light(distance, unit, generator):
    """Brightness of a body: a dark rim along its outline, which fades in places."""
    size = tuple(distance.shape)
    fade = torch.sigmoid(4 * smooth_noise(size, 8 * unit, generator=generator) + 3)
    rim = _uniform(generator, 0.4, 0.7) * fade * torch.exp(-distance.clamp(min=0) / (2 * unit))
    return (1 - rim) * _uniform(generator, 0.92, 1.08)


def fence(points, generator):
    """Signed distance of what stands in front: nothing, a post, or a post and a rail."""
    h, w = points.shape[:2]
    distance = torch.full((h, w), -float(h + w))
    if _chance(generator, 0.5):
        middle = (_uniform(generator, 0.05, 0.95) * w, _uniform(generator, 0.5, 0.9) * h)
        sides = (_uniform(generator, 0.025, 0.05) * h, _uniform(generator, 0.5, 1.2) * h)
        distance = box_distance(points, middle, sides)
        if _chance(generator, 0.5):
            middle = (w / 2, _uniform(generator, 0.55, 0.95) * h)
            rail = box_distance(points, middle, (2.0 * w, _uniform(generator, 0.02, 0.04) * h))
            distance = torch.maximum(distance, rail)
    return distance


def daylight(points, generator):
    """Brightness of the light: a linear gradient across the picture."""
    h, w = points.shape[:2]
    way = math.radians(_uniform(generator, 0, 360))
    across = (points / torch.tensor([w, h]) - 0.5) @ torch.tensor([math.cos(way), math.sin(way)])
    slope = _uniform(generator, 0, 0.3)
    return _uniform(generator, 0.9, 1.1) * (1 + slope * across)


def _uniform(generator, low, high):
    return low + (high - low) * float(torch.rand((), generator=generator))


def _chance(generator, probability):
    return _uniform(generator, 0, 1) < probability
