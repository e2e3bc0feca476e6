"""The order of the fused exact solve: a grid cut in halves until leaves remain (chapter 6).

A region of pixels is cut by a line of pixels, its *separator*; what is left on either side is cut
again, crosswise, until the regions are small leaves. Between a region and the rest of the image
lie at most four lines, pieces of earlier separators: its border. The *front* of a region is the
circuit of its separator and its border that remains when all pixels of its two halves have been
eliminated. Eliminating the separator leaves the circuit of the border, which is added to the
parent's front. Nodes stand in every front in the order in which they will be eliminated, so that
a piece of the border is a slice of the parent's front: four slices (`runs`) describe a join.

This file knows no weights; `leaves` continues with the pixels of a leaf, `kernels_direct` computes.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

LEAF = 8  # pixels along a leaf's side, at most
TOP, BOTTOM, LEFT, RIGHT = range(4)

FRONT = np.dtype(
    [
        ("cut", "i8"),  # nodes of the separator, the first of the front
        ("size", "i8"),  # nodes of the front
        ("work", "i8"),  # where its matrix (size, size) stands while it is reduced
        ("store", "i8"),  # where its eliminated rows are kept
        ("vector", "i8"),  # where its right-hand side and answer stand
        ("pixel", "i8"),  # first pixel of the separator
        ("pixel_step", "i8"),
        ("edge", "i8"),  # first edge along the separator
        ("edge_step", "i8"),
        ("end_edge", "i8", 2),  # edges from the separator's ends to the border
        ("end_at", "i8", 2),  # and the front's nodes there
        ("child_work", "i8", 2),  # where the children's reduced matrices stand
        ("child_size", "i8", 2),  # and how far their rows are apart
        ("child_vector", "i8", 2),
        ("runs", "i8", (2, 4, 3)),  # per child: start in its border, start here, length
    ]
)


class Tree(NamedTuple):
    """Where everything stands, for one grid.

    Attributes:
        fronts: `FRONT` records, children before parents.
        tasks: bounds in `fronts` of subtrees that can be reduced side by side; those after the
            last bound join them.
        regions: the leaves, (pixels' first and last row and column, their `Border`).
        work, vector, store: numbers of values of one system's matrices, vectors, kept rows;
            the leaves' own parts come first in `work` and `vector`.
    """

    fronts: np.ndarray
    tasks: np.ndarray
    regions: tuple
    work: int
    vector: int
    store: int


class Border(NamedTuple):
    """Four sides of every region of one depth: when they were cut, how long, where they start."""

    cut_at: np.ndarray
    length: np.ndarray
    start: np.ndarray

    @classmethod
    def of(cls, box, cut_at):
        """`box` (n, 4): first row, end row, first column, end column; cut_at -1: image's rim."""
        rows, columns = box[:, 1] - box[:, 0], box[:, 3] - box[:, 2]
        length = np.stack([columns, columns, rows, rows], 1) * (cut_at >= 0)
        order = _by_elimination(cut_at)
        sorted_length = np.take_along_axis(length, order, 1)
        start = np.empty_like(length)
        np.put_along_axis(start, order, np.cumsum(sorted_length, 1) - sorted_length, 1)
        return cls(cut_at, length, start)

    @property
    def total(self):
        return self.length.sum(1)


def _by_elimination(cut_at):
    """What was cut last is eliminated first."""
    return np.argsort(-cut_at, axis=1, kind="stable")


@lru_cache(maxsize=32)
def dissect(grid, depth):
    """The `Tree` of a 2-D grid, with 2^depth subtrees side by side (fewer on a small grid)."""
    h, w = grid
    box, border = np.array([[0, h, 0, w]]), Border.of(np.array([[0, h, 0, w]]), np.full((1, 4), -1))
    levels = []
    while max(h, w) > LEAF:
        axis = int(w >= h)
        front, halves = _cut(box, border, axis, len(levels), grid)
        levels.append(front)
        box, border = halves
        h, w = (h, w // 2) if axis else (h // 2, w)
    depth = min(depth, len(levels))
    leaves = border.total
    work, vector = _places(levels, depth, leaves)
    order, tasks = _order(levels, depth)
    fronts = np.concatenate([np.empty(0, FRONT), *levels])[order]
    rows = fronts["cut"] * fronts["size"] - fronts["cut"] * (fronts["cut"] - 1) // 2
    fronts["store"] = np.cumsum(rows) - rows
    return Tree(fronts, tasks, (box, border), work, vector, int(rows.sum()))


def _cut(box, border, axis, level, grid):
    """Fronts of the regions of one depth cut across `axis`, and (boxes, borders) of the halves."""
    lo, hi = 2 * axis, 2 * axis + 1  # the box' entries along the axis that is cut ...
    at = box[:, lo] + (box[:, hi] - box[:, lo]) // 2
    first, stop = box[:, 2 - lo], box[:, 3 - lo]  # ... and those along the separator
    front = np.zeros(len(box), FRONT)
    front["cut"] = stop - first
    front["size"] = front["cut"] + border.total
    _own_edges(front, axis, at, first, stop, grid)
    ends = (TOP, BOTTOM) if axis else (LEFT, RIGHT)
    for end, side in enumerate(ends):
        there = border.cut_at[:, side] >= 0
        position = front["cut"] + border.start[:, side] + at - box[:, lo]
        none = (grid[0] - 1) * grid[1] + grid[0] * (grid[1] - 1)  # behind the last edge stands a 0
        front["end_edge"][:, end] = np.where(there, front["end_edge"][:, end], none)
        front["end_at"][:, end] = np.where(there, position, front["size"] - 1)
    boxes = np.repeat(box, 2, axis=0)
    boxes[0::2, hi], boxes[1::2, lo] = at, at + 1
    cut_at = np.repeat(border.cut_at, 2, axis=0)
    near, far = (LEFT, RIGHT) if axis else (TOP, BOTTOM)
    cut_at[0::2, far] = cut_at[1::2, near] = level
    halves = Border.of(boxes, cut_at)
    target = front["cut"][:, None] + border.start  # a side of a half is part of this region's ...
    second = target.copy()
    second[:, ends] += (at + 1 - box[:, lo])[:, None]
    target[:, far] = second[:, near] = 0  # ... or the separator, which stands first
    for child, here in enumerate((target, second)):
        runs = np.stack([halves.start[child::2], here, halves.length[child::2]], 2)
        order = _by_elimination(halves.cut_at[child::2])
        front["runs"][:, child] = np.take_along_axis(runs, order[..., None], 1)
    return front, (boxes, halves)


def _own_edges(front, axis, at, first, stop, grid):
    """Pixels and edges along the separator; edges are numbered as in (C flat, R flat)."""
    h, w = grid
    if axis:  # a column: vertical edges
        front["pixel"], front["pixel_step"] = first * w + at, w
        front["edge"], front["edge_step"] = first * w + at, w
        ends = (first - 1) * w + at, (stop - 1) * w + at
    else:
        front["pixel"], front["pixel_step"] = at * w + first, 1
        row = (h - 1) * w + at * (w - 1)
        front["edge"], front["edge_step"] = row + first, 1
        ends = row + first - 1, row + stop - 1
    front["end_edge"] = np.stack(ends, 1)


def _places(levels, depth, leaves):
    """Give every front its place; returns the lengths of work and vector."""
    work, vector = int((leaves**2).sum()), int(leaves.sum())
    below = np.cumsum(leaves**2) - leaves**2, leaves, np.cumsum(leaves) - leaves
    for level in reversed(range(len(levels))):
        front = levels[level]
        front["child_work"], front["child_size"], front["child_vector"] = (
            t.reshape(-1, 2) for t in below
        )
        number = np.arange(len(front))
        if level > depth:  # the subtree is walked child by child: two places a level are enough
            number = 2 * (number >> (level - depth)) + number % 2
        room = int(front["size"].max()) ** 2
        front["work"] = work + number * room
        work += (int(number.max()) + 1) * room
        front["vector"] = vector + np.cumsum(front["size"]) - front["size"]
        vector += int(front["size"].sum())
        cut, size = front["cut"], front["size"]
        below = front["work"] + cut * (size + 1), size, front["vector"] + cut
    return work, vector


def _order(levels, depth):
    """(children before parents, subtree by subtree; bounds of the subtrees)."""
    first = np.cumsum([0] + [len(front) for front in levels])

    def walk(level, number):
        if level < len(levels):
            yield from walk(level + 1, 2 * number)
            yield from walk(level + 1, 2 * number + 1)
            yield first[level] + number

    order, bounds = [], [0]
    for number in range(2**depth):
        order.extend(walk(depth, number))
        bounds.append(len(order))
    for level in reversed(range(depth)):
        order.extend(first[level] + np.arange(2**level))
    return np.array(order, np.int64), np.array(bounds, np.int64)
