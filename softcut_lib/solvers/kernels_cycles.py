"""The fused multigrid solver on the CPU, compiled by numba (chapter 6).

For 2-D grids (and 1-D ones, a grid of one row) with links to any of the 8 neighbors. A hierarchy
of circuits is built once for each matrix (kernels_coarse.py), and every level is eliminated
incompletely (kernels_elimination.py). One V-cycle z = V r smooths, corrects and smooths again:

    z = M^-1 r,      z += P V_c P' (r - A z),      z += M^-1 (r - A z),

the same operators in the same order read forwards and backwards, so V is symmetric and positive
definite and preconditions conjugate gradients. Each direction is made conjugate to the last by its
own product, beta = -<z, A p> / <p, A p>, so that rounding in V does no harm (Notay 2000).

All levels of a matrix lie one after another in flat arrays. Currents are computed as
w (x_p - x_q), never as differences of products: strong links then err by equal and opposite
amounts, which is what lets float32 resolve contrasts far beyond 1e7.
"""

from contextlib import nullcontext

import numpy as np
import torch
from numba import prange

from softcut_lib.solvers.compiling import LOOSE, PARALLEL, call, compiled, numba_threads
from softcut_lib.solvers.kernels_coarse import prolong, restrict
from softcut_lib.solvers.kernels_cpu import dot
from softcut_lib.solvers.kernels_elimination import MARGIN, SE, SW, E, S, apply, leftover
from softcut_lib.solvers.kernels_hierarchy import (
    END,
    FIRST,
    HEIGHT,
    START,
    WIDTH,
    fields_of,
    first_level,
    lay_out,
    set_up,
    workspace,
)  # fmt: skip

SCRATCH = 24  # the first of the six arrays of a workspace that a solve may use


@compiled(fastmath=LOOSE)
def _multiply_row(ground, links, x, out, k, pitch, nine):
    """out = (A x) on the row of pixels that starts at index k."""
    here, east, west, south, north = (
        x[k:], x[k + 1 :], x[k - 1 :], x[k + pitch :], x[k - pitch :]
    )  # fmt: skip
    g, e, w, s, n = ground[k:], links[E, k:], links[E, k - 1 :], links[S, k:], links[S, k - pitch :]
    for j in range(len(out)):
        c = here[j]
        out[j] = g[j] * c + (
            (e[j] * (c - east[j]) + w[j] * (c - west[j]))
            + (s[j] * (c - south[j]) + n[j] * (c - north[j]))
        )
    if nine:
        se, nw, sw, ne = (
            links[SE, k:], links[SE, k - pitch - 1 :], links[SW, k:], links[SW, k - pitch + 1 :]
        )  # fmt: skip
        south_east, north_west, south_west, north_east = (
            x[k + pitch + 1 :], x[k - pitch - 1 :], x[k + pitch - 1 :], x[k - pitch + 1 :]
        )  # fmt: skip
        for j in range(len(out)):
            c = here[j]
            out[j] += (se[j] * (c - south_east[j]) + nw[j] * (c - north_west[j])) + (
                sw[j] * (c - south_west[j]) + ne[j] * (c - north_east[j])
            )


@compiled(fastmath=LOOSE)
def _cycle(plan, levels, ground, links, inverse, shares, fill, parts, b, z, t, nine):
    """z = V b on the first level; b of the other levels and t are scratch."""
    for n in range(levels):
        a, height, width, wide = plan[n, FIRST], plan[n, HEIGHT], plan[n, WIDTH], nine or n > 0
        apply(shares, inverse, b, z, a, height, width, wide)
        if n + 1 < levels:
            leftover(fill, z, t, a, height, width, wide)
            restrict(parts, t, b, a, height, width, plan[n + 1, FIRST])
    for n in range(levels - 2, -1, -1):
        a, height, width, wide = plan[n, FIRST], plan[n, HEIGHT], plan[n, WIDTH], nine or n > 0
        prolong(parts, z, z, a, height, width, plan[n + 1, FIRST])
        for i in range(height):
            k = a + i * (width + MARGIN)
            left, right = t[k : k + width], b[k : k + width]
            _multiply_row(ground, links, z, left, k, width + MARGIN, wide)
            for j in range(width):
                left[j] = right[j] - left[j]
        apply(shares, inverse, t, t, a, height, width, wide)
        whole, more = z[plan[n, START] : plan[n, END]], t[plan[n, START] : plan[n, END]]
        for j in range(len(whole)):
            whole[j] += more[j]


