"""The circuit by Kirchhoff's laws, against the linear system and against textbook circuits."""

import math

import networkx as nx
import pytest
import torch

import softcut_lib as sc
from softcut_lib.circuits.network import edge_currents, kirchhoff_residual
from softcut_lib.theorems import circuits as theorem
from tests.grids import GRIDS, arguments, every_grid

CG = sc.CG(tol=1e-13)


def cut_by(solver):
    def cut(scores, weights, **options):
        return sc.soft_cut(scores, weights, solver=solver, **options)

    return cut


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(7)


@pytest.fixture(params=["superlu", "cg", "fused"])
def cut(request):
    solvers = {
        "superlu": sc.SuperLU(),
        "cg": sc.CG(tol=1e-13, max_iter=5000, kernel="torch"),
        "fused": sc.CG(tol=1e-13, max_iter=5000, kernel="fused"),
    }
    return cut_by(solvers[request.param])


@every_grid
def test_voltages_are_the_cut(kind, cut, generator):
    grid, offsets = GRIDS[kind]
    theorem.voltages_are_the_cut(
        cut, sc.node_voltages, generator=generator, grid=grid, offsets=offsets
    )


def test_eq_24(cut, generator):
    theorem.two_pixels_follow_eq_24(cut, generator=generator)


def test_limits(generator):
    theorem.sweep_has_both_limits(cut_by(sc.SuperLU()), generator=generator)


def test_soldered_pixels(generator):
    theorem.soldered_pixels_take_the_mean(cut_by(sc.SuperLU()), generator=generator)


def test_reciprocity(cut, generator):
    theorem.circuit_is_reciprocal(cut, generator=generator)


@pytest.mark.parametrize(
    "offsets", [None, (*sc.axis_offsets(2), *sc.diagonal_offsets(2))], ids=["4", "8"]
)
def test_kirchhoff(offsets, generator):
    theorem.kirchhoff_holds(sc.node_voltages, generator=generator, offsets=offsets)


def test_power(generator):
    theorem.power_balances(sc.node_voltages, generator=generator)


def test_rayleigh(generator):
    theorem.more_conductance_never_more_resistance(sc.effective_resistance, generator=generator)


def test_resistance_is_a_distance(generator):
    theorem.resistance_is_a_distance(sc.effective_resistance, generator=generator)


def test_series_and_parallel():
    theorem.series_and_parallel(sc.effective_resistance)


def test_networkx_reads_the_same_resistance(generator):
    circuit = theorem.random_circuit(generator)
    expected = nx.resistance_distance(circuit, (0, 0), (2, 3), "conductance", invert_weight=False)
    assert sc.effective_resistance(circuit, (0, 0), (2, 3)) == pytest.approx(expected)


def test_cube_and_ladder():
    cube = nx.hypercube_graph(3)
    nx.set_edge_attributes(cube, 1.0, "conductance")
    assert sc.effective_resistance(cube, (0, 0, 0), (1, 1, 1)) == pytest.approx(5 / 6)
    # an endless ladder of one-ohm resistors to ground: 1 / golden ratio, after 40 rungs exact
    ladder = sc.grid_circuit(torch.zeros(40), [torch.ones(39)])
    golden = (1 + math.sqrt(5)) / 2
    assert sc.effective_resistance(ladder, (0,), "ground") == pytest.approx(1 / golden)


def test_unconnected_nodes():
    apart = sc.grid_circuit(torch.zeros(2), [torch.zeros(1)], ground=0.0)
    assert sc.effective_resistance(apart, (0,), (1,)) == math.inf
    assert sc.effective_resistance(apart, (0,), (0,)) == 0
    apart.add_edge((0,), (1,), conductance=0.0)  # an open resistor joins nothing
    assert sc.effective_resistance(apart, (0,), (1,)) == math.inf
    apart.add_edge((1,), "beside", conductance=4.0)
    assert sc.effective_resistance(apart, (1,), "beside") == pytest.approx(0.25)


def test_held_nodes_are_the_random_walker():
    _, weights, _ = arguments("2d", batch=1)
    seeds = torch.full((1, 4, 5), 255)
    seeds[0, 0, 0], seeds[0, 3, 4], seeds[0, 3, 0] = 1, 0, 0
    circuit = sc.grid_circuit(torch.zeros(4, 5), weights, ground=0.0)
    assert "ground" not in circuit
    voltages = sc.node_voltages(circuit, held={(0, 0): 1.0, (3, 4): 0.0, (3, 0): 0.0})
    walker = sc.random_walker(seeds, weights, solver=CG)[0, 1]
    for node, voltage in voltages.items():
        assert voltage == pytest.approx(float(walker[node]), abs=1e-10)


