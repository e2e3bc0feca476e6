"""The exact solve in plain tensor operations: equal blocks, level by level (chapter 6).

The grid is cut into small leaves; each is reduced to its border, neighbors are joined, their seams
eliminated, level by level, until one block is left. Where four blocks are left, the outer rim,
which no other block touches, goes first. All blocks of a level have the same shape, so that a
level is a handful of batched dense operations and nothing waits for a value. This is the readable
reference of `fronts_cpu`, and the way on a GPU.
"""

from functools import lru_cache
from math import ceil, log2

import torch
from torch.nn.functional import pad

from softcut_lib.grid.system import GridSystem
from softcut_lib.solvers.blocks import Join, Reorder, eliminate
from softcut_lib.solvers.interface import norms


class BlockCircuit:
    """The reduced circuits of a system, as `FrontCircuit` has them."""

    kernel = "torch"

    def __init__(self, system):
        self.system, self._count = system, (system.batch, system.labels or 1)
        self._plan = plan(system.grid, system.device)
        blocks = self._plan.leaves(*(self._flat(t) for t in (system.ground, *system.weights)))
        self._steps = []
        for arrangement, count in self._plan.levels:
            step, blocks = eliminate(arrangement.matrix(blocks), count)
            self._steps.append((arrangement, step))
        self.good = ~sum(step.failed for _, step in self._steps).bool().view(self._count)
        kept = sum(step.inverse.numel() + step.coupling.numel() for _, step in self._steps)
        self.held = kept // self.good.numel()

    def _flat(self, tensor):
        tensor = self.system.labeled(tensor)
        return tensor.expand(*self._count, *tensor.shape[2:]).flatten(0, 1)

    def answer(self, rhs, refine, mends):
        """(x, norms (B, L) of rhs - A x, of rhs and of x); residuals are computed in float64.

        Refined where `mends`, bool (B, 1 or L).
        """
        system = self.system
        wide = GridSystem(
            [w.double() for w in system.weights],
            ground=system.ground.double(),
            grid=system.grid,
            check=False,
        )
        x = self._solve(rhs)
        for _ in range(refine):
            change = self._solve((rhs.double() - wide @ x.double()).to(x))
            x = x + torch.where(mends[..., None, None], change, 0)
        residual = rhs.double() - wide @ x.double()
        return x, tuple(norms(t) for t in (residual, rhs, x))

    def _solve(self, rhs):
        shared = self.system.labels is None
        b = self._plan.scatter(rhs if shared else rhs.flatten(0, 1).unsqueeze(1))
        memory = []
        for arrangement, step in self._steps:
            b, inner = step.up(arrangement.vector(b))
            memory.append(inner)
        x = b
        for arrangement, step in reversed(self._steps):
            x = arrangement.unvector(step.down(x, memory.pop()))
        return self._plan.gather(x).view(rhs.shape)

    def log_determinant(self):
        """(B, 1 or L): the sum over all eliminated nodes."""
        return sum(step.log_determinant for _, step in self._steps).view(self._count)

    def variances(self):
        """(B, 1 or L, *grid): the inverse, completed from the last block down to the leaves."""
        inverse = None
        for arrangement, step in reversed(self._steps):
            if inverse is None:  # above the last block nothing is left
                inverse = step.inverse.new_zeros(*step.inverse.shape[:-2], 0, 0)
            inverse = arrangement.unmatrix(step.spread(inverse))
        diagonal = inverse.diagonal(dim1=-2, dim2=-1).unsqueeze(-1)
        return self._plan.gather(diagonal).view(*self._count, *self.system.grid)


@lru_cache(maxsize=32)
def plan(grid, device):
    """The `Plan` of a grid, its tables on the device; made once."""
    return Plan(grid, device)


