"""torch.func over total variation: vmap, grad, jacrev and their compositions."""

import pytest
import torch
from torch.func import functional_call, grad, jacrev, linearize, vmap
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._pytree import tree_leaves

import softcut_lib as sc
from softcut_lib.layers.blockwise import block_mean
from softcut_lib.theorems import variation as theorem
from tests.batches import FORWARD_MODE, differentiate_forward, entry, loop, same
from tests.grids import random

WAYS = {
    "flow": {},
    "torch": {"kernel": "torch", "tol": 1e-9},
    "published": {"method": "published"},
    "by value": {"blocks": "value"},
}
every_way = pytest.mark.parametrize("way", WAYS)


def cut_by(way):
    return lambda p, w: sc.total_variation(p, w, **WAYS[way])


def stack(count=3, per_label=False, grid=(4, 5), dtype=torch.float64):
    """`count` problems in a new first axis: scores (count, 2, 2, *grid) and weights."""
    lead, (h, w) = (count, 2, 2) if per_label else (count, 2), grid
    weights = [random(*lead, h - 1, w, seed=1), random(*lead, h, w - 1, seed=2)]
    return 2 * random(count, 2, 2, h, w, dtype=dtype), [0.3 * w.exp().to(dtype) for w in weights]


def test_block_mean():
    theorem.block_mean_is_a_projection(block_mean, generator=torch.Generator().manual_seed(0))


@every_way
@pytest.mark.parametrize("per_label", [False, True])
def test_vmap_is_a_loop(way, per_label):
    cut, (p, weights) = cut_by(way), stack(per_label=per_label)
    slope = grad(lambda p, w: cut(p, w).pow(3).sum(), argnums=(0, 1))
    for call in (cut, slope):
        same(vmap(call)(p, weights), loop(call, 3, p, weights))
        for_scores = lambda p, call=call: call(p, entry(weights, 0))  # noqa: E731
        same(vmap(for_scores)(p), loop(for_scores, 3, p))
        for_weights = lambda w, call=call: call(p[0], w)  # noqa: E731
        same(vmap(for_weights)(weights), loop(for_weights, 3, weights))


def test_vmap_over_chains_and_in_float32():
    y, w = random(4, 2, 1, 9), [random(4, 2, 8, seed=1).exp()]
    same(vmap(sc.total_variation)(y, w), loop(sc.total_variation, 4, y, w))
    p, weights = stack(dtype=torch.float32)
    got = vmap(sc.total_variation)(p, weights)
    assert got.dtype == torch.float32
    assert torch.equal(got, loop(sc.total_variation, 3, p, weights))


def test_vmap_over_any_axis():
    p, weights = stack()
    expected = loop(sc.total_variation, 3, p, weights)
    moved = [w.movedim(0, 1) for w in weights]
    got = vmap(sc.total_variation, in_dims=(2, 1), out_dims=3)(p.movedim(0, 2), moved)
    same(got.movedim(3, 0), expected)
    same(vmap(vmap(sc.total_variation))(p[None], [w[None] for w in weights])[0], expected)


@every_way
def test_jacobians(way):
    """jacrev is vmap over the backward pass."""
    cut, problems = cut_by(way), stack(2, grid=(2, 3))
    p, weights = entry(problems, 0)
    got = jacrev(cut, argnums=(0, 1))(p, weights)
    expected = torch.autograd.functional.jacobian(lambda p, *w: cut(p, w), (p, *weights))
    same(got, (expected[0], list(expected[1:])))
    everywhere = jacrev(cut, argnums=(0, 1))
    same(vmap(everywhere)(*problems), loop(everywhere, 2, *problems))


def test_the_jacobian_of_the_scores_takes_block_means():
    """Symmetric, a projection, rows that add up to one, as many dimensions as blocks."""
    p, weights = entry(stack(1), 0)
    p, weights = p[:1, :1], [w[:1] for w in weights]
    seen = []
    jacobian = jacrev(lambda p: sc.total_variation(p, weights, log=seen.append))(p)
    matrix = jacobian.reshape(p.numel(), p.numel())
    same(matrix, matrix.T)
    same(matrix @ matrix, matrix)
    same(matrix.sum(1), torch.ones(p.numel()).double())
    assert 1 < round(float(matrix.trace())) == seen[0].blocks.item() < p.numel()