@compiled(fastmath=LOOSE)
def _search(plan, ground, links, z, q, beta, r, p, nine):
    """p = z + beta p and q = A p; returns <p, q> and <p, r>."""
    pitch, curvature, slope = plan[0, WIDTH] + MARGIN, 0.0, 0.0
    for j in range(len(p)):
        p[j] = z[j] + beta * p[j]
    for i in range(plan[0, HEIGHT]):
        k = plan[0, FIRST] + i * pitch
        span = slice(k, k + plan[0, WIDTH])
        _multiply_row(ground, links, p, q[span], k, pitch, nine)
        curvature += dot(p[span], q[span])
        slope += dot(p[span], r[span])
    return curvature, slope


@compiled(fastmath=LOOSE)
def _residual(plan, ground, links, rhs, x, q, nine):
    """||rhs - A x||^2 and the largest row sum of |A|; q is scratch."""
    pitch, width, square, most = plan[0, WIDTH] + MARGIN, plan[0, WIDTH], 0.0, 0.0
    for i in range(plan[0, HEIGHT]):
        k = plan[0, FIRST] + i * pitch
        out, wanted, rows = q[k : k + width], rhs[i * width : (i + 1) * width], ground[k:]
        _multiply_row(ground, links, x, out, k, pitch, nine)
        for j in range(width):
            out[j] = wanted[j] - out[j]
        square += dot(out, out)
        e, w, s, n = links[E, k:], links[E, k - 1 :], links[S, k:], links[S, k - pitch :]
        for j in range(width):
            out[j] = rows[j] + 2 * ((e[j] + w[j]) + (s[j] + n[j]))
        if nine:
            e, w, s, n = (
                links[SE, k:], links[SE, k - pitch - 1 :], links[SW, k:], links[SW, k - pitch + 1 :]
            )  # fmt: skip
            for j in range(width):
                out[j] += 2 * ((e[j] + w[j]) + (s[j] + n[j]))
        for j in range(width):
            most = max(most, out[j])
    return square, most


@compiled(fastmath=LOOSE)
def _solve(
    plan, levels, memory, scratch, rhs, x, nine, tol, max_iter, history, report
):  # fmt: skip
    """Preconditioned conjugate gradients for one system; returns the number of steps."""
    ground, links, inverse, shares, fill, parts, _, _ = fields_of(memory)
    end, size, width = plan[levels - 1, END], plan[0, END], plan[0, WIDTH]
    scratch[SCRATCH:, :end] = 0
    b, z, t = scratch[SCRATCH, :end], scratch[SCRATCH + 1, :end], scratch[SCRATCH + 2, :end]
    p, q = scratch[SCRATCH + 3, :size], scratch[SCRATCH + 4, :size]
    answer = scratch[SCRATCH + 5, :size]
    r, number, first, pitch = b[:size], x.dtype.type, plan[0, FIRST], width + MARGIN
    for i in range(plan[0, HEIGHT]):
        r[first + i * pitch : first + i * pitch + width] = rhs[i * width : (i + 1) * width]
    square, k, curvature = dot(r, r), 0, 1.0
    target = tol * tol * square
    report[2], history[0] = square, square
    while k < max_iter and square > target:
        _cycle(plan, levels, ground, links, inverse, shares, fill, parts, b, z, t, nine)
        beta = number(-dot(z[:size], q) / curvature)
        curvature, slope = _search(plan, ground, links, z, q, beta, r, p, nine)
        if not curvature > 0:  # rounding has used the directions up, or NaN
            square = np.nan if np.isnan(curvature) else square
            break
        square = _step(number(slope / curvature), p, q, answer, r)
        k += 1
        history[k] = square
    if not np.isfinite(square):
        answer[:] = np.nan
    report[0], report[3] = _residual(plan, ground, links, rhs, answer, q, nine)
    report[1] = dot(answer, answer)
    for i in range(plan[0, HEIGHT]):
        x[i * width : (i + 1) * width] = answer[first + i * pitch : first + i * pitch + width]
    return k


@compiled(fastmath=LOOSE)
def _step(length, p, q, x, r):
    """x += length p, r -= length q; returns <r, r>."""
    for j in range(len(x)):
        x[j] += length * p[j]
        r[j] -= length * q[j]
    return dot(r, r)


@compiled()
def _build(plan, m, matrices, circuit, memory, nine):
    """The levels of matrix m, in this memory; returns how many there are."""
    ground, links, inverse, shares, fill, parts, leaks, sink = fields_of(memory)
    first_level(plan[0], circuit, m, matrices, ground, links, nine)
    return set_up(plan, ground, links, inverse, shares, fill, parts, leaks, sink, nine)


