"""Conjugate gradients for the grid system, batched over samples and labels (chapter 5).

Each step moves along a direction p conjugate to all earlier ones:

    alpha = <r, M r> / <p, A p>,   x += alpha p,   r -= alpha A p,
    beta = <r, M r> / <r, M r>_before,   p = M r + beta p,

with M = 1 / diag(A) ("jacobi") or the identity. (The thesis' Algorithm 2 prints the last line with
a minus; the sign is plus.) `_run_torch` below is the readable reference, on any device; the fused
kernels in kernels_cpu.py and kernels_cuda.py do the same in two passes over memory.
"""

import importlib.util
from dataclasses import dataclass

import torch

from softcut_lib import _checks as check
from softcut_lib.solvers.interface import (
    MadeFrom,
    SolveInfo,
    fits,
    inner,
    lengths_of,
    relative_residual,
)


@dataclass(frozen=True, kw_only=True)
class CG:
    """Conjugate gradients, preconditioned by the diagonal.

    Stops each sample and label when ||r|| <= tol ||rhs||; its answer does not depend on the rest
    of the batch, nor (kernel="fused" on the CPU, to the last bit) on the number of threads.

    The r of the recurrence drifts from the true residual rhs - A x, which no x in this precision
    brings below a few eps ||A|| ||x||. A system counts as converged when the true residual is at
    most tol ||rhs|| + 8 eps ||A||_inf ||x||; where the recurrence has not reached tol, rounding
    excuses no more than 0.01 ||rhs||. Under conductances of 1e6 and more that term may exceed
    ||rhs|| in float32 while x is right to 1e-5: products are made of differences x_i - x_j, so
    they keep the ground, and what rounding leaves in r is nearly all in currents along strong
    edges, which move x by no more than its own last digits.

    On the CPU, 2-D grids with 4 neighbors are halved first (red_black): every second pixel is
    eliminated, which leaves the same answer, half the unknowns and about half the steps or
    fewer. The steps and the history are then those of the halved circuit; the tolerance and the
    residual speak of the whole one.

    The fused CPU kernel holds K weight arrays for each matrix (K offsets) and 6 arrays of the
    grid's size for each system that runs, x and its ground included. It is compiled at its first
    call on a machine, with a line on stderr unless SOFTCUT_QUIET=1 is in the environment.

    Args:
        tol: relative tolerance, > 0 (with stop="published": absolute, per pixel of the batch).
        max_iter: most steps.
        preconditioner: "jacobi" or None.
        start: "zero" or "rhs", the first x.
        stop: "relative", or "published": the thesis' code, ||r|| < tol * (number of values in the
            batch), the norm over the whole batch, after at least one step.
        accept: max_iter is a budget: never warn.
        kernel: "torch" (plain tensor operations, any device), "fused" (numba on the CPU, Triton on
            CUDA), or "auto": fused on the CPU and on CUDA where Triton is installed, else torch.
        red_black: eliminate every second pixel first: True, False, or "auto": where it applies,
            that is the fused CPU kernel on 2-D grids with 4 neighbors (2 x 2 pixels and more), with
            the other options as they are by default (preconditioner, start, stop).

    Raises:
        ValueError: unknown option, kernel="fused" where there is no fused kernel, or
            red_black=True where it does not apply.

    Source: Hestenes and Stiefel 1952; thesis, Algorithm 2 (its line 16 with the sign corrected);
    Hageman and Young 1981, chapter 8, for the reduced system.

    Example:
        >>> import torch
        >>> from softcut_lib import GridSystem
        >>> system = GridSystem([torch.tensor([[1.0]])])
        >>> x, info = CG(tol=1e-6)(system, torch.tensor([[[3.0, 0.0]]]))
        >>> x, int(info.iterations)
        (tensor([[[2., 1.]]]), 2)
    """

    tol: float = 1e-5
    max_iter: int = 1000
    preconditioner: str | None = "jacobi"
    start: str = "zero"
    stop: str = "relative"
    accept: bool = False
    kernel: str = "auto"
    red_black: bool | str = "auto"

    def __post_init__(self):
        check.positive_number("tol", self.tol)
        check.positive_integer("max_iter", self.max_iter)
        check.one_of("preconditioner", self.preconditioner, ("jacobi", None))
        check.one_of("start", self.start, ("zero", "rhs"))
        check.one_of("stop", self.stop, ("relative", "published"))
        check.one_of("accept", self.accept, (True, False))
        check.one_of("kernel", self.kernel, ("auto", "torch", "fused"))
        check.one_of("red_black", self.red_black, ("auto", True, False))

    def __call__(self, system, rhs):
        fits(system, rhs)
        return self.prepare(system)(system, rhs)

    def prepare(self, system):
        """A solver for this system alone, which lays out once what serves every right-hand side.

        Args:
            system: a `GridSystem`.

        Returns:
            A callable (system, rhs) -> (x, info) for this same system.

        Raises:
            ValueError: as for the solver itself; when called, for a system of other values, where
                something has been laid out (on every second pixel; else nothing is).

        Example:
            >>> import torch
            >>> from softcut_lib import GridSystem
            >>> system = GridSystem([torch.ones(1, 1, 2), torch.ones(1, 2, 1)])
            >>> prepared = CG().prepare(system)
            >>> x, _ = prepared(system, torch.ones(1, 1, 2, 2))
            >>> torch.allclose(x, torch.ones(1, 1, 2, 2))
            True
        """
        return _Halved(self, system) if self._halves(system) else self._whole

    def _halves(self, system):
        """True where every second pixel is eliminated first."""
        if not self.red_black:
            return False
        kernel = _kernel(self.kernel, system.device)
        reasons = [
            (kernel != "fused" or system.device.type != "cpu", f"{kernel} on {system.device}"),
            (self.preconditioner != "jacobi", f"preconditioner={self.preconditioner!r}"),
            (self.start != "zero", f'start="{self.start}"'),
            (self.stop != "relative", f'stop="{self.stop}"'),
            (not _has_two_colors(system), f"offsets {system.offsets} on the grid {system.grid}"),
        ]
        reason = next((text for applies, text in reasons if applies), None)
        if self.red_black is True and reason:
            raise ValueError(
                "red_black=True takes 2-D grids with 4 neighbors, 2 x 2 pixels or more, on the CPU "
                'with the fused kernel, preconditioner="jacobi", start="zero" and stop="relative", '
                f'got {reason}; red_black="auto" eliminates where it can'
            )
        return reason is None

    def _whole(self, system, rhs):
        """Solve with every pixel an unknown."""
        fits(system, rhs)
        kernel = _kernel(self.kernel, rhs.device)
        with torch.no_grad():
            x = _start(rhs, self.start)
            if kernel == "torch":
                run = _run_torch
            elif rhs.device.type == "cpu":
                from softcut_lib.solvers.flat import run
            else:
                from softcut_lib.solvers.launch_cuda import run
            steps, squares, *lengths = run(system, rhs, x, self)
            return x, self._info(system, rhs, x, kernel, steps, squares, lengths)

    def _info(self, system, rhs, x, kernel, steps, squares, lengths):
        if not lengths:
            lengths = lengths_of(system, rhs, x)
        size = torch.where(lengths[2] == 0, 1, lengths[2])
        tol = self.tol * rhs.numel() / size if self.stop == "published" else self.tol
        history = squares.sqrt() / size
        residual, rounding = relative_residual(*lengths, torch.finfo(rhs.dtype).eps)
        # Where the recurrence has converged, x is as good as this precision's A x can tell.
        rounding = torch.where(history[-1] <= tol, rounding, rounding.clamp(max=0.01))
        return SolveInfo(
            solver=type(self).__name__,
            kernel=kernel,
            iterations=steps,
            residual=residual,
            converged=residual <= tol + rounding,
            history=history,
        )


