"""Kron reduction against Schur complements, Kirchhoff's laws, and textbook circuits."""

import math
from fractions import Fraction

import networkx as nx
import numpy as np
import pytest
import torch

import softcut_lib as sc
from softcut_lib.theorems import reduction as theorem
from softcut_lib.theorems.circuits import random_circuit

EIGHT = sc.axis_offsets(2) + sc.diagonal_offsets(2)


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(6)


@pytest.mark.parametrize("offsets", [None, EIGHT], ids=["4", "8"])
@pytest.mark.parametrize("seed", range(3))
def test_schur_complement(offsets, seed):
    generator = torch.Generator().manual_seed(seed)
    theorem.reduction_is_the_schur_complement(sc.kron_reduce, generator=generator, offsets=offsets)


@pytest.mark.parametrize(
    "promise",
    [
        theorem.reduction_is_equivalent,
        theorem.reduction_is_a_circuit,
        theorem.resistances_are_kept,
        theorem.order_does_not_matter,
        theorem.reduction_takes_the_least_energy,
    ],
    ids=lambda f: f.__name__,
)
@pytest.mark.parametrize("seed", range(3))
def test_equivalence(promise, seed):
    promise(sc.kron_reduce, generator=torch.Generator().manual_seed(seed))


def test_star_and_mesh(generator):
    theorem.one_node_is_a_star(sc.star_mesh, generator=generator)


def test_series_pendant_and_parallel():
    chain = nx.path_graph(4)
    nx.set_edge_attributes(chain, {(0, 1): 2.0, (1, 2): 2.0, (2, 3): 5.0}, "conductance")
    chain.nodes[3]["current"] = 7.0
    series = sc.kron_reduce(chain, [0, 2])
    assert series.edges[0, 2]["conductance"] == 1.0
    assert series.nodes[2]["current"] == 7.0  # a pendant hands its current on
    chain.add_edge(0, 2, conductance=3.0)
    assert sc.kron_reduce(chain, [0, 2]).edges[0, 2]["conductance"] == 4.0


def test_everything_kept_is_the_circuit_itself(generator):
    circuit = random_circuit(generator)
    before = nx.Graph(circuit)
    assert nx.utils.graphs_equal(sc.kron_reduce(circuit, list(circuit)), circuit)
    sc.kron_reduce(circuit, [(0, 0)])
    sc.star_mesh(circuit, (1, 1))
    assert nx.utils.graphs_equal(circuit, before)  # what went in has not changed


def test_one_kept_pixel_is_a_resistor_to_ground(generator):
    circuit = random_circuit(generator)
    single = sc.kron_reduce(circuit, [(1, 2)])
    assert list(single) == [(1, 2), "ground"]
    ohms = sc.effective_resistance(circuit, (1, 2), "ground")
    assert single.edges[(1, 2), "ground"]["conductance"] == pytest.approx(1 / ohms)
    volts = sc.node_voltages(circuit)[1, 2]
    assert single.nodes[1, 2]["current"] * ohms == pytest.approx(volts)  # Norton's theorem


def test_a_tiny_ground_survives_huge_conductances():
    """No subtraction, no cancellation: every digit of the ground, where a matrix keeps none."""
    w, g = 1e18, 1e-3
    row = sc.grid_circuit(torch.zeros(6), [torch.full((5,), w, dtype=torch.float64)], ground=g)
    ends = sc.kron_reduce(row, [(0,)])
    exact, step = Fraction(g), Fraction(w)
    for _ in range(5):  # from the far end: one more resistor in series, one more to ground
        exact = exact * step / (exact + step) + Fraction(g)
    assert ends.edges[(0,), "ground"]["conductance"] == pytest.approx(float(exact), rel=1e-14)
    A, _ = theorem.matrix_of(row, [(k,) for k in range(6)])
    assert abs(np.linalg.det(A / w)) < 1e-12 or not np.isfinite(np.linalg.cond(A))


def test_with_ground_named_or_not(generator):
    circuit = random_circuit(generator)
    keep = [(0, 0), (2, 3)]
    named = sc.kron_reduce(circuit, [*keep, "ground"])
    assert nx.utils.graphs_equal(named, sc.kron_reduce(circuit, iter(keep)))


def test_other_attributes_stay():
    pair = sc.grid_circuit(torch.ones(2), [torch.ones(1)])
    pair.nodes[0,]["name"] = "left"
    assert sc.kron_reduce(pair, [(0,)]).nodes[0,] == {"current": 1.5, "name": "left"}


def test_refusals():
    floating = sc.grid_circuit(torch.ones(3), [torch.tensor([1.0, 0.0])], ground=0.0)
    with pytest.raises(ValueError, match="keep must name nodes of the circuit, got 'x'"):
        sc.kron_reduce(floating, ["x"])
    with pytest.raises(ValueError, match="keep must name at least one node"):
        sc.kron_reduce(floating, [])
    with pytest.raises(ValueError, match=r"that of \(2,\)"):
        sc.kron_reduce(floating, [(0,)])
    with pytest.raises(ValueError, match="no resistor"):
        sc.star_mesh(floating, (2,))
    with pytest.raises(ValueError, match="other than the ground"):
        sc.star_mesh(sc.grid_circuit(torch.ones(1), [torch.ones(0)]), "ground")
    with pytest.raises(ValueError, match=r"other than the ground, got \(9,\)"):
        sc.star_mesh(floating, (9,))
    for reduce, node in ((sc.kron_reduce, [(0,)]), (sc.star_mesh, (0,))):
        with pytest.raises(TypeError, match=r"networkx\.Graph, got DiGraph"):
            reduce(nx.DiGraph(floating), node)
    for w in (-1.0, 0.0, math.nan, None):
        wrong = nx.Graph()
        wrong.add_edge(0, 1, conductance=w)
        with pytest.raises(ValueError, match="conductance above 0"):
            sc.kron_reduce(wrong, [0])


def pivots(circuit, order):
    for node in order:
        yield sum(edge["conductance"] for edge in circuit[node].values())
        circuit = sc.star_mesh(circuit, node)


def test_pivots_and_trees(generator):
    theorem.pivots_multiply_to_the_determinant(pivots, generator=generator)

    def determinant(circuit):
        return math.prod(pivots(circuit, [n for n in circuit if n != "ground"]))

    theorem.determinant_counts_trees(determinant, generator=generator)


def test_variances(generator):
    theorem.variances_are_resistances(
        lambda system: sc.Direct().factor(system).variances(), generator=generator
    )
