"""Theorems about soldered circuits and the cycles that use them (chapter 6).

`solder(system) -> GridSystem` joins 2 x ... x 2 pixels into one node; `apply(system, r)` is one
cycle of a preconditioner for the residual r.
"""

import itertools
import math

import numpy as np
import torch

from softcut_lib.grid.edges import axis_offsets, edge_shape
from softcut_lib.grid.system import GridSystem
from softcut_lib.theorems.linear_system import energy, random_scores, random_system


def blocks(grid):
    """P, dense (N, N_c): P x_c copies the value of each soldered node to its 2 x ... x 2 pixels."""
    coarse = [(n + 1) // 2 for n in grid]
    place = [np.arange(n) // 2 for n in grid]
    node = np.ravel_multi_index(np.meshgrid(*place, indexing="ij"), coarse).ravel()
    return torch.from_numpy(np.eye(math.prod(coarse))[node])


def soldering_is_galerkin(solder, *, generator, grid=(5, 6), labels=None):
    """The soldered circuit's matrix is P'AP."""
    system = random_system(grid, generator=generator, labels=labels, grounded=True)
    coarse, P = solder(system), blocks(grid)
    expected = tuple((n + 1) // 2 for n in grid)
    assert coarse.grid == expected, (
        f"a grid of {grid} pixels has {expected} soldered nodes, a last odd row or column alone, "
        f"got {coarse.grid}"
    )
    for b, label in itertools.product(range(system.batch), range(labels or 1)):
        arrived = coarse.to_scipy(b, label).toarray()
        wanted = (P.T @ torch.from_numpy(system.to_scipy(b, label).toarray()) @ P).numpy()
        gap = abs(arrived - wanted).max() / abs(wanted).max()
        assert gap <= 1e-12, (
            f"the soldered circuit must have the matrix P'AP, they differ by {gap:.2g} of its "
            "largest entry: conductances side by side add, and so do grounds; those inside a block "
            "carry no current and drop out"
        )


def soldering_restricts_the_energy(solder, *, generator, grid=(5, 6)):
    """Soldered voltages cost what their copies cost; so their best is the best block image."""
    system = random_system(grid, generator=generator, grounded=True)
    scores, coarse, P = random_scores(system, generator=generator), solder(system), blocks(grid)
    sums = (scores.flatten(2) @ P).view(*scores.shape[:2], *coarse.grid)
    x = random_scores(coarse, generator=generator)
    copies = (x.flatten(2) @ P.T).view(scores.shape)
    gap = float((energy(coarse, sums, x) - energy(system, scores, copies)).abs().max())
    assert gap <= 1e-9 * float(energy(system, scores, copies).abs().max()), (
        f"the energy of soldered voltages must be that of their copies, off by {gap:.2g}; do the "
        "scores of a block add?"
    )


def soldering_is_a_limit(solder, *, generator, grid=(4, 6)):
    """Conductances inside blocks that tend to infinity make the circuit its soldered one."""
    system = random_system(grid, generator=generator, batch=1, grounded=True)
    scores, P = random_scores(system, generator=generator, labels=1), blocks(grid)
    coarse = solder(system)
    A = torch.from_numpy(coarse.to_scipy().toarray())
    x = P @ torch.linalg.solve(A, P.T @ scores.flatten())
    gaps = []
    for big in (1e2, 1e4, 1e6):
        weights = [w.clone() for w in system.weights]
        weights[0][:, ::2] = big
        weights[1][:, :, ::2] = big
        tight = GridSystem(weights, ground=system.ground)
        A = torch.from_numpy(tight.to_scipy().toarray())
        gaps.append(float((torch.linalg.solve(A, scores.flatten()) - x).abs().max()))
    assert gaps[2] < 1e-3 and gaps[0] > gaps[2], (
        "with ever better conductors inside the blocks the voltages must tend to the soldered "
        f"circuit's, got distances {', '.join(f'{g:.2g}' for g in gaps)}"
    )


# Cycles


def cycle_matrix(apply, system):
    """The dense matrix of ``apply(system, r)``, one sample and label, column by column."""
    size = math.prod(system.grid)
    units = torch.eye(size, dtype=system.dtype).view(size, 1, 1, *system.grid)
    return torch.stack([apply(system, e).flatten() for e in units], 1)


def cycle_is_a_preconditioner(apply, *, generator, grid=(6, 7), system=None):
    """``apply(system, r)`` is linear, symmetric and positive definite: CG may use it."""
    system = system or random_system(grid, generator=generator, batch=1, grounded=True)
    one, two = (random_scores(system, generator=generator, labels=1) for _ in range(2))
    both = apply(system, 2 * one - 3 * two)
    gap = float((both - 2 * apply(system, one) + 3 * apply(system, two)).abs().max())
    assert gap <= 1e-8 * float(both.abs().max()), (
        f"a preconditioner must be linear, the cycle of a sum misses the sum of cycles by {gap:.2g}"
    )
    M = cycle_matrix(apply, system)
    gap = float((M - M.T).abs().max() / M.abs().max())
    assert gap <= 1e-8, (
        f"a preconditioner of CG must be symmetric, M and M' differ by {gap:.2g}: smoothing after "
        "the correction must mirror smoothing before it, restriction the transpose of prolongation"
    )
    least = float(torch.linalg.eigvalsh((M + M.T) / 2)[0])
    assert least > 0, (
        f"a preconditioner of CG must be positive definite, its least eigenvalue is {least:.3g}; "
        "is the smoother damped enough?"
    )


def cycle_sees_far(apply, *, grid=(6, 7), weight=1e3, most=0.6):
    """One cycle leaves at most this share of any error in the energy norm, at equal strong weights.

    ||I - M A||_A <= most. Sweeps alone leave nearly all of a smooth error.
    """
    shapes = [edge_shape(grid, offset) for offset in axis_offsets(len(grid))]
    system = GridSystem([torch.full((1, *s), weight, dtype=torch.float64) for s in shapes])
    root = torch.linalg.cholesky(torch.from_numpy(system.to_scipy().toarray()))
    scaled = root.T @ cycle_matrix(apply, system) @ root
    left = float(torch.linalg.matrix_norm(torch.eye(len(root), dtype=root.dtype) - scaled, 2))
    assert left <= most, (
        f"a cycle may leave at most {most:.0%} of any error, it leaves {left:.1%} of one; is the "
        "soldered circuit solved for what the first sweep leaves, and its answer copied and added?"
    )
