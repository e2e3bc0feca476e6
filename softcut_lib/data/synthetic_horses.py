"""Synthetic horses: pictures in which a few pixels never tell horse from ground, but edges do.

Every pixel's color mixes two palette colors by a smooth random field m (the mottle) whose mean is
+contrast on horse colors and -contrast on ground colors,

    color = middle + tanh(m) half_difference,  m = +-contrast + mottle Z,  Z smooth, variance 1,

so that a window smaller than a patch of Z errs often, while the average over the whole animal does
not: what a cut is for. Used by chapter 10 where the real photographs are not at hand.
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
    disc_distance,
    horse_distance,
    image_size,
    pixel_centers,
    smooth_noise,
)

COUNTS = {"train": 100, "val": 30, "test": 50}
CONTRAST, MOTTLE, PATCH = 0.55, 0.8, 6.0


class Draw:
    """Random numbers of one picture, all from one generator."""

    def __init__(self, seed, split, index):
        stream = np.random.SeedSequence([seed, list(COUNTS).index(split), index])
        self.generator = torch.Generator().manual_seed(int(stream.generate_state(1)[0]))

    def uniform(self, low, high):
        return low + (high - low) * float(torch.rand((), generator=self.generator))

    def chance(self, probability):
        return self.uniform(0, 1) < probability

    def noise(self, size, sigma):
        return smooth_noise(size, sigma, generator=self.generator)


def picture(draw, size):
    """One picture (3, h, w) in [0, 1] and its mask (h, w) bool."""
    h, w = size
    points = pixel_centers(size)
    unit = h / 96
    horse, feet = place_horse(draw, points)
    level, shade = ground(draw, points, feet)
    level, shade = clutter(draw, points, level, shade, feet, ahead=False)
    body = coverage(horse)
    level = level + body * (CONTRAST - level)
    light = coat_light(draw, points, horse)
    shade = shade + body * (light - shade)
    post = posts(draw, points)
    if post is not None:
        cover = coverage(post)
        level = level - cover * (level + CONTRAST)
        shade = shade + cover * (0.55 + 0.45 * (post / (3 * unit)).clamp(0, 1) - shade)
        body = body * (1 - cover)
    mottle = level + MOTTLE * draw.noise(size, PATCH * unit)
    image = palette(draw, mottle) * shade
    image = image * lighting(draw, points)
    image = image + 0.025 * torch.randn(3, h, w, generator=draw.generator)
    return image.clamp(0, 1), body > 0.5


def place_horse(draw, points):
    """Distance of a posed horse, bent a little as a whole, and the height of its feet."""
    h, w = points.shape[:2]
    height = draw.uniform(0.75, 1.05) * min(h, 0.8 * w)
    center = (w * draw.uniform(0.38, 0.62), h * draw.uniform(0.46, 0.54))
    bent = points + 0.015 * height * torch.stack(
        [draw.noise((h, w), 0.18 * height) for _ in "xy"], -1
    )
    distance = horse_distance(
        bent,
        center=center,
        height=height,
        angle=draw.uniform(-7, 7),
        flip=draw.chance(0.5),
        bends={part: draw.uniform(*limits) for part, limits in BENDS.items()},
    )
    return distance, (center[0], center[1] + 0.44 * height, height)


def ground(draw, points, feet):
    """Mean of the mottle and brightness of meadow, tree line and the horse's shadow."""
    h, w = points.shape[:2]
    x, y = points.unbind(-1)
    horizon = h * draw.uniform(0.15, 0.5) + 0.03 * h * draw.noise((h, w), (99.0, 6.0))
    level = torch.full((h, w), -CONTRAST)
    grass = 1 + 0.07 * draw.noise((h, w), (draw.uniform(1.5, 4), 0.6))
    leaves = draw.uniform(0.72, 0.95) * (1 + 0.1 * draw.noise((h, w), 1.3))
    trees = coverage(horizon - y)
    shade = grass + trees * (leaves - grass)
    shadow = 1 - (((x - feet[0]) / (0.62 * feet[2])) ** 2 + ((y - feet[1]) / (0.1 * feet[2])) ** 2)
    return level, shade * (1 - draw.uniform(0.1, 0.35) * torch.sigmoid(5 * shadow) * (1 - trees))


def clutter(draw, points, level, shade, feet, *, ahead):
    """Rocks and bushes in the horse's colors, smaller than the horse, rimmed as it is."""
    h, w = points.shape[:2]
    for _ in range(int(draw.uniform(2, 6))):
        radius = draw.uniform(0.04, 0.1) * h
        center = (draw.uniform(0, w), draw.uniform(0.2, 1) * h)
        ragged = points + 0.3 * radius * torch.stack(
            [draw.noise((h, w), 0.6 * radius) for _ in "xy"], -1
        )
        distance = disc_distance(ragged, center, radius)
        cover = coverage(distance)
        level = level + cover * (draw.uniform(-CONTRAST, CONTRAST) - level)
        shade = shade + cover * (coat_light(draw, points, distance) - shade)
    return level, shade


def posts(draw, points):
    """Distance of up to two posts or rails in front of everything, or None."""
    if not draw.chance(0.5):
        return None
    h, w = points.shape[:2]
    distance = box_distance(
        points,
        (draw.uniform(0.05, 0.95) * w, draw.uniform(0.5, 0.9) * h),
        (draw.uniform(0.025, 0.05) * h, draw.uniform(0.5, 1.2) * h),
    )
    if draw.chance(0.5):
        rail = box_distance(
            points, (w / 2, draw.uniform(0.55, 0.95) * h), (2.0 * w, draw.uniform(0.02, 0.04) * h)
        )
        distance = torch.maximum(distance, rail)
    return distance


def coat_light(draw, points, distance):
    """Brightness of a rounded body: darker towards its outline, lighter above."""
    h = points.shape[0]
    round_ = 1 - torch.exp(-distance.clamp(min=0) / (0.02 * h))
    return (0.5 + 0.5 * round_) * draw.uniform(0.92, 1.08)


# Middle and half difference (horse minus ground) of the two ends of the mottle, RGB.
_MIDDLE = torch.tensor([0.54, 0.45, 0.29])
_HALF = torch.tensor([0.10, -0.06, -0.06])


def palette(draw, mottle):
    """Colors of the mottle, with a small tint of the whole picture."""
    tint = torch.tensor([draw.uniform(-0.03, 0.03) for _ in "rgb"])
    middle = (_MIDDLE + tint)[:, None, None]
    return middle + torch.tanh(mottle) * _HALF[:, None, None]


def lighting(draw, points):
    """Brightness of a gradient across the picture."""
    h, w = points.shape[:2]
    way = math.radians(draw.uniform(0, 360))
    across = (points / torch.tensor([w, h]) - 0.5) @ torch.tensor([math.cos(way), math.sin(way)])
    return draw.uniform(0.85, 1.15) * (1 + draw.uniform(0, 0.5) * across)


class SyntheticHorses(Dataset):
    """x"""

    def __init__(self, split="train", *, count=None, size=(96, 128), seed=0):
        _checks.one_of("split", split, tuple(COUNTS))
        image_size("size", size, least=32)
        self.split, self.size, self.seed = split, tuple(size), seed
        self.count = COUNTS[split] if count is None else count
        _checks.positive_integer("count", self.count)

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        index = range(self.count)[index]
        image, mask = picture(Draw(self.seed, self.split, index), self.size)
        return {"image": image, "target": mask.long(), "name": f"{self.split}{index:04d}"}
