"""torch.func over the layer: vmap, grad, jacrev, their compositions, also inside graphs."""

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck
from torch.func import functional_call, grad, jacrev, jvp, vjp, vmap

import softcut_lib as sc
from softcut_lib.layers import operator
from tests.batches import FORWARD_MODE, differentiate_forward, entry, loop, same
from tests.grids import random

SOLVERS = {"cg": sc.CG(tol=1e-13), "superlu": sc.SuperLU(), "direct": sc.Direct()}
every_solver = pytest.mark.parametrize("name", SOLVERS)


def eager(solver):
    return lambda p, ground, w: sc.soft_cut(p, w, ground=ground, solver=solver)


def recorded(solver):
    """The same through the operator that graphs hold."""
    text = operator.describe("solver", solver)
    return lambda p, ground, w: operator._solve(
        p, ground, list(w), [1, 0, 0, 1], text, text, "forward", True
    )


WAYS = {"eager": eager, "recorded": recorded}
both_ways = pytest.mark.parametrize("way", WAYS)


def stack(count=3, per_label=False, grid=(4, 5)):
    """`count` problems in a new first axis: scores, ground, weights."""
    lead, (h, w) = (count, 2, 2) if per_label else (count, 2), grid
    weights = [random(*lead, h - 1, w, seed=1).exp(), random(*lead, h, w - 1, seed=2).exp()]
    return random(count, 2, 2, h, w), 0.5 + random(*lead, h, w, seed=3).abs(), weights


@every_solver
@both_ways
@pytest.mark.parametrize("per_label", [False, True])
def test_vmap_is_a_loop(way, name, per_label):
    cut = WAYS[way](SOLVERS[name])
    p, ground, weights = stack(per_label=per_label)
    loss = lambda p, g, w: cut(p, g, w).square().sum()  # noqa: E731
    slope = grad(loss, argnums=(0, 1, 2))
    circuit, rest = (entry(ground, 0), entry(weights, 0)), (p[0], ground[0])

    def agree(call):
        same(vmap(call)(p, ground, weights), loop(call, 3, p, ground, weights))
        for_scores = lambda p: call(p, *circuit)  # noqa: E731
        same(vmap(call, in_dims=(0, None, None))(p, *circuit), loop(for_scores, 3, p))
        for_weights = lambda w: call(*rest, w)  # noqa: E731
        same(vmap(call, in_dims=(None, None, 0))(*rest, weights), loop(for_weights, 3, weights))

    agree(cut)
    agree(slope)


@both_ways
def test_vmap_over_any_axis(way):
    cut = WAYS[way](SOLVERS["cg"])
    p, ground, weights = stack()
    got = vmap(cut, in_dims=(2, -1, 1), out_dims=3)(
        p.movedim(0, 2), ground.movedim(0, -1), [w.movedim(0, 1) for w in weights]
    )
    same(got.movedim(3, 0), loop(cut, 3, p, ground, weights))
    same(vmap(vmap(cut))(p[None], ground[None], [w[None] for w in weights])[0],
         loop(cut, 3, p, ground, weights))  # fmt: skip


@every_solver
@both_ways
@pytest.mark.parametrize("per_label", [False, True])
def test_jacobian_and_hessian(way, name, per_label):
    """jacrev is vmap over the backward pass; twice it is the Hessian."""
    p, ground, weights = entry(stack(1, per_label, (2, 3)), 0)
    cut, exact = (
        lambda w, call=call: call(p, ground, [w, weights[1]])
        for call in (WAYS[way](SOLVERS[name]), eager(sc.SuperLU()))
    )
    same(jacrev(cut)(weights[0]), torch.autograd.functional.jacobian(exact, weights[0]))
    loss, exact_loss = (lambda w, call=call: call(w).square().sum() for call in (cut, exact))
    expected = torch.autograd.functional.hessian(exact_loss, weights[0])
    same(jacrev(jacrev(loss))(weights[0]), expected)
    everywhere = jacrev(WAYS[way](SOLVERS[name]), argnums=(0, 1, 2))
    problems = stack(2, per_label, (2, 3))
    same(vmap(everywhere)(*problems), loop(everywhere, 2, *problems))


@both_ways
def test_grad_of_grad_across_interfaces(way):
    """torch.func inside torch.autograd: the gradient of a gradient's norm in another argument."""
    cut, exact = WAYS[way](SOLVERS["superlu"]), eager(SOLVERS["direct"])
    p, ground, (c, r) = entry(stack(1), 0)

    def slope_norm(call, c):
        return grad(lambda p: call(p, ground, [c, r]).pow(3).sum())(p).square().sum()

    found = []
    for call in (cut, exact):
        leaf = c.clone().requires_grad_()
        found += torch.autograd.grad(slope_norm(call, leaf), leaf)
    same(found[0], found[1], 1e-9)
    value, pull = vjp(lambda c: slope_norm(cut, c), c)
    same(pull(torch.ones_like(value)), (found[1],), 1e-9)


