"""Pictures of shrinking circuits: what they draw, and what they refuse."""

import networkx as nx
import pytest
import torch

import softcut_lib as sc
from softcut_lib import show


@pytest.fixture
def grid():
    return sc.grid_circuit(torch.zeros(3, 4), [torch.ones(2, 4), torch.ones(3, 3)], ground=0.5)


def test_a_reduced_circuit_differs_from_its_original(grid):
    rim = [n for n in grid if n not in ("ground", (1, 1), (1, 2))]
    reduced = sc.kron_reduce(grid, rim)
    alt = "A grid of twelve pixels reduced to its border."
    plain, marked = show.circuits(reduced, alt=alt), show.circuits(reduced, original=grid, alt=alt)
    assert plain.data != marked.data  # orange resistors and rings where nodes were
    both = show.circuits([grid, reduced], original=[None, grid], titles=["a", "b"], alt=alt)
    assert both.width >= plain.width and both.alt == alt


def test_nodes_stand_where_they_are_told(grid):
    star = nx.Graph()
    star.add_edge("e", "a", conductance=1.0)
    with pytest.raises(ValueError, match="places must give"):
        show.circuits(star, alt="A star without places for its nodes.")
    places = {"e": (0, 0), "a": (1, 2.5)}
    drawn = show.circuits(star, places=places, values=True, alt="Two nodes and one resistor.")
    assert drawn.mime.startswith("image/")


def test_voltages_color_the_nodes(grid):
    grid.nodes[0, 0]["current"] = 3.0
    volts = sc.node_voltages(grid)
    alt = "A grid of twelve pixels fed at one corner."
    assert show.circuits(grid, alt=alt).data != show.circuits(grid, voltages=[volts], alt=alt).data


def test_thick_lines_conduct_well():
    def row(w):
        return sc.grid_circuit(torch.zeros(3), [torch.tensor([1.0, w])], ground=0.0)

    alt = "Three pixels in a row, two resistors."
    assert show.circuits(row(1.0), alt=alt).data != show.circuits(row(100.0), alt=alt).data


def test_fill_marks_what_came():
    order = [(1, {0, 2}, {0, 2}), (0, {2}, {1}), (2, set(), {1})]
    known = [(1, {0, 2}, {0, 2}), (0, {2}, {1, 2}), (2, set(), {0, 1})]
    alt = "Two triangular matrices with three nodes each."
    assert show.fill([order], alt=alt).data != show.fill([known], alt=alt).data
    assert show.fill([order, known], titles=["fill", "none"], alt=alt).alt == alt


def test_alternative_text_is_required(grid):
    for plot in (
        lambda: show.circuits(grid, alt=""),
        lambda: show.fill([[(0, set(), set())]], alt=""),
    ):
        with pytest.raises(ValueError, match="alt must say"):
            plot()
