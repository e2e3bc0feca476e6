"""What every solver promises: called as ``solver(system, rhs)``, it returns ``(x, info)``.

A solver is a small frozen dataclass that holds its options. Any callable of the same form plugs
in, so a reader's own solver works wherever the library's do (chapters 3 and 5).
"""

import warnings
from dataclasses import dataclass

import torch

from softcut_lib import _checks as check
from softcut_lib.grid.system import GridSystem


class ConvergenceWarning(UserWarning):
    """A solver stopped before it reached its tolerance."""


@dataclass(frozen=True)
class SolveInfo:
    """What a solve did.

    Attributes:
        solver: the solver's name.
        kernel: the code that ran: "torch", "fused", "fused, red-black" (`CG` on every second
            pixel), "superlu".
        iterations: long (B, L), steps taken; 0 for direct solvers.
        residual: float64 (B, L), the true relative residual ||rhs - A x|| / ||rhs||.
        converged: bool (B, L).
        history: float64 (steps + 1, B, L), the solver's own relative residual after each step (a
            finished system keeps its last value); None where there are no steps.
    """

    solver: str
    kernel: str
    iterations: torch.Tensor
    residual: torch.Tensor
    converged: torch.Tensor
    history: torch.Tensor | None = None


def solve(system, rhs, solver=None):
    """Solve A x = rhs for every sample and label.

    Args:
        system: a `GridSystem` of grid (n_1, ..., n_d) and batch B.
        rhs: (B, L, *grid), the dtype and device of the system.
        solver: any callable ``(system, rhs) -> (x, info)``; ``CG()`` if None. The same as
            ``solver(system, rhs)``, with the arguments checked and a warning where it is due.

    Returns:
        (x, info): x like rhs, and a `SolveInfo`. Nothing is recorded for autograd; the
        differentiable form is `soft_cut`.

    Raises:
        ValueError, TypeError: rhs does not fit the system, or solver is none.
        A `ConvergenceWarning` is issued where the solver missed its tolerance.

    Source: thesis, eq. 14.

    Example:
        >>> import torch
        >>> system = GridSystem([torch.tensor([[1.0]])])
        >>> x, info = solve(system, torch.tensor([[[3.0, 0.0]]]))
        >>> x
        tensor([[[2., 1.]]])
    """
    if solver is None:
        from softcut_lib.solvers.conjugate import CG

        solver = CG()
    is_solver("solver", solver)
    fits(system, rhs)
    with torch.no_grad():
        x, info = solver(system, rhs)
    warn_unless_converged(solver, info, "solve")
    return x, info


def is_solver(name, value):
    """Refuse what cannot be called as ``value(system, rhs)``, a class among it."""
    if isinstance(value, type):
        raise TypeError(f"{name} must be a solver, got a class; make one of it, {value.__name__}()")
    if not callable(value):
        raise TypeError(
            f"{name} must be a solver, such as CG() or Multigrid(), or a function (system, rhs) -> "
            f"(x, info), got {value!r}"
        )


def fits(system, rhs):
    """Refuse a right-hand side that does not belong to the system."""
    if not isinstance(system, GridSystem):
        raise TypeError(f"system must be a GridSystem, got {type(system).__name__}")
    check.floating("rhs", rhs)
    check.same_kind("rhs", rhs, "the system", system.ground)
    shape = tuple(rhs.shape)
    check.not_empty("rhs", rhs)
    if len(shape) != 2 + len(system.grid) or (shape[0], *shape[2:]) != (system.batch, *system.grid):
        raise ValueError(
            f"rhs must have shape (B, L, *grid) with B = {system.batch} and grid = {system.grid}, "
            f"got {shape}"
        )
    if system.labels not in (None, shape[1]):
        raise ValueError(
            f"rhs must have as many labels as the system, {system.labels}, got {shape[1]}"
        )


