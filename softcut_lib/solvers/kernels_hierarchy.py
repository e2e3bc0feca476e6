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
from softcut_lib.solvers.kernels_elimination import MARGIN, SW, eliminate_5, eliminate_9

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


FIELDS = 30  # arrays of the length of all levels: `fields_of` names the first 24, then scratch


def lay_out(system):
    """(plan, circuit, number of matrices, nine?): what the kernels need to know of a system.

    A circuit is (ground, links to E, S, SE, SW): arrays (M, rows, columns) as they are, copied only
    where they are not contiguous; M is the batch, or batch x labels where they depend on the label.
    A direction without links has an empty array.
    """
    height, width, offsets = fused_grid(system)
    ground = system.labeled(system.ground).detach()
    ground = ground.reshape(*ground.shape[:2], height, width)
    links = [ground.new_empty(0, 0, 0, 0)] * len(LATER)
    for w, offset in zip(system.weights, offsets, strict=True):
        direction, w = LATER.index(offset), system.labeled(w).detach()
        rows, columns = height - offset[0], width - abs(offset[1])
        w = w.reshape(*w.shape[:2], max(rows, 0), max(columns, 0))
        # an offset and its opposite give links of the same direction, and those add up
        links[direction] = links[direction] + w if len(links[direction]) else w
    circuit = [array.flatten(0, 1).contiguous().numpy() for array in (ground, *links)]
    nine = any(LATER.index(offset) > 1 for offset in offsets)
    return plan(height, width), tuple(circuit), system.batch * (system.labels or 1), nine


def workspace(levels, lanes, dtype):
    """Memory for one hierarchy in each of `lanes` threads.

    One array, so that it comes from memory the process has already used, or in huge pages: fresh
    pages would cost as much as the building. It is used again for one matrix after the other.
    """
    return np.empty((lanes, FIELDS, int(levels[-1, END])), dtype)


@compiled()
def fields_of(memory):
    """ground, links, inverse, shares, fill, parts, leaks, sink of one hierarchy."""
    return (
        memory[0], memory[1:5], memory[5], memory[6:10], memory[10:12], memory[12:20],
        memory[20:23], memory[23],
    )  # fmt: skip


@compiled(fastmath=LOOSE)
def first_level(level, circuit, m, matrices, ground, links, nine):
    """Copy matrix m of a circuit to the finest level."""
    _open_level(level, ground, links, nine)
    pitch, one = level[WIDTH] + MARGIN, circuit[0][m // (matrices // len(circuit[0]))]
    for i in range(level[HEIGHT]):
        k = level[FIRST] + i * pitch
        ground[k : k + level[WIDTH]] = one[i]
    for direction in range(4):
        w = circuit[1 + direction]
        if len(w):
            one = w[m // (matrices // len(w))]
            for i in range(one.shape[0]):
                k = level[FIRST] + i * pitch + (direction == SW)
                links[direction, k : k + one.shape[1]] = one[i]
