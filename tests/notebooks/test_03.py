"""Chapter 3's from-scratch code against the library and the theorems."""

import numpy as np
import pytest
import torch

import softcut_lib as sc
from softcut_lib.theorems import linear_system as theorem
from tests.notebooks.scratch import load_scratch


@pytest.fixture(scope="module")
def chapter():
    return load_scratch("03_system")


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(5)


@pytest.mark.parametrize("grid", [(3, 4), (1, 5), (6, 1)])
def test_assembly_is_eq_15(chapter, grid, generator):
    theorem.assembly_follows_eq_15(chapter.assemble, generator=generator, grid=grid)


def test_assembly_is_the_library_s(chapter, generator):
    C = torch.rand(4, 6, generator=generator, dtype=torch.float64)
    R = torch.rand(5, 5, generator=generator, dtype=torch.float64)
    gap = chapter.assemble(C, R) - sc.GridSystem([C[None], R[None]]).to_scipy()
    assert abs(gap).max() < 1e-14


def test_walks_end_as_the_inverse_says(chapter, generator):
    C = 3 * torch.rand(3, 5, generator=generator, dtype=torch.float64)
    R = 3 * torch.rand(4, 4, generator=generator, dtype=torch.float64)
    walkers = 20_000
    ends = chapter.walk(C, R, (1, 2), walkers, np.random.default_rng(0))
    row = np.linalg.inv(chapter.assemble(C, R).toarray())[1 * 5 + 2]
    assert ends.sum() == walkers
    deviation = np.sqrt(row * (1 - row) / walkers)
    assert (abs(ends.ravel() / walkers - row) < 5 * deviation).all()


def test_walks_stay_on_their_side_of_a_cut_edge(chapter):
    R = np.array([[2.0, 0.0, 2.0]])
    ends = chapter.walk(np.zeros((0, 4)), R, (0, 1), 500, np.random.default_rng(0))
    assert ends[0, 2:].sum() == 0 and ends[0, :2].sum() == 500


def test_color_scores_separate_two_colors(chapter, generator):
    image = torch.full((1, 3, 12, 20), 0.2, dtype=torch.float64)
    image[..., 10:] = 0.8
    image += 0.02 * torch.randn(image.shape, generator=generator, dtype=torch.float64)
    inside, outside = (slice(0, 6), slice(10, 20)), (slice(0, 6), slice(0, 10))
    scores = chapter.color_scores(image, inside, outside)
    assert scores.shape == (1, 1, 12, 20) and float(scores.abs().max()) <= 2
    assert bool((scores[..., 10:] > 0).all()) and bool((scores[..., :10] < 0).all())
    swapped = chapter.color_scores(image, outside, inside)
    torch.testing.assert_close(swapped, -scores)
