"""Chapter 7's from-scratch code against the library and the theorems."""

import pytest
import torch

import softcut_lib as sc
from softcut_lib.layers.isotonic import isotonic_regression
from softcut_lib.theorems import variation as theorem
from tests.notebooks.scratch import load_scratch


@pytest.fixture(scope="module")
def chapter():
    return load_scratch("07_total_variation")


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(7)


def test_decomposition_is_the_library_s(chapter, generator):
    for grid in ((4, 5), (9, 7)):
        scores, weights, _ = theorem.random_problem(generator, grid, batch=1)
        x, rounds = chapter.decompose(scores[0, 0], [w[0] for w in weights])
        torch.testing.assert_close(x, sc.total_variation(scores, weights)[0, 0], atol=1e-7, rtol=0)
        assert 1 <= rounds <= scores.numel()


def test_decomposition_leaves_its_inputs_alone(chapter, generator):
    scores, weights, _ = theorem.random_problem(generator, (4, 5), batch=1)
    image, joints = scores[0, 0], [w[0] for w in weights]
    before = [t.clone() for t in (image, *joints)]
    chapter.decompose(image, joints)
    assert all(torch.equal(a, b) for a, b in zip(before, (image, *joints), strict=True))


def test_its_thresholds_are_minimum_cuts(chapter, generator):
    def cut(scores, weights):
        found = [chapter.decompose(z[0], [w[b] for w in weights]) for b, z in enumerate(scores)]
        return torch.stack([x for x, _ in found]).unsqueeze(1)

    theorem.threshold_is_min_cut(cut, sc.min_cut, generator=generator)
    theorem.it_is_the_minimum(cut, generator=generator)


def test_taut_string(chapter, generator):
    for _ in range(5):
        theorem.taut_string(chapter.taut_string, generator=generator)
    y, w = (torch.randn(50, generator=generator).double() for _ in range(2))
    expected = sc.total_variation(y[None, None], [w[None, :49].exp()])[0, 0]
    torch.testing.assert_close(chapter.taut_string(y, w[:49].exp()), expected)


def test_isotonic_is_the_library_s(chapter, generator):
    theorem.isotonic_is_the_nearest(chapter.isotonic, generator=generator)
    y = torch.randn(200, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(chapter.isotonic(y), isotonic_regression(y))


def test_the_gradient_is_the_library_s(chapter, generator):
    theorem.gradient_is_finite_differences(
        lambda z, w: chapter.BlockwiseCut.apply(z, *w), generator=generator, labels=1
    )
    scores, weights, _ = theorem.random_problem(generator, (6, 7), batch=1)
    found = []
    for cut in (lambda z, w: chapter.BlockwiseCut.apply(z, *w), sc.total_variation):
        leaves = [t.clone().requires_grad_() for t in (scores, *weights)]
        found.append(torch.autograd.grad(cut(leaves[0], leaves[1:]).pow(3).sum(), leaves))
    for ours, library in zip(*found, strict=True):
        torch.testing.assert_close(ours, library, atol=1e-6, rtol=1e-6)
