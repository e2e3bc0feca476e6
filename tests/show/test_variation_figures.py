"""Chapter 7's own pictures: they count what they show."""

import pytest
import torch

from softcut_lib.show.variation_figures import block_colors, isotonic_steps, string_in_tube


def test_bends_and_steps_are_counted():
    drawn = string_in_tube([0.0, 0.0, 4.0, 4.0], [0.5, 0.5, 0.5], [0.25, 0.25, 3.75, 3.75])
    assert "4 values" in drawn.alt and "1 places" in drawn.alt and len(drawn.data) > 1000
    drawn = isotonic_steps([1.0, 3.0, 2.0, 4.0], [1.0, 2.5, 2.5, 4.0])
    assert "4 points" in drawn.alt and "3 steps" in drawn.alt


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match="w and x must have shapes"):
        string_in_tube([0.0, 1.0], [1.0, 1.0], [0.5, 0.5])
    with pytest.raises(ValueError, match="same length"):
        isotonic_steps([0.0, 1.0], [0.0])


def test_every_region_has_one_color():
    x = torch.tensor([[0.0, 0.0, 1.0], [1.0, 0.0, 1.0]])
    colors = block_colors(x[None, None])
    assert colors.shape == (3, 2, 3)
    flat = {tuple(c.tolist()) for c in colors.flatten(1).T}
    assert len(flat) == 3  # two of the value 1, apart, and one of 0
    assert torch.equal(colors[:, 0, 0], colors[:, 1, 1])
