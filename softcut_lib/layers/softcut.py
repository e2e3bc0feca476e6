"""The soft cut as a network layer: x = A^-1 scores, differentiable in everything (chapter 4).

Forward: solve A x = scores. Backward: with g = dL/dx and the adjoint lambda = A^-1 g,

    dL/dscores = lambda,   dL/dw_pq = -(lambda_q - lambda_p)(x_q - x_p),   dL/dground = -lambda x.

The backward pass calls `soft_cut` itself, so it can be differentiated again.
"""

from typing import NamedTuple

import torch
from torch import nn

from softcut_lib import _checks as checks
from softcut_lib.grid.edges import jump
from softcut_lib.grid.system import GridSystem
from softcut_lib.solvers.conjugate import CG
from softcut_lib.solvers.interface import warn_unless_converged


def soft_cut(
    scores, weights, *, offsets=None, ground=None, solver=None, adjoint=None, log=None, check=True
):
    """Smooth scores over a resistor grid: the voltages x that solve A x = scores.

    (ground_p + sum_q w_pq) x_p - sum_q w_pq x_q = score_p, the minimum of
    1/2 sum_p ground_p x_p^2 - sum_p score_p x_p + 1/2 sum_pq w_pq (x_p - x_q)^2.

    Args:
        scores: float32 or float64 (B, L, *grid); positive for, negative against the label.
        weights: one tensor per offset, conductances >= 0, (B, *edge_shape) shared by all labels or
            (B, L, *edge_shape). In 2-D: [C (B, h-1, w), R (B, h, w-1)].
        offsets: edge directions; the unit offsets if None.
        ground: conductance to ground, > 0, (B, *grid) or (B, L, *grid); 1 everywhere if None.
        solver: for the forward pass; ``CG()`` if None.
        adjoint: solver for the backward pass; the forward solver if None. A direct solver's factor
            serves both.
        log: called with the `SolveInfo` of every solve, forward and backward.
        check: refuse non-finite scores, negative weights, ground not above 0.

    Returns:
        x (B, L, *grid): real numbers whose sign is the decision, in [min, max] of scores / ground.

    Raises:
        ValueError, TypeError: naming the argument, what was expected and what arrived.
        A `ConvergenceWarning` where a solver missed its tolerance.

    Under autocast half and float32 inputs are computed in float32. A non-finite incoming gradient
    is not refused: that sample's gradients are NaN, as gradient scalers expect.

    Source: thesis, eqs. 14-21.

    Example:
        >>> import torch
        >>> scores = torch.tensor([[[[3.0, 0.0]]]])
        >>> soft_cut(scores, [torch.zeros(1, 0, 2), torch.ones(1, 1, 1)])
        tensor([[[[2., 1.]]]])
    """
    scores, ground, weights = _prepare(scores, ground, weights)
    solver = CG() if solver is None else solver
    system = _system(scores, weights, offsets, ground, check)
    if hasattr(solver, "factor"):
        with torch.no_grad():
            solver = solver.factor(system)
    adjoint = solver if adjoint is None else adjoint
    run = _Run(system.offsets, solver, adjoint, log, "forward")
    return _SoftCut.apply(scores, ground, run, *weights)


class _Run(NamedTuple):
    """The options of one application of the layer, and which pass it belongs to."""

    offsets: tuple
    solver: object
    adjoint: object
    log: object
    name: str


class _SoftCut(torch.autograd.Function):
    @staticmethod
    def forward(scores, ground, run, *weights):
        system = _bare_system(scores, ground, run, weights)
        x, info = run.solver(system, scores)
        if run.log is not None:
            run.log(info)
        warn_unless_converged(run.solver, info, f"soft_cut, {run.name} pass")
        return x

    @staticmethod
    def setup_context(ctx, inputs, output):
        _, ground, ctx.run, *weights = inputs
        ctx.grounded = ground is not None
        ctx.save_for_backward(output, *([ground] if ctx.grounded else []), *weights)

    @staticmethod
    def backward(ctx, gradient):
        x, *weights = ctx.saved_tensors
        ground = weights.pop(0) if ctx.grounded else None
        adjoint = ctx.run.adjoint
        if hasattr(adjoint, "factor"):
            with torch.no_grad():
                adjoint = adjoint.factor(_bare_system(x, ground, ctx.run, weights))
        run = ctx.run._replace(solver=adjoint, adjoint=adjoint, name="backward")
        solution = _SoftCut.apply(gradient, ground, run, *weights)
        to_ground = None
        if ctx.needs_input_grad[1]:
            to_ground = _like(-solution * x, ground)
        to_weights = [
            _like(-jump(solution, offset) * jump(x, offset), w) if needed else None
            for offset, w, needed in zip(
                run.offsets, weights, ctx.needs_input_grad[3:], strict=True
            )
        ]
        return solution, to_ground, None, *to_weights


