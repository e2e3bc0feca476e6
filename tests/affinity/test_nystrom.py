"""Landmarks: exact where all pixels are, better with more, the same places in every image."""

import pytest
import torch

import softcut_lib as sc
from softcut_lib.theorems.affinity import written_out
from tests.affinity.kinds import SIGMAS, random_image, random_maps


def smooth_image(height=12, width=15):
    y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    return 255 * torch.stack([x * y, x, 1 - y])[None].double()


def test_all_landmarks_are_nearly_exact():
    """W (W + 0.001)^-1 W: each eigenvalue m becomes m^2 / (m + 0.001)."""
    image = random_image(1, 3, 4, 5)
    exact = written_out(sc.DenseAffinity(image, **SIGMAS))
    values, vectors = torch.linalg.eigh(exact)
    expected = vectors @ torch.diag(values**2 / (values + 1e-3)) @ vectors.T
    found = written_out(sc.NystromAffinity(image, **SIGMAS))
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-8)


def test_more_landmarks_are_better():
    image, maps = smooth_image(), random_maps(1, 2, 12, 15)
    sigmas = {"sigma_color": 80, "sigma_space": 6}
    exact = sc.DenseAffinity(image, **sigmas).matmul(maps)
    errors = [
        (sc.NystromAffinity(image, **sigmas, landmarks=m).matmul(maps) - exact).norm()
        / exact.norm()
        for m in (4, 16, 64, 180)
    ]
    assert errors == sorted(errors, reverse=True) and errors[0] > 0.05 and errors[-1] < 1e-3


def test_landmarks_come_from_the_generator():
    image, maps = random_image(1, 3, 6, 7), random_maps(1, 2, 6, 7)

    def product(seed):
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        return sc.NystromAffinity(image, **SIGMAS, landmarks=5, generator=generator).matmul(maps)

    assert torch.equal(product(3), product(3)) and torch.equal(product(None), product(None))
    assert not torch.allclose(product(3), product(4))
    with pytest.raises(ValueError, match="landmarks"):
        sc.NystromAffinity(image, **SIGMAS, landmarks=0)


def test_a_float32_product_keeps_its_digits():
    """The inverse's entries reach 1000, with both signs: in float32 they would cost four digits."""
    image, maps = smooth_image(), random_maps(1, 2, 12, 15)
    sigmas = {"sigma_color": 80, "sigma_space": 6}
    exact = sc.NystromAffinity(image, **sigmas).matmul(maps)
    single = sc.NystromAffinity(image.float(), **sigmas).matmul(maps.float())
    torch.testing.assert_close(single.double(), exact, rtol=1e-5, atol=0)
