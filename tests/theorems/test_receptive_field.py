"""The theorems of the receptive field hold for the library and fail for what sees less."""

import pytest
import torch

import softcut_lib as sc
from softcut_lib.theorems import receptive_field as theorem


def solve(system, scores):
    return sc.solve(system, scores, sc.CG(tol=1e-13))[0]


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(3)


def near_sighted(system, scores):
    """Two Jacobi steps: each pixel sees its neighbors' neighbors."""
    x = scores / system.diagonal()
    for _ in range(2):
        x = x + (scores - system @ x) / system.diagonal()
    return x


def test_influence_reaches_the_component(generator):
    theorem.influence_reaches_the_component(solve, generator=generator)
    with pytest.raises(AssertionError, match="did not rise"):
        theorem.influence_reaches_the_component(near_sighted, generator=generator)


@pytest.mark.parametrize("conductance", [0.1, 2.0, 10.0])
def test_influence_falls_geometrically(conductance):
    theorem.influence_falls_geometrically(solve, conductance=conductance)
    with pytest.raises(AssertionError, match="must fall by"):
        theorem.influence_falls_geometrically(near_sighted, conductance=conductance)


def test_min_cut_sees_the_farthest_pixel():
    theorem.min_cut_sees_the_farthest_pixel(sc.min_cut)
    with pytest.raises(AssertionError, match="turn this one over"):
        theorem.min_cut_sees_the_farthest_pixel(lambda scores, weights: scores > 0)


@pytest.mark.parametrize("dilations", [None, (1, 4, 8)])
def test_network_sees_its_window(generator, dilations):
    torch.manual_seed(0)
    net = sc.BasicNet(dilations=dilations)
    theorem.network_sees_a_window(net, net.receptive_field, generator=generator)
    with pytest.raises(AssertionError, match="outside"):
        theorem.network_sees_a_window(net, net.receptive_field - 2, generator=generator)
