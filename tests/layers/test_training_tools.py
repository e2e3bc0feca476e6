"""The layer among the tools of training: autocast, copies, threads, processes, checkpointing."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import torch
from torch import distributed, nn
from torch.utils.checkpoint import checkpoint

import softcut_lib as sc
from softcut_lib.layers import operator
from tests.grids import random

SOLVERS = {
    name: getattr(sc, name)() for name in sc.__all__ if operator.is_solver(getattr(sc, name))
} | {"torch": sc.CG(kernel="torch"), "published": sc.PUBLISHED_CG}
every_solver = pytest.mark.parametrize("name", SOLVERS)


def network(solver=None):
    torch.manual_seed(0)
    net = sc.ScoreAndEdges(sc.BasicNet(3, (3,)), sc.EdgeNet(3, 3))
    return sc.CutNet(net, sc.SoftCut(solver=solver)).double()


def gradients(net, images):
    net.zero_grad()
    net(images).prob.square().mean().backward()
    return [p.grad.clone() for p in net.parameters()]


def same(got, expected, tolerance=0):
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


IMAGES = random(4, 3, 6, 5)


@every_solver
def test_copies_and_pickles_work_alike(name):
    net = network(SOLVERS[name])
    expected = gradients(net, IMAGES)
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert other.cut.solver == SOLVERS[name]
        same(gradients(other, IMAGES), expected)


@every_solver
def test_deterministic_mode_gives_the_same_bits(name):
    net = network(SOLVERS[name])
    expected = gradients(net, IMAGES)
    torch.use_deterministic_algorithms(True)
    try:
        same(gradients(net, IMAGES), expected)
        same(gradients(net, IMAGES), expected)
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("graph", [False, True])
def test_autocast(dtype, device, graph):
    """Convolutions run in half precision, the layer in float32, forward and backward."""
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    net, images, seen = network().float().to(device), IMAGES.float().to(device), []
    net.net.register_forward_hook(lambda *a: seen.extend([a[2][0].dtype, a[2][1][0].dtype]))
    call = torch.compile(net, backend="aot_eager", fullgraph=True) if graph else net
    with torch.autocast(device, dtype=dtype):
        out = call(images)
    assert out.scores.dtype == dtype and out.output.dtype == torch.float32
    assert graph or dtype in seen
    weights = [w.float() for w in out.weights]
    torch.testing.assert_close(out.output, sc.soft_cut(out.scores.float(), weights))
    out.prob.square().mean().backward()
    assert all(p.grad.dtype == torch.float32 and p.grad.isfinite().all() for p in net.parameters())


BLOCKS = {
    "direct, torch": sc.Direct(kernel="torch"),
    "multigrid, torch": sc.Multigrid(kernel="torch"),
}


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("name", [*SOLVERS, *BLOCKS])
def test_no_solver_computes_in_half_precision(name, device):
    """Under autocast, with the backward pass inside too: what it gives outside."""
    if device == "cuda" and not (torch.cuda.is_available() and name != "SuperLU"):
        pytest.skip("needs a CUDA device, and SuperLU the CPU")
    solver = {**SOLVERS, **BLOCKS}[name]
    generator = torch.Generator().manual_seed(1)
    scores = torch.randn(2, 1, 20, 24, generator=generator).to(device)
    weights = [
        torch.rand(2, *sc.edge_shape((20, 24), o), generator=generator).to(device)
        for o in sc.axis_offsets(2)
    ]
    inputs = [t.requires_grad_() for t in (scores, *weights)]

    def run():
        x = sc.soft_cut(inputs[0], inputs[1:], solver=solver)
        return x, *torch.autograd.grad(x.square().sum(), inputs)

    expected = run()
    with torch.autocast(device, torch.bfloat16):
        found = run()
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == torch.float32
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


def test_replicas_in_threads():
    """What DataParallel does: one copy of the network in each thread, at the same time."""
    net = network()
    same(nn.DataParallel(net)(IMAGES).output, net(IMAGES).output)
    replicas = [net._replicate_for_data_parallel() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda r, x: r(x[None]).output[0], replicas, IMAGES))
    same(found, net(IMAGES).output, 1e-4)

    nets = [network(solver) for solver in SOLVERS.values()]
    expected = [gradients(net, IMAGES) for net in nets]
    with ThreadPoolExecutor(4) as pool:
        for got, one in zip(pool.map(gradients, nets, [IMAGES] * len(nets)), expected, strict=True):
            same(got, one)


def _train_on_a_part(rank, folder):
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo",
        init_method=f"file://{folder}/meet",
        rank=rank,
        world_size=2,
        timeout=timedelta(seconds=60),
    )
    try:
        net = network(sc.CG(tol=1e-12, kernel="torch"))
        parallel = nn.parallel.DistributedDataParallel(net)
        parallel(IMAGES[2 * rank : 2 * rank + 2]).prob.square().mean().backward()
        torch.save([p.grad for p in net.parameters()], f"{folder}/{rank}.pt")
    finally:
        distributed.destroy_process_group()


def test_two_processes_equal_one_with_the_whole_batch(tmp_path):
    torch.multiprocessing.spawn(_train_on_a_part, (str(tmp_path),), nprocs=2)
    expected = gradients(network(sc.CG(tol=1e-12, kernel="torch")), IMAGES)
    for rank in range(2):
        same(torch.load(tmp_path / f"{rank}.pt"), expected, 1e-9)


@every_solver
def test_checkpointing_recomputes_the_same_gradients(name):
    net = network(SOLVERS[name])
    expected = gradients(net, IMAGES)
    net.zero_grad()
    checkpoint(net, IMAGES, use_reentrant=False).prob.square().mean().backward()
    same([p.grad for p in net.parameters()], expected)


def test_inference_mode_and_no_grad():
    net = network()
    with torch.inference_mode():
        fast = net(IMAGES).output
        graph = torch.compile(net, backend="aot_eager", fullgraph=True)(IMAGES).output
    same([fast, graph], [net(IMAGES).output] * 2)
