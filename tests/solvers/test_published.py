"""PUBLISHED_CG, the thesis' approximate layer as its code ran it: where it starts and stops."""

from dataclasses import replace

import pytest
import torch

import softcut_lib as sc
from softcut_lib.theorems.conjugate import one_step_from, published_adjoint_is_one_step
from tests.grids import random

KERNELS = {kernel: replace(sc.PUBLISHED_CG, kernel=kernel) for kernel in ("torch", "fused")}
both_kernels = pytest.mark.parametrize("kernel", KERNELS)


def scene(batch=2, labels=1, size=(40, 48), scale=1.0, dtype=torch.float32):
    """Scores and softplus(normal) conductances, as the published U-Nets have them at first."""
    weights = [
        scale * torch.nn.functional.softplus(random(batch, *sc.edge_shape(size, o), seed=k))
        for k, o in enumerate(sc.axis_offsets(2))
    ]
    scores = random(batch, labels, *size, seed=9)
    return scores.to(dtype), [w.to(dtype) for w in weights]


def dice_gradient(x):
    """d dice / dx at the output x of a cut, for a disc as the true mask."""
    h, w = x.shape[-2:]
    rows, columns = torch.meshgrid(torch.arange(h) - h / 2, torch.arange(w) - w / 2, indexing="ij")
    target = (rows**2 + columns**2 < (h / 3) ** 2).long().expand(len(x), h, w)
    x = x.detach().requires_grad_()
    return torch.autograd.grad(sc.dice_loss(x.sigmoid(), target, pooled=True), x)[0]


def reference(system, rhs, tol=1e-6, max_iter=500):
    """The published loop again, plainly: x0 = b, no preconditioner, one norm for the batch."""
    x = rhs.clone()
    r = rhs - system @ x
    p, steps = r.clone(), 0
    dot = lambda a, b: (a * b).sum((-2, -1), keepdim=True)  # noqa: E731
    while steps < max_iter:
        q = system @ p
        alpha = dot(r, r) / dot(p, q)
        x, after = x + alpha * p, r - alpha * q
        steps += 1
        if float(after.norm()) < tol * rhs.numel():
            break
        p, r = after + dot(after, after) / dot(r, r) * p, after
    return x, steps


def test_its_options():
    expected = {"tol": 1e-6, "max_iter": 500, "preconditioner": None, "start": "rhs"}
    expected |= {"stop": "published", "accept": True, "kernel": "auto"}
    assert {name: getattr(sc.PUBLISHED_CG, name) for name in expected} == expected


@both_kernels
@pytest.mark.parametrize("scale", [1.0, 20.0])
@pytest.mark.parametrize("labels", [1, 3])
def test_answer_and_count_of_the_forward_pass(kernel, scale, labels):
    scores, weights = scene(labels=labels, scale=scale, dtype=torch.float64)
    system = sc.GridSystem(weights)
    x, info = KERNELS[kernel](system, scores)
    expected, steps = reference(system, scores)
    assert steps > 3 and (info.iterations == steps).all(), "all systems of a batch step together"
    # rounding grows about sixfold a step once directions lose their conjugacy; the answers then
    # still agree to what the stopping rule leaves open
    close = {"rtol": 1e-9, "atol": 1e-11} if scale == 1 else {"rtol": 0, "atol": 1e-4}
    torch.testing.assert_close(x, expected, **close)


@both_kernels
def test_it_stops_at_the_first_step_below_its_bound(kernel):
    scores, weights = scene(dtype=torch.float64)
    _, info = KERNELS[kernel](sc.GridSystem(weights), scores)
    size = scores.flatten(2).norm(dim=2)
    norm = (info.history * size).square().sum((1, 2)).sqrt()
    bound = 1e-6 * scores.numel()
    assert (norm[1:-1] >= bound).all() and norm[-1] < bound


@both_kernels
def test_converged_is_said_of_its_own_rule(kernel):
    """||r|| < tol * (values in the batch), which may be far above tol ||rhs||."""
    scores, weights = scene(dtype=torch.float64)
    system = sc.GridSystem(weights)
    bound = 1e-6 * scores.numel() / scores.flatten(2).norm(dim=2)
    _, info = KERNELS[kernel](system, scores)
    assert info.converged.all() and (info.residual > 1e-6).all() and (info.residual < bound).all()
    _, info = replace(KERNELS[kernel], max_iter=2)(system, scores)
    assert not info.converged.any() and (info.residual > bound).all()


