"""The soft cut as a distribution: draw voltages instead of settling on their mean (chapter 16).

With the energy E(x) = 1/2 x'Ax - scores'x, the density proportional to exp(-E) is a Gaussian of
mean A^-1 scores and covariance A^-1. Let every resistor and every ground speak with noise of its
own, and settle:

    x = A^-1 (scores + sqrt(ground) e_0 + sum_k D_k' sqrt(w_k) e_k),        e standard normal.

The noise has covariance diag(ground) + sum_k D_k' diag(w_k) D_k = A, so x has A^-1 A A^-1.
"""

import torch

from softcut_lib import _checks as checks
from softcut_lib.grid.edges import spread
from softcut_lib.grid.system import GridSystem
from softcut_lib.layers import arguments
from softcut_lib.solvers.conjugate import CG
from softcut_lib.solvers.interface import is_solver, solve


def sample_soft_cut(
    scores, weights, *, num_samples, offsets=None, ground=None, solver=None, generator=None
):
    """Independent samples of the Gaussian whose mean is the soft cut.

    x = A^-1 (scores + noise), cov(noise) = A: one solve each, on any grid, by any solver.

    Args:
        scores: float32 or float64 (B, L, *grid), as in `soft_cut`.
        weights: conductances >= 0, as in `soft_cut`; shared by all labels or one set for each.
        num_samples: M, at least 1.
        offsets: edge directions; the unit offsets if None.
        ground: conductance to ground, > 0; 1 everywhere if None.
        solver: ``CG()`` if None. A direct solver factors once for all samples. An iterative one
            leaves each sample an error of its tolerance.
        generator: `torch.Generator` on the scores' device; PyTorch's own if None.

    Returns:
        (M, B, L, *grid). No gradient: the density's slopes in the conductances are means over
        samples, d log p(y) / dw_pq = 1/2 E[(x_p - x_q)^2] - 1/2 (y_p - y_q)^2 for scores 0.

    Raises:
        ValueError, TypeError: naming the argument, what was expected and what arrived.
        A `ConvergenceWarning` where the solver missed its tolerance.

    Source: Papandreou and Yuille 2010, Gaussian sampling by local perturbations.

    Example:
        >>> import torch
        >>> generator = torch.Generator().manual_seed(0)
        >>> scores, weights = torch.zeros(1, 1, 1, 2), [torch.zeros(1, 0, 2), torch.ones(1, 1, 1)]
        >>> x = sample_soft_cut(scores, weights, num_samples=5000, generator=generator)
        >>> x.var(0).flatten().round(decimals=1)  # A = [[2, -1], [-1, 2]]; of A^-1 the 2/3
        tensor([0.7000, 0.7000])
    """
    checks.positive_integer("num_samples", num_samples)
    solver = CG() if solver is None else solver
    is_solver("solver", solver)
    with torch.no_grad():
        scores, ground, weights = arguments.prepare(scores, ground, weights)
        offsets = arguments.check_shapes(scores, ground, weights, offsets)
        arguments.check_values(scores, ground, weights)
        system = GridSystem(
            weights, offsets=offsets, ground=ground, grid=scores.shape[2:], check=False
        )
        currents = scores + circuit_noise(system, (num_samples, *scores.shape), generator)
        if system.labels is None:
            # all samples are right-hand sides of the same B matrices
            folded = currents.transpose(0, 1).flatten(1, 2)
            x = solve(system, folded, solver)[0].unflatten(1, (num_samples, scores.shape[1]))
            return x.transpose(0, 1).contiguous()
        make = getattr(solver, "factor", None)
        solver = make(system) if make else solver
        return torch.stack([solve(system, one, solver)[0] for one in currents])


def circuit_noise(system, shape, generator=None):
    """Currents (M, B, L, *grid) of covariance A: sqrt(ground) e_0 + sum_k D_k' sqrt(w_k) e_k."""

    def draw(shape):
        kind = {"dtype": system.dtype, "device": system.device}
        return torch.randn(shape, generator=generator, **kind)

    noise = system.labeled(system.ground).sqrt() * draw(shape)
    for w, offset in zip(system.weights, system.offsets, strict=True):
        w = system.labeled(w)
        along = w.sqrt() * draw((*shape[:3], *w.shape[2:]))
        noise = noise + spread(along, offset, system.grid)
    return noise
