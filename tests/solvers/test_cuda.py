"""Every solver on a GPU against the CPU, and which kernel runs where."""

import importlib.util
from dataclasses import replace

import pytest
import torch

import softcut_lib as sc
from softcut_lib.solvers import conjugate
from tests.grids import GRIDS, arguments, random, system_of

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
needs_triton = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="needs triton")

SOLVERS = {
    "torch": sc.CG(tol=1e-12, kernel="torch"),
    "auto": sc.CG(tol=1e-12),
    "plain": sc.CG(tol=1e-12, preconditioner=None, start="rhs"),
    "published": sc.CG(tol=1e-12, stop="published", accept=True),
    "multigrid": sc.Multigrid(tol=1e-12),
}
every_solver = pytest.mark.parametrize("name", SOLVERS)


def on_cuda(system):
    return sc.GridSystem(
        [w.cuda() for w in system.weights],
        offsets=system.offsets,
        ground=system.ground.cuda(),
        grid=system.grid,
    )


def picture(grid, dtype=torch.float32, batch=1, labels=1):
    """A random system of ground 1 on a larger grid, and its right-hand side."""
    weights = [
        random(batch, *sc.edge_shape(grid, o), seed=k).exp().to(dtype)
        for k, o in enumerate(sc.axis_offsets(len(grid)))
    ]
    return sc.GridSystem(weights), random(batch, labels, *grid, seed=9, dtype=dtype)


@pytest.mark.parametrize(
    ("wanted", "device", "triton", "kernel"),
    [
        ("auto", "cpu", False, "fused"),
        ("auto", "cuda", True, "fused"),
        ("auto", "cuda:1", False, "torch"),
        ("auto", "mps", True, "torch"),
        ("torch", "cuda", True, "torch"),
        ("fused", "cuda", True, "fused"),
        ("fused", "cpu", False, "fused"),
    ],
)
def test_the_kernel_that_runs(wanted, device, triton, kernel, monkeypatch):
    monkeypatch.setattr(conjugate, "has_triton", lambda: triton)
    assert conjugate._kernel(wanted, torch.device(device)) == kernel


def test_what_is_missing_is_named(monkeypatch):
    monkeypatch.setattr(conjugate, "has_triton", lambda: False)
    with pytest.raises(ValueError, match='kernel="fused" needs triton 3.3.*pip install triton'):
        conjugate._kernel("fused", torch.device("cuda"))
    with pytest.raises(ValueError, match="runs on the CPU and on CUDA, got tensors on mps"):
        conjugate._kernel("fused", torch.device("mps"))


@pytest.mark.parametrize(("version", "usable"), [("3.2.0", False), ("3.3.1", True), ("4.0", True)])
def test_a_triton_that_is_too_old_is_not_used(version, usable, monkeypatch):
    triton = pytest.importorskip("triton")
    monkeypatch.setattr(triton, "__version__", version)
    assert conjugate.has_triton() == usable


@needs_cuda
@pytest.mark.parametrize("per_label", [False, True])
@pytest.mark.parametrize("kind", GRIDS)
@every_solver
def test_answers_agree_with_the_cpu(kind, name, per_label):
    scores, weights, options = arguments(kind, per_label=per_label)
    system = system_of(scores, weights, options)
    x, info = SOLVERS[name](on_cuda(system), scores.cuda())
    expected, _ = SOLVERS[name](system, scores)
    assert x.is_cuda and info.converged.all() and info.iterations.is_cuda
    # counted by what runs there: no circuit is halved, and Multigrid smooths as in plain operations
    same = {"auto": {"red_black": False}, "multigrid": {"kernel": "torch"}}.get(name, {})
    _, counts = replace(SOLVERS[name], **same)(system, scores)
    assert (info.iterations.cpu() - counts.iterations).abs().max() <= 1
    torch.testing.assert_close(x.cpu(), expected, rtol=1e-9, atol=1e-10)


