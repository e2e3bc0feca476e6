"""The affinity summed by KeOps: the numbers of DenseAffinity, its derivatives, its refusals.

KeOps compiles every combination of dtype, features and labels, so few of them stand here.
"""

import importlib.util
import sys

import pytest
import torch

import softcut_lib as sc
from softcut_lib.theorems.affinity import adjoint_is_exact
from tests.affinity.kinds import SIGMAS, random_image, random_maps


def installed(test):
    """Where KeOps is; slow, for it compiles whatever is not in its cache yet."""
    missing = importlib.util.find_spec("pykeops") is None
    skip = pytest.mark.skipif(missing, reason='pip install "softcut-lib[keops]"')
    return pytest.mark.slow(skip(test))


def both(image, **options):
    return [make(image, **SIGMAS, **options) for make in (sc.KeOpsAffinity, sc.DenseAffinity)]


@pytest.fixture
def no_keops(monkeypatch):
    for name in ("pykeops", "pykeops.torch"):  # the second may have been loaded before
        monkeypatch.setitem(sys.modules, name, None)


def test_without_keops_the_install_line_is_named(no_keops):
    with pytest.raises(ImportError, match=r'pip install "softcut-lib\[keops\]"'):
        sc.KeOpsAffinity(random_image(1, 3, 4, 5), **SIGMAS)


def test_images_are_looked_at_before_keops_is(no_keops):
    with pytest.raises(ValueError, match="multiply it by 255"):
        sc.KeOpsAffinity(random_image(1, 3, 4, 5) / 255, **SIGMAS)


@installed
def test_it_is_the_dense_affinity():
    for batch, labels, grid in ((1, 2, (6, 7)), (3, 2, (6, 7)), (2, 1, (1, 1))):
        image, maps = random_image(batch, 3, *grid), random_maps(batch, labels, *grid)
        ours, exact = both(image)
        torch.testing.assert_close(ours.matmul(maps), exact.matmul(maps), rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(ours.degree, exact.degree, rtol=1e-12, atol=1e-12)
        assert ours.shape == exact.shape and ours.degree is ours.degree
        assert torch.equal(ours.matmul(maps), ours.matmul(maps)), "the same bits at every run"


@installed
def test_more_labels_than_are_summed_at_once():
    image, maps = random_image(2, 3, 5, 4), random_maps(2, 18, 5, 4)
    ours, exact = both(image)
    torch.testing.assert_close(ours.matmul(maps), exact.matmul(maps), rtol=1e-12, atol=1e-12)


@installed
def test_single_precision_and_half_maps():
    image = random_image(2, 3, 6, 7, dtype=torch.float32)
    maps = random_maps(2, 2, 6, 7, dtype=torch.float32)
    ours, exact = both(image)
    torch.testing.assert_close(ours.matmul(maps), exact.matmul(maps), rtol=1e-5, atol=1e-5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert ours.matmul(maps.half()).dtype == torch.float32


@installed
def test_derivatives_are_those_of_the_dense_affinity():
    generator = torch.Generator().manual_seed(0)
    image = random_image(2, 3, 3, 4)
    maps = random_maps(2, 2, 3, 4).requires_grad_()
    ours, exact = both(image)
    assert torch.autograd.gradcheck(ours.matmul, maps, fast_mode=True)
    assert torch.autograd.gradgradcheck(ours.matmul, maps, fast_mode=True)
    values = [sc.normalized_cut_loss(maps, affinity) for affinity in (ours, exact)]
    grads = [torch.autograd.grad(value, maps)[0] for value in values]
    torch.testing.assert_close(*values)
    torch.testing.assert_close(*grads)
    adjoint_is_exact(ours, generator=generator)


@installed
def test_many_answers_are_mapped_over():
    ours, exact = both(random_image(1, 3, 3, 4))
    many = torch.stack([random_maps(1, 2, 3, 4, seed=s) for s in range(8)])
    mapped = [torch.func.vmap(affinity.matmul)(many) for affinity in (ours, exact)]
    torch.testing.assert_close(*mapped)


@installed
def test_features_of_any_dimension():
    points, maps = random_image(1, 9, 1) / 100, random_maps(1, 2, 9)
    pair = [make.from_features(points) for make in (sc.KeOpsAffinity, sc.DenseAffinity)]
    torch.testing.assert_close(*(affinity.matmul(maps) for affinity in pair))


@installed
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu():
    image, maps = random_image(2, 3, 30, 40), random_maps(2, 21, 30, 40)
    expected = sc.DenseAffinity(image, **SIGMAS).matmul(maps)
    found = sc.KeOpsAffinity(image.cuda(), **SIGMAS).matmul(maps.cuda())
    assert found.is_cuda
    torch.testing.assert_close(found.cpu(), expected, rtol=1e-10, atol=1e-10)
