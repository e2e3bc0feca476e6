"""Multigrid: conjugate gradients preconditioned by a V-cycle on coarse circuits (chapter 6).

Smoothing removes what differs from pixel to pixel; what is left varies slowly, so a circuit with
fewer nodes can carry it. With P from coarse to fine and A_c = P' A P, one cycle z = V r is

    z = smooth(r),      z += P V_c P' (r - A z),      z += smooth(r - A z).

P comes from the circuit itself ("conducting": levels.py; Dendy 1982), so that it does not average
across a cut, or just copies a node's voltage to its pixels ("soldered": grid/coarse.py). Here is
the readable kernel, for any dimension, offsets and device; kernels_cycles.py is the fused one.
"""

from dataclasses import dataclass

import torch

from softcut_lib import _checks as check
from softcut_lib.solvers.interface import SolveInfo, fits, inner, lengths_of, relative_residual
from softcut_lib.solvers.levels import hierarchy


@dataclass(frozen=True, kw_only=True)
class Multigrid:
    """Conjugate gradients, preconditioned by one V-cycle.

    The number of steps stays nearly the same whatever the grid's size, and small at strong
    contrast, where `CG` needs hundreds. A fused step costs about eleven of fused `CG` on every
    pixel, building the coarse circuits about thirty: on mild weights (conductances near the
    ground's) `CG` is faster. On a GPU plain tensor operations are thousands of launches, and
    `CG` is far faster. Stopping and convergence are as in `CG`: ||r|| <= tol ||rhs|| for each
    sample and label.

    Args:
        tol: relative tolerance, > 0.
        max_iter: most steps.
        coarse: "conducting", coarse circuits that follow the conductances, or "soldered", where
            2^d pixels become one node (see `GridSystem.coarsen`; the teaching form, more steps).
        accept: max_iter is a budget: never warn.
        kernel: "fused" (numba; CPU, 1-D and 2-D grids with links to the 8 neighbors, conducting),
            "torch" (plain tensor operations: any device, dimension and offsets; a weaker smoother,
            so more steps), or "auto": fused where it applies, else torch.

    Raises:
        ValueError: unknown option, or kernel="fused" for a system that it cannot take.

    Source: Brandt 1977; Dendy 1982 for the interpolation.

    Example:
        >>> import torch
        >>> from softcut_lib import GridSystem
        >>> system = GridSystem([torch.tensor([[1.0]])])
        >>> x, info = Multigrid(kernel="torch")(system, torch.tensor([[[3.0, 0.0]]]))
        >>> x.round(decimals=4)
        tensor([[[2., 1.]]])
    """

    tol: float = 1e-5
    max_iter: int = 200
    coarse: str = "conducting"
    accept: bool = False
    kernel: str = "auto"

    def __post_init__(self):
        check.positive_number("tol", self.tol)
        check.positive_integer("max_iter", self.max_iter)
        check.one_of("coarse", self.coarse, ("conducting", "soldered"))
        check.one_of("accept", self.accept, (True, False))
        check.one_of("kernel", self.kernel, ("auto", "torch", "fused"))

    def __call__(self, system, rhs):
        fits(system, rhs)
        kernel = self._kernel(system)
        with torch.no_grad():
            x = torch.zeros(rhs.shape, dtype=rhs.dtype, device=rhs.device)
            if kernel == "fused":
                from softcut_lib.solvers.kernels_cycles import run

                steps, squares, *lengths = run(system, rhs, x, self)
            else:
                steps, squares = _run_torch(system, rhs, x, self)
                lengths = lengths_of(system, rhs, x)
            return x, self._info(kernel, steps, squares, lengths, rhs)

    def precondition(self, system, r):
        """One V-cycle from zero, z = V r; r and z are (B, L, *grid). V is symmetric, positive."""
        fits(system, r)
        with torch.no_grad():
            if self._kernel(system) == "torch":
                return v_cycle(hierarchy(system, self.coarse), r)
            from softcut_lib.solvers.kernels_cycles import one_cycle

            return one_cycle(system, r)

    def _kernel(self, system):
        """ "torch" or "fused", whichever is wanted and can be had."""
        from softcut_lib.solvers.kernels_hierarchy import fused_grid

        reasons = [
            (self.coarse != "conducting", f'coarse="{self.coarse}"'),
            (system.device.type != "cpu", f"tensors on {system.device}"),
            (fused_grid(system) is None, f"the offsets {system.offsets} on the grid {system.grid}"),
        ]
        reason = next((text for applies, text in reasons if applies), None)
        if self.kernel == "fused" and reason:
            raise ValueError(
                'kernel="fused" takes coarse="conducting" on the CPU, in 1-D and in 2-D with links '
                f'to the 8 neighbors, got {reason}; use kernel="auto" or "torch"'
            )
        return "torch" if self.kernel == "torch" or reason else "fused"

    def _info(self, kernel, steps, squares, lengths, rhs):
        history = squares.sqrt() / torch.where(lengths[2] == 0, 1, lengths[2])
        residual, rounding = relative_residual(*lengths, torch.finfo(rhs.dtype).eps)
        # as in CG: where the recurrence has converged, x is as good as this precision's A x tells
        rounding = torch.where(history[-1] <= self.tol, rounding, rounding.clamp(max=0.01))
        return SolveInfo(
            solver=type(self).__name__,
            kernel=kernel,
            iterations=steps,
            residual=residual,
            converged=residual <= self.tol + rounding,
            history=history,
        )


def v_cycle(levels, r):
    """z = V r, r on the grid of the first of these levels."""
    level, *below = levels
    z = level.smooth(r)
    if below:
        z = z + level.prolong(v_cycle(below, level.restrict(r - level.system @ z)))
        z = z + level.smooth(r - level.system @ z)
    return z


def _run_torch(system, rhs, x, options):
    """The reference kernel: x is zero and becomes the answer.

    Returns (steps (B, L), squared residual norms (steps + 1, B, L)).
    """
    levels = hierarchy(system, options.coarse)
    r, p, q = rhs, torch.zeros_like(rhs), torch.zeros_like(rhs)
    square = inner(r, r)
    target, curvature = options.tol**2 * square, torch.ones_like(square)
    steps, history = torch.zeros_like(square, dtype=torch.long), [square]
    # a system that is done takes steps of length 0, so that its answer no longer changes
    active = square > target
    while len(history) <= options.max_iter and bool(active.any()):
        z = v_cycle(levels, r)
        beta = -inner(z, q) / curvature  # z + beta p is conjugate to p, even after rounding in V
        p = z + beta.to(r) * p
        q = system @ p
        curvature = inner(p, q)
        active = active & (curvature != 0) & ~(curvature < 0)
        curvature = torch.where(active, curvature, 1)
        step = torch.where(active, inner(p, r) / curvature, 0)
        x += step.to(x) * p
        r = r - step.to(r) * q
        square = torch.where(active, inner(r, r), square)
        history.append(square)
        steps += active
        active = active & (square > target)
    x.masked_fill_(~square.isfinite(), float("nan"))
    shape = rhs.shape[:2]
    return steps.view(shape), torch.stack(history).view(-1, *shape)
