"""The coarse circuits of multigrid in plain tensor operations, any dimension (chapter 6).

Every second pixel along every axis stays. The others follow, in the order of how many of their
coordinates are odd, each by the voltage it would take if it drew no current and if neighbors along
its even axes were at its own voltage:

    x_p = sum_q w_pq x_q / (ground_p + sum_q w_pq),   q the neighbors moved along odd axes only.

In 2-D: on a row or column between two kept pixels first, then in the middle of four. This is
Dendy's black-box interpolation x = P x_c. The coarse circuit is A_c = P' A P, the few conductances
below 0 left out; its links reach the 3^d - 1 neighbors, whatever the fine ones were. Links longer
than one pixel are soldered (grid/coarse.py) until none is left.

Smoothing is a Chebyshev polynomial in D^-1 A, D the diagonal: the eigenvalues of D^-1 A lie in
(0, 2), and it damps those above 2 / 5, which no coarser grid can carry.
"""

from dataclasses import dataclass

import torch
from torch.nn.functional import pad

from softcut_lib.grid.coarse import coarse_shape, every_second, parities, solder_copy, solder_sum
from softcut_lib.grid.edges import at_head, at_tail, axis_offsets, diagonal_offsets, head, tail
from softcut_lib.grid.system import GridSystem

DEGREE = 3
LOWEST, HIGHEST = 2 / 5, 2.0


@dataclass
class Level:
    """One circuit, with the way to the next coarser one: parts[corner][c], see `conducting`."""

    system: GridSystem
    inverse: torch.Tensor
    parts: dict | None = None

    def smooth(self, r):
        """p(D^-1 A) D^-1 r, p the Chebyshev polynomial of [LOWEST, HIGHEST]: three sweeps."""
        middle, half = (HIGHEST + LOWEST) / 2, (HIGHEST - LOWEST) / 2
        if not self.parts and not any(w.numel() for w in self.system.weights):
            return self.inverse * r  # a single pixel
        z = move = self.inverse * r / middle
        rho = half / middle
        for _ in range(DEGREE - 1):
            left = self.inverse * (r - self.system @ z)
            after = 1 / (2 * middle / half - rho)
            move = after * rho * move + 2 * after / half * left
            z, rho = z + move, after
        return z

    def prolong(self, x):
        """P x."""
        grid = self.system.grid
        if not self.parts:
            return solder_copy(x, grid)
        return _prolong(self.parts, x, grid)

    def restrict(self, r):
        """P' r."""
        grid = self.system.grid
        return _restrict(self.parts, r, grid) if self.parts else solder_sum(r, len(grid))


def hierarchy(system, coarse="conducting"):
    """Levels down to a single pixel, finest first."""
    levels = []
    while True:
        diagonal = system.diagonal()
        level = Level(system, torch.where(diagonal > 0, 1 / diagonal, 0))
        levels.append(level)
        if max(system.grid) == 1:
            return levels
        if coarse == "soldered" or _reach(system) > 1:
            system = system.coarsen()
        else:
            level.parts = conducting(system)
            system = galerkin(system, level)


def _reach(system):
    """The longest component of an offset that has edges."""
    pairs = zip(system.weights, system.offsets, strict=True)
    return max((abs(c) for w, offset in pairs if w.numel() for c in offset), default=1)


