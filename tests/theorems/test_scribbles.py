"""The theorems of chapter 15 hold for the library, and fail for what is wrong."""

import pytest
import torch

from softcut_lib import simulate_scribbles
from softcut_lib.losses.balanced import normalized_cut_gradient
from softcut_lib.theorems import scribbles as theorem


def generator():
    return torch.Generator().manual_seed(0)


def tangent_step(affinity, seeds, labels, count):
    sets = torch.stack([labels == k for k in range(count)], 1).double()
    best = normalized_cut_gradient(sets, affinity).argmin(1)
    return torch.where(seeds != 255, seeds, best)


def test_simulated_scribbles_say_the_truth():
    source = generator()
    theorem.scribbles_say_the_truth(
        lambda target: simulate_scribbles(target, generator=source), generator=generator()
    )


@pytest.mark.parametrize(
    ("simulate", "message"),
    [
        (
            lambda t: torch.where(torch.rand(t.shape, generator=generator()) < 0.1, 0, 255),
            "another",
        ),
        (lambda t: torch.where(t == 0, 0, 255), "no scribble names"),
        (lambda t: t, "a mask"),
    ],
)
def test_other_scribbles_are_found_out(simulate, message):
    with pytest.raises(AssertionError, match=message):
        theorem.scribbles_say_the_truth(simulate, generator=generator())


def test_tangent_steps_never_climb():
    theorem.seeded_steps_never_climb(tangent_step, generator=generator())


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (lambda a, s, y, k: (y + 1) % k, "lost their label"),
        (lambda a, s, y, k: torch.where(s != 255, s, (y + 1) % k), "raised the normalized cut"),
        (lambda a, s, y, k: y, "no step moved"),
    ],
)
def test_other_steps_are_found_out(step, message):
    with pytest.raises(AssertionError, match=message):
        theorem.seeded_steps_never_climb(step, generator=generator())


def test_mean_field_descends():
    theorem.mean_field_descends(
        lambda q, log_p, kernel: (log_p + q @ kernel).softmax(0), generator=generator()
    )


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (lambda q, p, kernel: (p - q @ kernel).softmax(0), "raised F"),
        (lambda q, p, kernel: (q @ kernel).softmax(0), "without a kernel"),
        (lambda q, p, kernel: p.exp() * (1 + (q @ kernel)), "sum to 1"),
    ],
)
def test_other_updates_are_found_out(step, message):
    with pytest.raises(AssertionError, match=message):
        theorem.mean_field_descends(step, generator=generator())
