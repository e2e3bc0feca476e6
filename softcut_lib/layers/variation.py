"""Total variation as a network layer: the other cut with a gradient (chapter 7).

    x = argmin 1/2 ||x - z||^2 + sum_pq w_pq |x_p - x_q|

Its sign is the minimum cut. x is constant on blocks, connected regions of equal value, which is
what its derivative is made of (blockwise.py).
"""

import warnings
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn

from softcut_lib import _checks as checks
from softcut_lib.grid.system import GridSystem
from softcut_lib.layers import arguments, operator
from softcut_lib.layers.blockwise import Blockwise
from softcut_lib.solvers.interface import ConvergenceWarning, SolveInfo

PUBLISHED_STEPS = 35
MOST_STEPS = 20_000


def total_variation(
    scores, weights, *, offsets=None, refine=True, tol=1e-5, max_iter=None, method="accurate",
    kernel="auto", blocks="connected", log=None, check=True,
):  # fmt: skip
    """Scores made constant on blocks: the minimum of 1/2 ||x - scores||^2 + sum w |x_p - x_q|.

    Args:
        scores: float32 or float64 (B, L, *grid); positive for, negative against the label.
        weights: one tensor per offset, >= 0, (B, *edge_shape) shared by all labels or
            (B, L, *edge_shape). One weight for all edges is ``w.expand(B, *edge_shape)``.
        offsets: edge directions; the unit offsets if None.
        refine: isotonic refinement of what an approximate method found: the best solution whose
            pixels stand in the same order. It changes nothing where the solution is exact.
        tol: bound on ||x - x*|| / ||scores||, computed from the duality gap; kernel "torch" stops
            there, and an accurate solution that misses it gives a warning.
        max_iter: steps of an iterative method; if None 20000, and 35 where published.
        method: "accurate", or "published" for the thesis' budget of 35 Douglas-Rachford steps over
            the chains of two offsets, which never warns.
        kernel: of the accurate method. "chains": exact, linear time, one offset; "flow": exact, by
            a few maximum flows, any grid, on the CPU. "torch": steps on the dual, any grid and
            device. "auto" is the first of these that fits on the CPU, "torch" on a GPU.
        blocks: regions over which the gradient is averaged: "connected" regions of equal value, or
            all pixels of equal "value".
        log: called with the `VariationInfo` of the solve.
        check: refuse non-finite scores and negative weights.

    Returns:
        x (B, L, *grid) within [min, max] of the scores, with their mean. Computed in float64.

    Raises:
        ValueError, TypeError: naming the argument, what was expected and what arrived.
        RuntimeError: forward-mode differentiation (torch.func.jvp, jacfwd), torch.export.
        A `ConvergenceWarning` where an accurate solution missed `tol`.

    The solution has first derivatives almost everywhere, and zero second ones. torch.func.vmap
    folds its axis into the batch: each sample and label is solved by itself, by every method.
    torch.compile leaves the layer out of its graphs.

    The chains of both methods are solved on the GPU for scores on CUDA where Triton is installed,
    to the same bits, else on the CPU; refinement and blocks are always worked out on the CPU.

    Source: thesis, eq. 13 (with the missing 1/2) and Algorithm 1; Djolonga and Krause 2017.

    Example:
        >>> import torch
        >>> scores = torch.tensor([[[[3.0, 0.0]]]])
        >>> total_variation(scores, [torch.zeros(1, 0, 2), torch.ones(1, 1, 1)])
        tensor([[[[2., 1.]]]])
    """
    _check_options(refine, tol, max_iter, method, kernel, blocks)
    scores, _, weights = arguments.prepare(scores, None, weights)
    offsets = arguments.check_shapes(scores, None, weights, offsets)
    if operator.recording(scores) and not torch.compiler.is_dynamo_compiling():
        raise RuntimeError(
            "total_variation cannot be recorded (torch.export, make_fx, torch.func.linearize): its "
            "blocks depend on values; call it in eager mode, or use soft_cut"
        )
    kernel = _choose(kernel, method, offsets, scores.device)
    run = _Run(offsets, refine, tol, max_iter, method, kernel, blocks, log, check)
    return Blockwise.apply(scores, offsets, run, *weights)[0]


@dataclass(frozen=True)
class VariationInfo(SolveInfo):
    """What a total variation solve did: a `SolveInfo` whose residual bounds the error.

    Attributes:
        kernel: "chains", "flow" or "torch"; "chains, fused on CUDA" where a GPU solved them.
        iterations: long (B, L): levels of splitting for kernel "flow", 0 for "chains", else steps.
        residual: float64 (B, L), sqrt(2 gap) / ||scores||, at least ||x - x*|| / ||scores||.
        gap: float64 (B, L), the duality gap, primal minus dual value.
        blocks: long (B, L), number of blocks.
    """

    gap: torch.Tensor | None = None
    blocks: torch.Tensor | None = None


class _Run(NamedTuple):
    """The options of one solve: ``run(scores, weights) -> (x in float64, block numbers)``."""

    offsets: tuple
    refine: bool
    tol: float
    max_iter: int | None
    method: str
    kernel: str
    blocks: str
    log: object
    check: bool

    def __call__(self, scores, weights):
        if self.check:
            arguments.check_values(scores, None, weights)
        system = GridSystem(weights, offsets=self.offsets, grid=scores.shape[2:], check=False)
        x, labels, info = _solve(system, scores, self)
        if self.log is not None:
            self.log(info)
        if self.method == "accurate":
            _warn_unless_accurate(info, self.tol)
        return x, labels


