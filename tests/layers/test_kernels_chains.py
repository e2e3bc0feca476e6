"""The chains' CUDA kernels: in Triton's interpreter where there is no GPU, else on the GPU."""

import os
import subprocess
import sys

import pytest
import torch

import softcut_lib as sc
from softcut_lib.layers import chains
from tests.grids import GRIDS, random

pytest.importorskip("triton")
from softcut_lib.layers import launch_chains  # noqa: E402

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
needs_cuda = pytest.mark.skipif(DEVICE == "cpu", reason="needs a CUDA device")
FUSED = "chains, fused on CUDA"


def problem(grid, offsets, *, batch=2, labels=2, per_label=False, scale=1.0, seed=0):
    """(system, scores), with every seventh weight 0."""
    lead = (batch, labels) if per_label else (batch,)
    weights = [
        scale * random(*lead, *sc.edge_shape(grid, o), seed=seed + k).exp()
        for k, o in enumerate(offsets)
    ]
    for w in weights:
        w.view(-1)[3::7] = 0
    system = sc.GridSystem(weights, offsets=offsets, grid=grid)
    return system, random(batch, labels, *grid, seed=seed + 9)


def solved(system, scores, steps=None):
    """[x, *currents] of the kernels, on the CPU afterwards."""
    weights = [w.to(DEVICE) for w in system.weights]
    there = sc.GridSystem(weights, offsets=system.offsets, grid=system.grid, check=False)
    torch.use_deterministic_algorithms(True)  # fills what torch.empty returns with NaN
    try:
        x, currents = launch_chains.on_chains(there, scores.to(DEVICE), steps)
    finally:
        torch.use_deterministic_algorithms(False)
    return [t.cpu() for t in (x, *currents)]


def expected(system, scores, steps=None):
    x, currents = chains.on_chains(system, scores, steps)
    return [x, *currents]


def the_same(system, scores):
    """Each offset alone: an exact solution, equal to the last bit."""
    for w, offset in zip(system.weights, system.offsets, strict=True):
        one = sc.GridSystem([w], offsets=(offset,), grid=system.grid)
        for found, right in zip(solved(one, scores), expected(one, scores), strict=True):
            assert torch.equal(found, right)


@pytest.mark.parametrize("kind", GRIDS)
def test_the_cpu_to_the_last_bit_on_every_grid(kind):
    """Rows, columns, diagonals, long and negative offsets, and offsets that have no edges."""
    grid, offsets = GRIDS[kind]
    the_same(*problem(grid, offsets or sc.axis_offsets(len(grid)), labels=1))


@pytest.mark.parametrize(
    ("batch", "labels", "per_label"), [(1, 3, False), (3, 1, False), (2, 3, True), (2, 1, True)]
)
def test_samples_and_labels_have_their_own_weights_where_they_should(batch, labels, per_label):
    shape = {"batch": batch, "labels": labels, "per_label": per_label}
    the_same(*problem((3, 4), ((0, 1),), **shape))


@pytest.mark.parametrize("scale", [0.0, 1e-3, 0.3, 30.0, 1e6])
def test_weights_of_every_size(scale):
    """No edges, single pixels, pieces of all lengths, a piece longer than a warp, one of all."""
    the_same(*problem((1, 80), ((0, 1),), batch=1, labels=1, scale=scale))
    system, scores = problem((1, 80), ((0, 1),), batch=1, labels=1, scale=scale)
    system.weights[0][system.weights[0] == 0] = scale
    the_same(system, scores)
    if scale > 1e3:
        x, _ = solved(system, scores)
        torch.testing.assert_close(x, scores.mean().expand_as(x), rtol=0, atol=1e-8)


def test_equal_scores_and_equal_weights():
    system = sc.GridSystem([torch.ones(1, 3, 5).double(), torch.ones(1, 4, 4).double()])
    the_same(system, torch.full((1, 1, 4, 5), 0.1, dtype=torch.float64))
    the_same(system, (torch.arange(20).double() % 3).view(1, 1, 4, 5))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's, inf - inf
def test_what_is_not_finite_stays_in_its_chain_and_the_walk_ends():
    system, scores = problem((4, 5), ((1, 0),), batch=1)
    scores[0, 0, 1, 2] = torch.nan
    scores[0, 1, 2, 2] = torch.inf
    system.weights[0][0, 1, 4] = torch.nan
    system.weights[0][0, 2, 3] = torch.inf
    x, currents = solved(system, scores)
    right, _ = expected(system, scores)
    torch.testing.assert_close(x, right, rtol=0, atol=0, equal_nan=True)
    assert x[0, 0, :, 2].isnan().any() and currents[0, 0, :, 2].isnan().any()
    assert x[..., :2].isfinite().all() and currents[..., :2].isfinite().all()


