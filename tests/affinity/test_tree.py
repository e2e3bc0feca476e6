"""The affinity along a minimum spanning tree: paths added up, its limits, its derivatives."""

import pytest
import torch

import softcut_lib as sc
from softcut_lib.affinity.tree import grow_tree
from softcut_lib.theorems.affinity import (
    adjoint_is_exact,
    is_positive_semidefinite,
    is_symmetric,
    written_out,
)
from softcut_lib.theorems.trees import tree_affinity_is_the_sum_over_paths
from tests.affinity.kinds import random_image, random_maps
from tests.elsewhere import DEVICE, Elsewhere, away, here


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(3)


@pytest.mark.parametrize("grid", [(5, 6), (12,), (1, 7), (3, 2, 4), (1, 1)], ids=str)
def test_paths_are_added_up(grid, generator):
    tree_affinity_is_the_sum_over_paths(
        sc.TreeAffinity.from_features, generator=generator, grid=grid
    )


def test_a_filter_in_space_is_noticed(generator):
    with pytest.raises(AssertionError, match="path from p to q"):
        tree_affinity_is_the_sum_over_paths(sc.DenseAffinity.from_features, generator=generator)


def test_symmetric_and_positive_semidefinite(generator):
    affinity = sc.TreeAffinity(random_image(2, 3, 6, 7), sigma_color=120)
    is_symmetric(affinity)
    is_positive_semidefinite(affinity)
    adjoint_is_exact(affinity, generator=generator)
    W = written_out(affinity)
    assert affinity.symmetric and affinity.psd
    torch.testing.assert_close(W.diagonal(), torch.ones(42, dtype=W.dtype), rtol=0, atol=1e-12)
    torch.testing.assert_close(affinity.degree[0, 0].flatten(), W.sum(1))


def test_every_pixel_comes_after_its_parent(generator):
    features = torch.randn(30, 2, generator=generator).double().numpy()
    order, parent, decay, rest = grow_tree(features, (5, 6))
    assert sorted(order) == list(range(30)) and parent[0] == 0
    assert all(p < k for k, p in enumerate(parent) if k)
    for k in range(1, 30):  # parents are neighbours in the grid
        (y, x), (v, u) = divmod(order[k], 6), divmod(order[parent[k]], 6)
        assert abs(y - v) + abs(x - u) == 1
    assert abs(rest - (1 - decay**2)).max() < 1e-14


def test_where_edges_tie_the_first_are_taken():
    """A chessboard of 2 x 2: of four equal edges the last, along the lower row, is left out."""
    image = torch.tensor([[[[0.0, 25.5], [25.5, 0.0]]]], dtype=torch.float64)
    W = written_out(sc.TreeAffinity(image))
    steps = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1], [1, 2, 0, 3], [2, 1, 3, 0]])
    torch.testing.assert_close(W, torch.exp(-0.5 * steps.double()))


def test_the_path_keeps_within_a_region():
    """Two halves of one colour each, joined by a gap of 1: all of a half is as near as its edge."""
    image = torch.zeros(1, 1, 4, 6, dtype=torch.float64)
    image[..., 3:] = 51
    affinity = sc.TreeAffinity(image)
    left = (image == 0).double()
    expected = torch.where(image == 0, 12, 12 * torch.exp(torch.tensor(-2.0).double()))
    torch.testing.assert_close(affinity.matmul(left), expected)


def test_where_all_is_one_colour_everything_is_averaged():
    image, maps = torch.full((2, 3, 5, 4), 9.0), random_maps(2, 3, 5, 4, dtype=torch.float32)
    affinity = sc.TreeAffinity(image)
    total = maps.sum((2, 3), keepdim=True).expand_as(maps)
    torch.testing.assert_close(affinity.matmul(maps), total)