def _solve(system, scores, run):
    """(x in float64, block numbers, info)."""
    from softcut_lib.layers import chains, decomposition, dual, isotonic

    z = scores.detach().double()
    weights = [system.labeled(w).detach().double() for w in system.weights]
    labels, steps, kernel = None, torch.zeros(z.shape[:2], dtype=torch.long), run.kernel
    if run.kernel == "flow":
        x, labels, steps, gap = decomposition.exact(system, scores)
    elif run.kernel == "torch":
        x, steps, gap = dual.dual_ascent(
            z, weights, system.offsets,
            tol=run.tol, max_iter=run.max_iter or MOST_STEPS, refine=run.refine,
        )  # fmt: skip
    else:
        budget = None if run.method == "accurate" else run.max_iter or PUBLISHED_STEPS
        x, currents = chains.on_chains(system, scores, budget)
        kernel = "chains, fused on CUDA" if chains.fused(z.device) else kernel
        if budget is not None:
            steps = steps + budget
            x = isotonic.refine_order(x, z, weights, system.offsets) if run.refine else x
        gap = dual.duality_gap(x, z, currents, weights, system.offsets)
    if run.blocks == "value":
        labels = decomposition.value_blocks(x)
    elif labels is None:
        labels = decomposition.connected_blocks(system, x)
    norm = z.flatten(2).norm(dim=2)
    gap = gap.to(z.device).clamp(min=0)
    residual = (2 * gap).sqrt() / torch.where(norm == 0, 1, norm)
    info = VariationInfo(
        solver=f"total variation, {run.method}",
        kernel=kernel,
        iterations=steps.to(z.device),
        residual=residual,
        converged=residual <= run.tol,
        gap=gap,
        blocks=(labels.flatten(2).amax(2) + 1).to(z.device),
    )
    return x.to(z), labels.to(z.device), info


def _check_options(refine, tol, max_iter, method, kernel, blocks):
    if not isinstance(refine, bool):
        raise TypeError(f"refine must be True or False, got {refine!r}")
    checks.positive_number("tol", tol)
    if max_iter is not None:
        checks.positive_integer("max_iter", max_iter)
    checks.one_of("method", method, ("accurate", "published"))
    checks.one_of("kernel", kernel, ("auto", "chains", "flow", "torch"))
    checks.one_of("blocks", blocks, ("connected", "value"))
    if method == "published" and kernel not in ("auto", "chains"):
        raise ValueError(
            f"kernel must be 'auto' or 'chains' for method='published', got {kernel!r}; its steps "
            "are made of rows and columns"
        )


def _choose(kernel, method, offsets, device):
    """The kernel that runs, where the offsets allow it."""
    count = len(offsets)
    if method == "published":
        if count != 2:
            raise ValueError(
                "method='published' alternates between the chains of two offsets, such as columns "
                f"and rows, got {count} offsets {offsets}; use method='accurate'"
            )
        return "chains"
    if kernel == "chains" and count != 1:
        raise ValueError(
            f"kernel='chains' is exact for one offset only, got {count} offsets {offsets}; "
            "use kernel='flow'"
        )
    if kernel != "auto":
        return kernel
    if device.type != "cpu":
        return "torch"
    return "chains" if count == 1 else "flow"


def _warn_unless_accurate(info, tol):
    missed = ~info.converged
    if bool(info.converged.all()) or bool(info.residual[missed].isnan().all()):
        return  # scores that are not finite speak for themselves
    warnings.warn(
        f"total_variation: kernel '{info.kernel}' left {int(missed.sum())} of {missed.numel()} "
        f"solutions after {int(info.iterations.max())} steps with errors of up to "
        f"{float(info.residual[missed].nan_to_num(0).max()):.1e}, tol is {tol:g}; raise max_iter "
        "or tol, or use the exact kernel='flow'",
        ConvergenceWarning,
        stacklevel=3,
    )


class TotalVariation(nn.Module):
    """`total_variation` with its options stored, called as ``cut(scores, weights)``.

    Args:
        offsets, refine, tol, max_iter, method, kernel, blocks, log, check: as for
            `total_variation`.

    Raises:
        ValueError, TypeError: unknown options, when it is made.

    Source: thesis, section 1.3; the submodular layer of Djolonga and Krause 2017.

    Example:
        >>> import torch
        >>> cut = TotalVariation()
        >>> cut(torch.tensor([[[[3.0, 0.0]]]]), [torch.zeros(1, 0, 2), torch.ones(1, 1, 1)])
        tensor([[[[2., 1.]]]])
    """

    output = "scores"

    def __init__(
        self, *, offsets=None, refine=True, tol=1e-5, max_iter=None, method="accurate",
        kernel="auto", blocks="connected", log=None, check=True,
    ):  # fmt: skip
        super().__init__()
        _check_options(refine, tol, max_iter, method, kernel, blocks)
        self.offsets, self.log, self.check = offsets, log, check
        self.refine, self.tol, self.max_iter = refine, tol, max_iter
        self.method, self.kernel, self.blocks = method, kernel, blocks

    def forward(self, scores, weights):
        return total_variation(scores, weights, **self._options(), log=self.log, check=self.check)

    def _options(self):
        names = ("offsets", "refine", "tol", "max_iter", "method", "kernel", "blocks")
        return {name: getattr(self, name) for name in names}

    def extra_repr(self):
        return ", ".join(f"{name}={value!r}" for name, value in self._options().items())
