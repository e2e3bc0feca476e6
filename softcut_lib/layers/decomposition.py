"""Total variation by exact decomposition into blocks: a few maximum flows (chapter 7).

    x = argmin 1/2 ||x - z||^2 + sum_pq w_pq |x_p - x_q|

is constant on blocks. Take a connected region and ask whether it is one block: its value could
then only be the mean m of z, so look for the part S of the region that wants to rise above m,

    gain(S) = sum_S (z - m) - sum of w over the edges that leave S,

the largest gain being a minimum cut. If no part gains, the region is a block of value m. If one
does, x lies above m inside S and below it outside, the edges between pull with their full weight
(z -= w above, z += w below), and the two sides are regions of their own. All regions of a level
share one flow, so the number of flows is the depth of the splitting, not the number of blocks.
Where the weights are strong, most of a flow is known beforehand from a circuit (reflection.py).
"""

from typing import NamedTuple

import maxflow
import numpy as np
import torch

from softcut_lib.cuts.flow import joints
from softcut_lib.layers.chains import in_threads
from softcut_lib.layers.reflection import Reflection
from softcut_lib.solvers.compiling import compiled

# A part that gains less than this share of what flows in its region is rounding, not a part.
ROUNDING = 1e-12


class Blocks(NamedTuple):
    """The solution of one grid: a value and a block number for each pixel, flat."""

    values: np.ndarray
    labels: np.ndarray
    levels: int
    gap: float


def decompose(scores, weights, tails, heads, head_start=None):
    """The exact total variation solution of one flat grid, as `Blocks`.

    What no flow drains from a block is its gain, 0 up to rounding; with the flows inside blocks
    and the weights between them as dual variables, the duality gap is at most the sum of 2 gain^2
    and of the squares of what was too little to be looked at.

    ``head_start(pull, pixel, edge)`` may carry part of the pull away first, see `Reflection`: the
    flow then has less to do, and its minimum cut is the same.
    """
    z, edge = np.array(scores, float), np.flatnonzero(weights > 0)
    values, labels = np.empty(z.size), np.empty(z.size, np.int64)
    t, h, w = tails[edge], heads[edge], weights[edge]
    pixel = np.arange(z.size)  # the pixels whose block is not found yet; t and h count among them
    found, levels, gap = 0, 0, 0.0
    while pixel.size:
        levels += 1
        count, region = _components(t, h, pixel.size)
        size = np.bincount(region)
        mean = np.bincount(region, z[pixel]) / size
        pull = z[pixel] - mean[region]
        least = ROUNDING * np.bincount(region, np.abs(pull) + np.abs(z[pixel]))
        excess, currents = (head_start and head_start(pull, pixel, edge)) or (
            pull,
            np.zeros(t.size),
        )
        little = np.abs(excess) < (least / size)[region] / 10
        rises = _rising(np.where(little, 0, excess), t, h, w - currents, w + currents)
        cut = rises[t] != rises[h]
        gain = np.bincount(region, np.where(rises, pull, 0))
        gain -= np.bincount(region[t[cut]], w[cut], minlength=count)
        block = ~(gain > least)  # so written, a region with NaN is a block
        ready = block[region]
        gap += 2 * float(np.square(np.maximum(gain[block], 0)).sum())
        gap += float(np.square(excess[ready & little]).sum())

        values[pixel[ready]] = mean[region[ready]]
        labels[pixel[ready]] = (found + np.cumsum(block) - 1)[region[ready]]
        found += int(block.sum())

        split = cut & ~ready[t]
        toward = np.where(rises[h], w, -w)[split]  # the part of w that lowers heads, raises tails
        z[pixel] += np.bincount(t[split], toward, pixel.size)
        z[pixel] -= np.bincount(h[split], toward, pixel.size)
        kept, number = ~cut & ~ready[t], np.cumsum(~ready) - 1
        t, h, w, edge = number[t[kept]], number[h[kept]], w[kept], edge[kept]
        pixel = pixel[~ready]
    return Blocks(values, labels, levels, gap)


@compiled()
def _components(tails, heads, count):
    """(number, number of each pixel) of the connected parts of a graph of `count` pixels."""
    parent = np.arange(count)
    for k in range(tails.size):
        p, q = tails[k], heads[k]
        while parent[p] != p:
            parent[p] = parent[parent[p]]
            p = parent[p]
        while parent[q] != q:
            parent[q] = parent[parent[q]]
            q = parent[q]
        parent[max(p, q)] = min(p, q)
    found, label = 0, np.empty(count, np.int64)
    for p in range(count):  # a parent's number is smaller than its child's
        if parent[p] == p:
            label[p] = found
            found += 1
        else:
            label[p] = label[parent[p]]
    return found, label


def _rising(pull, tails, heads, onward, back):
    """The smallest part of every region with the largest gain, bool.

    An edge can carry `onward` from tail to head, and `back`.
    """
    graph = maxflow.GraphFloat(pull.size, tails.size)
    node = graph.add_grid_nodes(pull.size)
    # terminals exchanged as in cuts/flow.py: an undecided pixel stays below
    graph.add_grid_tedges(node, np.maximum(-pull, 0), np.maximum(pull, 0))
    graph.add_edges(tails, heads, back, onward)
    graph.maxflow()
    return graph.get_grid_segments(node)


def exact(system, scores):
    """(x, labels, levels, gap) of every sample and label: float64 (B, L, *grid), long the same."""
    batch, count = scores.shape[:2]
    ends = joints(system.grid, system.offsets)
    flat = scores.detach().double().cpu().flatten(2).numpy()

    def one(k):
        b, label = divmod(k, count)
        weights = weights_of(system, b, label)
        head_start = Reflection(weights, *ends, system.grid) if Reflection.serves(system) else None
        return decompose(flat[b, label], weights, *ends, head_start)

    found = in_threads(one, batch * count)  # PyMaxflow lets other threads run
    x, labels = (
        torch.from_numpy(np.stack(field)).view(scores.shape)
        for field in list(zip(*found, strict=True))[:2]
    )
    levels = torch.tensor([blocks.levels for blocks in found]).view(batch, count)
    gap = torch.tensor([blocks.gap for blocks in found], dtype=torch.float64).view(batch, count)
    return x, labels, levels, gap


def weights_of(system, sample, label):
    """All weights of one sample and label, flat, offset after offset, float64."""
    parts = [system.labeled(w)[sample] for w in system.weights]
    parts = [w[label if len(w) > 1 else 0].detach().cpu().flatten().double() for w in parts]
    return torch.cat(parts).numpy()


def connected_blocks(system, x):
    """Numbers of the connected regions of equal x, long (B, L, *grid), from 0 in each grid.

    An edge of weight 0 connects nothing.
    """
    tails, heads = joints(system.grid, system.offsets)
    flat = x.detach().cpu().flatten(2).numpy()
    labels = np.empty(flat.shape, np.int64)
    for b in range(flat.shape[0]):
        for label in range(flat.shape[1]):
            value = flat[b, label]
            same = (value[tails] == value[heads]) & (weights_of(system, b, label) > 0)
            labels[b, label] = _components(tails[same], heads[same], value.size)[1]
    return torch.from_numpy(labels).view(x.shape)


def value_blocks(x):
    """Numbers of the distinct values of each sample and label, connected or not."""
    flat = x.detach().cpu().flatten(2).numpy()
    labels = [[np.unique(value, return_inverse=True)[1] for value in sample] for sample in flat]
    return torch.from_numpy(np.array(labels).reshape(x.shape))
