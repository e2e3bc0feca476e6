"""Shapes as signed distances, and a horse as a jointed puppet cut from one silhouette.

A shape is its signed distance d (pixels, positive inside); the share of each pixel that it covers,
and the distance of a union of shapes, are

    coverage = clip(d + 1/2, 0, 1),        d(A or B) = max(d(A), d(B)),

and a pose turns each part about its joint. The toy scenes serve chapters 1 to 9, the puppet serves
the synthetic horses of chapter 10. The silhouette is the one that scikit-image bundles.
"""

import math
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F

from softcut_lib import _checks

# Outline and joint (x, y) of each part on the 400 x 328 silhouette, and the part that carries it.
_PARTS = {
    "body": ([(60, 60), (300, 60), (312, 192), (120, 188), (62, 195)], (180, 150), None),
    "neck": (
        [(225, 60), (262, 0), (400, 0), (400, 120), (322, 175), (240, 175)],
        (272, 120),
        "body",
    ),
    "tail": ([(0, 60), (75, 60), (75, 115), (57, 130), (52, 260), (0, 260)], (58, 94), "body"),
    "near hind": ([(42, 150), (120, 150), (95, 215), (82, 252), (42, 252)], (88, 168), "body"),
    "near hind foot": ([(30, 228), (86, 228), (88, 328), (30, 328)], (60, 238), "near hind"),
    "far hind": ([(75, 150), (145, 150), (125, 222), (92, 252), (84, 215)], (104, 168), "body"),
    "far hind foot": ([(86, 226), (150, 226), (150, 328), (86, 328)], (101, 236), "far hind"),
    "near fore": ([(238, 150), (285, 150), (275, 215), (263, 262), (238, 262)], (266, 172), "body"),
    "near fore foot": ([(238, 240), (263, 240), (270, 328), (238, 328)], (255, 252), "near fore"),
    "far fore": ([(250, 150), (312, 150), (300, 215), (282, 262), (262, 262)], (280, 172), "body"),
    "far fore foot": ([(263, 240), (300, 240), (300, 328), (271, 328)], (272, 252), "far fore"),
}
# Degrees by which a horse that faces right may turn each part; positive is clockwise on the page.
BENDS = {
    "neck": (-14, 18),
    "tail": (-6, 22),
    "near hind": (-26, 24),
    "near hind foot": (-12, 18),
    "far hind": (-26, 24),
    "far hind foot": (-12, 18),
    "near fore": (-30, 22),
    "near fore foot": (-4, 45),
    "far fore": (-30, 22),
    "far fore foot": (-4, 45),
}


@lru_cache(maxsize=1)
def _puppet():
    """Signed distance of every part on the silhouette's own pixels, (parts, 328, 400)."""
    from scipy.ndimage import distance_transform_edt, label
    from skimage.data import horse
    from skimage.draw import polygon2mask

    silhouette = ~horse()
    distances = []
    for outline, (x, y), _ in _PARTS.values():
        part = silhouette & polygon2mask(silhouette.shape, [(b, a) for a, b in outline])
        pieces, _ = label(part)
        part = pieces == pieces[y, x]
        inside, outside = distance_transform_edt(part), distance_transform_edt(~part)
        distances.append(np.where(part, inside - 0.5, 0.5 - outside))
    return torch.from_numpy(np.stack(distances)).float()


def pixel_centers(size):
    """Coordinates (x, y) of the pixel centers of an image of ``size = (h, w)``, shape (h, w, 2)."""
    h, w = size
    rows, columns = torch.meshgrid(torch.arange(h) + 0.5, torch.arange(w) + 0.5, indexing="ij")
    return torch.stack((columns, rows), -1)


def disc_distance(points, center, radius):
    """Signed distance of a disc, radius - |p - center|, at points (..., 2)."""
    return radius - (points - torch.as_tensor(center)).norm(dim=-1)


def box_distance(points, center, sides):
    """Signed distance of an upright box with ``sides = (width, height)`` at points (..., 2)."""
    beyond = (points - torch.as_tensor(center)).abs() - torch.as_tensor(sides) / 2
    return -(beyond.clamp(min=0).norm(dim=-1) + beyond.amax(-1).clamp(max=0))


def coverage(distance):
    """Share of a pixel that a shape covers, clip(d + 1/2, 0, 1)."""
    return (distance + 0.5).clamp(0, 1)


def horse_distance(points, *, center, height, angle=0.0, flip=False, bends=None):
    """Signed distance of a posed horse: the largest of its parts' distances.

    d(p) = s max_k d_k(T_k^-1 q),  q = R(-angle) (p - center) / s on the silhouette, where T_k turns
    part k and the parts that carry it about their joints.

    Parameters
    ----------
    points : tensor (h, w, 2)
        Where to evaluate, (x, y) in pixels; bend these coordinates to bend the horse.
    center : pair
        Where the middle of the silhouette goes, (x, y) in pixels.
    height : float
        Height of the unposed silhouette in pixels, above 0.
    angle : float
        Degrees, clockwise on the page.
    flip : bool
        Face left instead of right.
    bends : dict or None
        Degrees for parts named in ``BENDS``; parts left out stay as they are.

    Returns
    -------
    tensor (h, w)
        Pixels, positive inside; exact near the outline, underestimated far outside.

    Raises
    ------
    ValueError
        For a height that is not positive or an unknown part.

    >>> from softcut_lib.data.shapes import coverage, horse_distance, pixel_centers
    >>> d = horse_distance(pixel_centers((48, 64)), center=(32, 24), height=40)
    >>> 0.2 < float(coverage(d).mean()) < 0.4
    True
    """
    _checks.positive_number("height", height)
    bends = bends or {}
    if unknown := sorted(set(bends) - set(BENDS)):
        raise ValueError(f"bends must name parts among {sorted(BENDS)}, got {unknown}")
    parts = _puppet()
    rows, columns = parts.shape[1:]
    scale = height / rows
    placed = (points - torch.as_tensor(center, dtype=points.dtype)) / scale
    placed = placed @ _rotation(-angle).T * torch.tensor([-1.0 if flip else 1.0, 1.0])
    middle = torch.tensor([columns / 2, rows / 2])
    turns, grids = {}, []
    for name, (_, joint, carrier) in _PARTS.items():
        turn = _about(torch.tensor(joint), bends.get(name, 0.0))
        turns[name] = turn if carrier is None else turns[carrier] @ turn
        back = torch.linalg.inv(turns[name])
        grids.append(((placed + middle) @ back[:2, :2].T + back[:2, 2]) / middle - 1)
    sampled = F.grid_sample(
        parts[:, None], torch.stack(grids), padding_mode="border", align_corners=False
    )
    return scale * sampled[:, 0].amax(0)


