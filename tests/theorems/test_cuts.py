"""The theorems on cuts notice what is wrong."""

import pytest
import torch

import softcut_lib as sc
from softcut_lib.theorems import cuts as theorem


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(1)


def thresholded(scores, weights, *, offsets=None, seeds=None):
    return sc.MaxFlow(scores.abs().flatten(1).sum(1), scores > 0)


def generous(scores, weights, *, offsets=None, seeds=None):
    """A minimum cut, but the one with the largest foreground."""
    return ~sc.min_cut(-scores, weights, offsets=offsets)


def test_wrong_cuts_are_noticed(generator):
    wrong_labels = lambda *a, **k: thresholded(*a, **k).labels  # noqa: E731
    for check, message in [
        (lambda: theorem.min_cut_is_brute_force(wrong_labels, generator=generator), "labelings"),
        (
            lambda: theorem.min_cut_is_brute_force(generous, generator=generator, ties=True),
            "fewest foreground",
        ),
        (
            lambda: theorem.flow_equals_cut(thresholded, sc.cut_energy, generator=generator),
            "flow must equal",
        ),
        (
            lambda: theorem.every_cut_bounds_every_flow(
                thresholded, sc.cut_energy, generator=generator
            ),
            "below the flow",
        ),
        (
            lambda: theorem.seeds_are_kept(thresholded, sc.cut_energy, generator=generator),
            "seed must keep",
        ),
        (
            lambda: theorem.without_edges_it_is_a_threshold(
                lambda s, w, offsets: s > 1, generator=generator
            ),
            "scores > 0",
        ),
        (
            lambda: theorem.min_cut_is_locally_constant(
                lambda s, w, offsets: (1e9 * s).sin() > 0, generator=generator
            ),
            "no label may change",
        ),
    ]:
        with pytest.raises(AssertionError, match=message):
            check()


def test_wrong_walkers_are_noticed(generator):
    def hasty(seeds, weights, **options):
        x = sc.random_walker(seeds, weights, **options)
        return torch.where((seeds == 255).unsqueeze(1), x.square() / x.square().sum(1, True), x)

    with pytest.raises(AssertionError, match="weighted mean"):
        theorem.walker_is_harmonic(hasty, generator=generator)


def test_brute_force_refuses_large_grids():
    with pytest.raises(ValueError, match="at most 16 pixels"):
        theorem.brute_force(torch.zeros(5, 5), [])
