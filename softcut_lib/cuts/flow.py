"""The minimum cut of a grid by maximum flow (chapter 1).

    max flow from s to t  =  min over F of  sum_F b + sum_B f + sum_{cut} w.

Every pixel is a node; the source s feeds it with capacity f = max(score, 0), the sink t drains it
with b = max(-score, 0), neighbors are joined by w in both directions.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import maxflow
import numpy as np
import torch

from softcut_lib import _checks as check
from softcut_lib.cuts.energy import cut_system
from softcut_lib.grid.edges import head, tail


class MaxFlow(NamedTuple):
    """Value of the maximum flow (B,), and the labels (B, 1, *grid) of the minimum cut."""

    value: torch.Tensor
    labels: torch.Tensor


def max_flow(scores, weights, *, offsets=None, seeds=None):
    """Maximum flow and minimum cut of a grid, exact, on the CPU.

    Args:
        scores: float32 or float64 (B, 1, *grid); positive for the foreground.
        weights: one tensor (B, *edge_shape) >= 0 per offset.
        offsets: edge directions; the unit offsets if None. Any dimension, any offsets.
        seeds: long (B, *grid): 0 holds a pixel in the background, 1 in the foreground, 255 leaves
            it free; None leaves all free.

    Returns:
        `MaxFlow(value, labels)`: the flow (B,), equal to the energy `cut_energy` of the labels, and
        bool labels (B, 1, *grid), true for the foreground. Of several minimum cuts it is the one
        with the fewest foreground pixels. Computed in float64; no gradient.

    Raises:
        ValueError, TypeError: shapes, values or dtypes that do not fit, more than one label,
            tensors that are not on the CPU.

    Source: thesis, eq. 1 and Fig. 1; the algorithm is Boykov and Kolmogorov 2004 (PyMaxflow).

    Example:
        >>> import torch
        >>> scores, w = torch.tensor([[[[3.0, -1.0]]]]), [torch.zeros(1, 0, 2), torch.ones(1, 1, 1)]
        >>> max_flow(scores, w)
        MaxFlow(value=tensor([1.]), labels=tensor([[[[ True, False]]]]))
    """
    check.on_cpu("scores", scores, "max_flow")
    system = cut_system(scores, weights, offsets)
    if scores.shape[1] != 1:
        raise ValueError(
            f"scores must have one label channel, (B, 1, *grid), got shape {tuple(scores.shape)}; "
            "a single minimum cut separates two labels only"
        )
    ends = joints(system.grid, system.offsets)
    if seeds is not None:
        check_seeds(seeds, (system.batch, *system.grid), labels=2)
        incident = system.diagonal()[:, 0] - system.ground  # all weights that meet at a pixel

    def one(k):
        score = scores[k, 0].detach().double().numpy()
        feed, drain = np.maximum(score, 0), np.maximum(-score, 0)
        if seeds is not None:
            # More than everything that a change of this pixel's label could save.
            held = 2 * (incident[k].detach().double().numpy() + np.abs(score)) + 1
            feed = np.where(seeds[k].numpy() == 1, held, feed)
            drain = np.where(seeds[k].numpy() == 0, held, drain)
        capacity = [w[k].detach().double().flatten().numpy() for w in system.weights]
        return _cut(feed, drain, *ends, np.concatenate(capacity))

    if system.batch == 1:
        cuts = [one(0)]
    else:  # PyMaxflow lets other threads run, so the samples of a batch share the cores
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            cuts = list(pool.map(one, range(system.batch)))
    values = [value for value, _ in cuts]
    labels = [torch.from_numpy(foreground) for _, foreground in cuts]
    return MaxFlow(torch.tensor(values, dtype=scores.dtype), torch.stack(labels).unsqueeze(1))


def min_cut(scores, weights, *, offsets=None, seeds=None):
    """The labels of the minimum cut: `max_flow(...).labels`, for decoding.

    Args:
        scores, weights, offsets, seeds: as for `max_flow`.

    Returns:
        bool (B, 1, *grid), true for the foreground.

    Raises:
        ValueError, TypeError: as `max_flow`.

    Source: thesis, eq. 1.

    Example:
        >>> import torch
        >>> strong = [torch.zeros(1, 0, 2), torch.full((1, 1, 1), 9.0)]
        >>> min_cut(torch.tensor([[[[3.0, -1.0]]]]), strong)
        tensor([[[[True, True]]]])
    """
    return max_flow(scores, weights, offsets=offsets, seeds=seeds).labels


def check_seeds(seeds, shape, labels, name="seeds"):
    """Refuse seeds that are not long (B, *grid) with label numbers and 255."""
    check.is_tensor(name, seeds)
    if seeds.dtype != torch.long or tuple(seeds.shape) != tuple(shape):
        raise ValueError(
            f"{name} must be a long tensor of shape {tuple(shape)}, got {seeds.dtype} "
            f"{tuple(seeds.shape)}"
        )
    wrong = (seeds != 255) & ((seeds < 0) | (seeds >= labels))
    if bool(wrong.any()):
        raise ValueError(
            f"{name} must hold labels 0..{labels - 1} or 255 for a free pixel, got "
            f"{int(seeds[wrong][0])}"
        )


def joints(grid, offsets):
    """Numbers of the two pixels that each edge joins, offset after offset."""
    node = torch.arange(int(np.prod(grid))).view(grid)
    tails = [tail(node, o).flatten().numpy() for o in offsets]
    heads = [head(node, o).flatten().numpy() for o in offsets]
    return np.concatenate(tails), np.concatenate(heads)


def _cut(feed, drain, tails, heads, capacity):
    """(flow, foreground) of one grid."""
    graph = maxflow.GraphFloat(feed.size, capacity.size)
    node = graph.add_grid_nodes(feed.shape)
    # A pixel that no unsaturated path joins to either terminal is given to the library's source
    # side. With the terminals exchanged that is the background, as for a score of zero.
    graph.add_grid_tedges(node, drain, feed)
    graph.add_edges(tails, heads, capacity, capacity)
    flow = graph.maxflow()
    return flow, graph.get_grid_segments(node)
