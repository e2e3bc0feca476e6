"""The fused CPU kernel: its layout and product, threads, strong contrast, memory, compiling."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from numba import njit

import softcut_lib as sc
from softcut_lib.solvers import compiling, flat, kernels_cpu
from tests.grids import EIGHT, arguments, every_grid, random, system_of

LARGE = {"2d": ((90, 101), None), "2d-diagonals": ((101, 90), EIGHT), "3d": ((9, 33, 32), None)}


def large(kind, *, batch=1, labels=1, dtype=torch.float32, contrast=1.0):
    """(system, rhs) of several slices; its pieces border inside a row."""
    grid, offsets = LARGE[kind]
    offsets = offsets or sc.axis_offsets(len(grid))
    weights = [
        torch.exp(contrast * random(batch, *sc.edge_shape(grid, o), seed=k)).to(dtype)
        for k, o in enumerate(offsets)
    ]
    rhs = random(batch, labels, *grid, seed=20, dtype=dtype)
    return sc.GridSystem(weights, offsets=offsets), rhs


@pytest.fixture
def threads(monkeypatch):
    """Set the number of threads, and let small systems be cut into pieces too."""
    before = torch.get_num_threads()
    monkeypatch.setattr(flat, "PIECE", kernels_cpu.SLICE)
    yield torch.set_num_threads
    torch.set_num_threads(before)


@every_grid
@pytest.mark.parametrize("per_label", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_flat_product_is_the_product_of_the_system(kind, per_label, dtype):
    scores, weights, options = arguments(kind, per_label=per_label, dtype=dtype)
    system = system_of(scores, weights, options)
    weights, strides, ground, margin = flat.flatten(system)
    assert len(ground) == (4 if per_label else 2)
    assert len(weights) == (len(ground) if any(w.numel() for w in system.weights) else 2)
    assert len(strides) == weights.shape[1] and all(0 <= strides) and all(strides <= margin)
    n = ground.shape[1]
    for s, x in enumerate(scores.flatten(0, 1)):
        row, leak = s * len(weights) // 4, s * len(ground) // 4
        p = np.zeros(weights.shape[2] + margin, ground.dtype)
        p[margin : margin + n] = x.flatten()
        A = kernels_cpu.Circuit(weights[row], strides, ground[leak], margin)
        q = np.empty_like(ground[leak])
        kernels_cpu.multiply_slice(A, p, q, 0, n)
        expected = (system @ scores).flatten(0, 1)[s].flatten()
        torch.testing.assert_close(torch.from_numpy(q), expected)


def test_arrays_begin_on_cache_lines():
    system, rhs = large("2d-diagonals")
    weights, _, _, margin = flat.flatten(system)
    assert weights.ctypes.data % kernels_cpu.LINE == 0
    assert weights.strides[1] % kernels_cpu.LINE == 0 == margin * 4 % kernels_cpu.LINE
    room = kernels_cpu.aligned(3, 32, rhs.numpy())
    assert room.shape == (3, 32) and room.ctypes.data % kernels_cpu.LINE == 0


@pytest.mark.parametrize("kind", LARGE)
@pytest.mark.parametrize("stop", ["relative", "published"])
@pytest.mark.parametrize("start", ["zero", "rhs"])
def test_an_answer_is_the_same_to_the_last_bit_for_any_number_of_threads(
    kind, stop, start, threads
):
    system, rhs = large(kind, batch=2)
    solver = sc.CG(stop=stop, start=start, tol=1e-5 if stop == "relative" else 1e-8)
    threads(1)
    expected, info = solver(system, rhs)
    assert info.iterations.min() > 5
    for count in (2, 3, 4):
        threads(count)
        x, seen = solver(system, rhs)
        assert torch.equal(x, expected), f"{count} threads gave other bits than 1"
        assert torch.equal(seen.history, info.history)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_an_answer_is_the_same_to_the_last_bit_in_any_batch(dtype, threads):
    threads(2)
    system, rhs = large("2d", batch=5, labels=2, dtype=dtype)
    together, info = sc.CG()(system, rhs)
    for b in range(5):
        one = slice(b, b + 1)
        alone, solo = sc.CG()(sc.GridSystem([w[one] for w in system.weights]), rhs[one])
        assert torch.equal(alone, together[one])
        assert torch.equal(solo.iterations, info.iterations[one])


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 9])
@pytest.mark.parametrize("n", [2**10, 2**17 + 7, 2**21])
def test_pieces_are_whole_slices_wider_than_the_margin_and_none_where_systems_suffice(count, n):
    for threads in (1, 2, 4, 64):
        bounds = flat.cut(n, count, threads, margin=2048)
        assert bounds[0] == 0 and bounds[-1] == n and (bounds[1:-1] % kernels_cpu.SLICE == 0).all()
        if len(bounds) > 2:
            assert np.diff(bounds).min() > 2 * 2048
            assert count * (len(bounds) - 1) <= count * threads
        if count % threads == 0 or n < 2 * flat.PIECE:
            assert len(bounds) == 2


@pytest.mark.parametrize("kernel", ["torch", "fused"])
@pytest.mark.parametrize("conductance", [1e3, 1e6, 1e8])
def test_float32_keeps_the_ground_under_large_conductances(kernel, conductance):
    """A diagonal of 4e8 + 1 is 4e8 in float32: only products of differences know the 1."""
    grid = (24, 36)
    region = (random(1, 4, 6) > 0).double().repeat_interleave(6, 1).repeat_interleave(6, 2)
    weights = [
        torch.where(sc.jump(region, o) == 0, conductance, 1e-9 * conductance).double()
        for o in sc.axis_offsets(2)
    ]
    rhs = random(1, 1, *grid, seed=1)
    exact, _ = sc.solve(sc.GridSystem(weights), rhs, sc.SuperLU())
    system = sc.GridSystem([w.float() for w in weights])
    x, info = sc.solve(system, rhs.float(), sc.CG(tol=1e-6, max_iter=3000, kernel=kernel))
    assert info.converged.all()
    assert (x - exact).norm() < 1e-4 * exact.norm()


def test_where_the_recurrence_fails_rounding_excuses_one_percent_only():
    system, rhs = large("2d", contrast=12)
    _, info = sc.CG(max_iter=3, accept=True)(system, rhs)
    assert not info.converged.any()


MEMORY = """
import torch, softcut_lib as sc
torch.set_num_threads(1)
solver = sc.CG(max_iter=3, accept=True)
axes, eight = sc.axis_offsets, sc.axis_offsets(2) + sc.diagonal_offsets(2)
def status(field):
    with open("/proc/self/status") as lines:
        return next(int(l.split()[1]) * 1024 for l in lines if l.startswith(field))
