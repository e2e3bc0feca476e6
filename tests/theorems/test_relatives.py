"""The linear system's relations to min cut and random walks hold, and wrong ones fail."""

import pytest
import torch

import softcut_lib as sc
from softcut_lib.theorems import relatives as theorem

NEIGHBORS = {"4": None, "8": (*sc.axis_offsets(2), *sc.diagonal_offsets(2))}


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(11)


@pytest.fixture(params=NEIGHBORS)
def offsets(request):
    return NEIGHBORS[request.param]


@pytest.mark.parametrize("grounded", [False, True])
def test_energy_on_signs(offsets, grounded, generator):
    theorem.energy_on_signs_is_the_cut(
        sc.cut_energy, generator=generator, offsets=offsets, grounded=grounded
    )


def test_min_cut_is_best_of_all_signs(offsets, generator):
    theorem.min_cut_minimizes_energy_on_signs(sc.min_cut, generator=generator, offsets=offsets)


def test_seeds_are_a_random_walk(offsets, generator):
    theorem.seeded_answer_is_a_random_walk(
        lambda system, rhs: sc.solve(system, rhs, sc.CG(tol=1e-13))[0],
        generator=generator,
        offsets=offsets,
    )


def test_another_capacity_is_noticed(generator):
    def half(labels, scores, weights, *, offsets):
        return sc.cut_energy(labels, scores, [w / 2 for w in weights], offsets=offsets)

    with pytest.raises(AssertionError, match="twice the cut energy"):
        theorem.energy_on_signs_is_the_cut(half, generator=generator)


def test_thresholded_soft_cut_is_not_the_min_cut(generator):
    def soft(scores, weights, *, offsets):
        return sc.soft_cut(scores, weights, offsets=offsets) > 0

    with pytest.raises(AssertionError, match="lowest energy"):
        for _ in range(5):
            theorem.min_cut_minimizes_energy_on_signs(soft, generator=generator)


def test_a_grounded_walk_is_noticed(generator):
    def leaky(system, rhs):
        return sc.solve(system, rhs)[0] * 0.99

    with pytest.raises(AssertionError, match="seed of value 1"):
        theorem.seeded_answer_is_a_random_walk(leaky, generator=generator)
