"""The property functions of chapter 6 refuse what is wrong, and say why."""

import math

import networkx as nx
import pytest
import torch

import softcut_lib as sc
from softcut_lib.theorems import reduction as theorem


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(6)


def without_parallel(circuit, node):
    """Forgets that there may be a resistor already."""
    star = {i: e["conductance"] for i, e in circuit[node].items()}
    reduced = sc.star_mesh(circuit, node)
    for i, u in star.items():
        for j, v in star.items():
            if i != j:
                reduced.edges[i, j]["conductance"] = u * v / sum(star.values())
    return reduced


def deleting(circuit, keep):
    return nx.Graph(circuit.subgraph([*keep, "ground"]))


def holding_currents(circuit, keep):
    reduced = sc.kron_reduce(circuit, keep)
    for node in keep:
        reduced.nodes[node]["current"] = circuit.nodes[node]["current"]
    return reduced


def rounding(circuit, keep):
    reduced = sc.kron_reduce(circuit, keep)
    for u, v, w in reduced.edges(data="conductance"):
        reduced.edges[u, v]["conductance"] = float(f"{w:.2g}")
    return reduced


def stiffer(circuit, keep):
    reduced = sc.kron_reduce(circuit, keep)
    for u, v, w in reduced.edges(data="conductance"):
        reduced.edges[u, v]["conductance"] = 100 * w
    return reduced


def opposite(circuit, keep):
    reduced = sc.kron_reduce(circuit, keep)
    for u, v, w in reduced.edges(data="conductance"):
        reduced.edges[u, v]["conductance"] = -w
    return reduced


@pytest.mark.parametrize(
    ("promise", "wrong", "words"),
    [
        (theorem.reduction_is_the_schur_complement, deleting, "Schur"),
        (theorem.reduction_is_the_schur_complement, holding_currents, "shares"),
        (theorem.reduction_is_equivalent, deleting, "voltages"),
        (theorem.resistances_are_kept, deleting, "ohmmeter"),
        (theorem.order_does_not_matter, rounding, "order"),
        (theorem.reduction_takes_the_least_energy, deleting, "same"),
        (theorem.reduction_takes_the_least_energy, stiffer, "no more"),
        (theorem.reduction_is_a_circuit, opposite, "positive"),
        (theorem.one_node_is_a_star, without_parallel, "Schur"),
        (theorem.a_chessboard_quarters_the_condition, deleting, "quarter"),
    ],
)
def test_wrong_reductions_are_refused(generator, promise, wrong, words):
    with pytest.raises(AssertionError, match=words):
        promise(wrong, generator=generator)


def test_wrong_pivots_trees_and_variances(generator):
    with pytest.raises(AssertionError, match="one positive pivot"):
        theorem.pivots_multiply_to_the_determinant(lambda c, o: [1.0], generator=generator)
    with pytest.raises(AssertionError, match="multiply"):
        theorem.pivots_multiply_to_the_determinant(lambda c, o: [1.0] * 9, generator=generator)
    with pytest.raises(AssertionError, match="spanning trees"):
        theorem.determinant_counts_trees(lambda c: 1.0, generator=generator)
    with pytest.raises(AssertionError, match="resistance to ground"):
        theorem.variances_are_resistances(lambda s: 1 / s.diagonal(), generator=generator)


def test_orders():
    def middle_first(grid):
        """One split: both halves row by row, then the middle column."""
        pixels = [(i, j) for j in range(grid[1]) for i in range(grid[0])]
        middle = [p for p in pixels if p[1] == grid[1] // 2]
        return [p for p in pixels if p not in middle] + middle

    assert theorem.operations((1, 3), [(0, 0), (0, 1), (0, 2)]) == 2
    assert theorem.operations((1, 3), [(0, 1), (0, 0), (0, 2)]) == 3 + 1
    with pytest.raises(AssertionError, match="exactly once"):
        theorem.order_fills_less(lambda grid: [(0, 0)] * math.prod(grid))
    with pytest.raises(AssertionError, match="fewer operations"):
        theorem.order_fills_less(
            lambda grid: list(reversed(middle_first(grid))), grids=((5, 5),) * 2
        )
