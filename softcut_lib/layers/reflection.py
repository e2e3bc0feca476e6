"""A head start for the flows of total variation: currents from a circuit (chapter 7).

A region is one block of value m if currents c can carry its excess z - m away,

    D'c = z - m      and      |c_pq| <= w_pq.

The first is met by v + w D phi, where L phi = z - m - D'v, the change of least power from any v:
the circuit of chapter 2. The second is met by clipping. Reflecting v at one and then at the other,

    b = clip(v),      L phi = z - m - D'(2b - v),      v <- b + w D phi,

(Douglas-Rachford steps) leads to currents that meet both where such exist. A few steps suffice to
leave excess at few pixels and near to where it can go; a maximum flow settles the rest, exactly.
"""

import numpy as np
import torch

from softcut_lib.grid.edges import axis_offsets
from softcut_lib.grid.system import GridSystem
from softcut_lib.solvers.compiling import compiled
from softcut_lib.solvers.dissection import Direct

# Fewer pixels are cut faster than a circuit is reduced.
LEAST = 4000
# Currents that are clipped at many edges are no head start. Before a solve: the excess of square
# tiles as a share of the weights that lead out of them; after it: the share of clipped edges.
TILE, EXCESS, CLIPPED = 8, 0.15, 0.3
STEPS = 4, 2  # for the first regions, and for those into which they fall
# A ground so weak that what it drains is rounding; it holds the potential of each component.
GROUND = 1e-14


class Reflection:
    """Currents for the regions of one grid, level after level, each going on from the last.

    Args:
        weights: all weights of one sample and label, flat, offset after offset.
        tails, heads: the pixels that they join.
        grid: (h, w), with axis edges.
    """

    def __init__(self, weights, tails, heads, grid):
        self.weights, self.tails, self.heads, self.grid = weights, tails, heads, grid
        size = grid[0] * grid[1]
        self.around = np.bincount(tails, weights, size) + np.bincount(heads, weights, size)
        row, column = np.divmod(np.arange(size), grid[1])
        self.tile = row // TILE * (grid[1] // TILE + 1) + column // TILE
        self.outward = np.where(self.tile[tails] != self.tile[heads], 2 * weights, 0)
        self.currents = np.zeros(weights.size)
        self.factor = None

    @staticmethod
    def serves(system):
        """Whether `Direct` takes the grid, and it is large enough."""
        return system.offsets == axis_offsets(2) and system.grid[0] * system.grid[1] >= LEAST

    def __call__(self, pull, pixel, edge):
        """(excess that is left at `pixel`, currents in `edge`), or None where that is no help.

        ``pull`` is the excess of the pixels; the edges not in ``edge`` carry nothing.
        """
        of_tiles = np.abs(np.bincount(self.tile[pixel], pull)).sum()
        little = of_tiles <= EXCESS * self.outward[edge].sum() < np.inf  # false also for NaN
        if 2 * pixel.size < self.around.size or not little:
            return None
        excess, capacity = np.zeros(self.around.size), np.zeros(self.weights.size)
        excess[pixel], capacity[edge] = pull, self.weights[edge]
        left, v, ends = np.empty_like(excess), self.currents, (self.tails, self.heads)
        for step in range(STEPS[self.factor is not None]):
            _remaining(excess, v, capacity, 2.0, -1.0, *ends, left)
            clipped = _advance(v, capacity, self.weights, self._potential(left), *ends)
            if step == 0 and clipped > CLIPPED * edge.size:
                return None
        _remaining(excess, v, capacity, 1.0, 0.0, *ends, left)
        current = v.copy()
        _advance(current, capacity, self.weights, self._potential(left), *ends)
        _remaining(excess, current, capacity, 1.0, 0.0, *ends, left)
        return left[pixel], np.clip(current[edge], -capacity[edge], capacity[edge])

    def _potential(self, excess):
        """Potentials of the whole grid's circuit, which is reduced when first asked."""
        h, w = self.grid
        if self.factor is None:
            down, right = (torch.from_numpy(part) for part in np.split(self.weights, [(h - 1) * w]))
            ground = GROUND * np.maximum(self.around, 1e-100 * self.around.max())
            ground = torch.from_numpy(np.where(self.around > 0, ground, self.around.max()))
            weights = [down.view(1, h - 1, w), right.view(1, h, w - 1)]
            system = GridSystem(weights, ground=ground.view(1, h, w), check=False)
            self.factor = Direct(refine=0).factor(system)
        rhs = torch.from_numpy(excess).view(1, 1, h, w)
        return self.factor(self.factor.system, rhs)[0].numpy().ravel()


@compiled()
def _remaining(excess, v, capacity, clipped, free, tails, heads, left):
    """left = excess - D'(clipped * clip(v) + free * v)."""
    left[:] = excess
    for e in range(v.size):
        b = min(max(v[e], -capacity[e]), capacity[e])
        current = clipped * b + free * v[e]
        left[tails[e]] -= current
        left[heads[e]] += current


@compiled()
def _advance(v, capacity, weights, potential, tails, heads):
    """v <- clip(v) + w D phi; the number of edges with capacity that carry too much now."""
    count = 0
    for e in range(v.size):
        b = min(max(v[e], -capacity[e]), capacity[e])
        v[e] = b + weights[e] * (potential[tails[e]] - potential[heads[e]])
        if abs(v[e]) > capacity[e] > 0:
            count += 1
    return count
