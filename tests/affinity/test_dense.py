"""The exact affinity against its definition, and whatever the size of its blocks."""

import math
from itertools import product

import torch

import softcut_lib as sc
from softcut_lib.affinity import dense
from softcut_lib.theorems.affinity import written_out
from tests.affinity.kinds import random_image, random_maps


def test_definition():
    """W_pq written out pair by pair, from the image and the places alone."""
    image = random_image(1, 3, 3, 4)
    written = written_out(sc.DenseAffinity(image, sigma_color=90, sigma_space=2))
    pixels = list(product(range(3), range(4)))
    for (i, p), (j, q) in product(enumerate(pixels), enumerate(pixels)):
        color = sum((image[0, c][p] - image[0, c][q]) ** 2 for c in range(3))
        space = math.dist(p, q) ** 2
        expected = math.exp(-color / (2 * 90**2) - space / (2 * 2**2))
        assert abs(written[i, j] - expected) < 1e-12


def test_blocks_change_nothing(monkeypatch):
    image, maps = random_image(2, 3, 5, 6), random_maps(2, 3, 5, 6)
    whole = sc.DenseAffinity(image, sigma_color=40, sigma_space=3).matmul(maps)
    for entries in (1, 37, 100):
        monkeypatch.setitem(dense._ENTRIES, "cpu", entries)
        again = sc.DenseAffinity(image, sigma_color=40, sigma_space=3).matmul(maps)
        torch.testing.assert_close(again, whole, rtol=1e-13, atol=1e-13)


def test_far_pixels_do_not_see_each_other():
    """Small sigmas: W is the identity, not NaN."""
    image, maps = random_image(1, 3, 5, 6), random_maps(1, 2, 5, 6)
    tight = sc.DenseAffinity(image, sigma_color=0.3, sigma_space=0.3)
    torch.testing.assert_close(tight.matmul(maps), maps, rtol=0.02, atol=0.02)
    constant = sc.DenseAffinity(0 * image, sigma_color=0.3, sigma_space=1e6)
    torch.testing.assert_close(constant.degree, torch.full_like(constant.degree, 30))
