"""Scribbles drawn from masks, as a person would draw them: along the middle of each region.

    region -> its core {distance to the outline >= a share of the largest} -> skeleton
           -> longest path -> a random stretch of it -> a wobbly spline -> a pen of some width.

Chapter 15. The pixels that are not drawn are 255, free: nothing is known of them.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage
from scipy.interpolate import splev, splprep
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import breadth_first_order

from softcut_lib import _checks as check
from softcut_lib.data.scribbles import draw_scribbles

FREE = 255
STEP = 8  # pixels between the points of the spline


def simulate_scribbles(
    target, *, width=2.0, keep=(0.5, 0.9), wobble=1.5, core=0.3, least=0.002, generator=None
):
    """One scribble for every region of a mask.

    A region is a connected set of pixels of one label (4 neighbors). Its scribble lies inside it.
    The largest region of each label is always marked, so that a label without a scribble is a label
    that the image does not hold; smaller regions are marked from a size of ``least`` on.

    Args:
        target: long (h, w) or (B, h, w): labels, 255 void. Void pixels are never marked.
        width: of the pen in pixels, above 0. At a short side of 120 every pixel of it marks about
            1.3 % of a horse's image.
        keep: share of the longest path that is drawn, in [0, 1]; a pair draws it for each region
            uniformly between the two. 0 leaves a spot.
        wobble: standard deviation of the hand in pixels, at least 0.
        core: the path keeps away from the outline by this share of the region's largest distance,
            in [0, 1).
        least: share of the image that a region must cover.
        generator: a CPU generator; None takes torch's global one.

    Returns:
        long, the shape of ``target``: the label on the scribbles, 255 elsewhere.

    Raises:
        TypeError: a target that is not long.
        ValueError: another shape, an option out of range.

    Source: scribbles as in Lin et al. 2016 (ScribbleSup); this simulation of them is our own.

    Example:
        >>> import torch
        >>> target = torch.zeros(40, 60).long()
        >>> target[10:30, 10:50] = 1
        >>> seeds = simulate_scribbles(target, generator=torch.Generator().manual_seed(0))
        >>> seeds.unique().tolist(), bool((seeds[seeds != 255] == target[seeds != 255]).all())
        ([0, 1, 255], True)
    """
    check.is_tensor("target", target)
    if target.dtype != torch.long:
        raise TypeError(f"target must be torch.int64 labels, got {target.dtype}; call .long()")
    if target.dim() not in (2, 3):
        raise ValueError(f"target must have shape (h, w) or (B, h, w), got {tuple(target.shape)}")
    check.positive_number("width", width)
    stretch = keep if isinstance(keep, tuple | list) else (keep, keep)
    if len(stretch) != 2 or not 0 <= stretch[0] <= stretch[1] <= 1:
        raise ValueError(f"keep must be a share in [0, 1] or a pair (low, high), got {keep!r}")
    for name, value, high in (("wobble", wobble, 1e3), ("core", core, 1), ("least", least, 1)):
        if isinstance(value, bool) or not 0 <= value < high:
            raise ValueError(f"{name} must be in [0, {high:g}), got {value!r}")
    if target.dim() == 3:
        options = {"width": width, "keep": keep, "wobble": wobble, "core": core, "least": least}
        return torch.stack([simulate_scribbles(t, **options, generator=generator) for t in target])
    mask = target.cpu().numpy()
    seeds = np.full(mask.shape, FREE)
    for label, region in _regions(mask, least):
        path = _stretch(_longest_path(_skeleton(region, core)), stretch, generator)
        for hand in (wobble, 0.0):  # a hand that left a thin region altogether draws again, calmly
            line = _spline(path, hand, generator)
            drawn = draw_scribbles([(1, line[:, ::-1])], mask.shape, width=width).numpy() == 1
            if (drawn & region).any():
                break
        seeds[drawn & region] = label
    return torch.from_numpy(seeds).to(target.device)


def _regions(mask, least):
    """(label, region bool) of everything that is to be marked."""
    for label in np.unique(mask[mask != FREE]):
        parts, count = ndimage.label(mask == label)
        sizes = np.bincount(parts.ravel(), minlength=count + 1)[1:]
        for part in range(1, count + 1):
            if sizes[part - 1] >= least * mask.size or part == sizes.argmax() + 1:
                yield int(label), parts == part


def _skeleton(region, core):
    """Pixels (n, 2) of the middle line of the region's core."""
    from skimage.morphology import skeletonize

    # the image's border counts as an outline: nobody draws along it
    depth = ndimage.distance_transform_edt(np.pad(region, 1))[1:-1, 1:-1]
    inner = depth >= max(core * depth.max(), 1)
    parts, count = ndimage.label(inner, np.ones((3, 3)))
    largest = np.bincount(parts.ravel(), minlength=count + 1)[1:].argmax() + 1
    line = np.argwhere(skeletonize(parts == largest))
    return line if len(line) else np.argwhere(depth == depth.max())[:1]


def _longest_path(line):
    """A longest path among the pixels of a skeleton, in order, by two breadth-first searches.

    The pixel farthest from any one ends a longest path of a tree, and the one farthest from that
    ends it on the other side. A skeleton with loops gives a long path, too.
    """
    number = {tuple(pixel): k for k, pixel in enumerate(line)}
    steps = [(0, 1), (1, -1), (1, 0), (1, 1)]
    pairs = [
        (k, number[y + dy, x + dx])
        for (y, x), k in number.items()
        for dy, dx in steps
        if (y + dy, x + dx) in number
    ]
    tails, heads = np.array(pairs, dtype=int).reshape(-1, 2).T
    graph = coo_matrix((np.ones(len(pairs)), (tails, heads)), shape=(len(line),) * 2).tocsr()
    start = breadth_first_order(graph, 0, directed=False)[0][-1]
    order, before = breadth_first_order(graph, start, directed=False)
    path = [order[-1]]
    while path[-1] != start:
        path.append(before[path[-1]])
    return line[path]


def _stretch(path, keep, generator):
    """A random part of a path, of a random share of its length."""
    share, place = torch.rand(2, generator=generator).tolist()
    share = keep[0] + share * (keep[1] - keep[0])
    count = min(max(round(share * len(path)), 1), len(path))
    first = int(place * (len(path) - count + 1))
    return path[first : first + count]


def _spline(path, wobble, generator):
    """A smooth line through every eighth pixel of a path, each moved by a hand that is not calm."""
    corners = path[np.unique(np.append(np.arange(0, len(path), STEP), len(path) - 1))]
    noise = wobble * torch.randn(corners.shape, generator=generator, dtype=torch.float64)
    corners = corners + noise.numpy()
    gaps = np.linalg.norm(np.diff(corners, axis=0), axis=1)
    corners = corners[np.append(True, gaps > 1e-6)]  # a spline needs points that differ
    if len(corners) < 3:
        return corners
    spline, _ = splprep(corners.T, s=0, k=min(3, len(corners) - 1))
    return np.stack(splev(np.linspace(0, 1, 2 * len(path)), spline), -1)
