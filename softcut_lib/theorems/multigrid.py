"""What coarse circuits and the V-cycle promise (chapter 6).

With P from coarse to fine, A_c = P' A P and V one V-cycle:

    x' V y = y' V x,  x' V x > 0        so that V preconditions conjugate gradients,
    ||x - V A x||_A < ||x||_A           a cycle by itself brings every error closer,
    V A 1 = 1 nearly                    of soldered circuits, where little leaks to the ground,
    the number of steps does not grow   with the size of a homogeneous grid.

Things under test: a function ``coarsen(system)``, a function ``cycle(system, r) -> V r``, a solver.
"""

import torch

from softcut_lib.grid.coarse import solder_copy
from softcut_lib.grid.edges import axis_offsets, edge_shape
from softcut_lib.grid.system import GridSystem


def soldering_is_galerkin(coarsen, *, generator, grid=(5, 4), offsets=None):
    """A_c = S' A S, S giving every pixel the voltage of its node."""
    system = _random_system(grid, offsets, generator, 3.0)
    circuit = coarsen(system)
    nodes = tuple((n + 1) // 2 for n in grid)
    assert circuit.grid == nodes, (
        f"2 pixels of each axis become one node, the last alone where their number is odd: grid "
        f"{grid} must become {nodes}, got {circuit.grid}"
    )
    fine, coarse = _dense(system), _dense(circuit)
    copy = solder_copy(torch.eye(len(coarse), dtype=fine.dtype).view(-1, *nodes), grid)
    copy = copy.reshape(len(coarse), -1).mT
    gap = (copy.mT @ fine @ copy - coarse).abs().amax()
    assert gap <= 1e-10 * fine.abs().amax(), (
        f"the soldered circuit must be S' A S; entries differ by up to {gap:.3g}. Do links that "
        "join the same two nodes add up, do links inside a node vanish, do all grounds add up?"
    )


def cycle_is_symmetric(cycle, *, generator, grid=(6, 5), offsets=None, contrast=3.0):
    """V is symmetric and positive definite."""
    _, matrix = _operator(cycle, generator, grid, offsets, contrast)
    gap = (matrix - matrix.mT).abs().amax() / matrix.abs().amax()
    assert gap <= 1e-9, (
        f"V must be symmetric, V and V' differ by {gap:.2g} of the largest entry: is the second "
        "smoothing the transpose of the first, and restriction that of prolongation?"
    )
    least = torch.linalg.eigvalsh((matrix + matrix.mT) / 2)[0]
    assert least > 0, f"V must be positive definite, its least eigenvalue is {least:.3g}"


def cycle_contracts(cycle, *, generator, grid=(6, 5), offsets=None, contrast=3.0):
    """The error of a cycle is smaller than the error before it, in the A-norm, whatever it was."""
    system, matrix = _operator(cycle, generator, grid, offsets, contrast)
    root = torch.linalg.cholesky(_dense(system))
    factor = torch.linalg.eigvalsh(
        torch.eye(len(root), dtype=root.dtype) - root.mT @ matrix @ root
    ).abs()
    assert factor.max() < 1, (
        f"one cycle multiplies some error by {factor.max():.3f} in the A-norm; it must be below 1: "
        "does the smoother overshoot, or does the coarse circuit lack links?"
    )


def cycle_carries_the_level(cycle, *, generator, grid=(6, 5), offsets=None, contrast=3.0):
    """Where hardly anything leaks to ground, soldered circuits find what all pixels share at once.

    Smoothing alone cannot: it is the coarse circuits that carry what is the same everywhere.
    """
    system = _random_system(grid, offsets, generator, contrast)
    ground = torch.full_like(system.ground, 1e-9)
    system = GridSystem(system.weights, offsets=system.offsets, ground=ground, grid=grid)
    x = cycle(system, ground[:, None])  # A 1 is the ground
    far = (x - 1).abs().amax()
    assert far <= 0.01, (
        f"where all pixels should have 1 V, one cycle leaves an error of {far:.3g} V: is the rest "
        "added up (not averaged) over each node, and the node's answer given to each of its "
        "pixels and added?"
    )


def steps_do_not_grow(solver, *, dim=2, sizes=(16, 32, 64), ground=1e-3, more=1):
    """On homogeneous grids the largest takes at most `more` steps more than the smallest."""
    steps = []
    for n in sizes:
        grid = (n,) * dim
        weights = [
            torch.ones(1, *edge_shape(grid, o), dtype=torch.float64) for o in axis_offsets(dim)
        ]
        system = GridSystem(weights, ground=torch.full((1, *grid), ground, dtype=torch.float64))
        noise = torch.randn(
            1, 1, *grid, generator=torch.Generator().manual_seed(0), dtype=torch.float64
        )
        steps.append(int(solver(system, noise)[1].iterations))
    assert steps[-1] <= steps[0] + more, (
        f"the number of steps must not grow with the grid: {dict(zip(sizes, steps, strict=True))}. "
        "Conjugate gradients alone need twice as many for twice the width; with a coarse circuit "
        "that is too stiff (a soldered one, say) they grow too"
    )


def _random_system(grid, offsets, generator, contrast):
    offsets = axis_offsets(len(grid)) if offsets is None else offsets
    draw = {"generator": generator, "dtype": torch.float64}
    weights = [torch.exp(contrast * torch.randn(1, *edge_shape(grid, o), **draw)) for o in offsets]
    ground = 0.1 + torch.rand(1, *grid, **draw)
    return GridSystem(weights, offsets=offsets, ground=ground, grid=grid)


def _dense(system):
    return torch.from_numpy(system.to_scipy().toarray())


def _operator(cycle, generator, grid, offsets, contrast):
    """(system, the matrix of V), one unit vector at a time, as labels."""
    system = _random_system(grid, offsets, generator, contrast)
    count = system.ground.numel()
    units = torch.eye(count, dtype=torch.float64).view(1, count, *grid)
    return system, cycle(system, units).reshape(count, count).mT