def conducting(system):
    """Operator-dependent interpolation: the parts of P.

    Returns:
        A dict: for each corner t in {0, 1}^d of a cell (1 on its odd axes) a dict c -> tensor
        (B, 1 or L, *pixels at t), the part that coarse node J + c has in pixel 2 J + t.
    """
    dim, grid = len(system.grid), system.grid
    links = {}
    for w, offset in zip(system.weights, system.offsets, strict=True):
        if w.numel():
            w, back = system.labeled(w), tuple(-o for o in offset)
            for move, place in ((offset, at_tail), (back, at_head)):
                links[move] = links.get(move, 0) + place(w, offset, grid)
    ground, parts = system.labeled(system.ground), {}
    for t in sorted(parities(dim), key=sum):
        here = every_second(ground, t)
        if not any(t):
            parts[t] = {t: torch.ones_like(here)}
            continue
        along = {}
        for move, w in links.items():
            move = tuple(m if odd else 0 for m, odd in zip(move, t, strict=True))
            if any(move):
                along[move] = along.get(move, 0) + every_second(w, t)
        total = here + sum(along.values())
        total = torch.where(total > 0, total, 1)
        parts[t] = {}
        for move, w in along.items():
            neighbor = tuple(0 if m else odd for m, odd in zip(move, t, strict=True))
            step = tuple(int(m > 0) for m in move)
            for c, part in parts[neighbor].items():
                c = tuple(a + b for a, b in zip(c, step, strict=True))
                share = w / total * _window(part, step, here.shape[2:])
                parts[t][c] = parts[t].get(c, 0) + share
    return parts


def _window(x, start, shape):
    """x (..., *grid) from `start` on, cut or filled up with zeros to `shape`."""
    x = x[(..., *(slice(s, s + n) for s, n in zip(start, shape, strict=True)))]
    missing = [n - m for n, m in zip(shape, x.shape[-len(shape) :], strict=True)]
    return pad(x, [m for end in reversed(missing) for m in (0, end)])


def _prolong(parts, x, grid):
    out = x.new_empty(*x.shape[: -len(grid)], *grid)
    for t, corners in parts.items():
        room = every_second(out, t)
        room.zero_()
        for c, part in corners.items():
            room += part * _window(x, c, part.shape[-len(grid) :])
    return out


def _restrict(parts, r, grid):
    wide = tuple(n + 1 for n in coarse_shape(grid))  # a margin for nodes beyond the grid, parts 0
    out = r.new_zeros(*r.shape[: -len(grid)], *wide)
    for t, corners in parts.items():
        values = every_second(r, t)
        for c, part in corners.items():
            shape = part.shape[-len(grid) :]
            span = (..., *(slice(a, a + n) for a, n in zip(c, shape, strict=True)))
            out[span] += part * values
    return out[(..., *(slice(0, n - 1) for n in wide))]


def galerkin(system, level):
    """The circuit P' A P on the coarse grid, its negative conductances left out.

    Its columns are found by probing: nodes that are three apart have no common neighbor, so one
    product P' A P z, z one at every third node of each axis, holds a column of each of them.
    """
    dim, grid = len(system.grid), coarse_shape(system.grid)
    lead = (system.batch, system.labels or 1)
    colors = _colors(grid, system.device)
    offsets = axis_offsets(dim) + diagonal_offsets(dim)

    def product_of(z):
        return level.restrict(system @ level.prolong(z.expand(*lead, *grid)))

    columns = torch.stack(
        [product_of((colors == k).to(system.dtype)) for k in range(3**dim)]
    )  # (3^d, B, L, *grid): at node J, the entry of its one neighbor of color k
    weights = []
    for offset in offsets:
        heads = head(colors, offset)
        rows = tail(columns, offset)
        entries = rows.gather(0, heads.expand(1, *lead, *heads.shape)).squeeze(0)
        weights.append((-entries).clamp(min=0))
    ground = product_of(torch.ones(grid, dtype=system.dtype, device=system.device)).clamp(min=0)
    return GridSystem(weights, offsets=offsets, ground=ground, grid=grid, check=False)


def _colors(grid, device):
    """A number in 0 .. 3^d - 1 for each node: its coordinates modulo 3."""
    colors = torch.zeros(grid, dtype=torch.long, device=device)
    for axis, n in enumerate(grid):
        shape = [n if a == axis else 1 for a in range(len(grid))]
        colors = 3 * colors + (torch.arange(n, device=device) % 3).view(shape)
    return colors
