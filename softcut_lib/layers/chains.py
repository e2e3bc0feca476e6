"""Total variation on chains, exact in linear time, and 35 passes over rows and columns (chapter 7).

Along one offset o the grid falls into chains p, p + o, p + 2o, ... (rows for (0, 1)). On a chain

    x = argmin 1/2 ||x - y||^2 + sum_i w_i |x_{i+1} - x_i|

is found from left to right: let f_i(b) be the best cost of pixels 0..i when x_{i+1} = b. Its
derivative is piecewise linear, and an edge of weight w clips it to [-w, w]; the two places
low, high where it is clipped tell everything, for on the way back x_i = clip(x_{i+1}, low_i, high_i).
The picture of the same solution is the taut string: the shortest path in a tube of radius w_i around
the running sum of y.
"""

import numpy as np
import torch
from numba import njit

from softcut_lib.grid.edges import at_head, at_tail, head, tail


@njit(cache=True, nogil=True)
def _prox(y, w, stride, x):
    """x = the solution on all chains i, i + stride, ...; w[i] joins i and i + stride, 0 ends one."""
    n = y.size
    length = n // stride + 1
    low, high = np.empty(length), np.empty(length)
    # The derivative as knots and the turn of its slope at each, those in use being first..last.
    knot, turn = np.empty(2 * length + 2), np.empty(2 * length + 2)
    for start in range(stride):
        i = start
        while i < n:
            edges, before = 0, 0.0
            first, last = length, length - 1
            while w[i] > 0.0:
                slope, level = 1.0, -y[i] - before  # left of all knots: slope * b + level
                while first <= last and slope * knot[first] + level <= -w[i]:
                    slope += turn[first]
                    level -= turn[first] * knot[first]
                    first += 1
                low[edges] = -(w[i] + level) / slope
                down, top = 1.0, before - y[i]  # right of all knots
                while first <= last and down * knot[last] + top >= w[i]:
                    down -= turn[last]
                    top += turn[last] * knot[last]
                    last -= 1
                high[edges] = (w[i] - top) / down
                first, last = first - 1, last + 1
                knot[first], turn[first] = low[edges], slope
                knot[last], turn[last] = high[edges], -down
                before = w[i]
                edges += 1
                i += stride
            slope, level = 1.0, -y[i] - before
            while first <= last and slope * knot[first] + level <= 0.0:
                slope += turn[first]
                level -= turn[first] * knot[first]
                first += 1
            value = -level / slope
            x[i] = value
            for k in range(edges):
                value = min(max(value, low[edges - 1 - k]), high[edges - 1 - k])
                x[i - (k + 1) * stride] = value
            i += stride


@njit(cache=True, nogil=True)
def _currents(v, w, stride, u):
    """u with D'u = v on every chain: what flows from i to i + stride, at most w."""
    for i in range(v.size):
        u[i] = -v[i] + (u[i - stride] if i >= stride else 0.0)
        u[i] = min(max(u[i], -w[i]), w[i])


class Family:
    """All chains of one offset on a flat grid, with their weights: ``family(y)`` is the solution."""

    def __init__(self, weights, offset, grid):
        step = np.append(np.cumprod(grid[:0:-1])[::-1], 1)
        stride = int(np.dot(offset, step))
        self.offset, self.grid, self.back = offset, grid, stride < 0
        place = at_head if self.back else at_tail
        self.stride = max(abs(stride), 1)  # an offset without edges may have any stride
        self.weights = place(weights, offset, grid).double().flatten().numpy()

    def __call__(self, y):
        x = np.empty_like(y)
        _prox(y, self.weights, self.stride, x)
        return x

    def currents(self, v):
        """The dual variables u of the offset's edges, as a tensor, from v = D'u."""
        u = np.empty_like(v)
        _currents(v, self.weights, self.stride, u)
        u = torch.from_numpy(u).view(self.grid)
        return -head(u, self.offset) if self.back else tail(u, self.offset)


def exact_chains(families, scores):
    """(x, currents): the exact solution where there is one offset only."""
    (family,) = families
    x = family(scores)
    return x, [family.currents(scores - x)]


def douglas_rachford(families, scores, max_iter):
    """(x, currents) after `max_iter` Douglas-Rachford steps over the chains of two offsets.

    x = z - v_1 - v_2 with v_k = D_k'u_k, |u_k| <= w_k: the point where the set of all v_1 meets that
    of all z - v_2 best, sought by reflecting a point t at one set after the other. The nearest
    point to y of the first set is y - one(y), that of the second y + two(z - y).
    """
    one, two = families
    t = np.full_like(scores, 2 * scores.mean())
    for _ in range(max_iter):
        x = one(t)
        t = t - x + two(scores - t + 2 * x)
    v = t - one(t)
    x = two(scores - v)
    return x, [one.currents(v), two.currents(scores - v - x)]


def on_chains(system, scores, max_iter=None):
    """(x, currents) of every sample and label; Douglas-Rachford steps where `max_iter` is given."""
    flat = scores.detach().double().cpu().flatten(2)
    x = torch.empty_like(flat)
    currents = [[] for _ in system.offsets]
    for b in range(flat.shape[0]):
        for label in range(flat.shape[1]):
            families = [
                Family(_one(system, w, b, label), offset, system.grid)
                for w, offset in zip(system.weights, system.offsets, strict=True)
            ]
            y = flat[b, label].contiguous().numpy()
            if max_iter is None:
                found, u = exact_chains(families, y)
            else:
                found, u = douglas_rachford(families, y, max_iter)
            x[b, label] = torch.from_numpy(found)
            for kept, values in zip(currents, u, strict=True):
                kept.append(values)
    stacked = [torch.stack(u).view(*flat.shape[:2], *u[0].shape) for u in currents]
    return x.view(scores.shape), stacked


def _one(system, weights, b, label):
    """One sample's and label's weights of an offset."""
    values = system.labeled(weights)[b]
    return values[label if len(values) > 1 else 0].detach().cpu()
