"""Total variation on chains on CUDA: launches for the kernels in kernels_chains.py (chapter 7).

    x = argmin 1/2 ||x - y||^2 + sum_i w_i |x_{i+1} - x_i|    on every chain of every system

A launch solves all chains of one offset for all samples and labels, and what lies between two
launches of the Douglas-Rachford steps are plain tensor operations, so the host sends the 35 steps
off without looking at anything. Arrays are flat, float64, one row for each system.
"""

import functools

import numpy as np
import torch

from softcut_lib.layers import chains
from softcut_lib.layers import kernels_chains as kernels
from softcut_lib.solvers.launch_cuda import current


def on_chains(system, scores, max_iter=None):
    """(x, currents) as `chains.on_chains` has them, without leaving the device."""
    flat = scores.detach().double().flatten(2).flatten(0, 1)
    with current(scores.device):
        families = [
            Family(system.labeled(w).detach(), offset, system.grid, scores.shape)
            for w, offset in zip(system.weights, system.offsets, strict=True)
        ]
        if max_iter is None:
            x, currents = chains.exact_chains(families, flat)
        else:
            start = chains.twice_the_mean(flat).expand_as(flat)
            x, currents = chains.douglas_rachford(families, flat, start, max_iter)
    return x.view(scores.shape), currents


class Family:
    """All chains of one offset in all systems: ``family(y) -> x``, flat (samples x labels, N)."""

    def __init__(self, weights, offset, grid, shape):
        self.offset, self.shape = offset, shape
        placed, self.stride, self.back = chains.laid_out(weights, offset, grid)
        self.weights = placed.double().flatten(2).flatten(0, 1).contiguous()
        self.share = 1 if weights.shape[1] > 1 else shape[1]
        on_host = (*_walks(offset, grid, self.back), chains.lengths_inverse(offset, grid))
        self.starts, self.lengths, self.inverse = (
            torch.from_numpy(t).to(weights.device) for t in on_host
        )

    def __call__(self, y):
        return self._launch(kernels.taut_strings, y, self.inverse, LANES=kernels.LANES)

    def currents(self, v):
        """The dual variables u of the offset's edges, (B, L, *edge_shape), from v = D'u."""
        u = self._launch(kernels.currents, v).view(self.shape)
        return chains.on_edges(u, self.offset, self.back)

    def _launch(self, kernel, values, *more, **constants):
        values = values.contiguous()
        found = torch.empty_like(values)
        systems, pixels = values.shape
        # num_warps=1: the walk is no work for more. Without fused products it rounds as the CPU
        # does, and equal values, and the order that refinement asks for, are the same there.
        kernel[(systems * len(self.starts),)](
            values, self.weights, found, self.starts, self.lengths, *more,
            pixels, len(self.starts), self.stride, self.share,
            **constants, num_warps=1, enable_fp_fusion=False,
        )  # fmt: skip
        return found


@functools.lru_cache(maxsize=64)
def _walks(offset, grid, back):
    """(first pixel, number of pixels) of every chain, walked as `chains.laid_out` says."""
    first, length = np.zeros(grid, bool), np.full(grid, np.prod(grid))
    for along, o, size in zip(np.indices(grid), offset, grid, strict=True):
        if o:
            if (o < 0) != back:  # turned round, so that all chains grow along the axis
                along = size - 1 - along
            first |= along < abs(o)
            length = np.minimum(length, (size - 1 - along) // abs(o) + 1)
    return np.flatnonzero(first), length[first].astype(np.int32)
