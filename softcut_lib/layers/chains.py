"""Total variation on chains, exactly, and 35 steps over rows and columns (chapter 7).

Along one offset o the grid falls into chains p, p + o, p + 2o, ... (rows for (0, 1)). On a chain

    x = argmin 1/2 ||x - y||^2 + sum_i w_i |x_{i+1} - x_i|

is the slope of the taut string: the shortest path from the first to the last of the running sums
Y_i = y_0 + ... + y_i that stays within w_i of them. Walking along, one keeps the lowest and the
highest slope that the tube has allowed since the last bend; where they exclude each other, the
string bends around the wall that it touched last, and the walk goes on from there.

What is below runs on the CPU, a thread for each sample and label; on CUDA launch_chains.py does the
same with a program for each chain, where Triton is installed.

Source: Davies and Kovac 2001; Condat 2013, here with a weight for each edge.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from softcut_lib.grid.edges import at_head, at_tail, head, tail
from softcut_lib.solvers.compiling import compiled
from softcut_lib.solvers.conjugate import has_triton


@compiled()
def _taut_string(y, w, stride, inverse, x):
    """Solve all chains i, i + stride, ...; w[i] joins i and i + stride, a zero ends the chain.

    ``inverse`` holds 1/k for all lengths k: the slopes wait for a product, not for a division.
    """
    stride, one = np.uintp(stride), np.uintp(1)
    size = np.uintp(y.size)  # indices without a sign need no test for counting from the end
    for start in range(stride):
        first = start  # where a straight piece begins,
        bend = 0.0  # and on which wall: +-w, or 0 inside
        while first < size:
            i = low_end = high_end = first
            radius, count = w[i], one
            low, high = y[i] + bend - radius, y[i] + bend + radius
            # current at i if the slope is low or high: at most radius, at least -radius
            at_low, at_high = radius, -radius
            while True:
                if radius == 0.0:  # the end of the chain, where low and high have met
                    last, value, bend = i, low + at_low, 0.0  # a current of 0, or of NaN
                    break
                following = i + stride
                ahead, radius_ahead = y[following], w[following]
                at_low += ahead - low
                at_high += ahead - high
                if at_low < -radius_ahead:
                    last, value, bend = low_end, low, w[low_end]
                    break
                if at_high > radius_ahead:
                    last, value, bend = high_end, high, -w[high_end]
                    break
                i, radius = following, radius_ahead
                count += one
                if at_low >= radius:
                    low += (at_low - radius) * inverse[count]
                    at_low, low_end = radius, i
                if at_high <= -radius:
                    high += (at_high + radius) * inverse[count]
                    at_high, high_end = -radius, i
            while first <= last:
                x[first] = value
                first += stride


@compiled()
def _currents(v, w, stride, u):
    """u with D'u = v on every chain: what flows from i to i + stride, at most w."""
    for i in range(v.size):
        u[i] = -v[i] + (u[i - stride] if i >= stride else 0.0)
        u[i] = min(max(u[i], -w[i]), w[i])


class Family:
    """All chains of one offset on a flat grid, with their weights; ``family(y)`` solves them."""

    def __init__(self, weights, offset, grid):
        self.offset, self.grid = offset, grid
        weights, self.stride, self.back = laid_out(weights, offset, grid)
        self.weights = weights.double().flatten().numpy()
        self.inverse = lengths_inverse(offset, grid)

    def __call__(self, y):
        x = np.empty_like(y)
        _taut_string(y, self.weights, self.stride, self.inverse, x)
        return x

    def currents(self, v):
        """The dual variables u of the offset's edges, as a tensor, from v = D'u."""
        u = np.empty_like(v)
        _currents(v, self.weights, self.stride, u)
        return on_edges(torch.from_numpy(u).view(self.grid), self.offset, self.back)


