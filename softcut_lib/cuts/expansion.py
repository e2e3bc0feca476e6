"""Several labels by repeated minimum cuts: alpha-expansion (chapter 1).

The Potts energy of a labeling f,

    E(f) = sum_p (max_l s_l - s_{f_p}) + sum_pq w_pq [f_p != f_q],

cannot be minimized exactly in reasonable time for three or more labels. An expansion of label a
lets every pixel keep its label or change to a; the best expansion is one minimum cut. When no
expansion of any label helps, E is at most twice its minimum.
"""

from concurrent.futures import ThreadPoolExecutor

import maxflow
import numpy as np
import torch

from softcut_lib import _checks as check
from softcut_lib.cuts.energy import cut_system
from softcut_lib.cuts.flow import check_seeds, joints


def alpha_expansion(scores, weights, *, offsets=None, seeds=None, max_cycles=20):
    """Labels of low Potts energy: no change of any set of pixels to one label makes it lower.

    Args:
        scores: float32 or float64 (B, L, *grid), L >= 2; large for the label.
        weights: one tensor (B, *edge_shape) >= 0 per offset, shared by all labels.
        offsets: edge directions; the unit offsets if None. Any dimension, any offsets.
        seeds: long (B, *grid): 0..L-1 holds a pixel at this label, 255 leaves it free.
        max_cycles: cycles over all labels at most; it usually ends after 2 or 3, when a whole cycle
            has changed nothing.

    Returns:
        long (B, *grid) in 0..L-1. The energy never rises from one expansion to the next; at the
        end it is at most twice the minimum. Computed on the CPU in float64; no gradient.

    Raises:
        ValueError, TypeError: as `max_flow`; fewer than two labels.

    Source: Boykov, Veksler and Zabih 2001; the minimum cuts are PyMaxflow's.

    Example:
        >>> import torch
        >>> scores = torch.tensor([[[2.0, 0.9, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 2.0]]])
        >>> alpha_expansion(scores, [torch.full((1, 2), 0.5)])  # the middle gives way
        tensor([[0, 0, 2]])
    """
    system = cut_system(scores, weights, offsets)
    check.on_cpu("scores", scores, "alpha_expansion")
    check.positive_integer("max_cycles", max_cycles)
    batch, count, *grid = scores.shape
    if count < 2:
        raise ValueError(
            f"scores must have at least two labels, (B, L, *grid), got shape {tuple(scores.shape)}"
            "; for foreground and background use min_cut"
        )
    if seeds is not None:
        check_seeds(seeds, (batch, *grid), count)
    ends = joints(system.grid, system.offsets)

    def one(k):
        cost = scores[k].detach().double().flatten(1).numpy()
        cost = cost.max(0) - cost
        capacity = torch.cat([w.reshape(batch, -1)[k].detach().double() for w in system.weights])
        if seeds is not None:
            held = seeds[k].flatten().numpy()
            other = (held != 255) & (np.arange(count)[:, None] != held)
            # more than any labeling of the free pixels can cost
            cost = cost + other * (cost.max(0).sum() + float(capacity.sum()) + 1)
        return _expand(cost, capacity.numpy(), *ends, max_cycles)

    with ThreadPoolExecutor(min(batch, torch.get_num_threads())) as pool:
        labels = list(pool.map(one, range(batch)))
    return torch.from_numpy(np.stack(labels)).view(batch, *grid)


def _expand(cost, capacity, tails, heads, max_cycles):
    """Expansions of one grid, from the best label of every pixel alone, until none helps."""
    labels = cost.argmin(0)
    pixel, energy = np.arange(labels.size), _energy(labels, cost, capacity, tails, heads)
    unhelpful = 0
    for step in range(max_cycles * len(cost)):
        alpha = step % len(cost)
        changed = np.where(
            _switch(alpha, labels, cost, capacity, tails, heads, pixel), alpha, labels
        )
        lower = _energy(changed, cost, capacity, tails, heads)
        if lower < energy:
            labels, energy, unhelpful = changed, lower, 0
        else:
            unhelpful += 1
        if unhelpful == len(cost):
            break
    return labels


def _energy(labels, cost, capacity, tails, heads):
    cut = labels[tails] != labels[heads]
    return cost[labels, np.arange(labels.size)].sum() + capacity[cut].sum()


def _switch(alpha, labels, cost, capacity, tails, heads, pixel):
    """Which pixels change to alpha in the best expansion: x = 1 for a change.

    An edge whose ends have the labels a, b costs e00 = w [a != b] if both keep theirs, e01 = w [a
    != alpha] and e10 = w [b != alpha] if one changes, and 0 if both do. As e00 <= e01 + e10,

        e(x, y) = e00 + (e10 - e00) x - e10 y + (e01 + e10 - e00) (1 - x) y,

    two terminal edges and one edge from p to q of a capacity that is not negative.
    """
    a, b = labels[tails], labels[heads]
    keep, tail_only, head_only = (
        capacity * (one != two) for one, two in ((a, b), (b, alpha), (a, alpha))
    )
    change = cost[alpha] - cost[labels, pixel]
    np.add.at(change, tails, tail_only - keep)
    np.add.at(change, heads, -tail_only)
    graph = maxflow.GraphFloat(labels.size, capacity.size)
    graph.add_nodes(labels.size)
    # a node on the sink's side has x = 1: it pays the edge from the source
    graph.add_grid_tedges(pixel, np.maximum(change, 0), np.maximum(-change, 0))
    graph.add_edges(tails, heads, head_only + tail_only - keep, np.zeros_like(keep))
    graph.maxflow()
    return graph.get_grid_segments(pixel)
