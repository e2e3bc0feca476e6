"""The minimum cut as a linear or quadratic program in a layer (chapter 8).

    minimize    sum_p f_p d_sp + b_p d_pt + sum_pq w_pq d_pq + smoothing/2 sum_p (z_p - 1/2)^2
    subject to  d_sp >= 1 - z_p,   d_pt >= z_p,   d_pq >= z_p - z_q,   d_pq >= z_q - z_p,
                d >= 0,   0 <= z <= 1

with f = max(score, 0), b = max(-score, 0). The general machinery of differentiable programs solves
it and differentiates its optimality conditions, at the price of a conic solver: tiny grids only.
"""

from functools import lru_cache

import numpy as np
import torch

from softcut_lib import _checks as check
from softcut_lib.cuts.energy import cut_system
from softcut_lib.cuts.flow import joints


def linear_program_cut(scores, weights, *, offsets=None, smoothing=0.0, tol=1e-9):
    """The cut as a program, solved by cvxpylayers: probabilities with a gradient by KKT conditions.

    With smoothing 0 this is the linear program of the minimum cut: z is the cut (or, between ties,
    a mixture of minimum cuts), constant almost everywhere, so its gradient is 0 almost everywhere.
    With smoothing > 0 it is a quadratic program, z = 1/2 + clip(x / smoothing, -1/2, 1/2) for the
    total variation solution x of the scores, and its gradient says something.

    Args:
        scores: float32 or float64 (B, L, *grid); each label is cut by itself.
        weights: one tensor (B, *edge_shape) >= 0 per offset, shared by all labels.
        offsets: edge directions; the unit offsets if None.
        smoothing: at least 0, in the units of the scores.
        tol: tolerance of the conic solver's gap and feasibility.

    Returns:
        z (B, L, *grid) in [0, 1] up to the tolerance. Computed in float64 on the CPU: 8x8 pixels
        take some milliseconds, 32x32 seconds. Differentiable once.

    Raises:
        ValueError, TypeError: arguments that do not fit.
        ModuleNotFoundError: cvxpylayers is not installed.

    Source: thesis, eqs. 10 and 11; Amos and Kolter 2017; Agrawal et al. 2019.

    Example:
        >>> import torch
        >>> edges = [torch.zeros(1, 0, 2), torch.full((1, 1, 1), 9.0)]
        >>> linear_program_cut(torch.tensor([[[[3.0, -1.0]]]]), edges).round(decimals=4)
        tensor([[[[1., 1.]]]])
    """
    check.on_cpu("scores", scores, "linear_program_cut")
    system = cut_system(scores, weights, offsets)
    number = isinstance(smoothing, int | float) and not isinstance(smoothing, bool)
    if not number or not 0 <= smoothing < float("inf"):
        raise ValueError(f"smoothing must be a finite number of at least 0, got {smoothing!r}")
    check.positive_number("tol", tol)
    program = _program(system.grid, system.offsets, smoothing > 0)
    batch, labels = scores.shape[:2]
    flat = scores.double().flatten(2).flatten(0, 1)
    edges = torch.cat([w.double().reshape(batch, -1) for w in system.weights], 1)
    edges = edges.repeat_interleave(labels, 0) if edges.shape[1] else torch.zeros_like(flat[:, :1])
    given = [flat.clamp(min=0), (-flat).clamp(min=0), edges]
    if smoothing > 0:
        # the objective divided by smoothing / 2: a parameter may only enter it linearly
        given = [2 / smoothing * t for t in given]
    (z,) = program(
        *given, solver_args={"solve_method": "Clarabel", "tol_gap_abs": tol, "tol_gap_rel": tol,
                             "tol_feas": tol},
    )  # fmt: skip
    return z.to(scores.dtype).view(scores.shape)


linear_program_cut.output = "probabilities"


@lru_cache(maxsize=16)
def _program(grid, offsets, smooth):
    """The compiled program of a grid; its parameters are f, b and w."""
    try:
        import cvxpy as cp
        from cvxpylayers.torch import CvxpyLayer
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "linear_program_cut solves with cvxpylayers: pip install 'cvxpylayers>=1.0'"
        ) from error
    tails, heads = joints(grid, offsets)
    pixels, edges = int(np.prod(grid)), len(tails)
    z, d_s, d_t = (cp.Variable(pixels) for _ in range(3))
    f, b = (cp.Parameter(pixels, nonneg=True) for _ in range(2))
    # a grid of one pixel has no edge, but a program needs variables of some size
    d, w = cp.Variable(max(edges, 1)), cp.Parameter(max(edges, 1), nonneg=True)
    cost = f @ d_s + b @ d_t + w @ d
    constraints = [d_s >= 1 - z, d_t >= z, d_s >= 0, d_t >= 0, d >= 0]
    if smooth:  # beyond [0, 1] the square alone would grow
        cost = cost + cp.sum_squares(z - 0.5)
    else:  # the thesis leaves z free; then a pixel that nothing holds is undetermined
        constraints += [z >= 0, z <= 1]
    if edges:
        constraints += [d >= z[tails] - z[heads], d >= z[heads] - z[tails]]
    return CvxpyLayer(cp.Problem(cp.Minimize(cost), constraints), [f, b, w], [z])
