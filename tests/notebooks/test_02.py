"""Chapter 2's from-scratch code against the library and its theorems."""

import networkx as nx
import pytest
import torch

import softcut_lib as sc
from softcut_lib.theorems import circuits as theorem
from tests.notebooks.scratch import load_scratch


@pytest.fixture(scope="module")
def chapter():
    return load_scratch("02_circuit")


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(4)


def test_relaxation_obeys_kirchhoff(chapter, generator):
    theorem.kirchhoff_holds(chapter.relax, generator=generator)
    theorem.power_balances(chapter.relax, generator=generator)


def test_relaxation_finds_the_soft_cut(chapter, generator):
    def exact(scores, weights, **options):
        return sc.soft_cut(scores, weights, solver=sc.SuperLU(), **options)

    theorem.voltages_are_the_cut(exact, chapter.relax, generator=generator, grid=(3, 4))


def test_the_circuit_is_the_library_s(chapter, generator):
    p = torch.randn(4, 5, generator=generator)
    weights = [
        0.1 + torch.rand(sc.edge_shape((4, 5), o), generator=generator) for o in sc.axis_offsets(2)
    ]
    ours = chapter.build(p.numpy(), *(w.numpy() for w in weights))
    theirs = sc.grid_circuit(p, weights)
    assert set(ours) == set(theirs)
    assert nx.get_node_attributes(theirs, "current", 0.0) == pytest.approx(
        {"ground": 0.0} | nx.get_node_attributes(ours, "current")
    )
    assert set(map(frozenset, ours.edges)) == set(map(frozenset, theirs.edges))
    for u, v, w in theirs.edges(data="conductance"):
        assert ours.edges[u, v]["conductance"] == pytest.approx(w)