def _rotation(degrees):
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return torch.tensor([[c, -s], [s, c]])


def _about(joint, degrees):
    turn = torch.eye(3)
    turn[:2, :2] = _rotation(degrees)
    turn[:2, 2] = joint - turn[:2, :2] @ joint.to(turn.dtype)
    return turn


@lru_cache(maxsize=64)
def _smoothing(n, sigma):
    """Rows of a Gaussian with unit squared sum, (n, n + margin): white noise keeps variance 1."""
    margin = math.ceil(3 * sigma)
    gaps = torch.arange(n)[:, None] + margin - torch.arange(n + 2 * margin)[None]
    rows = torch.exp(-0.5 * (gaps / max(sigma, 1e-3)) ** 2)
    return rows / rows.norm(dim=1, keepdim=True)


def smooth_noise(size, sigma, *, generator=None):
    """Stationary Gaussian noise of mean 0 and variance 1, smooth over ``sigma`` pixels.

    K_h Z K_w' with Z white and the rows of K Gaussians of unit norm.

    ``size`` is (h, w); ``sigma`` is one number or (vertical, horizontal), at least 0, in pixels;
    two different numbers give streaks. Returns a tensor (h, w).

    >>> from softcut_lib.data.shapes import smooth_noise
    >>> smooth_noise((48, 64), (6.0, 1.0)).shape
    torch.Size([48, 64])
    """
    vertical, horizontal = sigma if isinstance(sigma, tuple) else (sigma, sigma)
    left, right = _smoothing(size[0], float(vertical)), _smoothing(size[1], float(horizontal))
    white = torch.randn(left.shape[1], right.shape[1], generator=generator)
    return left @ white @ right.T


_TOYS = {
    "disc": lambda p, h, w: disc_distance(p, (w / 2, h / 2), 0.32 * h),
    "rectangles": lambda p, h, w: torch.maximum(
        box_distance(p, (0.28 * w, 0.5 * h), (0.28 * w, 0.6 * h)),
        box_distance(p, (0.7 * w, 0.42 * h), (0.3 * w, 0.36 * h)),
    ),
    "ring": lambda p, h, w: torch.minimum(
        disc_distance(p, (w / 2, h / 2), 0.4 * h), -disc_distance(p, (w / 2, h / 2), 0.2 * h)
    ),
    "horse": lambda p, h, w: horse_distance(
        p, center=(w / 2, h / 2), height=0.92 * min(h, 0.8 * w)
    ),
}
_BACK, _FRONT = torch.tensor([0.25, 0.38, 0.55]), torch.tensor([0.80, 0.55, 0.30])


def toy_scene(kind="disc", *, size=(48, 64), noise=0.15, generator=None):
    """A two-color picture of a simple shape under white noise, and its mask.

    image = clip(back + coverage (front - back) + noise Z, 0, 1),  target = [d > 0].

    Parameters
    ----------
    kind : "disc", "rectangles", "ring" or "horse"
        Two rectangles are two regions; the ring has a hole; the horse is the bundled silhouette.
    size : pair of int
        Height and width in pixels, at least 8 each.
    noise : float
        Standard deviation, at least 0; the colors are about 0.6 apart.
    generator : torch.Generator or None
        Source of the noise; ``None`` takes torch's global one.

    Returns
    -------
    image : tensor (3, h, w) in [0, 1]
    target : tensor (h, w), int64, 0 or 1

    Raises
    ------
    ValueError
        For an unknown kind, a size below 8 or a negative noise.

    >>> import torch
    >>> from softcut_lib import toy_scene
    >>> image, target = toy_scene("ring", generator=torch.Generator().manual_seed(0))
    >>> image.shape, target.shape, target.unique().tolist()
    (torch.Size([3, 48, 64]), torch.Size([48, 64]), [0, 1])
    """
    _checks.one_of("kind", kind, tuple(_TOYS))
    image_size("size", size)
    if isinstance(noise, bool) or not isinstance(noise, int | float) or not 0 <= noise < math.inf:
        raise ValueError(f"noise must be a finite number of at least 0, got {noise!r}")
    distance = _TOYS[kind](pixel_centers(size), *size)
    share = coverage(distance)
    image = _BACK[:, None, None] + share * (_FRONT - _BACK)[:, None, None]
    image = image + noise * torch.randn(image.shape, generator=generator)
    return image.clamp(0, 1), (distance > 0).long()


def image_size(name, size, least=8):
    """Refuse anything but a pair of integers of at least ``least``."""
    whole = isinstance(size, tuple | list) and all(type(n) is int for n in size)
    if not whole or len(size) != 2 or min(size) < least:
        raise ValueError(
            f"{name} must be (height, width), integers of at least {least}, got {size!r}"
        )