@both_kernels
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dice_gradients_get_one_step_whatever_is_allowed(kernel, dtype):
    scores, weights = scene(dtype=dtype)
    system = sc.GridSystem(weights)
    g = dice_gradient(sc.SuperLU()(system, scores)[0])
    answers = []
    for allowed in (1, 500):
        x, info = replace(KERNELS[kernel], max_iter=allowed)(system, g)
        assert (info.iterations == 1).all()
        answers.append(x)
    assert torch.equal(*answers), "one step and 500 allowed steps must be bit-identical"
    torch.testing.assert_close(answers[0], one_step_from(system, g), rtol=1e-5, atol=1e-9)


@both_kernels
def test_the_closed_form_of_the_one_step(kernel):
    published_adjoint_is_one_step(KERNELS[kernel], generator=torch.Generator().manual_seed(3))


@both_kernels
def test_layer_gradients_are_those_of_one_step(kernel):
    """Through soft_cut: the edge gradient is the formula with the one-step adjoint."""
    scores, weights = scene(dtype=torch.float64)
    inputs = [scores, *weights]
    for t in inputs:
        t.requires_grad_()
    log = []
    x = sc.soft_cut(scores, weights, solver=KERNELS[kernel], log=log.append)
    g = dice_gradient(x)
    found = torch.autograd.grad(x, inputs, g)
    assert [int(info.iterations.max()) for info in log][1] == 1
    with torch.no_grad():
        adjoint = one_step_from(sc.GridSystem(weights), g)
        edges = [-(sc.jump(adjoint, o) * sc.jump(x, o))[:, 0] for o in sc.axis_offsets(2)]
    for arrived, expected in zip(found, [adjoint, *edges], strict=True):
        torch.testing.assert_close(arrived, expected, rtol=1e-9, atol=1e-16)


@both_kernels
def test_a_few_revealed_pixels_get_several_steps(kernel):
    """Experiment 1 averages over some 50 pixels: its gradients are large, and CG iterates."""
    scores, weights = scene(batch=1, size=(200, 250))
    system = sc.GridSystem(weights)
    revealed = torch.randperm(scores.numel(), generator=torch.Generator().manual_seed(0))[:50]
    g = torch.zeros_like(scores)
    g.view(-1)[revealed] = (random(50, seed=4).sigmoid() - 0.5).float() / 50
    x, info = KERNELS[kernel](system, g)
    assert 1 <= int(info.iterations) <= 12
    strong = sc.GridSystem([20 * w for w in weights])
    y, info = KERNELS[kernel](strong, 10 * g)  # a confident mistake: a larger gradient
    assert 2 <= int(info.iterations) <= 50
    assert not torch.equal(y, replace(KERNELS[kernel], max_iter=1)(strong, 10 * g)[0])


@both_kernels
def test_an_answer_depends_on_its_batch(kernel):
    """The bound grows with the batch, so the same sample stops earlier in a larger one."""
    scores, weights = scene(batch=1, dtype=torch.float64)
    alone, solo = KERNELS[kernel](sc.GridSystem(weights), scores)
    many = [w.expand(16, *w.shape[1:]) for w in weights]
    batch = torch.cat((scores, torch.zeros(15, *scores.shape[1:], dtype=scores.dtype)))
    together, info = KERNELS[kernel](sc.GridSystem(many), batch)
    assert int(info.iterations[0]) < int(solo.iterations)
    assert not torch.equal(alone[0], together[0])


@both_kernels
def test_its_budget_never_warns(kernel, recwarn):
    scores, weights = scene(scale=1e4)
    sc.solve(sc.GridSystem(weights), scores, replace(KERNELS[kernel], max_iter=2))
    assert not recwarn.list


@pytest.mark.parametrize("labels", [1, 2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_kernels_agree(labels, dtype):
    scores, weights = scene(labels=labels, dtype=dtype, scale=5.0)
    system = sc.GridSystem(weights)
    (a, info_a), (b, info_b) = (solver(system, scores) for solver in KERNELS.values())
    assert torch.equal(info_a.iterations, info_b.iterations)
    tol = 1e-10 if dtype == torch.float64 else 1e-4
    torch.testing.assert_close(a, b, rtol=tol, atol=tol)
    torch.testing.assert_close(info_a.history, info_b.history, rtol=1e-2, atol=tol)
