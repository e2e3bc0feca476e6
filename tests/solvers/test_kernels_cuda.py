"""The fused CUDA kernels: in Triton's interpreter where there is no GPU, else on the GPU."""

import os
import subprocess
import sys

import pytest
import torch

import softcut_lib as sc
from softcut_lib.solvers.conjugate import _run_torch, _start
from softcut_lib.solvers.interface import lengths_of
from tests.grids import GRIDS, arguments, random, system_of

pytest.importorskip("triton")
from softcut_lib.solvers import kernels_cuda, launch_cuda  # noqa: E402

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@pytest.fixture(autouse=True)
def few_wasted_steps_and_poisoned_memory(monkeypatch):
    monkeypatch.setattr(launch_cuda, "LOOK", (4, 8))
    monkeypatch.setattr(launch_cuda, "GRAPH_STEPS", 4)
    torch.use_deterministic_algorithms(True)  # fills what torch.empty returns with NaN
    yield
    torch.use_deterministic_algorithms(False)


def moved(system, rhs):
    """The system and its right-hand side on the device under test."""
    there = sc.GridSystem(
        [w.to(DEVICE) for w in system.weights],
        offsets=system.offsets,
        ground=system.ground.to(DEVICE),
        grid=system.grid,
    )
    return there, rhs.to(DEVICE)


def run(system, rhs, loop=launch_cuda.run, **options):
    """(x, steps, history) of one loop, by itself, on the CPU afterwards; its norms are checked."""
    options = sc.CG(**options)
    if loop is launch_cuda.run:
        system, rhs = moved(system, rhs)
    x = _start(rhs, options.start)
    steps, history, *lengths = loop(system, rhs, x, options)
    for length, expected in zip(lengths, lengths_of(system, rhs, x)):
        bound = 8 * torch.finfo(x.dtype).eps
        atol = bound * float(expected.nan_to_num(0, 0, 0).abs().max())
        if length is lengths[0]:  # what is left after subtraction
            atol = bound * float((lengths[1] * lengths[3]).nan_to_num(0, 0, 0).max())
        torch.testing.assert_close(
            length, expected.expand_as(length), rtol=bound, atol=atol, equal_nan=True
        )
    return x.cpu(), steps.cpu(), history.cpu()


def problem(kind="2d", **options):
    scores, weights, rest = arguments(kind, **{"batch": 1, "contrast": 0.3} | options)
    return system_of(scores, weights, rest), scores


OPTIONS = {
    "relative": (False, {"tol": 1e-8}),
    "published": (True, {"tol": 1e-6, "stop": "published", "preconditioner": None, "start": "rhs"}),
}


