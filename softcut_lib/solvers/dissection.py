"""The exact solve without a sparse matrix: nested dissection as circuit reduction (chapter 6).

The circuit is reduced region by region, each to its border, and regions are joined until nothing
is left. A right-hand side runs up through the regions and the answer down. Cost: O(N^3/2) to
reduce N pixels once, O(N log N) for every right-hand side after that.

Two kernels do so: `tiles`, equal blocks in plain tensor operations on any device, and
`fronts_cpu`, compiled loops on the CPU. The latter never subtracts (see `kernels_direct`), so that
float32 keeps its precision whatever the contrast; the former factors blocks in float64, where a
contrast of c costs it about 1e-16 c.
"""

from dataclasses import dataclass
from functools import cached_property

import torch

from softcut_lib import _checks as check
from softcut_lib.grid.edges import axis_offsets
from softcut_lib.solvers.interface import MadeFrom, SolveInfo, fits, relative_residual
from softcut_lib.solvers.precision import full_precision


@dataclass(frozen=True, kw_only=True)
class Direct:
    """Direct solver by circuit reduction, on any device, in the dtype of the system.

    Args:
        refine: rounds of iterative refinement, x += A^-1 (rhs - A x), the residual in float64.
            Without, x is accurate to a few eps of A^-1 |rhs|; one round makes that a few eps of x.
            What rounding leaves of the residual a weak ground magnifies, so matrices with
            eps ||A||_inf above 8 times their least ground are not refined.
        kernel: "fused", compiled loops, on the CPU; "torch", plain tensor operations, on any
            device; "auto" takes "fused" on the CPU.

    Raises:
        ValueError: a grid that is not 2-D with axis edges (use `SuperLU`), a system in which a
            component has no ground, or kernel="fused" elsewhere than on the CPU.

    The compiled loops are kept on disk; the first solve after an installation takes some seconds.

    Source: George 1973 (nested dissection); Dorfler and Bullo 2013 (Kron reduction); Grassmann,
    Taksar and Heyman 1985 (elimination without subtraction).

    Example:
        >>> import torch
        >>> from softcut_lib import GridSystem
        >>> system = GridSystem([torch.zeros(1, 0, 2), torch.ones(1, 1, 1)])
        >>> factor = Direct().factor(system)
        >>> factor(system, torch.tensor([[[[3.0, 0.0]]]]))[0]
        tensor([[[[2., 1.]]]])
        >>> factor.log_determinant().exp().round(decimals=4)  # (1 + 1) (1 + 1) - 1
        tensor([[3.]])
    """

    refine: int = 1
    kernel: str = "auto"

    def __post_init__(self):
        if self.refine != 0:
            check.positive_integer("refine", self.refine)
        check.one_of("kernel", self.kernel, ("auto", "torch", "fused"))

    def __call__(self, system, rhs):
        return self.factor(system)(system, rhs)

    def factor(self, system):
        """Reduce the circuit once; the result solves for any right-hand side."""
        if system.offsets != axis_offsets(2):
            raise ValueError(
                f"Direct() needs a 2-D grid with the axis offsets {axis_offsets(2)}, got offsets "
                f"{system.offsets}; use SuperLU(), which takes any grid"
            )
        kernel = self.kernel
        if kernel == "auto":
            kernel = "fused" if system.device.type == "cpu" else "torch"
        if kernel == "fused" and system.device.type != "cpu":
            raise ValueError(
                f'Direct(kernel="fused") runs on the CPU, got tensors on {system.device}; '
                'kernel="torch" runs everywhere and "auto" chooses'
            )
        with torch.no_grad(), full_precision(system.device):
            return DirectFactor(system, self.refine, kernel)


class DirectFactor:
    """A reduced circuit: a solver for its system, with determinant and variances.

    Attributes:
        held: numbers that the factor keeps for every circuit. With the fused kernel 23 per pixel at
            64 x 64, 36 at 256 x 256: it grows with the logarithm of the size.
    """

    def __init__(self, system, refine, kernel):
        if kernel == "fused":
            from softcut_lib.solvers.fronts_cpu import FrontCircuit as Circuit
        else:
            from softcut_lib.solvers.tiles import BlockCircuit as Circuit
        self.system, self.refine = system, refine
        self._made_from = MadeFrom(system)
        self.circuit = Circuit(system)
        self.held = self.circuit.held
        bad = ~self.circuit.good.all(1)
        if bool(bad.any()):
            raise ValueError(
                f"the system of sample {int(bad.nonzero()[0])} is not positive definite in "
                f"{system.dtype}: a value is not finite, a connected part has no ground (add a "
                "seed or a ground above 0), or the contrast is beyond this precision (use float64)"
            )

    def __call__(self, system, rhs):
        fits(system, rhs)
        with torch.no_grad(), full_precision(system.device):
            self._made_from.check(system)
            x, (left, size, answer) = self.circuit.answer(rhs, self.refine, self._mends)
            eps = torch.finfo(rhs.dtype).eps
            residual, rounding = relative_residual(left, answer, size, self._row, eps)
        # refined, a residual tells of the error; unrefined, it holds the rounding of x itself
        most = torch.where(self._mends & (self.refine > 0), 0.01, torch.inf)
        info = SolveInfo(
            solver="Direct",
            kernel=self.circuit.kernel,
            iterations=torch.zeros(rhs.shape[:2], dtype=torch.long, device=rhs.device),
            residual=residual,
            converged=residual <= rounding.clamp(min=64 * eps).minimum(most),
        )
        return x, info

    @cached_property
    def _row(self):
        """||A||_inf, (B, 1 or L): a row's off-diagonal entries add up to diagonal minus ground."""
        rows = 2 * self.system.diagonal() - self.system.labeled(self.system.ground)
        return rows.flatten(2).amax(2).double()

    @cached_property
    def _mends(self):
        """Where refinement makes x better, bool (B, 1 or L).

        Rounding x leaves a residual of up to eps ||A|| |x|, and rounding that once more an error of
        eps^2 A^-1 ||A|| |x|, where A^-1 1 <= 1 / min(ground): below eps |x| it does no harm.
        """
        least = self.system.labeled(self.system.ground).flatten(2).amin(2).double()
        return torch.finfo(self.system.dtype).eps * self._row <= 8 * least

    def log_determinant(self):
        """log det A, (B, 1) or (B, L): the sum over all eliminated nodes."""
        return self.circuit.log_determinant()

    def variances(self):
        """Diagonal of A^-1, (B, 1 or L, *grid): each pixel's resistance to ground.

        The inverse is completed region by region, from the last one down to the leaves.
        """
        with torch.no_grad(), full_precision(self.system.device):
            return self.circuit.variances()
