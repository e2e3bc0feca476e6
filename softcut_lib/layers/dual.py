"""Total variation by accelerated steps on its dual, in plain tensor operations (chapter 7).

    max over |u_pq| <= w_pq of  1/2 ||z||^2 - 1/2 ||z - D'u||^2,        x = z - D'u.

u is the current that an edge carries; it may not exceed the weight. Projected gradient steps of
length 1 / ||D D'|| with momentum, which starts anew whenever it points uphill, work on every
device, grid and batch. Each check bounds the error by the duality gap.
"""

import torch

from softcut_lib.grid.edges import jump, spread
from softcut_lib.layers.isotonic import refine_order

CHECK_EVERY = 50


def dual_ascent(scores, weights, offsets, *, tol, max_iter, refine):
    """(x, steps, gap), each sample and label stopping on its own where sqrt(2 gap) <= tol ||z||.

    scores (B, L, *grid) and weights (B, 1 or L, *edge_shape) are float64 on one device.
    """
    grid, per_pixel = scores.shape[2:], (..., *(None,) * len(offsets[0]))
    weights = [w.expand(*scores.shape[:2], *w.shape[2:]) for w in weights]
    norm = scores.flatten(2).norm(dim=2)
    answer, gap = scores.clone(), torch.full_like(norm, torch.inf)
    steps = torch.zeros_like(norm, dtype=torch.long)
    running = torch.ones_like(steps, dtype=torch.bool)
    ahead = current = [torch.zeros_like(w) for w in weights]
    momentum = torch.ones_like(norm)
    for k in range(1, max_iter + 1):
        x = _primal(scores, ahead, offsets, grid)
        # D D' has the eigenvalues of the Laplacian, at most 2 x (neighbors) = 4 x (offsets)
        new = [
            torch.minimum(torch.maximum(u + jump(x, o) / (4 * len(offsets)), -w), w)
            for u, o, w in zip(ahead, offsets, weights)
        ]
        uphill = sum(((a - n) * (n - u)).flatten(2).sum(2) for a, n, u in zip(ahead, new, current))
        momentum = torch.where(uphill > 0, 1.0, momentum)
        grown = (1 + (1 + 4 * momentum.square()).sqrt()) / 2
        push = ((momentum - 1) / grown)[per_pixel]
        ahead = [n + push * (n - u) for n, u in zip(new, current)]
        current, momentum = new, grown
        if k % CHECK_EVERY == 0 or k == max_iter:
            x = _primal(scores, current, offsets, grid)
            if refine:
                x = refine_order(x, scores, weights, offsets)
            reached = duality_gap(x, scores, current, weights, offsets)
            answer = torch.where(running[per_pixel], x, answer)
            gap, steps = torch.where(running, reached, gap), torch.where(running, k, steps)
            running = running & ((2 * gap).sqrt() > tol * norm)
            if not bool(running.any()):
                break
    return answer, steps, gap


def _primal(scores, currents, offsets, grid):
    x = scores
    for u, offset in zip(currents, offsets, strict=True):
        x = x - spread(u, offset, grid)
    return x


def duality_gap(x, scores, currents, weights, offsets):
    """P(x) - Q(u) = 1/2 ||x - (z - D'u)||^2 + sum (w |Dx| - u Dx), each term >= 0, (B, L).

    `weights` have a label axis. As P is strongly convex, ||x - x*||^2 <= 2 gap.
    """
    point = _primal(scores, currents, offsets, scores.shape[2:])
    gap = (x - point).square().flatten(2).sum(2) / 2
    for u, w, offset in zip(currents, weights, offsets, strict=True):
        drop = jump(x, offset)
        gap = gap + (w * drop.abs() - u * drop).flatten(2).sum(2)
    return gap