@pytest.mark.parametrize(
    ("kind", "stop"),
    [*((kind, "relative") for kind in GRIDS), ("1d", "published"), ("2d-long", "published")],
)
def test_the_same_steps_as_the_reference(kind, stop):
    per_label, options = OPTIONS[stop]
    system, rhs = problem(kind, per_label=per_label)
    x, steps, history = run(system, rhs, **options)
    expected, counts, norms = run(system, rhs, _run_torch, **options)
    assert torch.equal(steps, counts)
    torch.testing.assert_close(x, expected, rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(history, norms, rtol=1e-6, atol=1e-20)


@pytest.mark.parametrize("kind", ["2d-long", "3d-26"])
@pytest.mark.parametrize("stop", OPTIONS)
def test_many_tiles_and_programs_share_a_system(kind, stop, monkeypatch):
    monkeypatch.setattr(kernels_cuda, "TILE", 4)
    monkeypatch.setattr(kernels_cuda, "PROGRAMS", 2)
    per_label, options = OPTIONS[stop]
    options = options | {"max_iter": 4}
    # three systems are more than PROGRAMS, 12 or 20 pixels more than two tiles
    system, rhs = problem(kind, per_label=per_label, labels=3)
    x, steps, _ = run(system, rhs, **options)
    expected, counts, _ = run(system, rhs, _run_torch, **options)
    assert torch.equal(steps, counts)
    torch.testing.assert_close(x, expected, rtol=1e-9, atol=1e-11)


def test_float32_keeps_a_ground_that_a_rounded_diagonal_loses():
    """Weights 2^26, ground 1: their sum in float32 is 2^26, and the constant part would be lost."""
    system = sc.GridSystem([torch.full((1, 3), 2.0**26)])
    rhs = torch.tensor([[[1.0, 2.0, 3.0, 2.0]]])
    x, _, _ = run(system, rhs, tol=1e-7, accept=True)
    torch.testing.assert_close(x, torch.full_like(rhs, 2), rtol=1e-4, atol=0)


def test_float32_agrees_with_float64():
    system, rhs = problem("2d-diagonals", dtype=torch.float32)
    wide = sc.GridSystem(
        [w.double() for w in system.weights], offsets=system.offsets, ground=system.ground.double()
    )
    x, _, _ = run(system, rhs, tol=1e-6)
    expected, _, _ = run(wide, rhs.double(), _run_torch, tol=1e-12)
    assert x.dtype == torch.float32
    torch.testing.assert_close(x.double(), expected, rtol=1e-5, atol=1e-6)


def test_an_answer_is_the_same_to_the_last_bit_in_any_batch_and_however_often_one_looks(
    monkeypatch,
):
    monkeypatch.setattr(kernels_cuda, "TILE", 8)  # so that three programs share the sums
    scores, weights, options = arguments("2d", batch=3, labels=1, contrast=2)
    scores[1] *= 1e3
    x, steps, history = run(system_of(scores, weights, options), scores)
    monkeypatch.setattr(launch_cuda, "LOOK", (2, 10))
    one = slice(1, 2)
    alone, solo, norms = run(
        sc.GridSystem([w[one] for w in weights], ground=options["ground"][one]), scores[one]
    )
    assert torch.equal(alone, x[one]) and torch.equal(solo, steps[one])
    assert torch.equal(norms, history[: len(norms), one])
    assert len(set(steps.flatten().tolist())) > 1, "the systems should end at different steps"


def test_each_system_ends_by_itself():
    """Zero takes no step; infinity and NaN spoil one system; without curvature there is no step."""
    scores, weights, options = arguments("2d", batch=4, labels=1)
    scores[0] = 0
    scores[1, 0, 1, 1] = torch.inf
    scores[2] = 1
    options["ground"][2] = 0
    system = system_of(scores, weights, options)
    x, steps, history = run(system, scores, preconditioner=None)
    assert not x[0].any() and x[1].isnan().all() and not x[2].any() and x[3].isfinite().all()
    assert steps[[0, 1, 2], 0].tolist() == [0, 0, 0] and steps[3] > 5
    assert history[0, 0] == 0 and not history[-1, 1].isfinite() and history[-1, 2] == 20
    clean, _, _ = run(system, scores, _run_torch, preconditioner=None)
    torch.testing.assert_close(x[3], clean[3])


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's, in the interpreter
def test_a_product_that_overflows_gives_nan():
    """Not the start, which has a finite residual."""
    system = sc.GridSystem([torch.full((1, 2), 1e5)])
    rhs = torch.tensor([[[0, 1e35, 2e35]]])
    x, steps, history = run(system, rhs, preconditioner=None)
    assert x.isnan().all() and int(steps) == 0 and history.isfinite().all()


@pytest.mark.parametrize("max_iter", [1, 3, 7])
def test_no_step_beyond_the_budget(max_iter):
    system, rhs = problem("2d", contrast=3)
    for options in ({}, {"stop": "published", "tol": 1e-12}):
        x, steps, history = run(system, rhs, max_iter=max_iter, **options)
        expected, _, norms = run(system, rhs, _run_torch, max_iter=max_iter, **options)
        assert (steps == max_iter).all() and len(history) == max_iter + 1
        torch.testing.assert_close(x, expected)
        torch.testing.assert_close(history, norms)


def test_the_published_rule_takes_one_step_at_least_and_counts_the_whole_batch():
    system, rhs = problem("2d", batch=2)
    rhs[1] *= 1e3
    _, steps, _ = run(system, 1e-9 * rhs, stop="published", tol=1e-6)
    assert (steps == 1).all()
    _, steps, _ = run(system, rhs, stop="published", tol=1e-6)
    _, counts, _ = run(system, rhs, _run_torch, stop="published", tol=1e-6)
    assert torch.equal(steps, counts) and steps.unique().numel() == 1 and steps[0, 0] > 5


def test_memory_is_at_most_six_arrays_beside_the_offsets():
    system, rhs = problem("2d-diagonals", labels=1)
    machine = launch_cuda._Machine(system, rhs, sc.CG())
    arrays = {
        name: t.numel() / rhs.numel()
        for name, t in vars(machine).items()
        if isinstance(t, torch.Tensor) and name not in ("numbers", "flags", "partials")
    }
    # x is the caller's, and so is a ground that is contiguous
    assert sum(arrays.values()) + 1 == len(system.offsets) + 6
    _, ground, _ = launch_cuda.pack(system)
    assert ground.data_ptr() == system.ground.data_ptr()


def test_a_packed_system_stays_on_its_device_with_one_array_per_offset():
    system, rhs = problem("2d-backwards", per_label=True)
    weights, ground, strides = launch_cuda.pack(system)
    assert weights.shape == (2, 3, rhs[0, 0].numel()) and ground.shape == (2, 12)
    assert strides == (4, 1, 3) and weights.device == rhs.device
    assert weights.sum() == pytest.approx(sum(float(w.sum()) for w in system.weights))


def test_a_recorded_graph_gives_the_same_and_is_used_again(monkeypatch):
    first, second = problem("2d", seed=1), problem("2d", seed=2)
    plain = [run(*p, tol=tol) for p, tol in ((first, 1e-8), (second, 1e-8), (second, 1e-3))]
    monkeypatch.setattr(launch_cuda, "GRAPHS", 1)
    recorded = []
    if DEVICE == "cpu":  # recording does not run the launches, replaying does
        monkeypatch.setattr(launch_cuda, "_recorded", lambda f: recorded.append(f) or f)
    graphs = [run(*p, tol=tol) for p, tol in ((first, 1e-8), (second, 1e-8), (second, 1e-3))]
    for expected, arrived in zip(plain, graphs, strict=True):
        assert all(torch.equal(e, a) for e, a in zip(expected, arrived, strict=True))
    assert len(launch_cuda._kept) == 1 and len(recorded) == (DEVICE == "cpu")
    run(*problem("1d"))
    assert len(launch_cuda._kept) == 1, "one graph is kept, the latest"
    launch_cuda._kept.clear()


def test_too_many_pixels_are_refused(monkeypatch):
    monkeypatch.setattr(launch_cuda, "MOST_PIXELS", 19)
    with pytest.raises(
        ValueError, match='at most 19 pixels a system on CUDA, got 20; use kernel="t'
    ):
        run(*problem("2d"))


def test_a_large_grid_in_one_launch():
    """More tiles than one program would take, and a width that is a multiple of nothing."""
    grid = (67, 131)
    weights = [
        random(1, *sc.edge_shape(grid, o), seed=k).exp() for k, o in enumerate(sc.axis_offsets(2))
    ]
    system, rhs = sc.GridSystem(weights), random(1, 1, *grid, seed=9)
    x, steps, _ = run(system, rhs, max_iter=4, accept=True)
    expected, _, _ = run(system, rhs, _run_torch, max_iter=4, accept=True)
    assert int(steps) == 4
    torch.testing.assert_close(x, expected)


COMPILE = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from softcut_lib.solvers import kernels_cuda as kernels

TYPES = {"partials": "*fp64", "numbers": "*fp64", "history": "*fp64", "flags": "*i32"}
COUNTS = ("n", "systems", "share", "programs", "max_iter")

def compiled(kernel, kind, offsets, **options):
    options |= {"TILE": kernels.TILE, "PROGRAMS": kernels.PROGRAMS}
    types, constants, aligned = {}, {}, {}
    for k, name in enumerate(kernel.arg_names):
        if name in options:
            types[name], constants[name] = "constexpr", options[name]
        elif name == "strides":
            types[name] = ("i32",) * offsets
        else:
            types[name] = "i32" if name in COUNTS else TYPES.get(name, "*" + kind)
            if name == "n" or name not in COUNTS:
                aligned[(k,)] = [["tt.divisibility", 16]]
    source = ASTSource(fn=kernel, signature=types, constexprs=constants, attrs=aligned)
    return triton.compile(source, target=GPUTarget("cuda", 80, 32)).asm

both = {"RELATIVE": True, "JACOBI": True}
for kind, offsets, width in (("fp32", 2, "v4"), ("fp64", 4, "v2")):
    found = [
        compiled(kernels.begin, kind, offsets, JACOBI=True),
        compiled(kernels.advance, kind, offsets, WORK=True, **both),
        compiled(kernels.descend, kind, offsets, **both),
        compiled(kernels.measure, kind, offsets),
    ]
    assert all(f"ld.global.{width}" in asm["ptx"] and asm["cubin"] for asm in found)
compiled(kernels.advance, "fp32", 2, WORK=False, RELATIVE=False, JACOBI=False)
compiled(kernels.descend, "fp32", 2, RELATIVE=False, JACOBI=False)
compiled(kernels.aim, "fp32", 2)
"""


def test_kernels_compile_for_a_gpu_that_is_not_there():
    """To machine code, and with 16-byte accesses: what the interpreter cannot tell."""
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, "-c", COMPILE], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