def _has_two_colors(system):
    """True for 2-D grids of at least 2 x 2 pixels with 4 neighbors: a chessboard."""
    offsets = [tuple(map(abs, offset)) for offset in system.offsets]
    return sorted(offsets) == [(0, 1), (1, 0)] and min(system.grid) > 1


class _Halved:
    """`CG` on the red pixels of one system; its reduced circuit is made once."""

    def __init__(self, options, system):
        from softcut_lib.solvers.red_black import RedBlack

        self.options, self.made_from = options, MadeFrom(system)
        with torch.no_grad():
            self.reduced = RedBlack(system)

    def __call__(self, system, rhs):
        fits(system, rhs)
        with torch.no_grad():
            self.made_from.check(system)
            x = torch.zeros(rhs.shape, dtype=rhs.dtype)
            steps, squares, *lengths = self.reduced.run(rhs, x, self.options)
            info = self.options._info(system, rhs, x, "fused, red-black", steps, squares, lengths)
            return x, info


PUBLISHED_CG = CG(
    tol=1e-6, max_iter=500, preconditioner=None, start="rhs", stop="published", accept=True
)
"""The thesis' approximate layer as its code ran it, for both passes (chapter 5).

On mean-reduced losses the adjoint's right-hand side is so small that its absolute rule is met
after the one obligatory step: the backward pass is then a single step from the gradient itself.
"""


