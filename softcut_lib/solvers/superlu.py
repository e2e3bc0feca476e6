"""The exact solve: SciPy's SuperLU, a sparse LU factorization in float64 (chapter 3).

    P A P' = L U,   then x by one forward and one backward substitution.

It takes any grid and any offsets, and stands for the thesis' exact layer (which used KLU). The
factor is kept and serves the backward pass and every further right-hand side.
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse.linalg
import torch

from softcut_lib.solvers.interface import MadeFrom, direct_info, fits


@dataclass(frozen=True, kw_only=True)
class SuperLU:
    """Sparse direct solver: float64 inside, on the CPU, any grid.

    The answer has the dtype of the right-hand side.

    Raises:
        ValueError: tensors that are not on the CPU.

    Source: thesis, section 3 (the exact layer); SciPy's splu.

    Example:
        >>> import torch
        >>> from softcut_lib import GridSystem
        >>> factor = SuperLU().factor(GridSystem([torch.tensor([[1.0]])]))
        >>> factor(factor.system, torch.tensor([[[3.0, 0.0]]]))[0]
        tensor([[[2., 1.]]])
    """

    def __call__(self, system, rhs):
        return self.factor(system)(system, rhs)

    def factor(self, system):
        """Factor every matrix of the batch once; the result is itself a solver."""
        if system.device.type != "cpu":
            raise ValueError(
                f"SuperLU() runs on the CPU, got a system on {system.device}; move the tensors "
                "with .cpu(), or use CG()"
            )
        finite = torch.isfinite(system.diagonal()).flatten(1).all(1)
        if not bool(finite.all()):
            raise ValueError(
                "weights and ground must be finite to be factored, sample "
                f"{int((~finite).nonzero()[0])} is not"
            )
        labels = range(system.labels or 1)
        return Factor(
            system, [[_factor(system, b, label) for label in labels] for b in range(system.batch)]
        )


class Factor:
    """The factored matrices of one `GridSystem`, called like any solver with that system."""

    def __init__(self, system, factors):
        self.system, self._made_from = system, MadeFrom(system)
        self._factors = factors

    def __call__(self, system, rhs):
        fits(system, rhs)
        self._made_from.check(system)
        x = torch.empty(rhs.shape, dtype=torch.float64)
        for b in range(rhs.shape[0]):
            for label in range(rhs.shape[1]):
                column = rhs[b, label].detach().double().flatten().numpy()
                factor = self._factors[b][label if self.system.labels else 0]
                x[b, label] = torch.from_numpy(_substitute(factor, column)).view(system.grid)
        x = x.to(rhs)
        return x, direct_info("SuperLU", "superlu", system, rhs, x)


def _factor(system, sample, label):
    # A symmetric ordering and no pivoting keep the fill low; for a positive definite matrix both
    # are safe.
    try:
        return scipy.sparse.linalg.splu(
            system.to_scipy(sample, label).astype(np.float64).tocsc(),
            permc_spec="MMD_AT_PLUS_A",
            diag_pivot_thresh=0.0,
            options={"SymmetricMode": True},
        )
    except RuntimeError:
        raise ValueError(
            f"the system of sample {sample} is singular in float64: a connected part has no "
            "ground, or only through weights below rounding; add a ground or a floor to the weights"
        ) from None


def _substitute(factor, column):
    if not np.isfinite(column).all():
        return np.full_like(column, np.nan)
    return factor.solve(column)
