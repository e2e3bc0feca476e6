"""A grid system as flat padded arrays, and conjugate gradients on them on the CPU (chapter 5).

`flatten` lays the system out for kernels_cpu.py; `run` shares the work between the cores. Systems
are given out whole, one to a core, as long as there are enough of them; a large system is cut
into pieces. Memory: K weight arrays for each matrix (K offsets), and the grid's size 4 times for
each system that is being solved (r, p, q, M); with its ground and its x that makes K + 6.
"""

import math
from contextlib import contextmanager, nullcontext

import numpy as np
import torch

from softcut_lib.grid.edges import head, tail
from softcut_lib.solvers import kernels_cpu as kernels
from softcut_lib.solvers.compiling import call, numba_threads

PIECE = 2**15
"""Fewest pixels of a piece: two pieces gain from 256 x 256 on, for threads meet twice a step."""


def flatten(system):
    """The system as padded flat arrays, ready for the compiled kernels.

    Args:
        system: a `GridSystem` on the CPU.

    Returns:
        (weights (M, K, margin + row), strides (K,), ground (G, n), margin): M and G are the batch,
        or batch x labels where they depend on the label; `row` is n rounded up to whole cache
        lines, and so is the margin, which no stride exceeds. Offsets without edges are left out.
    """
    grid, reference = system.grid, system.ground
    flat = [math.prod(grid[k + 1 :]) for k in range(len(grid))]
    edges = [
        (sum(a * b for a, b in zip(offset, flat)), offset, system.labeled(w))
        for w, offset in zip(system.weights, system.offsets)
        if w.numel()  # an offset without edges may have any stride, even 0
    ]
    lane = kernels.LINE // reference.element_size()
    n = math.prod(grid)
    row, margin = (-(-m // lane) * lane for m in (n, max((abs(e[0]) for e in edges), default=0)))
    lead = (system.batch, max((w.shape[1] for *_, w in edges), default=1))
    weights = torch.zeros(math.prod(lead), max(len(edges), 1), margin + row, dtype=reference.dtype)
    for k, (stride, offset, w) in enumerate(edges):
        room = weights[:, k, margin : margin + n].view(*lead, *grid)
        (tail if stride > 0 else head)(room, offset).copy_(w.detach())
    strides = np.array([abs(e[0]) for e in edges] or [0], np.int64)
    ground = system.labeled(reference).detach().reshape(-1, n).contiguous()
    return weights.numpy(), strides, ground.numpy(), margin


def bytes_per_step(system):
    """Bytes that one step of one sample and label reads and writes: K + 12 arrays of the grid.

    `_advance` reads K weights, the ground, r, M, p and x, and writes p, x and q; `_descend` reads
    q, M and r and writes r.
    """
    return (len(system.offsets) + 12) * math.prod(system.grid) * system.ground.element_size()


def cut(n, count, threads, margin):
    """Where to cut each of `count` systems of n pixels: 0, whole slices, n."""
    pieces = 1 if count >= 4 * threads else threads // math.gcd(count, threads)
    pieces = max(1, min(pieces, n // max(PIECE, 4 * margin)))
    inner = [k * n // pieces // kernels.SLICE * kernels.SLICE for k in range(1, pieces)]
    return np.array([0, *inner, n], np.int64)


def run(system, rhs, x, options):
    """Conjugate gradients with the fused kernel; x holds the start and becomes the answer.

    Returns:
        (steps (B, L), squared norms of the recurrence's residual (steps + 1, B, L), true residual
        ||rhs - A x||, ||x||, ||rhs||, ||A||_inf, each (B, L)).
    """
    flat = rhs.detach().reshape(rhs.shape[:2].numel(), -1).contiguous().numpy()
    report = np.empty((len(flat), 4))
    with threads_of_torch():
        found = iterate(flatten(system), flat, x.view(len(flat), -1).numpy(), options, report)
    return shaped(*found, report, rhs.shape[:2])


@contextmanager
def threads_of_torch():
    """PyTorch's number of threads, which numba's kernels keep to inside."""
    threads = torch.get_num_threads()
    with numba_threads(threads) if threads > 1 else nullcontext():
        yield threads


def iterate(arrays, rhs, x, options, report, sized=False):
    """Steps (S,) and squared residuals (S, steps + 1) of S flat systems; x and report are filled.

    `sized`: report[:, 2] already holds the <rhs, rhs> that the tolerance refers to.
    """
    every, (count, n) = np.arange(len(rhs)), rhs.shape
    which = np.stack([every // (count // len(part)) for part in (arrays[0], arrays[2])])
    published, threads = options.stop == "published", torch.get_num_threads()
    bounds = cut(n, count, threads, arrays[3])
    parallel = threads > 1 and count * (len(bounds) - 1) > 1
    if published or len(bounds) > 2:
        loop = kernels.together_threads if parallel else kernels.together
    else:
        loop = kernels.alone_threads if parallel else kernels.alone
    tol = options.tol * (rhs.size if published else 1)
    flags = (options.preconditioner == "jacobi", options.start == "zero", published, sized)
    steps = np.zeros(count, np.int64)
    history = np.empty((count, options.max_iter + 1))  # untouched pages take no memory
    call(
        loop, arrays, which, rhs, x, bounds, (*flags, float(tol), options.max_iter), steps,
        history, report,
    )  # fmt: skip
    # a system that was done earlier keeps its last value
    return steps, history[every, np.minimum(np.arange(steps.max() + 1)[:, None], steps)]


def shaped(steps, history, report, shape):
    """What `run` returns."""
    report[:, :3] = np.sqrt(report[:, :3])
    found = (steps, history, *report.T)
    return [torch.from_numpy(array).unflatten(-1, shape) for array in found]
