"""The property functions of soldering and of cycles refuse what is wrong, and say why."""

import pytest
import torch

import softcut_lib as sc
from softcut_lib.theorems import soldering as theorem
from softcut_lib.theorems.linear_system import random_system


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(6)


def solder(system):
    """Plain soldering in two dimensions."""
    C, R = system.weights

    def pairs(t, axis):
        t = torch.cat(
            [t, t.new_zeros(*t.shape[:axis], t.shape[axis] % 2, *t.shape[axis:][1:])], axis
        )
        return t.unflatten(axis, (-1, 2)).sum(axis + 1)

    ground = pairs(pairs(system.ground, -2 % system.ground.dim()), -1 % system.ground.dim())
    down, right = C[..., 1::2, :], R[..., 1::2]
    return sc.GridSystem(
        [pairs(down, down.dim() - 1), pairs(right, right.dim() - 2)], ground=ground
    )


@pytest.mark.parametrize("grid", [(5, 6), (4, 4), (1, 5), (6, 1), (3, 3)])
@pytest.mark.parametrize("labels", [None, 2])
def test_soldering(generator, grid, labels):
    theorem.soldering_is_galerkin(solder, generator=generator, grid=grid, labels=labels)


def test_soldering_and_energy(generator):
    theorem.soldering_restricts_the_energy(solder, generator=generator)
    theorem.soldering_is_a_limit(solder, generator=generator)


def test_wrong_soldering_is_refused(generator):
    def averaging(system):
        coarse = solder(system)
        return sc.GridSystem([w / 2 for w in coarse.weights], ground=coarse.ground)

    def lost(system):
        return random_system((2, 2), generator=generator)

    with pytest.raises(AssertionError, match="grounds"):
        theorem.soldering_is_galerkin(averaging, generator=generator)
    with pytest.raises(AssertionError, match="soldered nodes"):
        theorem.soldering_is_galerkin(lost, generator=generator)
    with pytest.raises(AssertionError, match="energy"):
        theorem.soldering_restricts_the_energy(averaging, generator=generator)
    with pytest.raises(AssertionError, match="tend to"):
        theorem.soldering_is_a_limit(averaging, generator=generator)


def jacobi(system, r):
    return r / system.diagonal()


def test_preconditioners(generator):
    theorem.cycle_is_a_preconditioner(jacobi, generator=generator)

    def one_sided(system, r):  # two Gauss-Seidel-like half sweeps are not symmetric
        x = r / system.diagonal()
        x[..., 1:] += 0.1 * x[..., :-1]
        return x

    def undamped(system, r):
        x = jacobi(system, r)
        return 2.2 * x - jacobi(system, system @ x) * 1.2

    def clipped(system, r):
        return jacobi(system, r).clamp(-0.1, 0.1)

    for wrong, words in ((one_sided, "symmetric"), (undamped, "positive"), (clipped, "linear")):
        with pytest.raises(AssertionError, match=words):
            theorem.cycle_is_a_preconditioner(wrong, generator=generator)


def test_two_levels_see_far_and_sweeps_do_not():
    def two_levels(system, r, correct=True):
        A, P = torch.from_numpy(system.to_scipy().toarray()), theorem.blocks(system.grid)
        lower, b = torch.tril(A), r.flatten()
        x = torch.linalg.solve(lower, b)
        if correct:
            x = x + P @ torch.linalg.solve(P.T @ A @ P, P.T @ (b - A @ x))
        return (x + torch.linalg.solve(lower.T, b - A @ x)).view(r.shape)

    theorem.cycle_sees_far(two_levels)
    with pytest.raises(AssertionError, match="soldered circuit solved"):
        theorem.cycle_sees_far(lambda system, r: two_levels(system, r, correct=False))
