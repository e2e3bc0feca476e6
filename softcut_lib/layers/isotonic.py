"""Isotonic refinement of an approximate total variation solution (chapter 7).

An approximate solution says little about the values, and much about their order. Once the order of
the pixels is known, sum w |x_p - x_q| is linear: every edge adds w to its higher and subtracts it
from its lower pixel. What is left is

    min 1/2 ||x - (z - D'(w sign))||^2   subject to x growing in that order,

an isotonic regression, which pools neighbors of the order that would fall into one mean. If the
order is that of the exact solution, so is the result.
"""

import numpy as np
import torch

from softcut_lib.grid.edges import jump, spread
from softcut_lib.solvers.compiling import compiled


@compiled()
def _pool(y, x, slack):
    """x = the nearest growing sequence to y, each block's values equal to the bit."""
    mean, size = np.empty(y.size), np.empty(y.size, np.int64)
    last = -1
    for value in y:
        last += 1
        mean[last], size[last] = value, 1
        while last > 0 and mean[last - 1] >= mean[last] - slack:
            both = size[last - 1] + size[last]
            mean[last - 1] += (mean[last] - mean[last - 1]) * (size[last] / both)
            size[last - 1] = both
            last -= 1
    end = 0
    for k in range(last + 1):
        x[end : end + size[k]] = mean[k]
        end += size[k]


def isotonic_regression(y):
    """The non-decreasing sequence nearest to y, by pooling adjacent violators.

    x = argmin 1/2 ||x - y||^2 subject to x_1 <= x_2 <= ... <= x_n.

    Args:
        y: float64 (..., n), any number of sequences.

    Returns:
        Tensor like y; within a pooled block all values are equal to the last bit.

    Source: thesis, Fig. 5; linear time.

    Example:
        >>> import torch
        >>> from softcut_lib.layers.isotonic import isotonic_regression
        >>> isotonic_regression(torch.tensor([1.0, 3.0, 2.0, 4.0], dtype=torch.float64))
        tensor([1.0000, 2.5000, 2.5000, 4.0000], dtype=torch.float64)
    """
    rows = y.detach().cpu().contiguous().view(-1, y.shape[-1]).numpy()
    x = np.empty_like(rows)
    for row, out in zip(rows, x, strict=True):
        _pool(row, out, 0.0)
    return torch.from_numpy(x).view(y.shape).to(y.device)


def refine_order(x, scores, weights, offsets):
    """The best x' whose pixels stand in the order of x, float64 (B, L, *grid).

    `weights` have a label axis; x, scores and weights are float64 on one device.
    """
    order = x.flatten(2).argsort(dim=2, stable=True)
    place = torch.arange(order.shape[2], device=x.device, dtype=x.dtype).expand(order.shape)
    rank = torch.empty_like(x.flatten(2)).scatter_(2, order, place).view(x.shape)
    target = scores
    for w, offset in zip(weights, offsets, strict=True):
        target = target - spread(w * jump(rank, offset).sign(), offset, x.shape[2:])
    sorted_target = target.flatten(2).gather(2, order)
    pooled = isotonic_regression(sorted_target)
    return torch.empty_like(pooled).scatter_(2, order, pooled).view(x.shape)