def test_second_derivatives_of_the_solution_are_zero():
    p, weights = entry(stack(1, grid=(2, 3)), 0)
    cut = sc.total_variation
    curvature = jacrev(jacrev(cut, argnums=(0, 1)), argnums=(0, 1))(p, weights)
    assert not any(bool(part.any()) for part in tree_leaves(curvature))
    hessian = jacrev(jacrev(lambda p: cut(p, weights).square().sum()))(p)
    same(hessian, 2 * jacrev(cut)(p, weights))


def test_gradients_per_sample_of_a_network():
    torch.manual_seed(0)
    edges = sc.EdgeNet(3, 2, initial=0.05)  # with strong edges an untrained network is one block
    net = sc.CutNet(sc.ScoreAndEdges(sc.BasicNet(3, (2,)), edges), sc.TotalVariation()).double()
    images, parameters = 3 * random(3, 3, 5, 4), dict(net.named_parameters())

    def loss(parameters, image):
        return functional_call(net, parameters, (image[None],)).prob.square().mean()

    got = vmap(grad(loss), in_dims=(None, 0))(parameters, images)
    same(got, loop(lambda image: grad(loss)(parameters, image), 3, images))
    assert all(bool(g.any()) for g in got.values())


def test_values_are_checked_and_solves_are_logged_and_warned_of_under_vmap():
    p, weights = stack()
    with pytest.raises(ValueError, match=r"weights\[0\] must be at least 0"):
        vmap(sc.total_variation)(p, [-weights[0], weights[1]])
    seen = []
    vmap(lambda p, w: sc.total_variation(p, w, log=seen.append))(p, weights)
    assert [tuple(info.blocks.shape) for info in seen] == [(6, 2)]
    with pytest.warns(sc.ConvergenceWarning, match="left .* of 12 solutions"):
        vmap(lambda p, w: sc.total_variation(p, w, kernel="torch", max_iter=2))(p, weights)


@pytest.mark.parametrize("transform", [way for way in FORWARD_MODE if way is not linearize])
def test_forward_mode_is_refused(transform):
    """... rather than lost: a tangent that is dropped would read as a derivative of zero."""
    p, weights = entry(stack(1), 0)
    call = lambda p: sc.total_variation(p, weights)  # noqa: E731
    with pytest.raises(RuntimeError, match="total_variation has no forward-mode derivative"):
        differentiate_forward(transform, call, p)


class Fixed(torch.nn.Module):
    """Total variation of scores with weights that stay."""

    def __init__(self, weights):
        super().__init__()
        self.weights = weights

    def forward(self, p):
        return sc.total_variation(p, self.weights)


def test_recording_is_refused():
    p, weights = entry(stack(1), 0)
    layer = Fixed(weights)
    for record in (
        lambda: make_fx(layer)(p),
        lambda: linearize(layer, p),
        lambda: torch.export.export(layer, (p,), strict=False),
    ):
        with pytest.raises(RuntimeError, match="total_variation cannot be recorded"):
            record()


@pytest.mark.filterwarnings("ignore")  # PyTorch says where the graph breaks
def test_compiled_networks_leave_it_out_of_their_graphs():
    p, weights = entry(stack(1), 0)
    torch._dynamo.reset()
    graph = torch.compile(lambda p: 2 * sc.total_variation(p + 1, weights), backend="eager")
    found = []
    for call in (graph, lambda p: 2 * sc.total_variation(p + 1, weights)):
        leaf = p.clone().requires_grad_()
        x = call(leaf)
        found.append([x, *torch.autograd.grad(x.pow(3).sum(), leaf)])
    same(*found)
    torch._dynamo.reset()
