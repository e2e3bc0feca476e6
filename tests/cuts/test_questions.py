"""`best_question`: what it asks, what it refuses, and that it never asks in vain."""

import pytest
import torch

from softcut_lib import SyntheticHorses, best_question, image_weights, mean_iou, random_walker
from softcut_lib.theorems.fields import gains_are_expected_changes


def problem(grid=(6, 7), batch=2, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    h, w = grid
    shapes = ((batch, h - 1, w), (batch, h, w - 1))
    weights = [torch.rand(s, generator=generator, dtype=dtype) + 0.05 for s in shapes]
    seeds = torch.full((batch, *grid), 255)
    seeds[:, 0, 0], seeds[:, -1, -1] = 0, 1
    return seeds, weights


@pytest.mark.parametrize("labels", [2, 3, 4])
def test_gain_is_the_expected_squared_change(labels):
    generator = torch.Generator().manual_seed(labels)
    gains_are_expected_changes(
        lambda s, w: best_question(s, w, labels=labels).gain, generator=generator, labels=labels
    )


def test_shapes_and_what_they_hold():
    seeds, weights = problem()
    asked = best_question(seeds, weights, labels=3)
    assert asked.pixel.shape == (2, 2) and asked.pixel.dtype == torch.long
    assert asked.gain.shape == asked.followers.shape == seeds.shape
    assert asked.prob.shape == (2, 3, 6, 7)
    held = seeds != 255
    assert bool((asked.gain[held] == 0).all()) and bool((asked.followers[held] == 0).all())
    assert bool((asked.followers[~held] >= 1).all())
    assert bool((asked.variance[held] == 0).all()) and bool((asked.variance[~held] > 0).all())
    for b, (y, x) in enumerate(asked.pixel.tolist()):
        assert float(asked.gain[b, y, x]) == float(asked.gain[b].max()) > 0
    torch.testing.assert_close(asked.prob, random_walker(seeds, weights, labels=3), atol=1e-4,
                               rtol=0)  # fmt: skip


def test_an_image_does_not_depend_on_its_batch():
    seeds, weights = problem()
    both = best_question(seeds, weights)
    for b in range(2):
        one = best_question(seeds[b : b + 1], [w[b : b + 1] for w in weights])
        torch.testing.assert_close(one.gain[0], both.gain[b])


def test_scaling_all_conductances_changes_nothing():
    seeds, weights = problem()
    gain = best_question(seeds, weights).gain
    torch.testing.assert_close(best_question(seeds, [8 * w for w in weights]).gain, gain)


def test_float32_agrees():
    seeds, weights = problem()
    single = best_question(seeds, [w.float() for w in weights])
    assert single.gain.dtype == torch.float32
    double = best_question(seeds, weights)
    torch.testing.assert_close(single.gain.double(), double.gain, rtol=1e-3, atol=1e-4)


def test_nothing_in_doubt_still_asks_a_free_pixel():
    seeds, weights = problem()
    seeds[seeds == 1] = 0
    asked = best_question(seeds, weights)
    for b, (y, x) in enumerate(asked.pixel.tolist()):
        assert seeds[b, y, x] == 255


def test_followers_follow():
    """On a chain with all seeds at one end: everybody beyond a pixel, and a share of those before.

    Behind a resistor that hardly conducts nobody before it follows, but a pixel before it is
    followed by the whole region behind, whose walks have no other way out.
    """
    seeds = torch.full((1, 1, 12), 255)
    seeds[0, 0, 0], seeds[0, 0, 1] = 0, 1
    wires = torch.ones(1, 1, 11, dtype=torch.float64)
    wires[..., 3] = 1e-6
    asked = best_question(seeds, [torch.zeros(1, 0, 12, dtype=torch.float64), wires])
    followers = asked.followers[0, 0]
    expected = torch.tensor([10.0, 9.5, *[8.0] * 8], dtype=torch.float64)
    torch.testing.assert_close(followers[2:], expected, atol=1e-4, rtol=0)


def test_asking_beats_the_same_number_of_random_questions():
    generator = torch.Generator().manual_seed(0)
    horses = SyntheticHorses("train", count=8, size=(32, 40))
    image = torch.stack([horses[k]["image"] for k in range(8)]).double()
    truth = torch.stack([horses[k]["target"] for k in range(8)])
    weights = [w + 1e-4 for w in image_weights(image, sigma=0.05)]

    def after(choose, questions=10):
        seeds = torch.full_like(truth, 255)
        seeds[:, 0, 0] = truth[:, 0, 0]
        inside = (truth != truth[:, :1, :1]).flatten(1).float().argmax(1, keepdim=True)
        seeds.view(8, -1).scatter_(1, inside, truth.flatten(1).gather(1, inside))
        for _ in range(questions):
            flat = choose(seeds)
            seeds.view(8, -1).scatter_(1, flat, truth.flatten(1).gather(1, flat))
        found = random_walker(seeds, weights, labels=2).argmax(1)
        return float(mean_iou((found == 1).double()[:, None], truth))

    def asked(seeds):
        y, x = best_question(seeds, weights).pixel.T
        return (y * 40 + x)[:, None]

    def anywhere(seeds):
        return torch.randint(0, 32 * 40, (8, 1), generator=generator)

    assert after(asked) > 1.1 * after(anywhere)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s, w: {"labels": 1}, "labels must be at least 2"),
        (lambda s, w: {"seeds": torch.zeros_like(s)}, "leave a pixel free"),
        (lambda s, w: {"seeds": torch.full_like(s, 255)}, "seed"),
        (lambda s, w: {"seeds": s.float()}, "seeds"),
        (lambda s, w: {"seeds": torch.where(s == 1, 5, s)}, "seeds"),
        (lambda s, w: {"weights": [w[0], -w[1]]}, "weights"),
        (lambda s, w: {"weights": w[::-1]}, "weights"),
        (lambda s, w: {"weights": [v[:, None].repeat(1, 2, 1, 1) for v in w]}, "shared by all"),
        (lambda s, w: {"offsets": ((1, 0), (1, 1))}, "weights"),
        (lambda s, w: {"weights": w[::-1], "offsets": ((0, 1), (1, 0))}, "4 neighbors"),
        (lambda s, w: {"seeds": s[:, 0], "weights": [w[1][:, 0]]}, "4 neighbors"),
    ],
)
def test_bad_input_is_refused(change, words):
    seeds, weights = problem()
    arguments = {"seeds": seeds, "weights": weights, **change(seeds, weights)}
    with pytest.raises((ValueError, TypeError), match=words):
        best_question(arguments.pop("seeds"), arguments.pop("weights"), **arguments)