def allocated(grid, offsets, dtype):
    "Bytes at the peak of one call, beyond what was there before, in arrays of the grid's size."
    weights = [torch.ones(1, *sc.edge_shape(grid, o), dtype=dtype) for o in offsets]
    A, rhs = sc.GridSystem(weights, offsets=offsets), torch.randn(1, 1, *grid, dtype=dtype)
    with open("/proc/self/clear_refs", "w") as f:
        f.write("5")  # forget the peak so far
    before = status("VmRSS")
    x, _ = solver(A, rhs)
    return (status("VmHWM") - before) / (x.numel() * x.element_size())
for dtype in (torch.float32, torch.float64):
    allocated((9, 9), axes(2), dtype)  # compiles
    flat, deep = (1024, 1000), (64, 120, 128)
    for grid, offsets in (flat, axes(2)), (flat[::-1], eight), (deep, axes(3)):
        print(len(offsets), allocated(grid, offsets, dtype))
"""


@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="needs Linux' /proc")
def test_memory_is_six_arrays_and_one_for_each_offset():
    """The peak of the whole process: weights, x, r, p, q, M; with the ground, K + 6."""
    # large blocks go back to the system as soon as they are freed, so that peaks are this call's
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "1000000"}
    run = subprocess.run(
        [sys.executable, "-c", MEMORY], capture_output=True, text=True, env=environment
    )
    assert run.returncode == 0, run.stderr
    for line in run.stdout.splitlines():
        offsets, arrays = map(float, line.split())
        assert arrays + 1 <= offsets + 6.5, f"{arrays:.2f} arrays allocated, {offsets:.0f} offsets"
        assert arrays > offsets + 4, "less than the kernel needs: the count must be wrong"
    assert len(run.stdout.splitlines()) == 6


def test_bytes_of_a_step():
    system, _ = large("2d-diagonals")
    assert flat.bytes_per_step(system) == (4 + 12) * 101 * 90 * 4


def test_compiling_says_so_once_and_only_then(capsys, monkeypatch):
    monkeypatch.delenv("SOFTCUT_QUIET", raising=False)
    number = np.zeros(1, np.float32)
    loud, quiet = njit(lambda a, b, c: c[0] + 1), njit(lambda a, b, c: c[0] + 2)
    for _ in range(2):
        compiling.call(loud, 1, 1, number)
    assert capsys.readouterr().err.count("softcut: compiling") == 1
    monkeypatch.setenv("SOFTCUT_QUIET", "1")
    compiling.call(quiet, 1, 1, number)
    assert capsys.readouterr().err == ""


def test_threads_have_compiled_code_of_their_own():
    """numba keeps code on disk by a function's name alone, whatever its options."""
    loops = [getattr(kernels_cpu, name) for name in dir(kernels_cpu) if "alone" in name]
    loops += [getattr(kernels_cpu, name) for name in dir(kernels_cpu) if "together" in name]
    compiled = [loop.py_func for loop in loops if hasattr(loop, "py_func")]
    assert len({f.__qualname__ for f in compiled}) == len(compiled) == 4


def test_without_a_folder_for_compiled_code_it_is_compiled_each_time(monkeypatch):
    def refuse(cache=False, **options):
        if cache:
            raise RuntimeError("cannot cache function: no locator available for file")
        return njit(**options)

    monkeypatch.setattr(compiling, "njit", refuse)
    assert compiling.compiled()(lambda n: n + 1)(1) == 2
