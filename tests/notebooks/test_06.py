"""Chapter 6's from-scratch code against the library and the theorems."""

import networkx as nx
import numpy as np
import pytest
import torch

import softcut_lib as sc
from softcut_lib.theorems import reduction, soldering
from softcut_lib.theorems.circuits import random_circuit
from softcut_lib.theorems.linear_system import random_scores, random_system
from tests.notebooks.scratch import load_scratch


@pytest.fixture(scope="module")
def chapter():
    return load_scratch("06_coarse_circuits")


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(6)


@pytest.mark.parametrize("grid", [(4, 6), (5, 3), (1, 7), (6, 1)])
def test_soldered_circuit_is_the_galerkin_product(chapter, generator, grid):
    circuit = random_circuit(generator, grid=grid)
    pixels = list(np.ndindex(*grid))
    A, currents = reduction.matrix_of(circuit, pixels)
    P = chapter.copies(A, grid).toarray()
    assert np.array_equal(P, soldering.blocks(grid).numpy())
    blocks = list(np.ndindex(*((n + 1) // 2 for n in grid)))
    coarse, sums = reduction.matrix_of(chapter.solder(circuit), blocks)
    assert np.allclose(coarse, P.T @ A @ P, atol=1e-12)
    assert np.allclose(sums, P.T @ currents)


def cycle_on(chapter, interpolate, sweep):
    def apply(system, r):
        levels = chapter.hierarchy(system.to_scipy(), system.grid, interpolate, sweep)
        return torch.from_numpy(chapter.v_cycle(levels, r.flatten().numpy())).view(r.shape)

    return apply


@pytest.mark.parametrize("sweep", ["jacobi", "hasty"])
@pytest.mark.parametrize("interpolate", ["copies", "listen"])
@pytest.mark.parametrize("grid", [(6, 7), (1, 9), (5, 1)])
def test_cycles_are_preconditioners(chapter, generator, interpolate, sweep, grid):
    apply = cycle_on(chapter, getattr(chapter, interpolate), getattr(chapter, sweep))
    soldering.cycle_is_a_preconditioner(apply, generator=generator, grid=grid)


def test_listening_keeps_constants_and_kirchhoffs_law(chapter, generator):
    system = random_system((5, 7), generator=generator, batch=1)
    floating = sc.GridSystem(
        [w + 0.1 for w in system.weights], ground=torch.zeros(1, 5, 7, dtype=torch.float64)
    )
    A = floating.to_scipy()
    P = chapter.listen(A, (5, 7))
    assert np.allclose(P.sum(1), 1)
    values = P @ np.random.default_rng(0).normal(size=P.shape[1])
    current = (A @ values).reshape(5, 7)
    assert np.abs(current[1::2, 1::2]).max() < 1e-10  # pixels that hear all their neighbors


def test_on_a_chain_listening_is_kron_reduction(chapter, generator):
    system = random_system((1, 9), generator=generator, batch=1, grounded=True)
    A = system.to_scipy()
    P = chapter.listen(A, (1, 9))
    circuit = sc.grid_circuit(torch.zeros(1, 9), system.weights, ground=system.ground)
    keep = [(0, k) for k in range(0, 9, 2)]
    S, _ = reduction.matrix_of(sc.kron_reduce(circuit, keep), keep)
    assert np.allclose((P.T @ A @ P).toarray(), S, rtol=1e-10)


def test_hasty_elimination_is_exact_where_nothing_fills(chapter, generator):
    system = random_system((1, 12), generator=generator, batch=1, grounded=True)
    r = random_scores(system, generator=generator, labels=1).flatten().numpy()
    A = system.to_scipy()
    assert np.allclose(A @ chapter.hasty(A)(r), r)


def test_preconditioned_conjugate_gradients_solve(chapter, generator):
    system = random_system((9, 8), generator=generator, batch=1, grounded=True)
    A, b = system.to_scipy(), random_scores(system, generator=generator, labels=1)
    levels = chapter.hierarchy(A, (9, 8), chapter.listen, chapter.hasty)
    x, steps = chapter.preconditioned(
        A, b.flatten().numpy(), lambda r: chapter.v_cycle(levels, r), tol=1e-12
    )
    expected = sc.solve(system, b, sc.SuperLU())[0].flatten().numpy()
    assert np.allclose(x, expected, atol=1e-9) and 0 < steps < 40


def test_star_mesh(chapter, generator):
    reduction.one_node_is_a_star(chapter.star_mesh, generator=generator)
    circuit = random_circuit(generator)
    ours, theirs = chapter.star_mesh(circuit, (1, 1)), sc.star_mesh(circuit, (1, 1))
    assert set(ours.edges) == set(theirs.edges)
    for u, v, w in theirs.edges(data="conductance"):
        assert ours.edges[u, v]["conductance"] == pytest.approx(w)


def test_forget_and_recall_in_any_order(chapter, generator):
    circuit = random_circuit(generator, grid=(4, 5))
    expected = sc.node_voltages(circuit)
    for order in (np.ndindex(4, 5), chapter.dissect(range(4), range(5))):
        volts = chapter.recall(chapter.forget(circuit, list(order)))
        assert all(volts[node] == pytest.approx(v) for node, v in expected.items())


def test_pivots(chapter, generator):
    reduction.pivots_multiply_to_the_determinant(chapter.pivots, generator=generator)


def test_dissection(chapter):
    reduction.order_fills_less(lambda grid: chapter.dissect(*map(range, grid)))
    for grid in ((5, 7), (1, 4), (3, 4, 5)):
        assert sorted(chapter.dissect(*map(range, grid))) == list(np.ndindex(*grid))
    for grid, order in (((4, 5), np.ndindex(4, 5)), ((3, 3), chapter.dissect(range(3), range(3)))):
        order = list(order)
        assert chapter.operations(grid, order) == reduction.operations(grid, order)


def test_stars_are_the_pattern_of_the_factor(chapter, generator):
    circuit = random_circuit(generator, grid=(4, 4))
    grid = nx.grid_graph((4, 4))
    for u, v in grid.edges:  # every resistor there
        circuit.add_edge(u, v, conductance=1.0)
    order = chapter.dissect(range(4), range(4))
    exact = chapter.forget(circuit, order)
    for (e, star, _), (node, pattern, known) in zip(exact, chapter.stars((4, 4), order)):
        assert e == node and set(star) - {"ground"} == pattern and known == set(grid[e])


@pytest.mark.parametrize("grid", [(6, 6), (5, 8), (7, 3)])
def test_listening_is_the_librarys_interpolation(chapter, generator, grid):
    from softcut_lib.solvers.levels import hierarchy

    system = random_system(grid, generator=generator, batch=1, grounded=True)
    P = chapter.listen(system.to_scipy(), grid)
    level = hierarchy(system)[0]
    for k, column in enumerate(np.eye(P.shape[1])):
        value = torch.from_numpy(column).view(1, 1, *((n + 1) // 2 for n in grid))
        assert np.allclose(level.prolong(value).flatten(), P[:, [k]].toarray().ravel())


@pytest.mark.parametrize("labels", [None, 2])
def test_the_librarys_soldering(generator, labels):
    soldering.soldering_is_galerkin(lambda s: s.coarsen(), generator=generator, labels=labels)
    soldering.soldering_restricts_the_energy(lambda s: s.coarsen(), generator=generator)
    soldering.soldering_is_a_limit(lambda s: s.coarsen(), generator=generator)
