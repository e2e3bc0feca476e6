"""Chapter 3's own pictures: what they need, and that they carry what they were given."""

import pytest
import scipy.sparse
import torch

from softcut_lib.show.system_figures import inverse_rows, paint_seeds, patterns

ALT = "A picture made by a test, with nothing to see."


def test_inverse_rows_draws_one_panel_per_pixel():
    rows = torch.rand(3, 8, 10, generator=torch.Generator().manual_seed(0)) + 0.01
    pixels = [(1, 2), (3, 4), (7, 9)]
    drawn = inverse_rows(torch.zeros(1, 3, 8, 10), pixels, list(rows), columns=2, alt=ALT)
    assert drawn.alt == ALT and len(drawn.data) > 1000
    with pytest.raises(ValueError, match="one map per pixel"):
        inverse_rows(torch.zeros(3, 8, 10), pixels, list(rows[:2]), alt=ALT)


def test_a_figure_without_alternative_text_is_refused():
    with pytest.raises(ValueError, match="alt"):
        patterns([scipy.sparse.eye_array(4)], titles=["I"], alt="")


def test_painted_seeds_differ_by_label_and_leave_the_rest():
    seeds = torch.full((12, 12), 255)
    seeds[2, 2], seeds[9, 9] = 0, 1
    painted = paint_seeds(torch.full((1, 3, 12, 12), 0.5), seeds, grow=1)
    assert not torch.equal(painted[:, 2, 2], painted[:, 9, 9])
    assert torch.equal(painted[:, 2, 2], painted[:, 1, 3])
    assert bool((painted[:, 5, 5] == 0.5).all())
    with pytest.raises(ValueError, match="image's shape"):
        paint_seeds(torch.zeros(3, 4, 5), torch.zeros(5, 4, dtype=torch.long))
