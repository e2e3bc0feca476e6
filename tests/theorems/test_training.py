"""The properties of chapter 10 hold for the library and catch what is wrong."""

import pytest
import torch

from softcut_lib import soft_cut
from softcut_lib.theorems import training as theorems
from softcut_lib.train.objectives import reveal


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def taught(weights, pixel):
    grid = (weights[0].shape[1] + 1, weights[0].shape[2])
    delta = torch.zeros(1, 1, *grid, dtype=weights[0].dtype)
    delta[0, 0, pixel[0], pixel[1]] = 1
    return soft_cut(delta, weights)[0, 0]


def test_one_pixel_teaches_all():
    theorems.one_pixel_teaches_all(taught, generator=generator())


@pytest.mark.parametrize(
    "wrong, message",
    [
        (lambda w, p: torch.where(taught(w, p) > 0.01, taught(w, p), 0), "same sign"),
        (lambda w, p: taught(w, p) / 42, "add up to 1"),
        (lambda w, p: taught(w, p).flip(0), "exchanged"),
        (lambda w, p: taught([2 * x for x in w], p), "differs"),
    ],
)
def test_wrong_answers_are_caught(wrong, message):
    with pytest.raises(AssertionError, match=message):
        theorems.one_pixel_teaches_all(wrong, generator=generator())


def test_reveal_is_fair():
    theorems.reveal_is_fair(reveal, generator=generator())


def once(target, fraction, *, generator):
    seen = torch.rand(target.shape, generator=generator) < fraction
    return torch.where(seen, target, 255)


@pytest.mark.parametrize(
    "wrong, message",
    [
        (once, "at least one"),
        (lambda t, f, *, generator: reveal(t, 2 * f, generator=generator), "asked for"),
        (lambda t, f, *, generator: 1 - reveal(t, f, generator=generator), "keep its label"),
        (lambda t, f, *, generator: reveal(t, f, generator=torch.Generator().manual_seed(
            int(torch.empty((), dtype=torch.int64).random_()))), "generator alone"),
    ],
)  # fmt: skip
def test_wrong_reveals_are_caught(wrong, message):
    with pytest.raises(AssertionError, match=message):
        theorems.reveal_is_fair(wrong, generator=generator())