class Plan:
    """Which nodes meet where: the leaves of a grid and the levels above. Knows no weights.

    A leaf has c x c' cells and shares its border nodes with its neighbors; each pixel, and each
    edge through its tail, is owned by one leaf. Nodes beyond the image are isolated, with ground 1.
    """

    def __init__(self, grid, device):
        self.grid = grid
        self.cells, self.count = zip(*(leaf_size(n) for n in grid), strict=True)
        (h, w), (rows, columns) = self.cells, self.count
        nodes = [(i, j) for i in range(h + 1) for j in range(w + 1)]
        border = [n for n in nodes if n[0] in (0, h) or n[1] in (0, w)]
        inner = [n for n in nodes if n not in border]
        place = {n: k for k, n in enumerate(nodes)}
        self.levels = [(self._reorder([place[n] for n in border + inner], device), len(inner))]
        while (rows, columns) != (1, 1):
            if (rows, columns) == (2, 2):
                self.levels += _last_four(border, h, w, device)
                return
            axis = 2 if columns > 1 and (w <= h or rows == 1) else 1
            level, border = _join(border, (h, w), axis, device)
            self.levels.append(level)
            rows, h = (rows, h) if axis == 2 else (rows // 2, 2 * h)
            columns, w = (columns // 2, 2 * w) if axis == 2 else (columns, w)
        self.levels.append((self._reorder(range(len(border)), device), len(border)))

    @staticmethod
    def _reorder(order, device):
        return Reorder(torch.tensor(list(order), device=device))

    def _windows(self, x, fill=0.0):
        """(M, rows, columns, h + 1, w + 1): overlapping views of the padded map."""
        h, w = self.cells
        size = [c * k + 1 for c, k in zip(self.cells, self.count, strict=True)]
        x = pad(x, (0, size[1] - x.shape[-1], 0, size[0] - x.shape[-2]), value=fill)
        return x.unfold(-2, h + 1, h).unfold(-2, w + 1, w)

    def leaves(self, ground, vertical, horizontal):
        """The leaves as circuits (M, rows, columns, n, n), from maps of M systems."""
        h, w = self.cells
        owned = ground.new_zeros(*self.count, h + 1, w + 1)
        owned[..., :h, :w] = 1
        rim = owned.clone()  # the last row and column of nodes lie beyond the image
        rim[-1, :, h, :w] = rim[:, -1, :h, w] = rim[-1, -1, h, w] = 1
        grounds = self._windows(ground, 1.0) * rim
        down = (self._windows(vertical) * owned)[..., :-1, :]
        right = (self._windows(horizontal) * owned)[..., :, :-1]
        node = torch.arange((h + 1) * (w + 1), device=ground.device).view(h + 1, w + 1)
        blocks = ground.new_zeros(*grounds.shape[:3], node.numel(), node.numel())
        blocks.diagonal(dim1=-2, dim2=-1).copy_(grounds.flatten(-2))
        for edges, a, b in ((down, node[:-1], node[1:]), (right, node[:, :-1], node[:, 1:])):
            blocks[..., a.flatten(), b.flatten()] = edges.flatten(-2)
            blocks[..., b.flatten(), a.flatten()] = edges.flatten(-2)
        return blocks

    def scatter(self, rhs):
        """(M, R, *grid) -> (M, rows, columns, n, R): each value in the leaf that owns it."""
        h, w = self.cells
        owned = rhs.new_zeros(h + 1, w + 1)
        owned[:h, :w] = 1
        return (self._windows(rhs) * owned).permute(0, 2, 3, 4, 5, 1).flatten(3, 4)

    def gather(self, x):
        """(M, rows, columns, n, R) -> (M, R, *grid): each value from the leaf that owns it."""
        h, w = self.cells
        x = x.unflatten(3, (h + 1, w + 1))[:, :, :, :h, :w]
        x = x.permute(0, 5, 1, 3, 2, 4).flatten(4, 5).flatten(2, 3)
        return x[..., : self.grid[0], : self.grid[1]]


def leaf_size(n):
    """(c, 2^p): cells of a leaf along an axis of n pixels and their number, n <= c 2^p, c <= 7.

    >>> leaf_size(256), leaf_size(250), leaf_size(5)
    ((4, 64), (4, 64), (5, 1))
    """
    count = 2 ** max(ceil(log2(n / 7)), 0)
    return ceil(n / count), count


def _join(border, size, axis, device):
    """((Join, length of the seam), border of the joined block)."""
    along, across = axis - 1, 2 - axis
    far, ends = size[along], (0, size[across])

    def order(at):
        side = sorted((n[across], k) for k, n in enumerate(border) if n[along] == at)
        own = [k for k, n in enumerate(border) if n[along] != at]
        return own, [k for t, k in side if t in ends], [k for t, k in side if t not in ends]

    first, second = order(far), order(0)
    moved = [(i + far, j) if axis == 1 else (i, j + far) for i, j in border]
    joined = [border[k] for k in first[0]] + [moved[k] for k in second[0]]
    joined += [border[k] for k in first[1]]
    index = [torch.tensor(sum(lists, []), device=device) for lists in (first, second)]
    return (Join(axis, *index, len(first[0])), len(first[2])), joined


def _last_four(border, h, w, device):
    """Levels of the last 2 x 2 blocks: the outer rim, the two vertical seams, all that is left.

    Each block's order starts at the center of the image and follows its two inner sides, so that
    the four are mirror images and share their shape.
    """
    orders = []
    for row in (h, 0):
        for column in (w, 0):
            vertical = sorted((abs(i - row), k) for k, (i, j) in enumerate(border) if j == column)
            level = sorted((abs(j - column), k) for k, (i, j) in enumerate(border) if i == row)
            kept = [k for _, k in vertical[1:] + level]  # both begin with the center
            orders.append(kept + sorted(set(range(len(border))) - set(kept)))
    orders = torch.tensor(orders, device=device).view(2, 2, -1)
    # kept: h nodes of the vertical seam, the center, w nodes of the level one
    seam = torch.arange(h + w + 1, device=device).roll(
        -h - 1
    )  # own: level; shared: vertical, center
    seam[w:] = seam[w:].roll(1)  # ... the center first, so that the seam comes last
    rest = torch.arange(2 * w + 1, device=device)
    return [
        (Reorder(orders), len(border) - (h + w + 1)),
        (Join(2, seam, seam, w), h),
        (Join(1, rest, rest, 0), 2 * w + 1),
    ]