@pytest.mark.parametrize(
    ("grid", "offsets"),
    [((4, 5), ((1, 0), (0, 1))), ((4, 5), ((0, -1), (1, -1))), ((2, 3, 3), ((0, 1, 0), (1, 0, 2)))],
)
def test_douglas_rachford_steps_are_those_of_the_cpu(grid, offsets):
    """To the last bit, too: start and steps are sums and products that each device rounds alike."""
    system, scores = problem(grid, offsets, labels=1)
    for found, right in zip(solved(system, scores, 4), expected(system, scores, 4), strict=True):
        assert torch.equal(found, right)


def test_chains_run_on_the_device_where_triton_is_and_say_so(monkeypatch):
    for device, triton, fused in (
        ("cuda", True, True), ("cuda:1", True, True), ("cuda", False, False), ("cpu", True, False),
        ("mps", True, False),
    ):  # fmt: skip
        monkeypatch.setattr(chains, "has_triton", lambda triton=triton: triton)
        assert chains.fused(torch.device(device)) == fused
    seen = []
    monkeypatch.setattr(chains, "fused", lambda device: True)
    system, scores = problem((3, 4), ((1, 0), (0, 1)), batch=1, labels=1)
    scores, weights = scores.to(DEVICE), [w.to(DEVICE) for w in system.weights]
    options = {"method": "published", "max_iter": 3, "log": seen.append}
    sc.total_variation(scores, weights, **options)
    sc.total_variation(scores, weights[1:], offsets=((0, 1),), kernel="chains", log=seen.append)
    assert [info.kernel for info in seen] == [FUSED, FUSED] and bool(seen[1].converged.all())


# On a GPU only


@needs_cuda
@pytest.mark.parametrize("size", [(4, (128, 128)), (2, (97, 203))])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("form", ["published", "unrefined", "chains"])
def test_the_layer_and_its_gradient_agree_with_the_cpu(form, dtype, size):
    batch, grid = size
    options = {
        "published": {"method": "published"},
        "unrefined": {"method": "published", "refine": False},
        "chains": {"kernel": "chains", "offsets": ((0, 1),)},
    }[form]
    weights = [
        0.5 * random(batch, *sc.edge_shape(grid, o), seed=k).exp()
        for k, o in enumerate(options.get("offsets", sc.axis_offsets(2)))
    ]
    upstream = random(batch, 2, *grid, seed=8).to(dtype)
    found, seen = [], []
    for device in ("cpu", "cuda"):
        scores = 2 * random(batch, 2, *grid, seed=9)
        inputs = [t.to(device, dtype).requires_grad_() for t in (scores, *weights)]
        x = sc.total_variation(inputs[0], inputs[1:], **options, log=seen.append)
        assert x.device.type == device
        found.append([x, *torch.autograd.grad(x, inputs, upstream.to(device))])
    assert [info.kernel for info in seen] == ["chains", FUSED]
    assert torch.equal(seen[0].blocks, seen[1].blocks.cpu()) and seen[1].gap.is_cuda
    torch.testing.assert_close(seen[0].gap, seen[1].gap.cpu(), rtol=1e-9, atol=1e-9)
    assert torch.equal(found[0][0], found[1][0].cpu())
    tolerance = 1e-9 if dtype == torch.float64 else 1e-5
    for here, there in zip(*found, strict=True):
        torch.testing.assert_close(here, there.cpu(), rtol=tolerance, atol=tolerance)


@needs_cuda
def test_a_stream_of_its_own():
    system, scores = problem((64, 64), sc.axis_offsets(2))
    right = expected(system, scores, 10)
    with torch.cuda.stream(torch.cuda.Stream()):
        found = solved(system, scores, 10)
    assert all(torch.equal(here, there) for here, there in zip(right, found, strict=True))


# To machine code, which the interpreter cannot tell


COMPILE = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from softcut_lib.layers import kernels_chains as kernels

TYPES = {"starts": "*i64", "lengths": "*i32", "LANES": "constexpr"}
TYPES |= dict.fromkeys(("pixels", "chains", "stride", "share"), "i32")
for kernel in (kernels.taut_strings, kernels.currents):
    types = {name: TYPES.get(name, "*fp64") for name in kernel.arg_names}
    constants = {"LANES": kernels.LANES} if "LANES" in types else {}
    source = ASTSource(fn=kernel, signature=types, constexprs=constants)
    options = {"num_warps": 1, "enable_fp_fusion": False}
    asm = triton.compile(source, target=GPUTarget("cuda", 80, 32), options=options).asm
    assert asm["cubin"] and "fma" not in asm["ptx"] and "bar.sync" not in asm["ptx"]
"""


def test_kernels_compile_for_a_gpu_that_is_not_there():
    """To machine code, without fused products, and without a warp that waits for another."""
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, "-c", COMPILE], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