def _bare_system(scores, ground, run, weights):
    """The system of arguments that have been checked before."""
    return GridSystem(
        weights, offsets=run.offsets, ground=ground, grid=scores.shape[2:], check=False
    )


def _like(gradient, shared):
    """A gradient (B, L, ...) summed over labels where the argument had no label axis."""
    return gradient.sum(1) if shared.dim() < gradient.dim() else gradient


def _prepare(scores, ground, weights):
    """Types of the arguments; under autocast, half precision becomes float32."""
    checks.is_tensor("scores", scores)
    if isinstance(weights, torch.Tensor) or not isinstance(weights, tuple | list):
        raise TypeError(
            "weights must be a list with one tensor per offset, such as [C, R] in 2-D, got "
            f"{type(weights).__name__}"
        )
    for k, w in enumerate(weights):
        checks.is_tensor(f"weights[{k}]", w)
    if torch.is_autocast_enabled(scores.device.type):
        scores, weights = _widen(scores), [_widen(w) for w in weights]
        ground = None if ground is None else _widen(ground)
    return scores, ground, tuple(weights)


def _widen(tensor):
    half = tensor.dtype in (torch.float16, torch.bfloat16)
    return tensor.float() if half else tensor


def _system(scores, weights, offsets, ground, check):
    """The checked system of these arguments."""
    checks.floating("scores", scores)
    dim = len(weights) if offsets is None else len(offsets[0]) if len(offsets) else 1
    if scores.dim() != dim + 2:
        raise ValueError(
            f"scores must have shape (B, L, *grid) with {dim} grid axes, as many as the offsets "
            f"have, got shape {tuple(scores.shape)}; a single label still needs its axis: "
            "scores[:, None]"
        )
    if scores.numel() == 0:
        raise ValueError(
            "scores must hold at least one sample, label and pixel, got shape "
            f"{tuple(scores.shape)}"
        )
    if not weights:
        raise ValueError("weights must hold at least one edge tensor, got an empty list")
    checks.same_kind("weights[0]", weights[0], "scores", scores)
    if weights[0].dim() and weights[0].shape[0] != scores.shape[0]:
        raise ValueError(
            f"weights must have the batch size of scores, {scores.shape[0]}, got "
            f"{weights[0].shape[0]}"
        )
    system = GridSystem(weights, offsets=offsets, ground=ground, grid=scores.shape[2:], check=check)
    if system.labels not in (None, scores.shape[1]):
        raise ValueError(
            f"weights and ground with a label axis must have {scores.shape[1]} labels as scores "
            f"do, got {system.labels}"
        )
    if check:
        checks.finite("scores", scores)
        checks.at_least_zero("ground", system.ground, strict=True)
    return system


class SoftCut(nn.Module):
    """`soft_cut` with its options stored, called as ``cut(scores, weights)``.

    Args:
        offsets, solver, adjoint, log, check: as for `soft_cut`.
        ground: a positive number, the same at every pixel; 1 in the thesis.

    Raises:
        ValueError: ground is not a positive number.

    Source: thesis, section 2.

    Example:
        >>> import torch
        >>> cut = SoftCut()
        >>> cut(torch.tensor([[[[3.0, 0.0]]]]), [torch.zeros(1, 0, 2), torch.ones(1, 1, 1)])
        tensor([[[[2., 1.]]]])
    """

    output = "scores"

    def __init__(
        self, *, offsets=None, ground=None, solver=None, adjoint=None, log=None, check=True
    ):
        super().__init__()
        self.offsets, self.ground = offsets, ground
        self.solver, self.adjoint, self.log, self.check = solver, adjoint, log, check
        if ground is not None:
            checks.positive_number("ground", ground)

    def forward(self, scores, weights):
        ground = self.ground
        if ground is not None:
            checks.is_tensor("scores", scores)
            ground = torch.full_like(scores[:, 0], ground)
        return soft_cut(
            scores, weights, offsets=self.offsets, ground=ground, solver=self.solver,
            adjoint=self.adjoint, log=self.log, check=self.check,
        )  # fmt: skip

    def extra_repr(self):
        names = ("offsets", "ground", "solver", "adjoint")
        return ", ".join(f"{name}={getattr(self, name)}" for name in names)