def test_only_differences_of_colour_count():
    image, maps = random_image(2, 3, 5, 6) / 2, random_maps(2, 2, 5, 6)
    expected = sc.TreeAffinity(image, sigma_color=30).matmul(maps)
    moved = sc.TreeAffinity(image + 100, sigma_color=30).matmul(maps)
    wider = sc.TreeAffinity(2 * image, sigma_color=60).matmul(maps)
    turned = sc.TreeAffinity(image.flip(1), sigma_color=30).matmul(maps)
    for found in (moved, wider, turned):
        torch.testing.assert_close(found, expected)
    mirrored = sc.TreeAffinity(image.flip(3), sigma_color=30).matmul(maps.flip(3)).flip(3)
    torch.testing.assert_close(mirrored, expected)


def test_batch_labels_and_bytes():
    image, maps = random_image(3, 3, 5, 4).round(), random_maps(3, 20, 5, 4)
    affinity = sc.TreeAffinity(image)
    together = affinity.matmul(maps)
    for k in range(3):
        alone = sc.TreeAffinity(image[k : k + 1]).matmul(maps[k : k + 1, 7:8])
        torch.testing.assert_close(together[k, 7:8], alone[0], rtol=1e-13, atol=1e-13)
    assert torch.equal(sc.TreeAffinity(image.float()).degree, sc.TreeAffinity(image.byte()).degree)
    assert torch.equal(together, sc.TreeAffinity(image).matmul(maps))


def test_derivatives():
    affinity = sc.TreeAffinity(random_image(2, 3, 3, 4), sigma_color=100)
    maps = random_maps(2, 2, 3, 4).requires_grad_()
    assert torch.autograd.gradcheck(affinity.matmul, maps)
    assert torch.autograd.gradgradcheck(affinity.matmul, maps)
    single = maps.detach().float().requires_grad_()
    target = random_maps(2, 2, 3, 4, seed=3)
    for x in (maps, single):
        (affinity.matmul(x) * target).sum().backward()
    torch.testing.assert_close(single.grad.double(), maps.grad, rtol=1e-5, atol=1e-5)
    jacobian = torch.func.jacrev(affinity.matmul)(maps[:, :1].detach())
    torch.testing.assert_close(jacobian[0, 0, :, :, 0, 0].reshape(12, 12), written_out(affinity))


def test_a_long_path_keeps_its_digits_in_float32():
    image = random_image(1, 3, 60, 80, dtype=torch.float32) / 40
    maps = random_maps(1, 2, 60, 80, dtype=torch.float32)
    affinity = sc.TreeAffinity(image)
    exact = sc.TreeAffinity(image.double()).matmul(maps.double())
    torch.testing.assert_close(affinity.matmul(maps).double(), exact, rtol=1e-5, atol=1e-5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert affinity.matmul(maps.half()).dtype == torch.float32


def test_another_device():
    """Walked on the CPU, but what comes back lies where the maps and the image lie."""
    image, maps = random_image(2, 3, 5, 6), random_maps(2, 2, 5, 6)
    exact = sc.TreeAffinity(image)
    with Elsewhere():
        affinity = sc.TreeAffinity(away(image))
        product, degree = affinity.matmul(away(maps)), affinity.degree
    assert product.device == degree.device == DEVICE
    torch.testing.assert_close(here(product), exact.matmul(maps))
    torch.testing.assert_close(here(degree), exact.degree)


def test_it_stands_in_other_losses():
    """Any affinity of the protocol does in the normalized cut; this one cuts nothing here."""
    image = torch.zeros(1, 3, 4, 6)
    image[..., 3:] = 255
    prob = torch.zeros(1, 1, 4, 6)
    prob[..., 3:] = 1
    assert sc.normalized_cut_loss(prob, sc.TreeAffinity(image)) < 1e-6


@pytest.mark.parametrize(
    ("image", "options", "error", "words"),
    [
        (random_image(1, 3, 4, 5) / 255, {}, ValueError, "multiply it by 255"),
        (random_image(1, 3, 4, 5), {"sigma_color": 0.1}, ValueError, "multiply a sigma meant for"),
        (random_image(1, 3, 4, 5).long(), {}, TypeError, "float32 or float64"),
        (random_image(1, 3, 4, 5) / 0, {}, ValueError, "finite"),
    ],
)
def test_refusals(image, options, error, words):
    with pytest.raises(error, match=words):
        sc.TreeAffinity(image, **options)
