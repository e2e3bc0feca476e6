"""The theorems on circuits notice what is wrong."""

import networkx as nx
import pytest
import torch

import softcut_lib as sc
from softcut_lib.theorems import circuits as theorem


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(2)


def exact(scores, weights, **options):
    return sc.soft_cut(scores, weights, solver=sc.SuperLU(), **options)


def leaky(scores, weights, *, offsets=None, ground=None):
    """The wrong ground: twice the conductance."""
    ground = torch.ones_like(scores[:, 0]) if ground is None else ground
    return exact(scores, weights, offsets=offsets, ground=2 * ground)


def one_way(scores, weights, **options):
    """Every edge counted at its tail only: not symmetric."""
    x = exact(scores, weights, **options)
    return x + 0.01 * x.cumsum(-1)


@pytest.mark.parametrize(
    "check",
    [
        theorem.two_pixels_follow_eq_24,
        theorem.sweep_has_both_limits,
        theorem.soldered_pixels_take_the_mean,
    ],
)
def test_wrong_ground_is_noticed(check, generator):
    with pytest.raises(AssertionError):
        check(leaky, generator=generator)


def test_wrong_voltages_are_noticed(generator):
    with pytest.raises(AssertionError, match="to 1e-08"):
        theorem.voltages_are_the_cut(leaky, sc.node_voltages, generator=generator)
    with pytest.raises(AssertionError, match="exchanged"):
        theorem.circuit_is_reciprocal(one_way, generator=generator)

    def shifted(circuit):
        return {node: v + 0.1 * (node != "ground") for node, v in sc.node_voltages(circuit).items()}

    for check, message in [
        (theorem.kirchhoff_holds, "current law"),
        (theorem.power_balances, "must be equal"),
    ]:
        with pytest.raises(AssertionError, match=message):
            check(shifted, generator=generator)


def test_wrong_resistances_are_noticed(generator):
    def conductance(circuit, a, b):
        return 1 / sc.effective_resistance(circuit, a, b) if a != b else 0.0

    with pytest.raises(AssertionError, match="raised the resistance"):
        theorem.more_conductance_never_more_resistance(conductance, generator=generator)
    with pytest.raises(AssertionError, match="7 ohm"):
        theorem.series_and_parallel(conductance)

    def squared(circuit, a, b):
        return sc.effective_resistance(circuit, a, b) ** 4

    with pytest.raises(AssertionError, match="triangle"):
        for seed in range(20):
            theorem.resistance_is_a_distance(squared, generator=torch.Generator().manual_seed(seed))


def test_random_circuits_are_connected(generator):
    assert nx.is_connected(theorem.random_circuit(generator))
