"""Cuts side by side: the measures themselves."""

import math
from functools import partial

import pytest
import torch

import softcut_lib as sc
from softcut_lib.train.comparison import gradient_quality, pass_times, small_training

pytest.importorskip("lightning")


@pytest.fixture
def problem():
    g = torch.Generator().manual_seed(0)
    grid = (5, 6)
    scores = torch.randn(1, 1, *grid, generator=g, dtype=torch.float64)
    weights = [
        0.5 + torch.rand(1, *sc.edge_shape(grid, o), generator=g).double()
        for o in sc.axis_offsets(2)
    ]
    return scores, weights, (torch.rand(1, *grid, generator=g) > 0.5).long()


def test_a_smooth_cut_has_the_direction_of_its_differences(problem):
    scores, weights, target = problem
    weights[0][..., 0], weights[0][..., 1] = 0.0, 5e-5  # below the step the window is cut off at 0
    cut = sc.SoftCut(solver=sc.SuperLU())
    found = gradient_quality(cut, scores, weights, target, step=1e-4)
    assert min(found.values()) > 1 - 1e-6


def test_a_wrong_sign_shows(problem):
    class Flipped(torch.nn.Module):
        def forward(self, scores, weights):
            x = sc.soft_cut(scores, weights)
            return 2 * x.detach() - x

    found = gradient_quality(Flipped(), *problem, step=1e-3)
    assert max(found.values()) < -0.99


def test_noise_is_the_same_for_every_difference(problem):
    g = torch.Generator()
    cut = sc.perturbed(sc.min_cut, sigma=0.5, num_samples=200, generator=g)
    found = gradient_quality(cut, *problem, redraw=lambda: g.manual_seed(3), step=0.3)
    assert found["scores"] > 0.5


def test_a_flat_gradient_has_no_direction(problem):
    scores, weights, target = problem
    cut = sc.perturbed(sc.min_cut, sigma=1e-6, num_samples=3)
    assert math.isnan(gradient_quality(cut, scores, weights, target, step=1e-3)["scores"])


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_the_probabilities_of_a_program_are_not_squashed_again(problem):
    """A program is clipped total variation (chapter 8), and its gradient has that direction."""
    pytest.importorskip("cvxpylayers", reason="pip install 'cvxpylayers>=1.0'")
    program = partial(sc.linear_program_cut, smoothing=2.0)

    def clipped(scores, weights):
        return 0.5 + (sc.total_variation(scores, weights) / 2).clamp(-0.5, 0.5)

    clipped.output = "probabilities"
    found, expected = (gradient_quality(cut, *problem) for cut in (program, clipped))
    assert found == pytest.approx(expected, abs=1e-3)


def test_small_training_learns_and_repeats():
    horses = [sc.SyntheticHorses("train", count=4, size=(32, 40))[k] for k in range(4)]
    first, second = (small_training(sc.SoftCut(), horses, horses, steps=60) for _ in range(2))
    start = small_training(sc.SoftCut(), horses, horses, steps=1)
    assert first["loss"] < start["loss"]
    assert {k: v for k, v in first.items() if k != "seconds"} == {
        k: v for k, v in second.items() if k != "seconds"
    }


def test_a_loss_of_the_cuts_input_can_be_trained():
    horses = [sc.SyntheticHorses("train", count=2, size=(32, 40))[k] for k in range(2)]
    errors = []
    for steps in (1, 40):
        loss = sc.fenchel_young_loss(
            sc.min_cut, sigma=0.3, num_samples=2, generator=torch.Generator().manual_seed(0)
        )
        errors.append(small_training(None, horses, horses, loss=loss, steps=steps)["loss"])
    assert errors[1] < 0.95 * errors[0]


def test_times_are_positive(problem):
    assert min(pass_times(sc.SoftCut(), *problem[:2], repeats=2).values()) > 0
