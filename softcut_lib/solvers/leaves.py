"""The leaves of the fused exact solve: one elimination, written down once, run on all (chapter 6).

Inside a leaf most pixels touch few others, so a dense matrix would waste work. Leaves of the same
shape are eliminated in the same order with the same fill, so the list of operations is made once
(a `Program`) and each operation is carried out on up to `LANES` leaves at a time, one in each lane
of the processor's vector registers.
"""

from typing import NamedTuple

import numpy as np

from softcut_lib.solvers.fronts import BOTTOM, LEFT, RIGHT, TOP

LANES = 64  # several registers' worth: the compiler then fills them


class Program(NamedTuple):
    """How to eliminate the pixels of an a x b leaf; its border are nodes too, all four sides.

    Attributes:
        inner: number of pixels; they are the first nodes, in the order of their elimination.
        count: number of conductances between nodes, before and after.
        row: (inner + 1,) where the conductances of each eliminated node to its later neighbors
            start; those between border nodes stand behind the last.
        column: the neighbors' numbers.
        target: for each eliminated node and each pair of its neighbors, where their conductance is.
        pair: (border, border) where the conductance of two border nodes is.
        edge_at: where the conductance of each edge of the leaf is.
    """

    inner: int
    count: int
    row: np.ndarray
    column: np.ndarray
    target: np.ndarray
    pair: np.ndarray
    edge_at: np.ndarray


class Tables(NamedTuple):
    """Where the nodes of all leaves of one shape are, some leaves (lanes) side by side in a group.

    Attributes:
        pixel, edge: (groups, inner or edges, lanes) numbers in the flat ground and conductances;
            a lane without a leaf, and an edge beyond the image, have the number behind the last.
        side: (groups, border, lanes) the border nodes' places in the leaf's border, -1 for none.
        work, size, vector: (groups, lanes) as for a front.
    """

    pixel: np.ndarray
    edge: np.ndarray
    side: np.ndarray
    work: np.ndarray
    size: np.ndarray
    vector: np.ndarray


class Group(NamedTuple):
    """All leaves of one shape."""

    program: Program
    tables: Tables


def program(a, b):
    """(`Program` of an a x b leaf, its pixels, its edges (direction, row, column of the tail)).

    The pixel with the fewest neighbors is always eliminated next.
    """
    inner, nodes = a * b, a * b + 2 * (a + b)
    name = np.arange(inner).reshape(a, b)
    border = {TOP: np.arange(b), BOTTOM: b + np.arange(b)}
    border |= {LEFT: 2 * b + np.arange(a), RIGHT: 2 * b + a + np.arange(a)}
    frame = np.full((a + 2, b + 2), -1)
    frame[1:-1, 1:-1] = name
    frame[0, 1:-1], frame[-1, 1:-1] = inner + border[TOP], inner + border[BOTTOM]
    frame[1:-1, 0], frame[1:-1, -1] = inner + border[LEFT], inner + border[RIGHT]
    down = [
        (0, i - 1, j, frame[i, j + 1], frame[i + 1, j + 1]) for i in range(a + 1) for j in range(b)
    ]
    right = [
        (1, i, j - 1, frame[i + 1, j], frame[i + 1, j + 1]) for i in range(a) for j in range(b + 1)
    ]
    near = [set() for _ in range(nodes)]
    for *_, p, q in down + right:
        near[p].add(int(q)), near[q].add(int(p))
    order, later = [], []
    left = set(range(inner))
    while left:
        k = min(left, key=lambda p: (len(near[p]), p))
        left.remove(k)
        order.append(k)
        later.append(near[k])
        for p in near[k]:
            near[p] = (near[p] | near[k]) - {k, p}
    number = np.arange(nodes)
    number[order] = np.arange(inner)
    later = [sorted(int(number[p]) for p in neighbors) for neighbors in later]
    row = np.cumsum([0] + [len(neighbors) for neighbors in later])
    place = {(k, p): row[k] + t for k, ps in enumerate(later) for t, p in enumerate(ps)}
    pair = np.zeros((nodes - inner, nodes - inner), np.int64)
    first, second = np.triu_indices(nodes - inner, 1)
    pair[first, second] = row[-1] + np.arange(len(first))
    place |= {(inner + p, inner + q): pair[p, q] for p, q in zip(first, second, strict=True)}
    target = [place[p, q] for ps in later for t, p in enumerate(ps) for q in ps[t + 1 :]]
    edges = [
        (axis, i, j, place[tuple(sorted((int(number[p]), int(number[q]))))])
        for axis, i, j, p, q in down + right
    ]
    plan = Program(
        inner=inner,
        count=int(row[-1]) + len(first),
        row=row,
        column=np.array([p for ps in later for p in ps], np.int64),
        target=np.array(target, np.int64),
        pair=pair,
        edge_at=np.array([at for *_, at in edges], np.int64),
    )
    return plan, np.array([divmod(k, b) for k in order]), np.array([edge[:3] for edge in edges])


def group(regions, grid):
    """The leaves of a grid, a `Group` for each of their shapes (at most four)."""
    box, border = regions
    size = border.total
    places = np.cumsum(size**2) - size**2, size, np.cumsum(size) - size
    shape = np.stack([box[:, 1] - box[:, 0], box[:, 3] - box[:, 2]], 1)
    for a, b in np.unique(shape, axis=0):
        plan, pixels, edges = program(int(a), int(b))
        member = np.flatnonzero((shape == (a, b)).all(1))
        width = LANES if 4 * len(member) > LANES else len(member)  # a few are as fast one by one
        lanes = np.full(-(-len(member) // width) * width, -1)
        lanes[: len(member)] = member
        tables = _tables(pixels, edges, lanes, width, box, border, grid)
        own = (np.where(lanes < 0, 0, t[lanes]).reshape(-1, width) for t in places)
        yield Group(plan, Tables(*tables, *own))


def _tables(pixels, edges, lanes, width, box, border, grid):
    """Where the leaves' pixels, edges and border nodes are; lanes (groups * width,), -1 empty."""
    h, w = grid
    empty = (lanes < 0)[:, None]
    row, column = box[lanes, 0][:, None], box[lanes, 2][:, None]
    pixel = (row + pixels[:, 0]) * w + column + pixels[:, 1]
    pixel = np.where(empty, h * w, pixel)
    axis, i, j = edges[:, 0], row + edges[:, 1], column + edges[:, 2]
    edge = np.where(axis == 0, i * w + j, (h - 1) * w + i * (w - 1) + j)
    beyond = (i < 0) | (j < 0) | np.where(axis == 0, i >= h - 1, j >= w - 1)
    edge = np.where(empty | beyond, (h - 1) * w + h * (w - 1), edge)
    a, b = pixels.max(0) + 1
    along = np.concatenate([np.arange(n) for n in (b, b, a, a)])
    side = np.repeat(np.arange(4), (b, b, a, a))
    at = border.start[lanes][:, side] + along
    at = np.where(empty | (border.length[lanes][:, side] == 0), -1, at)

    def by_lane(table):
        table = table.reshape(-1, width, table.shape[1])
        return np.ascontiguousarray(table.transpose(0, 2, 1).astype(np.int32))

    return by_lane(pixel), by_lane(edge), by_lane(at)