def laid_out(weights, offset, grid):
    """(weights (..., *grid), stride, back): every edge at the pixel that its chain comes to first.

    A chain is walked along the flat grid, and so `back` against an offset that points back.
    """
    step = np.append(np.cumprod(grid[:0:-1])[::-1], 1)
    stride = int(np.dot(offset, step))
    place = at_head if stride < 0 else at_tail
    # an offset without edges may have any stride
    return place(weights, offset, grid), max(abs(stride), 1), stride < 0


def lengths_inverse(offset, grid):
    """1/k for k = 1, 2, ... up to the most pixels that a chain has, at place k."""
    longest = min(-(-size // abs(o)) for size, o in zip(grid, offset, strict=True) if o)
    return 1 / np.maximum(np.arange(longest + 1), 1)


def on_edges(u, offset, back):
    """The currents of the edges, from what `laid_out` has placed on pixels."""
    return -head(u, offset) if back else tail(u, offset)


def exact_chains(families, scores):
    """(x, currents): the exact solution where there is one offset only."""
    (family,) = families
    x = family(scores)
    return x, [family.currents(scores - x)]


def douglas_rachford(families, scores, t, max_iter):
    """(x, currents) after `max_iter` Douglas-Rachford steps from t over the chains of two offsets.

    x = z - v_1 - v_2 with v_k = D_k'u_k, |u_k| <= w_k: the distance of the set of all v_1 from
    that of all z - v_2, sought by reflecting a point t at one set after the other. The point of
    the first set nearest to y is y - one(y), that of the second y + two(z - y).

    Source: Jegelka, Bach and Sra 2013, section 3; Barbero and Sra 2018.
    """
    one, two = families
    for _ in range(max_iter):
        x = one(t)
        t = t - x + two(scores - t + 2 * x)
    v = t - one(t)
    x = two(scores - v)
    return x, [one.currents(v), two.currents(scores - v - x)]


def twice_the_mean(scores):
    """2 mean(y) of the last axis, (..., 1), where the steps start; the same bits on every device.

    Halves are added to halves, in an order that no device is free to choose.
    """
    total, factor = scores, 2 / scores.shape[-1]
    while total.shape[-1] > 1:
        half, odd = divmod(total.shape[-1], 2)
        paired = total[..., :half] + total[..., half : 2 * half]
        if odd:
            paired[..., :1] += total[..., -1:]
        total = paired
    return factor * total


def on_chains(system, scores, max_iter=None):
    """(x, currents) of every sample and label; Douglas-Rachford steps where `max_iter` is given."""
    if fused(scores.device):
        from softcut_lib.layers import launch_chains

        return launch_chains.on_chains(system, scores, max_iter)
    flat = scores.detach().double().cpu().flatten(2)
    count = flat.shape[1]

    def one(k):
        b, label = divmod(k, count)
        families = [
            Family(_one(system, w, b, label), offset, system.grid)
            for w, offset in zip(system.weights, system.offsets, strict=True)
        ]
        y = flat[b, label].contiguous().numpy()
        if max_iter is None:
            return exact_chains(families, y)
        return douglas_rachford(families, y, np.full_like(y, twice_the_mean(y)), max_iter)

    found = in_threads(one, flat.shape[0] * count)
    x = torch.from_numpy(np.stack([x for x, _ in found])).view(scores.shape)
    currents = [torch.stack(u) for u in zip(*(u for _, u in found), strict=True)]
    currents = [u.view(*flat.shape[:2], *u.shape[1:]).to(scores.device) for u in currents]
    return x.to(scores.device), currents


def fused(device):
    """True where chains are solved on the device itself."""
    return device.type == "cuda" and has_triton()


def in_threads(one, count):
    """[one(0), ..., one(count - 1)], sharing the cores; `one` must let other threads run."""
    if count == 1:
        return [one(0)]
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        return list(pool.map(one, range(count)))


def _one(system, weights, b, label):
    """One sample's and label's weights of an offset."""
    values = system.labeled(weights)[b]
    return values[label if len(values) > 1 else 0].detach().cpu()
