"""Chapter 1's from-scratch code against the library and its theorems."""

import numpy as np
import pytest
import torch

import softcut_lib as sc
from softcut_lib.theorems import cuts as theorem
from tests.notebooks.scratch import load_scratch


@pytest.fixture(scope="module")
def chapter():
    return load_scratch("01_cut")


@pytest.fixture(params=[0, 1, 2])
def generator(request):
    return torch.Generator().manual_seed(request.param)


def plain(scores, weights, k):
    return [scores[k, 0].numpy(), *(w[k].numpy() for w in weights)]


def max_flow_of(chapter):
    def max_flow(scores, weights, *, offsets=None):
        values, labels = [], []
        for k in range(scores.shape[0]):
            p, C, R = plain(scores, weights, k)
            *_, (value, _, reached) = chapter.augmenting_paths(chapter.image_network(p, C, R))
            values.append(value)
            labels.append([[(i, j) in reached for j in range(p.shape[1])] for i in range(len(p))])
        return torch.tensor(values, dtype=scores.dtype), torch.tensor(labels).unsqueeze(1)

    return max_flow


def test_augmenting_paths_reach_the_minimum_cut(chapter, generator):
    max_flow = max_flow_of(chapter)
    theorem.flow_equals_cut(max_flow, sc.cut_energy, generator=generator)
    theorem.every_cut_bounds_every_flow(max_flow, sc.cut_energy, generator=generator)
    theorem.min_cut_is_brute_force(
        lambda *a, **k: max_flow(*a, **k)[1], generator=generator, ties=True
    )


def test_brute_force_is_the_minimum_cut(chapter, generator):
    def min_cut(scores, weights, *, offsets=None):
        found = [chapter.brute_force(*plain(scores, weights, k)) for k in range(scores.shape[0])]
        return torch.from_numpy(np.stack(found)).unsqueeze(1)

    theorem.min_cut_is_brute_force(min_cut, generator=generator, grid=(3, 3))


def test_energy_is_the_library_s(chapter, generator):
    p = torch.randn(1, 1, 4, 5, generator=generator)
    weights = [
        torch.rand(1, *sc.edge_shape((4, 5), o), generator=generator) for o in ((1, 0), (0, 1))
    ]
    foreground = torch.rand(1, 1, 4, 5, generator=generator) < 0.5
    ours = chapter.energy(foreground[0, 0].numpy(), *plain(p, weights, 0))
    assert ours == pytest.approx(float(sc.cut_energy(foreground, p, weights)))


def test_flow_is_kept_at_every_node_and_below_every_capacity(chapter, generator):
    p = torch.randn(1, 1, 4, 4, generator=generator)
    weights = [
        torch.rand(1, *sc.edge_shape((4, 4), o), generator=generator) for o in ((1, 0), (0, 1))
    ]
    capacity = chapter.image_network(*plain(p, weights, 0))
    last = 0.0
    for value, residual, _ in chapter.augmenting_paths(capacity):
        assert value >= last
        last = value
        net = dict.fromkeys(capacity, 0.0)
        for u, edges in capacity.items():
            for v, c in edges.items():
                sent = c - residual[u][v]
                assert residual[u][v] >= -1e-12
                net[u] += sent if v in ("s", "t") or u in ("s", "t") else sent / 2
                net[v] -= sent if v in ("s", "t") or u in ("s", "t") else sent / 2
        for node, out in net.items():
            expected = {"s": value, "t": -value}.get(node, 0.0)
            assert out == pytest.approx(expected, abs=1e-6)