def _kernel(wanted, device):
    """ "torch" or "fused", whichever is wanted on this device."""
    fits = device.type == "cpu" or (device.type == "cuda" and has_triton())
    if wanted == "auto":
        return "fused" if fits else "torch"
    if wanted == "fused" and not fits:
        missing = "needs triton 3.3 or newer on CUDA, which is not installed: pip install triton"
        where = "runs on the CPU and on CUDA"
        raise ValueError(
            f'kernel="fused" {missing if device.type == "cuda" else where}, got tensors on '
            f'{device}; kernel="torch" runs everywhere and "auto" chooses'
        )
    return wanted


def has_triton():
    if importlib.util.find_spec("triton") is None:
        return False
    import triton

    return tuple(int(n) for n in triton.__version__.split(".")[:2]) >= (3, 3)


def _start(rhs, start):
    return (
        rhs.clone(memory_format=torch.contiguous_format)
        if start == "rhs"
        else torch.zeros(rhs.shape, dtype=rhs.dtype, device=rhs.device)
    )


def _run_torch(system, rhs, x, options):
    """The reference kernel: x holds the start and becomes the answer.

    Returns (steps (B, L), squared residual norms (steps + 1, B, L)).
    """
    scale = 1 / system.diagonal() if options.preconditioner == "jacobi" else 1
    r = rhs - system @ x
    p = torch.zeros_like(r)
    square, energy, beta = inner(r, r), inner(r, scale * r), torch.zeros_like(inner(r, r))
    target, bound = options.tol**2 * inner(rhs, rhs), options.tol * rhs.numel()
    steps = torch.zeros_like(square, dtype=torch.long)
    history = [square]
    # a system that is done takes steps of length 0, so that its answer no longer changes
    active = square > target if options.stop == "relative" else torch.ones_like(steps, dtype=bool)
    while len(history) <= options.max_iter and bool(active.any()):
        p = scale * r + beta.to(r) * p
        q = system @ p
        curvature = inner(p, q)
        active = active & (curvature != 0) & ~(curvature < 0)
        alpha = torch.where(active, energy / torch.where(active, curvature, 1), 0)
        x += alpha.to(x) * p
        r = r - alpha.to(r) * q
        before, energy = energy, inner(r, scale * r)
        square = torch.where(active, inner(r, r), square)
        beta = torch.where(active & (before != 0), energy / torch.where(before != 0, before, 1), 0)
        history.append(square)
        if options.stop == "relative":
            steps += active
            active = active & (square > target)
        else:
            steps += 1
            if float(square[square.isfinite()].sum().sqrt()) < bound:
                break
    x.masked_fill_(~square.isfinite(), float("nan"))
    shape = rhs.shape[:2]
    return steps.view(shape), torch.stack(history).view(-1, *shape)
