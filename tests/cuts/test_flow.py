"""Maximum flow is the minimum cut, on every grid, by second methods that share no code."""

import networkx as nx
import pytest
import torch

import softcut_lib as sc
from softcut_lib.grid.edges import head, tail
from softcut_lib.theorems import cuts as theorem
from tests.grids import GRIDS, arguments, every_grid

EIGHT = (*sc.axis_offsets(2), *sc.diagonal_offsets(2))


@pytest.fixture(params=[0, 1])
def generator(request):
    return torch.Generator().manual_seed(request.param)


@pytest.mark.parametrize("offsets", [None, EIGHT], ids=["4", "8"])
@pytest.mark.parametrize("ties", [False, True])
def test_is_brute_force(offsets, ties, generator):
    theorem.min_cut_is_brute_force(sc.min_cut, generator=generator, offsets=offsets, ties=ties)


@pytest.mark.parametrize("kind", ["1d", "2d-row", "2d-long", "3d-26"])
def test_is_brute_force_on_other_grids(kind, generator):
    grid, offsets = GRIDS[kind]
    grid = (4, 3) if kind == "2d-long" else grid
    theorem.min_cut_is_brute_force(sc.min_cut, generator=generator, grid=grid, offsets=offsets)


@pytest.mark.parametrize("kind", GRIDS)
def test_flow_equals_cut(kind, generator):
    grid, offsets = GRIDS[kind]
    theorem.flow_equals_cut(
        sc.max_flow, sc.cut_energy, generator=generator, grid=grid, offsets=offsets
    )


@pytest.mark.parametrize("offsets", [None, EIGHT], ids=["4", "8"])
def test_every_cut_bounds_it(offsets, generator):
    theorem.every_cut_bounds_every_flow(
        sc.max_flow, sc.cut_energy, generator=generator, offsets=offsets
    )


@pytest.mark.parametrize("offsets", [None, EIGHT], ids=["4", "8"])
def test_is_locally_constant(offsets, generator):
    theorem.min_cut_is_locally_constant(sc.min_cut, generator=generator, offsets=offsets)


def test_without_edges_it_is_a_threshold(generator):
    theorem.without_edges_it_is_a_threshold(sc.min_cut, generator=generator)


@pytest.mark.parametrize("offsets", [None, EIGHT], ids=["4", "8"])
def test_seeds(offsets, generator):
    theorem.seeds_are_kept(sc.max_flow, sc.cut_energy, generator=generator, offsets=offsets)


@every_grid
def test_networkx_finds_the_same_flow(kind):
    scores, weights, options = arguments(kind, batch=1, labels=1)
    grid, offsets = GRIDS[kind]
    offsets = offsets or sc.axis_offsets(len(grid))
    node = torch.arange(scores[0, 0].numel()).view(grid)
    network = nx.DiGraph()
    network.add_nodes_from(["s", "t"])
    for k, score in enumerate(scores.flatten().tolist()):
        network.add_edge("s", k, capacity=max(score, 0))
        network.add_edge(k, "t", capacity=max(-score, 0))
    for w, offset in zip(weights, offsets):
        ends = tail(node, offset).flatten().tolist(), head(node, offset).flatten().tolist()
        for p, q, capacity in zip(*ends, w.flatten().tolist()):
            network.add_edge(p, q, capacity=capacity)
            network.add_edge(q, p, capacity=capacity)
    value = sc.max_flow(scores, weights, offsets=options["offsets"]).value
    assert float(value) == pytest.approx(nx.maximum_flow_value(network, "s", "t"), abs=1e-9)


def test_scales_with_its_capacities():
    scores, weights, _ = arguments("2d", labels=1)
    one = sc.max_flow(scores, weights)
    large = sc.max_flow(1e8 * scores, [1e8 * w for w in weights])
    assert torch.equal(one.labels, large.labels)
    assert torch.allclose(1e8 * one.value, large.value)


def test_samples_do_not_touch_each_other():
    scores, weights, _ = arguments("2d", batch=3, labels=1)
    together = sc.max_flow(scores, weights)
    for k in range(3):
        alone = sc.max_flow(scores[k : k + 1], [w[k : k + 1] for w in weights])
        assert torch.equal(alone.labels[0], together.labels[k])
        assert alone.value[0] == together.value[k]


def test_float32_and_strided_input():
    scores, weights, _ = arguments("2d", labels=1)
    expected = sc.max_flow(scores, weights)
    turned = lambda t: t.transpose(-1, -2).contiguous().transpose(-1, -2)  # noqa: E731
    strided = sc.max_flow(turned(scores), [turned(w) for w in weights])
    assert torch.equal(strided.labels, expected.labels)
    single = sc.max_flow(scores.float(), [w.float() for w in weights])
    assert single.value.dtype == torch.float32
    assert torch.allclose(single.value.double(), expected.value)


def test_seeds_overrule_large_scores_and_weights():
    scores = torch.tensor([[[[1e12, 1e12, 1e12]]]], dtype=torch.float64)
    weights = [scores.new_zeros(1, 0, 3), scores.new_full((1, 1, 2), 1e10)]
    seeds = torch.tensor([[[0, 255, 255]]])
    assert sc.min_cut(scores, weights, seeds=seeds).tolist() == [[[[False, True, True]]]]


def test_needs_no_gradient_but_takes_tensors_that_do():
    scores, weights, _ = arguments("2d", labels=1)
    flow = sc.max_flow(scores.requires_grad_(), [w.requires_grad_() for w in weights])
    assert not flow.value.requires_grad


SEEDS = torch.full((2, 4, 5), 255)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"scores": torch.zeros(2, 2, 4, 5).double()}, ValueError, "one label channel"),
        ({"scores": torch.zeros(2, 1, 4, 5).long()}, TypeError, "scores must be float32"),
        ({"seeds": SEEDS.int()}, ValueError, "seeds must be a long tensor"),
        ({"seeds": SEEDS[:1]}, ValueError, "seeds must be a long tensor of shape"),
        ({"seeds": SEEDS - 253}, ValueError, r"labels 0..1 or 255 .* got 2"),
        (
            {"scores": torch.zeros(2, 1, 4, 5, device="meta").double()},
            ValueError,
            r"with \.cpu\(\)",
        ),
    ],
)
def test_refuses(change, error, words):
    scores, weights, _ = arguments("2d", labels=1)
    with pytest.raises(error, match=words):
        sc.max_flow(**({"scores": scores, "weights": weights} | change))
