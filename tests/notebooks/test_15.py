"""Chapter 15's from-scratch code against the library, and the answers of its exercises."""

import networkx as nx
import numpy as np
import pytest
import torch

import softcut_lib as sc
from softcut_lib.train.scribbled import pack
from softcut_lib.train.scribbles import ScribbleOutput, Supervision
from softcut_lib.weak.scribbles import _longest_path
from tests.notebooks.scratch import load_scratch


@pytest.fixture(scope="module")
def chapter():
    return load_scratch("15_weak_supervision")


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(3)


def crooked(generator, steps=25):
    """The pixels of a random tree: arms that never touch each other but at the root."""
    pixels = {(0, 0)}
    for dy, dx in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        length = int(torch.randint(1, steps, (), generator=generator))
        pixels |= {(2 * dy + k * dy, 2 * dx + k * dx) for k in range(length)}
        pixels.add((dy, dx))
    return pixels


def test_longest_path(chapter, generator):
    for _ in range(5):
        pixels = crooked(generator)
        graph = nx.Graph(
            (a, b)
            for a in pixels
            for b in pixels
            if a != b and max(abs(a[0] - b[0]), abs(a[1] - b[1])) == 1
        )
        path = chapter.longest_path(pixels)
        assert len(set(path)) == len(path) and nx.is_path(graph, path)
        assert len(path) == nx.diameter(graph) + 1
        library = _longest_path(np.array(sorted(pixels)))
        assert len(library) == len(path)


def test_seeded_cut(chapter, generator):
    image = 255 * torch.rand(1, 3, 6, 7, generator=generator, dtype=torch.float64)
    affinity = sc.DenseAffinity(image, sigma_color=60, sigma_space=4)
    W = affinity.matmul(torch.eye(42).double().view(1, 42, 6, 7)).view(42, 42)
    seeds = torch.full((1, 6, 7), 255)
    seeds[0, 1, 1:4], seeds[0, 4, 2:5] = torch.arange(3), torch.arange(3)
    start = torch.randint(0, 3, (1, 6, 7), generator=generator)
    start = torch.where(seeds != 255, seeds, start)
    by_hand = chapter.seeded_cut(W, seeds.flatten(), start.flatten())
    library = sc.seeded_normalized_cut(affinity, seeds, start=start).labels
    assert torch.equal(by_hand.view(6, 7), library[0])


def test_scribble_loss(chapter, generator):
    image = torch.rand(2, 3, 8, 9, generator=generator, dtype=torch.float64)
    scores = torch.randn(2, 1, 8, 9, generator=generator, dtype=torch.float64)
    seeds = torch.full((2, 8, 9), 255)
    seeds[:, 2, 1:5], seeds[:, 6, 2:8] = 0, 1
    kernel = {"sigma_color": 60.0, "sigma_space": 4.0}
    W = sc.LatticeAffinity(255 * image, **kernel)
    by_hand = chapter.scribble_loss(scores, 255 * image, seeds, 0.6, W)
    told = Supervision(regularizer="normalized-cut", weight=0.6, options=kernel)
    output = ScribbleOutput(scores, None, scores, scores.sigmoid(), image, 0, told)
    torch.testing.assert_close(by_hand, told.loss(output, pack(0 * seeds, seeds), started=True))


def test_mean_field(chapter, generator):
    image = 255 * torch.rand(1, 3, 5, 6, generator=generator, dtype=torch.float64)
    logits = torch.randn(1, 3, 5, 6, generator=generator, dtype=torch.float64)
    kernels = sc.crf_kernels(image, sigma_color=60, sigma_space=4)
    K = 0
    for strength, affinity in kernels:
        matrix = affinity.matmul(torch.eye(30).double().view(1, 30, 5, 6)).view(30, 30)
        root = matrix.sum(1).rsqrt()
        K = K + strength * root[:, None] * matrix * root
    by_hand = chapter.mean_field(logits[0].flatten(1).log_softmax(0), K)
    torch.testing.assert_close(by_hand.view(3, 5, 6), sc.mean_field(logits, kernels)[0])


def test_without_the_diagonal_two_pixels_swing(chapter):
    log_p = torch.tensor([[0.6, 0.4], [0.4, 0.6]]).double().log()  # labels, pixels
    apart = torch.tensor([[0.0, 8.0], [8.0, 0.0]]).double()
    states = [chapter.mean_field(log_p, apart, steps=k)[0] > 0.5 for k in range(20, 24)]
    assert states[0].tolist() == states[2].tolist() != states[1].tolist() == states[3].tolist()
    whole = apart + 8 * torch.eye(2)
    late = [chapter.mean_field(log_p, whole, steps=k) for k in (200, 201)]
    torch.testing.assert_close(*late)


def test_a_line_against_the_rest_has_a_cut_near_one(generator):
    image = 255 * torch.rand(1, 3, 20, 20, generator=generator)
    affinity = sc.DenseAffinity(image, sigma_color=100, sigma_space=40)
    line = torch.zeros(1, 1, 20, 20)
    line[..., 10, 2:18] = 1
    assert 0.9 < float(sc.normalized_cut_loss(line, affinity)) < 1
