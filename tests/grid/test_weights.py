import itertools
import math

import pytest
import torch

import softcut_lib as sc
from softcut_lib.grid.edges import head, tail
from tests.grids import EIGHT, random


def test_a_flat_image_gives_the_scale_and_a_step_cuts_it():
    image = torch.zeros(1, 3, 4, 6)
    image[..., 3:] = 1
    C, R = sc.image_weights(image, sigma=0.5, scale=7.0)
    assert torch.all(C == 7)
    torch.testing.assert_close(R[0, :, 2], torch.full((4,), 7 * math.exp(-3 / 0.5)))
    assert torch.all(R[0, :, :2] == 7)


def test_weights_do_not_depend_on_the_sign_of_the_contrast():
    image = random(2, 3, 5, 4).abs()
    for a, b in zip(sc.image_weights(image), sc.image_weights(1 - image), strict=True):
        torch.testing.assert_close(a, b)


def test_diagonals_are_weaker_by_their_length():
    weights = sc.image_weights(torch.zeros(1, 1, 3, 3), offsets=EIGHT)
    assert [round(float(w.max()), 6) for w in weights] == [1, 1, 0.707107, 0.707107]


def test_the_weights_fit_a_volume():
    image = random(1, 2, 3, 4, 5)
    assert sc.GridSystem(sc.image_weights(image)).grid == (3, 4, 5)


def test_refusals():
    image = random(1, 1, 3, 3)
    with pytest.raises(ValueError, match="sigma must be a finite number above 0, got 0"):
        sc.image_weights(image, sigma=0)
    image[0, 0, 1, 1] = float("nan")
    with pytest.raises(ValueError, match="image must be finite, got 1 NaN or infinite of 9"):
        sc.image_weights(image)
    with pytest.raises(TypeError, match="image must be float32 or float64, got torch.uint8"):
        sc.image_weights(torch.zeros(1, 1, 3, 3, dtype=torch.uint8))


def straight_boundary(angle, offsets, radius=110):
    """Measured length over true length of a straight boundary inside a disk."""
    n = 2 * radius + 41
    y, x = torch.meshgrid(*(torch.arange(n) - n // 2 for _ in range(2)), indexing="ij")
    half = x * math.cos(angle) + y * math.sin(angle) > 0.25
    inside = x**2 + y**2 < radius**2
    cut = sum(
        w * int(((tail(half, o) != head(half, o)) & tail(inside, o)).sum())
        for o, w in zip(offsets, sc.length_weights(offsets), strict=True)
    )
    return cut / (2 * radius)


@pytest.mark.parametrize(
    ("offsets", "ratio"),
    [
        (sc.axis_offsets(2), 2**0.5),
        ((*sc.axis_offsets(2), *sc.diagonal_offsets(2)), 1.09),
        (
            (*sc.axis_offsets(2), *sc.diagonal_offsets(2), (1, 2), (2, 1), (1, -2), (2, -1)),
            1.04,
        ),
    ],
    ids=["4", "8", "16"],
)
def test_length_weights_measure_lengths(offsets, ratio):
    lengths = [straight_boundary(math.radians(a), offsets) for a in range(0, 180, 5)]
    assert max(lengths) / min(lengths) < ratio * 1.01
    assert sum(lengths) / len(lengths) == pytest.approx(1, abs=0.01)


def test_length_weights_errors():
    for a, b in itertools.product(range(-4, 5), repeat=2):
        for k in (-1, 2, -3) if a or b else ():
            with pytest.raises(ValueError, match="different lines"):
                sc.length_weights([(a, b), (k * a, k * b)])
    with pytest.raises(ValueError, match="must have 2 entries"):
        sc.length_weights([(1, 0, 0)])
