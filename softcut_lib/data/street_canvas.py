"""A pinhole camera above a flat street, and a canvas that is painted from far to near.

A point (X, Y, Z) in meters, X to the right, Y above the ground, Z ahead, is seen at

    x = x0 + f X / Z,      y = y0 + f (H - Y) / Z,

with the vanishing point (x0, y0) and the camera H above the ground. Whatever is painted later
stands in front. The synthetic streets of chapter 11 are painted with it.
"""

import numpy as np
from PIL import Image, ImageDraw

from .shapes import smooth_noise

FINE = 2  # canvas pixels on each side of a picture's pixel
CAMERA_HEIGHT = 1.4
HAZE = 260.0  # meters over which colors fade to the sky's by a factor e


class Canvas:
    """Colors, label numbers and instance numbers of a picture while it is painted.

    The canvas has `FINE` times the picture's resolution on both sides; `finish` averages the
    colors and takes one label of each FINE x FINE block.
    """

    def __init__(self, size, rng, *, sky):
        h, w = size
        self.size, self.rng = (FINE * h, FINE * w), rng
        self.focal = 1.08 * FINE * w
        self.x0 = FINE * w * rng.uniform(0.4, 0.6)
        self.y0 = FINE * h * rng.uniform(0.38, 0.46)
        self.haze = np.asarray(sky, np.float32)
        self.colors = np.zeros((*self.size, 3), np.float32)
        self.ids = np.zeros(self.size, np.uint8)
        self.numbers = np.zeros(self.size, np.int32)

    def project(self, points):
        """Places (n, 2) on the canvas of points (n, 3) in meters; Z must be above 0."""
        x, y, z = np.asarray(points, float).T
        scale = self.focal / z
        return np.stack([self.x0 + scale * x, self.y0 + scale * (CAMERA_HEIGHT - y)], 1)

    def ground(self):
        """X and Z of the ground (Y = 0) behind every canvas pixel below the horizon.

        Returns the first row below the horizon, and X, Z from that row on, (rows, w) each.
        """
        first = int(np.ceil(self.y0 + 0.5))
        y, x = np.mgrid[first : self.size[0], : self.size[1]] + 0.5
        z = self.focal * CAMERA_HEIGHT / (y - self.y0)
        return first, ((x - self.x0) * z / self.focal).astype(np.float32), z.astype(np.float32)

    def paint(self, points, color, *, label=None, number=None, opacity=1.0):
        """Fill the polygon of points (n, 3) in meters.

        ``color`` is a triple in [0, 1], or a function of canvas places (x, y) giving (n, 3). It
        fades with the mean distance. Without ``label`` only the color changes; ``number`` is the
        instance number. Returns how many canvas pixels were painted.
        """
        distance = float(np.mean(np.asarray(points, float)[:, 2]))
        return self.fill(self.project(points), color, label, number, distance, opacity)

    def fill(self, places, color, label=None, number=None, distance=0.0, opacity=1.0):
        """The same for a polygon of places (n, 2) on the canvas."""
        low = np.maximum(np.floor(places.min(0)), 0).astype(int)
        high = np.minimum(np.ceil(places.max(0)) + 1, self.size[::-1]).astype(int)
        if (high <= low).any():
            return 0
        mask = Image.new("1", tuple((high - low).tolist()))
        ImageDraw.Draw(mask).polygon([tuple(p) for p in (places - low).tolist()], fill=1)
        rows, columns = np.nonzero(np.array(mask))
        self.dab(rows + low[1], columns + low[0], color, label, number, distance, opacity)
        return len(rows)

    def dab(self, rows, columns, color, label=None, number=None, distance=0.0, opacity=1.0):
        """Paint single canvas pixels."""
        values = color(columns + 0.5, rows + 0.5) if callable(color) else np.asarray(color)
        clear = np.exp(-distance / HAZE)
        values = clear * values + (1 - clear) * self.haze
        self.colors[rows, columns] += opacity * (values - self.colors[rows, columns])
        if label is not None:
            self.ids[rows, columns] = label
            self.numbers[rows, columns] = 0 if number is None else number

    def darken(self, points, factor):
        """Multiply the colors inside a polygon, as a shadow on the ground does."""
        self.fill(self.project(points), (0, 0, 0), opacity=1 - factor)

    def finish(self, *, light, tint, grain):
        """The picture (h, w, 3) in uint8, label numbers uint8 and instance numbers int32."""
        h, w = (side // FINE for side in self.size)
        colors = self.colors.reshape(h, FINE, w, FINE, 3).mean((1, 3))
        noise = self.rng.normal(size=colors.shape) * grain
        colors = (colors * light * np.asarray(tint) + noise).clip(0, 1)
        picture = np.round(255 * colors ** (1 / 1.15)).astype(np.uint8)
        return picture, self.ids[1::FINE, 1::FINE].copy(), self.numbers[1::FINE, 1::FINE].copy()

    def noise(self, size, sigma):
        """Smooth noise of mean 0 and variance 1, (h, w), from the canvas' own random numbers."""
        import torch

        seed = int(self.rng.integers(2**62))
        return smooth_noise(size, sigma, generator=torch.Generator().manual_seed(seed)).numpy()


def disc(x, y, z, radius, *, corners=20, turn=0.0, tall=1.0):
    """Corners (n, 3) of an upright disc or regular polygon that faces the camera."""
    angle = turn + 2 * np.pi * np.arange(corners) / corners
    across, up = radius * np.sin(angle), tall * radius * np.cos(angle)
    return np.stack([x + across, y + up, np.full(corners, z)], 1)


def upright(corners, z):
    """Points (n, 3) of a polygon [(X, Y), ...] that faces the camera at distance z."""
    return [(x, y, z) for x, y in corners]
