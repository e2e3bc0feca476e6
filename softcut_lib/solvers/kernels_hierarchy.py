"""The levels of the fused V-cycle: where they lie in memory, and how they are built (chapter 6).

Every level is a circuit on a grid of half the size, each of its fields (ground, links, shares, ..)
one flat array with the levels one after another, finest first. A row of pixels is followed by
`MARGIN` zeros, so that a pixel's neighbors always exist; there the ground is 1. Building ends with
a chain, or earlier where every pixel loses a good part of its current to ground: then no voltage
reaches far, and incomplete elimination alone is enough.
"""

import numpy as np

from softcut_lib.solvers.compiling import LOOSE, compiled
from softcut_lib.solvers.kernels_coarse import galerkin, interpolate
from softcut_lib.solvers.kernels_elimination import MARGIN, eliminate_5, eliminate_9

# offsets of a pixel's later neighbors, in the order of the rows of `links`: E, S, SE, SW
LATER = ((0, 1), (1, 0), (1, 1), (1, -1))
HEIGHT, WIDTH, FIRST, START, END = range(5)  # columns of the plan
GROUNDED = 0.15  # no coarser level where every pixel loses at least this share of its current


def plan(height, width):
    """The levels, finest first: (height, width, index of the first pixel, start, end) a row."""
    levels, start = [], 0
    while True:
        pitch = width + MARGIN
        first = start + MARGIN + pitch
        end = first + (-(-height // 4) * 4 + 1) * pitch
        levels.append((height, width, first, start, end))
        if min(height, width) == 1:  # a chain: elimination is exact
            return np.array(levels, np.int64)
        height, width, start = (height + 1) // 2, (width + 1) // 2, end


@compiled(fastmath=LOOSE)
def _open_level(level, ground, links, nine):
    """Zero conductances, ground 1 outside the grid."""
    ground[level[START] : level[END]] = 1
    for i in range(level[HEIGHT]):
        k = level[FIRST] + i * (level[WIDTH] + MARGIN)
        ground[k : k + level[WIDTH]] = 0
    for k in range(4 if nine else 2):
        links[k, level[START] : level[END]] = 0


@compiled(fastmath=LOOSE)
def _drop_negative(values):
    for j in range(len(values)):
        values[j] = max(values[j], values.dtype.type(0))


@compiled(fastmath=LOOSE)
def _is_grounded(level, ground, inverse):
    for i in range(level[HEIGHT]):
        k = level[FIRST] + i * (level[WIDTH] + MARGIN)
        g, d, weakest = ground[k:], inverse[k:], ground.dtype.type(1)
        for j in range(level[WIDTH]):
            weakest = min(weakest, g[j] * d[j])
        if not weakest >= GROUNDED:
            return False
    return True


@compiled(fastmath=LOOSE)
def set_up(plan, ground, links, inverse, shares, fill, parts, leaks, sink, nine):
    """Build all levels below the first; returns how many there are."""
    room = np.empty((10, plan[0, WIDTH] + 1), ground.dtype)
    for n in range(len(plan)):
        level, wide = plan[n], nine or n > 0
        a, height, width = level[FIRST], level[HEIGHT], level[WIDTH]
        span = slice(level[START], level[END])
        if n:
            _drop_negative(ground[span])
        for k in range(4 if wide else 2):
            shares[k, span] = 0
            if n:
                _drop_negative(links[k, span])
        for k in range(2 if wide else 1):
            fill[k, span] = 0
        inverse[span] = 0
        if wide:
            eliminate_9(ground, links, inverse, shares, fill, a, height, width)
        else:
            sink[span] = 0
            eliminate_5(ground, links, inverse, shares, fill, sink, a, height, width)
        if n + 1 == len(plan) or _is_grounded(level, ground, inverse):
            return n + 1
        below = plan[n + 1]
        _open_level(below, ground, links, True)
        for k in range(8):
            parts[k, below[START] : below[END]] = 0
        for k in range(3):
            leaks[k, below[START] : below[END]] = 0
        interpolate(ground, links, parts, leaks, a, height, width, below[FIRST], wide)
        galerkin(ground, links, parts, leaks, a, height, width, below[FIRST], wide, room)
    return len(plan)


def fused_grid(system):
    """(height, width, offsets) of a system that the fused kernel can take, or None."""
    grid, offsets = system.grid, system.offsets
    if len(grid) == 1:
        grid, offsets = (1, *grid), tuple((0, *offset) for offset in offsets)
    if len(grid) != 2:
        return None
    # a link is the same from either end
    offsets = tuple(o if o in LATER else (-o[0], -o[1]) for o in offsets)
    return (*grid, offsets) if set(offsets) <= set(LATER) else None


def allocate(system):
    """(plan, fields of every matrix, nine?): the first level filled, the others not yet.

    Fields, for M matrices and N numbers on all levels together: ground (M, N), links (M, 4, N),
    inverse (M, N), shares (M, 4, N), fill (M, 2, N), parts (M, 8, N), leaks (M, 3, N), sink (M, N).
    """
    height, width, offsets = fused_grid(system)
    levels = plan(height, width)
    nine = any(LATER.index(offset) > 1 for offset in offsets)
    labeled = system.labeled(system.ground)
    count = system.batch * (system.labels or 1)
    n = int(levels[-1, END])
    ground, inverse, sink = (labeled.new_empty(count, n) for _ in range(3))
    links, shares = (labeled.new_empty(count, 4, n) for _ in range(2))
    fill, parts, leaks = (labeled.new_empty(count, k, n) for k in (2, 8, 3))
    end, first, pitch = int(levels[0, END]), int(levels[0, FIRST]), width + MARGIN
    ground[:, :end] = 1
    links[:, : 4 if nine else 2, :end] = 0
    inside = slice(first, first + height * pitch)
    lead = (system.batch, system.labels or 1)
    ground[:, inside].view(*lead, height, pitch)[..., :width] = labeled.view(
        *labeled.shape[:2], height, width
    )
    for w, offset in zip(system.weights, offsets, strict=True):
        down, right = offset
        rows, columns, start = height - down, width - abs(right), max(-right, 0)
        place = links[:, LATER.index(offset), inside].view(*lead, height, pitch)
        w = system.labeled(w)
        place[..., :rows, start : start + columns] += w.reshape(*w.shape[:2], rows, columns)
    arrays = (ground, links, inverse, shares, fill, parts, leaks, sink)
    return levels, tuple(array.numpy() for array in arrays), nine