def test_currents_and_residual():
    circuit = sc.grid_circuit([[3.0, 0.0]], [torch.zeros(0, 2), torch.ones(1, 1)])
    voltages = sc.node_voltages(circuit)
    currents = edge_currents(circuit, voltages)
    assert set(currents) == set(circuit.edges)
    assert sum(i for (u, v), i in currents.items() if "ground" in (u, v)) == pytest.approx(3.0)
    assert kirchhoff_residual(circuit, voltages) < 1e-12
    wrong = voltages | {(0, 0): voltages[0, 0] + 0.5}
    assert kirchhoff_residual(circuit, wrong) == pytest.approx(1.0)  # 0.5 V on 1 + 1 siemens
    assert math.isnan(kirchhoff_residual(circuit, voltages | {(0, 1): math.nan}))
    chain = sc.grid_circuit(torch.ones(4), [torch.ones(3)])
    unknown = sc.node_voltages(chain) | {(3,): math.nan}  # the last of the nodes that are asked
    assert math.isnan(kirchhoff_residual(chain, unknown))


def test_parallel_offsets_add():
    twice = sc.grid_circuit([1.0, 0.0], [torch.ones(1), torch.ones(1)], offsets=((1,), (-1,)))
    assert twice.edges[(0,), (1,)]["conductance"] == 2


def test_takes_lists_batches_and_no_open_resistors():
    plain = sc.grid_circuit(torch.ones(2, 2), [torch.ones(1, 2), torch.zeros(2, 1)], ground=2)
    batched = sc.grid_circuit(
        torch.ones(1, 1, 2, 2), [torch.ones(1, 1, 2), torch.zeros(1, 1, 2, 1)],
        ground=torch.full((1, 2, 2), 2.0),
    )  # fmt: skip
    assert nx.utils.graphs_equal(plain, batched)
    assert not plain.has_edge((0, 0), (0, 1))


W = [torch.ones(1, 2), torch.ones(2, 1)]


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        ((torch.ones(2, 1, 2, 2), W), {}, "scores must have 2 axes"),
        ((torch.ones(2), W), {}, "scores must have 2 axes"),
        ((torch.ones(2, 2), W[::-1]), {}, r"weights\[0\] must end in \(1, 2\)"),
        ((torch.ones(2, 2), W[:1]), {"offsets": ((1, 0), (0, 1))}, "one tensor per offset, 2"),
        ((torch.ones(2, 2), [-w for w in W]), {}, r"weights\[0\] must be at least 0"),
        ((torch.ones(2, 2), W), {"ground": -1.0}, "ground must be at least 0"),
        ((torch.ones(2, 2), W), {"ground": torch.ones(3, 2)}, "ground must have the grid's shape"),
        ((torch.full((2, 2), math.nan), W), {}, "scores must be finite"),
    ],
)
def test_circuit_refuses(arguments, options, words):
    with pytest.raises(ValueError, match=words):
        sc.grid_circuit(*arguments, **options)


def test_voltages_refuse():
    floating = sc.grid_circuit(torch.ones(3), [torch.ones(2)], ground=0.0)
    with pytest.raises(ValueError, match="held must name at least one node"):
        sc.node_voltages(floating)
    apart = sc.grid_circuit(torch.ones(3), [torch.tensor([1.0, 0.0])], ground=0.0)
    with pytest.raises(ValueError, match="every connected part"):
        sc.node_voltages(apart, held={(0,): 1.0})
    apart.add_edge((1,), (2,), conductance=0.0)  # an open resistor joins nothing
    with pytest.raises(ValueError, match="every connected part"):
        sc.node_voltages(apart, held={(0,): 1.0})
    with pytest.raises(ValueError, match=r"held must name at least one .* got \[\(9,\)\]"):
        sc.node_voltages(floating, held={(0,): 1.0, (9,): 0.0})
    with pytest.raises(ValueError, match="a must be a node"):
        sc.effective_resistance(floating, (9,), (0,))
    for law in (edge_currents, kirchhoff_residual):
        with pytest.raises(KeyError):
            law(floating, {(0,): 1.0})