@compiled()
def _solve_one(plan, levels, memory, scratch, nine, s, rhs, x, options, steps, history, report):
    steps[s] = _solve(
        plan, levels, memory, scratch, rhs[s], x[s], nine, options[0], options[1], history[s],
        report[s],
    )  # fmt: skip


def _by_matrix(plan, circuit, memory, matrices, rhs, x, nine, options, steps, history, report):
    """Build each matrix and solve its systems; each thread does so in memory of its own."""
    lanes, share = len(memory), len(rhs) // matrices
    for lane in prange(lanes):
        mine = memory[lane]
        for m in range(lane, matrices, lanes):
            levels = _build(plan, m, matrices, circuit, mine, nine)
            for s in range(m * share, m * share + share):
                _solve_one(
                    plan, levels, mine, mine, nine, s, rhs, x, options, steps, history, report
                )


def _by_system(plan, circuit, memory, matrices, rhs, x, nine, options, steps, history, report):
    """Build all matrices, fewer than threads, then solve: a thread's share is every n-th system."""
    levels, lanes, share = np.empty(matrices, np.int64), len(memory), len(rhs) // matrices
    for m in range(matrices):
        levels[m] = _build(plan, m, matrices, circuit, memory[m], nine)
    for lane in prange(lanes):
        for s in range(lane, len(rhs), lanes):
            m = s // share
            _solve_one(
                plan, levels[m], memory[m], memory[lane], nine, s, rhs, x, options, steps, history,
                report,
            )  # fmt: skip


@compiled()
def _cycle_all(plan, circuit, memory, matrices, rhs, x, nine):
    """One cycle for each system."""
    width, first, pitch = plan[0, WIDTH], plan[0, FIRST], plan[0, WIDTH] + MARGIN
    share = len(rhs) // matrices
    ground, links, inverse, shares, fill, parts, _, _ = fields_of(memory[0])
    b, z, t = memory[0, SCRATCH], memory[0, SCRATCH + 1], memory[0, SCRATCH + 2]
    levels = 0
    for s in range(len(rhs)):
        if s % share == 0:
            levels = _build(plan, s // share, matrices, circuit, memory[0], nine)
        memory[0, SCRATCH:] = 0
        for i in range(plan[0, HEIGHT]):
            k = first + i * pitch
            b[k : k + width] = rhs[s, i * width : (i + 1) * width]
        _cycle(plan, levels, ground, links, inverse, shares, fill, parts, b, z, t, nine)
        for i in range(plan[0, HEIGHT]):
            k = first + i * pitch
            x[s, i * width : (i + 1) * width] = z[k : k + width]


_serial = compiled()(_by_matrix)
_matrix_threads = compiled(parallel=PARALLEL)(_by_matrix)
_system_threads = compiled(parallel=PARALLEL)(_by_system)


def one_cycle(system, rhs):
    """V rhs for every sample and label."""
    plan, circuit, matrices, nine = lay_out(system)
    flat = rhs.detach().reshape(rhs.shape[:2].numel(), -1).contiguous().numpy()
    x = np.empty_like(flat)
    call(_cycle_all, plan, circuit, workspace(plan, 1, flat.dtype), matrices, flat, x, nine)
    return torch.from_numpy(x).view(rhs.shape)


def run(system, rhs, x, options):
    """Solve every sample and label into x.

    Returns:
        (steps (B, L), squared norms of the recurrence's residual (steps + 1, B, L), true residual
        ||rhs - A x||, ||x||, ||rhs||, ||A||_inf, each (B, L)).
    """
    plan, circuit, matrices, nine = lay_out(system)
    count, threads = rhs.shape[:2].numel(), torch.get_num_threads()
    flat = rhs.detach().reshape(count, -1).contiguous().numpy()
    steps, report = np.zeros(count, np.int64), np.empty((count, 4))
    history = np.empty((count, options.max_iter + 1))  # untouched pages take no memory
    parallel = threads > 1 and count > 1
    loop = _serial
    if parallel:
        loop = _matrix_threads if matrices >= min(threads, count) else _system_threads
    limits = (float(options.tol), options.max_iter)
    answer = x.view(count, -1).numpy()
    memory = workspace(plan, min(threads, count), flat.dtype)
    with numba_threads(threads) if parallel else nullcontext():
        call(
            loop, plan, circuit, memory, matrices, flat, answer, nine, limits, steps, history,
            report,
        )  # fmt: skip
    # a system that was done earlier keeps its last value
    history = history[np.arange(count), np.minimum(np.arange(steps.max() + 1)[:, None], steps)]
    report[:, :3] = np.sqrt(report[:, :3])
    found = (steps, history, *report.T)
    return [torch.from_numpy(array).unflatten(-1, rhs.shape[:2]) for array in found]