def test_the_operator_passes_first_and_second_derivative_checks():
    p, ground, weights = entry(stack(1, True, (2, 3)), 0)
    cut = recorded(sc.SuperLU())
    leaves = [t[:1].requires_grad_() for t in (p, ground, *weights)]
    call = lambda p, ground, *w: cut(p, ground, w)  # noqa: E731
    assert gradcheck(call, leaves) and gradgradcheck(call, leaves)


def test_transforms_compile():
    p, ground, weights = stack()
    cut = eager(SOLVERS["cg"])
    loss = lambda p, g, w: cut(p, g, w).square().sum()  # noqa: E731
    slopes = vmap(grad(loss, argnums=(0, 1, 2)))
    graph = torch.compile(slopes, fullgraph=True, backend="aot_eager")
    same(graph(p, ground, weights), slopes(p, ground, weights))
    hessian = jacrev(jacrev(lambda g: loss(p[0], g, entry(weights, 0))))
    graph = torch.compile(hessian, fullgraph=True, backend="aot_eager")
    same(graph(ground[0]), hessian(ground[0]))


def test_gradients_per_sample_of_a_network():
    torch.manual_seed(0)
    net = sc.CutNet(
        sc.ScoreAndEdges(sc.BasicNet(3, (2,)), sc.EdgeNet(3, 2)),
        sc.SoftCut(solver=sc.CG(tol=1e-12)),
    ).double()
    images, parameters = random(3, 3, 5, 4), dict(net.named_parameters())

    def loss(parameters, image):
        return functional_call(net, parameters, (image[None],)).prob.square().mean()

    got = vmap(grad(loss), in_dims=(None, 0))(parameters, images)
    same(got, loop(lambda image: grad(loss)(parameters, image), 3, images), 1e-10)


@pytest.mark.parametrize("name", ["superlu", "direct"])
def test_a_vmapped_factor_serves_both_passes(name, monkeypatch):
    solver, calls = SOLVERS[name], []
    factor = type(solver).factor
    monkeypatch.setattr(type(solver), "factor", lambda *a: calls.append(1) or factor(*a))
    p, ground, weights = stack()
    slope = grad(lambda p, g, w: eager(solver)(p, g, w).square().sum(), argnums=(0, 1, 2))
    vmap(slope)(p, ground, weights)
    jacrev(lambda p: eager(solver)(p, ground[0], entry(weights, 0)))(p[0])
    assert len(calls) == 2  # once for each line


@both_ways
def test_values_are_checked_under_vmap(way):
    p, ground, weights = stack()
    with pytest.raises(ValueError, match=r"weights\[0\] must be at least 0"):
        vmap(WAYS[way](sc.CG()))(p, ground, [-weights[0], weights[1]])


@both_ways
@pytest.mark.parametrize("transform", FORWARD_MODE)
def test_forward_mode_is_refused(way, transform):
    """... rather than lost: a tangent that is dropped would read as a derivative of zero."""
    p, ground, weights = entry(stack(1), 0)
    call = lambda p: WAYS[way](sc.CG())(p, ground, weights)  # noqa: E731
    with pytest.raises(RuntimeError, match="no forward-mode derivative"):
        differentiate_forward(transform, call, p)


def test_forward_mode_is_refused_in_graphs():
    p, ground, weights = entry(stack(1), 0)
    call = lambda p: jvp(lambda p: eager(sc.CG())(p, ground, weights), (p,), (p,))  # noqa: E731
    with pytest.raises(RuntimeError, match="no forward-mode derivative"):
        torch.compile(call, backend="aot_eager", fullgraph=True)(p)


@both_ways
def test_vmap_refuses_the_published_rule(way):
    """It stops by a norm over the whole batch: a sample's answer depends on its neighbors."""
    p, ground, weights = stack()
    cut = WAYS[way](sc.PUBLISHED_CG)
    for call in (vmap(cut), lambda p, g, w: jacrev(cut)(p[0], g[0], entry(w, 0))):
        with pytest.raises(ValueError, match='stop="published" cannot run under torch.func.vmap'):
            call(p, ground, weights)
    adjoint = lambda p: sc.soft_cut(p, entry(weights, 0), adjoint=sc.PUBLISHED_CG)  # noqa: E731
    with pytest.raises(ValueError, match='stop="published" cannot run'):
        vmap(adjoint)(p)
    assert grad(lambda p: cut(p, ground[0], entry(weights, 0)).sum())(p[0]).isfinite().all()