def warn_unless_converged(solver, info, what):
    """Issue one `ConvergenceWarning` for the systems that missed their tolerance."""
    if getattr(solver, "accept", False) or bool(info.converged.all()):
        return
    missed = ~info.converged
    if bool(info.residual[missed].isnan().all()):
        return  # a right-hand side that is not finite: so is the answer, which speaks for itself
    worst = float(info.residual[missed].nan_to_num(0).max())
    warnings.warn(
        f"{what}: {info.solver} left {int(missed.sum())} of {missed.numel()} systems unsolved "
        f"after {int(info.iterations.max())} steps, worst relative residual {worst:.1e}; raise "
        "max_iter or tol, use float64 or a direct solver such as SuperLU(), or state a budget with "
        "accept=True",
        ConvergenceWarning,
        stacklevel=3,
    )


def belongs(system, made_from):
    """Refuse a system of another form than the one that a factor was made from."""
    for form in ("grid", "offsets", "batch", "labels"):
        if getattr(system, form) != getattr(made_from, form):
            raise ValueError(
                f"a factor or prepared solver solves the system it was made from, {made_from}, got "
                f"{system}; make it again from this one"
            )


class MadeFrom:
    """The system that something was prepared from; `check` refuses any other."""

    def __init__(self, system):
        self.system, self._versions = system, _versions(system)

    def check(self, system):
        """Refuse another form or other weights: one comparison, none for the same tensors."""
        belongs(system, self.system)
        pairs = zip(_tensors(self.system), _tensors(system), strict=True)
        differ = [
            (self.system.labeled(a) != system.labeled(b)).any() for a, b in pairs if a is not b
        ]
        changed = _versions(self.system) != self._versions
        if changed or (differ and bool(torch.stack(differ).any())):
            raise ValueError(
                "a factor or prepared solver solves the system it was made from; these weights or "
                "ground have other values, or were changed in place since: make it again from them"
            )


def _tensors(system):
    return (system.ground, *system.weights)


def _versions(system):
    """How often each tensor has been changed in place; tensors of inference mode do not count."""
    return [None if t.is_inference() else t._version for t in _tensors(system)]


def direct_info(solver, kernel, system, rhs, x):
    """The `SolveInfo` of a direct solve: no steps, and a residual that is all rounding."""
    residual, rounding = true_residual(system, rhs, x)
    return SolveInfo(
        solver=solver,
        kernel=kernel,
        iterations=torch.zeros(rhs.shape[:2], dtype=torch.long, device=rhs.device),
        residual=residual,
        converged=residual <= rounding.clamp(min=64 * torch.finfo(rhs.dtype).eps),
    )


def inner(a, b):
    """<a, b> per sample and label, float64, shaped to multiply (B, L, *grid).

    The products are float64 too: in float32 they leave its range for a, b of 1e20 or 1e-23.
    """
    return (a.double() * b).sum(tuple(range(2, a.dim())), keepdim=True)


def norms(x):
    """2-norm of each sample and label, float64 (B, L)."""
    return x.flatten(2).double().norm(dim=2)


def true_residual(system, rhs, x):
    """(relative residual, what rounding alone may leave of it), each float64 (B, L); 0 for rhs 0.

    No x in this precision does better than a few eps ||A||_inf ||x||. An x of which more than one
    part in a hundred is missing is no answer, whatever its norm.
    """
    lengths = lengths_of(system, rhs, x)
    residual, rounding = relative_residual(*lengths, torch.finfo(rhs.dtype).eps)
    return residual, rounding.clamp(max=0.01)


def lengths_of(system, rhs, x):
    """||rhs - A x||, ||x||, ||rhs|| and ||A||_inf of each sample and label, float64 (B, L)."""
    # row sums of |A|: the off-diagonal entries of a row add up to its diagonal minus the ground
    rows = (2 * system.diagonal() - system.labeled(system.ground)).flatten(2).amax(2).double()
    return norms(rhs - system @ x), norms(x), norms(rhs), rows


def relative_residual(residual, answer, size, rows, eps):
    """(||rhs - A x||, 8 eps ||A||_inf ||x||) / ||rhs||, from ||rhs - A x||, ||x||, ||rhs||, ||A||.

    The second is how much an x of precision eps may miss: it solves a system that differs from A
    by a few eps. The residual is 0 where rhs is, infinite where x is not finite, NaN where rhs is.
    """
    scale = torch.where(size == 0, 1, size)
    relative = torch.where(size.isfinite(), (residual / scale).nan_to_num(torch.inf), torch.nan)
    return relative, 8 * eps * rows * answer / scale
