"""The random walker: harmonic, a probability, and scikit-image's answer."""

import numpy as np
import pytest
import torch
from skimage.segmentation import random_walker as peer

import softcut_lib as sc
from softcut_lib.theorems import cuts as theorem
from tests.grids import GRIDS, arguments

EXACT = sc.SuperLU()


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(5)


@pytest.mark.parametrize("solver", [EXACT, sc.CG(tol=1e-12)], ids=["lu", "cg"])
@pytest.mark.parametrize("kind", ["2d", "2d-diagonals", "3d"])
def test_is_harmonic(kind, solver, generator):
    def walk(*args, **options):
        return sc.random_walker(*args, solver=solver, **options)

    grid, offsets = GRIDS[kind]
    theorem.walker_is_harmonic(walk, generator=generator, grid=grid, offsets=offsets)


@pytest.mark.parametrize("shape", [(12, 15), (5, 6, 7)], ids=["2d", "3d"])
def test_agrees_with_scikit_image(shape):
    rng = np.random.default_rng(0)
    image = rng.random(shape)
    markers = np.zeros(shape, int)
    for label in (1, 2, 3):
        markers.flat[rng.permutation(markers.size)[:4]] = label
    expected = peer(image, markers, beta=20, mode="bf", tol=1e-10, return_full_prob=True)
    # scikit-image's weights: exp(-beta d^2 / (10 std)) + 1e-10
    values = torch.from_numpy(image)[None, None]
    sigma = float(np.sqrt(10 * image.std() / 20 / 2))
    weights = [w + 1e-10 for w in sc.image_weights(values, sigma=sigma)]
    seeds = torch.from_numpy(np.where(markers == 0, 255, markers - 1))[None]
    x = sc.random_walker(seeds, weights, solver=EXACT)[0]
    assert float((x - torch.from_numpy(expected)).abs().max()) < 1e-7


def test_a_chain_is_linear():
    seeds = torch.tensor([[0, 255, 255, 255, 1]])
    x = sc.random_walker(seeds, [torch.ones(1, 4, dtype=torch.float64)])
    assert x[0, 1].tolist() == pytest.approx([0, 0.25, 0.5, 0.75, 1])


def test_a_prior_replaces_seeds():
    scores, weights, _ = arguments("2d", labels=2)
    prior = scores.exp()
    seeds = torch.full((2, 4, 5), 255)
    x = sc.random_walker(seeds, weights, labels=2, prior=prior, solver=EXACT)
    assert torch.allclose(x.sum(1), torch.ones(2, 4, 5).double())
    # the same probabilities by the soft cut, which it is with ground = sum of priors
    cut = sc.soft_cut(prior, weights, ground=prior.sum(1), solver=EXACT)
    assert torch.allclose(x, cut)


def test_a_label_without_seed_gets_nothing():
    seeds = torch.tensor([[0, 255, 255, 1]])
    x = sc.random_walker(seeds, [torch.ones(1, 3)], labels=3)
    assert x.shape == (1, 3, 4)
    assert not x[:, 2].any()


def test_more_conductance_to_a_seed_draws_its_neighbor():
    seeds = torch.tensor([[0, 255, 1]])
    chances = [
        float(sc.random_walker(seeds, [torch.tensor([[1.0, g]])])[0, 1, 1]) for g in (0.5, 1, 4)
    ]
    assert chances == pytest.approx([1 / 3, 1 / 2, 4 / 5])


def walled(weak):
    """Seeds at both ends of a row of 8 pixels; the inner 6 behind weak edges."""
    seeds = torch.tensor([[[0, *[255] * 6, 1]]])
    row = torch.ones(1, 1, 7)
    row[..., [0, -1]] = weak
    return seeds, [torch.ones(1, 0, 8), row]


def test_a_region_that_the_solver_did_not_reach_is_told():
    """Its residual is below any tolerance from the start; that the labels add up to 1 is not."""
    seeds, weights = walled(1e-8)
    with pytest.warns(sc.ConvergenceWarning, match="at 6 of 8 pixels .* add up to between 0 and"):
        sc.random_walker(seeds, weights)
    x = sc.random_walker(seeds, weights, solver=sc.Direct())
    torch.testing.assert_close(x[0, :, 0, 1:-1], torch.full((2, 6), 0.5), rtol=0, atol=1e-6)
    budget = sc.CG(accept=True)
    assert sc.random_walker(seeds, weights, solver=budget).isnan().any()


def test_weights_may_carry_a_label_axis_of_one():
    seeds, weights = walled(0.5)
    one = [w[:, None] for w in weights]
    assert torch.equal(sc.random_walker(seeds, one), sc.random_walker(seeds, weights))


CHAIN = torch.tensor([[0, 255, 1]])


@pytest.mark.parametrize(
    ("seeds", "options", "error", "words"),
    [
        (CHAIN.int(), {}, ValueError, "seeds must be a long tensor"),
        (CHAIN + 0, {"labels": 1}, ValueError, "labels 0..0 or 255 .* got 1"),
        (torch.full((1, 3), 255), {}, ValueError, "without any seed"),
        (CHAIN, {"labels": 0}, ValueError, "labels must be an integer of at least 1"),
        (CHAIN, {"prior": torch.ones(1, 3, 3)}, ValueError, r"prior must have shape \(1, 2, 3\)"),
        (CHAIN, {"prior": -torch.ones(1, 2, 3)}, ValueError, "prior must be at least 0"),
        ([[0, 255, 1]], {}, TypeError, "seeds must be a torch.Tensor"),
    ],
)
def test_refuses(seeds, options, error, words):
    with pytest.raises(error, match=words):
        sc.random_walker(seeds, [torch.ones(1, 2)], **options)


def test_refuses_weights_of_each_label():
    with pytest.raises(ValueError, match="weights must be shared by all labels, got 2"):
        sc.random_walker(CHAIN, [torch.ones(1, 2, 2)])