@needs_cuda
@pytest.mark.parametrize("grid", [(256, 256), (333, 517), (40, 50, 60)])
@every_solver
def test_pictures_in_float32_agree_with_float64(grid, name):
    solver = SOLVERS[name]
    solver = type(solver)(tol=1e-6, accept=True) if name != "published" else solver
    system, rhs = picture(grid, batch=2, labels=2)
    wide, right = picture(grid, torch.float64, batch=2, labels=2)
    x, _ = solver(on_cuda(system), rhs.cuda())
    exact, _ = sc.CG(tol=1e-10)(wide, right)
    assert float((x.cpu() - exact).norm() / exact.norm()) < 1e-4


@needs_cuda
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_direct_agrees_with_the_cpu(dtype):
    system, rhs = picture((65, 70), dtype, batch=2, labels=2)
    there = on_cuda(system)
    x, _ = sc.Direct()(there, rhs.cuda())
    expected, _ = sc.Direct()(system, rhs)
    torch.testing.assert_close(x.cpu(), expected, rtol=1e-4, atol=1e-5)
    factor, here = sc.Direct().factor(there), sc.Direct().factor(system)
    torch.testing.assert_close(
        factor.log_determinant().cpu(), here.log_determinant(), rtol=1e-5, atol=0
    )
    torch.testing.assert_close(factor.variances().cpu(), here.variances(), rtol=1e-4, atol=1e-5)


@needs_cuda
@pytest.mark.parametrize("name", [*(name for name in SOLVERS if name != "published"), "direct"])
def test_gradients_of_both_orders_agree_with_the_cpu(name):
    solver = sc.Direct() if name == "direct" else SOLVERS[name]
    scores, weights, options = arguments("2d")
    found = []
    for device in ("cpu", "cuda"):
        inputs = [
            t.detach().to(device).requires_grad_() for t in (scores, options["ground"], *weights)
        ]
        x = sc.soft_cut(inputs[0], inputs[2:], ground=inputs[1], solver=solver)
        first = torch.autograd.grad(x.square().sum(), inputs, create_graph=True)
        found.append([x, *first, *torch.autograd.grad(sum(g.norm() for g in first), inputs)])
    for here, there in zip(*found, strict=True):
        torch.testing.assert_close(here, there.cpu(), rtol=1e-6, atol=1e-7)


@needs_cuda
@needs_triton
def test_two_runs_agree_to_the_last_bit_in_deterministic_mode():
    system, rhs = picture((300, 400), batch=3)
    system, rhs = on_cuda(system), rhs.cuda()
    torch.use_deterministic_algorithms(True)
    try:
        runs = [sc.CG(kernel="fused")(system, rhs) for _ in range(2)]
    finally:
        torch.use_deterministic_algorithms(False)
    assert torch.equal(runs[0][0], runs[1][0])
    assert torch.equal(runs[0][1].history, runs[1][1].history)


@needs_cuda
@needs_triton
def test_another_stream_and_another_device():
    system, rhs = picture((64, 64))
    expected, _ = sc.CG(tol=1e-6)(system, rhs)
    devices = [f"cuda:{k}" for k in range(torch.cuda.device_count())]
    for device in devices:
        with torch.cuda.stream(torch.cuda.Stream(device)):
            there = sc.GridSystem([w.to(device) for w in system.weights])
            x, info = sc.CG(tol=1e-6)(there, rhs.to(device))
            assert info.kernel == "fused" and x.device == torch.device(device)
            torch.testing.assert_close(x.cpu(), expected, rtol=1e-3, atol=1e-4)


@needs_cuda
@needs_triton
def test_memory_is_at_most_six_arrays_beside_the_offsets():
    """While it runs, beside the caller's own tensors (the answer is one of the six)."""
    from softcut_lib.solvers import launch_cuda

    system, rhs = picture((1024, 2048))
    system, rhs = on_cuda(system), rhs.cuda()
    solver = sc.CG(max_iter=20, accept=True)
    x = torch.zeros_like(rhs)
    launch_cuda.run(system, rhs, x, solver)
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    launch_cuda.run(system, rhs, x, solver)
    arrays = (torch.cuda.max_memory_allocated() - before) / (rhs.numel() * rhs.element_size())
    assert arrays < len(system.offsets) + 5 + 0.1
