"""The soft cut as a network layer: x = A^-1 scores, differentiable in everything (chapter 4).

Forward: solve A x = scores. Backward: with g = dL/dx and the adjoint lambda = A^-1 g,

    dL/dscores = lambda,   dL/dw_pq = -(lambda_q - lambda_p)(x_q - x_p),   dL/dground = -lambda x.

The backward pass applies the layer itself, so it can be differentiated again.
"""

from typing import NamedTuple

import torch
from torch import nn

from softcut_lib import _checks as checks
from softcut_lib.layers import arguments, batching, operator
from softcut_lib.layers.passes import answer, gradients
from softcut_lib.solvers.conjugate import CG
from softcut_lib.solvers.interface import is_solver


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
        log: called with the `SolveInfo` of every solve, forward and backward; eager mode only.
        check: refuse non-finite scores, negative weights, ground not above 0.

    Returns:
        x (B, L, *grid): real numbers whose sign is the decision, in [min, max] of scores / ground.

    Raises:
        ValueError, TypeError: naming the argument, what was expected and what arrived.
        RuntimeError: forward-mode differentiation (torch.func.jvp, jacfwd).
        A `ConvergenceWarning` where a solver missed its tolerance.

    Inside torch.compile and torch.export the solver must be one of the library's and log None;
    values are checked and warnings issued when the graph runs, and a direct solver factors once in
    each pass. torch.func.vmap folds its axis into the batch, so it refuses stop="published", whose
    answers depend on the batch.

    Under autocast half and float32 inputs are computed in float32. A non-finite incoming gradient
    is not refused: that sample's gradients are NaN, as gradient scalers expect.

    Source: thesis, eqs. 14-21.

    Example:
        >>> import torch
        >>> scores = torch.tensor([[[[3.0, 0.0]]]])
        >>> soft_cut(scores, [torch.zeros(1, 0, 2), torch.ones(1, 1, 1)])
        tensor([[[[2., 1.]]]])
    """
    scores, ground, weights = arguments.prepare(scores, ground, weights)
    offsets = arguments.check_shapes(scores, ground, weights, offsets)
    solver = CG() if solver is None else solver
    if operator.recording(scores):
        return operator.record(scores, ground, weights, offsets, solver, adjoint, log, check)
    _are_solvers(solver, adjoint)
    solver = _Kept(solver)
    adjoint = solver if adjoint is None else _Kept(adjoint)
    run = _Run(offsets, solver, adjoint, log, "forward", check)
    return _SoftCut.apply(scores, ground, run, *weights)


def _are_solvers(solver, adjoint):
    for name, value in (("solver", solver), ("adjoint", adjoint)):
        if value is not None:
            is_solver(name, value)


class _Kept:
    """A solver that makes once what serves every pass: a direct solver's factor, `CG.prepare`."""

    def __init__(self, solver):
        self.solver, self.made, self.form = solver, None, None
        self.make = getattr(solver, "factor", None) or getattr(solver, "prepare", None)
        self.accept = getattr(solver, "accept", False)

    def __call__(self, system, rhs):
        if self.make is None:
            return self.solver(system, rhs)
        # vmap may repeat the circuits of the forward pass in the backward pass: then those count
        if self.form != (system.batch, system.labels):
            self.made, self.form = self.make(system), (system.batch, system.labels)
        return self.made(system, rhs)


class _Run(NamedTuple):
    """The options of one application of the layer, and which pass it belongs to."""

    offsets: tuple
    solver: _Kept
    adjoint: _Kept
    log: object
    name: str
    check: bool


class _SoftCut(torch.autograd.Function):
    @staticmethod
    def forward(scores, ground, run, *weights):
        x, info = answer(scores, ground, weights, run.offsets, run.solver, run.name, run.check)
        if run.log is not None:
            run.log(info)
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
        run = ctx.run._replace(solver=ctx.run.adjoint, name="backward", check=False)
        solution = _SoftCut.apply(gradient, ground, run, *weights)
        needed = (ctx.needs_input_grad[1], *ctx.needs_input_grad[3:])
        to_ground, to_weights = gradients(solution, x, ground, weights, run.offsets, needed)
        return solution, to_ground, None, *to_weights

    # the transforms of torch.func, jacrev among them, call this with their axis in place
    @staticmethod
    def vmap(info, axes, scores, ground, run, *weights):
        batching.refuse_batch_rules(run.solver.solver, run.adjoint.solver)
        scores, ground, weights, unfold = batching.fold(
            info.batch_size, (*axes[:2], *axes[3:]), scores, ground, weights
        )
        return unfold(_SoftCut.apply(scores, ground, run, *weights))

    jvp = staticmethod(batching.refuse_forward_mode("soft_cut"))


class SoftCut(nn.Module):
    """`soft_cut` with its options stored, called as ``cut(scores, weights)``.

    Args:
        offsets, solver, adjoint, log, check: as for `soft_cut`.
        ground: a positive number, the same at every pixel; 1 in the thesis.

    Raises:
        ValueError, TypeError: ground is not a positive number, solver or adjoint no solver.

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
        _are_solvers(solver, adjoint)

    def forward(self, scores, weights):
        ground = self.ground
        if ground is not None:
            checks.grid_axes("scores", scores, 3)
            # widened first: half precision would cost the number its digits
            ground = torch.full_like(arguments.widen(scores[:, 0]), ground)
        return soft_cut(
            scores, weights, offsets=self.offsets, ground=ground, solver=self.solver,
            adjoint=self.adjoint, log=self.log, check=self.check,
        )  # fmt: skip

    def extra_repr(self):
        names = ("offsets", "ground", "solver", "adjoint")
        return ", ".join(f"{name}={getattr(self, name)}" for name in names)
