"""The promises of multigrid hold for the library and refuse plausible mistakes."""

import pytest
import torch

import softcut_lib as sc
from softcut_lib.theorems import multigrid
from tests.grids import GRIDS, every_grid

CYCLES = {
    "fused": sc.Multigrid(),
    "torch": sc.Multigrid(kernel="torch"),
    "soldered": sc.Multigrid(coarse="soldered"),
}
every_cycle = pytest.mark.parametrize("name", CYCLES)


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(2)


@every_grid
def test_soldering(kind, generator):
    grid, offsets = GRIDS[kind]
    multigrid.soldering_is_galerkin(
        sc.GridSystem.coarsen, generator=generator, grid=grid, offsets=offsets
    )


@every_grid
@every_cycle
def test_cycles_are_symmetric_and_contract_on_every_grid(kind, name, generator):
    grid, offsets = GRIDS[kind]
    for promise in (multigrid.cycle_is_symmetric, multigrid.cycle_contracts):
        promise(CYCLES[name].precondition, generator=generator, grid=grid, offsets=offsets)


@every_cycle
@pytest.mark.parametrize("contrast", [0.0, 1.0, 6.0])
@pytest.mark.parametrize("grid", [(9, 14), (16, 7), (5, 1, 4)])
def test_cycles_are_symmetric_and_contract_at_any_contrast(contrast, grid, name, generator):
    for promise in (multigrid.cycle_is_symmetric, multigrid.cycle_contracts):
        promise(CYCLES[name].precondition, generator=generator, grid=grid, contrast=contrast)


@every_grid
def test_one_cycle_of_soldered_circuits_carries_the_level(kind, generator):
    grid, offsets = GRIDS[kind]
    cycle = CYCLES["soldered"].precondition
    multigrid.cycle_carries_the_level(cycle, generator=generator, grid=grid, offsets=offsets)


@pytest.mark.parametrize("name", ["fused", "torch"])
def test_steps_stay_the_same_on_larger_grids(name):
    multigrid.steps_do_not_grow(CYCLES[name])
    if name == "torch":
        multigrid.steps_do_not_grow(CYCLES[name], dim=3, sizes=(8, 16))


def test_steps_of_soldered_circuits_and_of_conjugate_gradients_grow():
    for solver in (CYCLES["soldered"], sc.CG()):
        with pytest.raises(AssertionError, match="must not grow"):
            multigrid.steps_do_not_grow(solver)


def forgets_ground(system):
    coarse = system.coarsen()
    return sc.GridSystem(
        coarse.weights, offsets=coarse.offsets, ground=coarse.ground / 2, grid=coarse.grid
    )


def averages_links(system):
    coarse = system.coarsen()
    return sc.GridSystem([w / 2 for w in coarse.weights], ground=coarse.ground)


@pytest.mark.parametrize("wrong", [forgets_ground, averages_links])
def test_wrong_soldering_is_refused(wrong, generator):
    with pytest.raises(AssertionError, match="must be S' A S"):
        multigrid.soldering_is_galerkin(wrong, generator=generator)
    with pytest.raises(AssertionError, match="become one node"):
        multigrid.soldering_is_galerkin(lambda system: system, generator=generator)


def test_wrong_cycles_are_refused(generator):
    right = CYCLES["torch"].precondition

    def smooths_once(system, r):
        z = 0.5 * r / system.diagonal()
        return z + right(system, r - system @ z)

    def overshoots(system, r):
        return 2.5 * right(system, r)

    def goes_uphill(system, r):
        return -right(system, r)

    def smooths_alone(system, r):
        x = 0.7 * r / system.diagonal()
        return x + 0.7 * (r - system @ x) / system.diagonal()

    multigrid.cycle_is_symmetric(smooths_alone, generator=generator)
    multigrid.cycle_contracts(smooths_alone, generator=generator)
    with pytest.raises(AssertionError, match="should have 1 V, one cycle leaves an error of 1 V"):
        multigrid.cycle_carries_the_level(smooths_alone, generator=generator)
    with pytest.raises(AssertionError, match="V must be symmetric"):
        multigrid.cycle_is_symmetric(smooths_once, generator=generator)
    with pytest.raises(AssertionError, match="in the A-norm"):
        multigrid.cycle_contracts(overshoots, generator=generator)
    with pytest.raises(AssertionError, match="positive definite"):
        multigrid.cycle_is_symmetric(goes_uphill, generator=generator)
