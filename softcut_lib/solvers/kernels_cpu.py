"""The fused CPU kernel of conjugate gradients, compiled by numba (chapter 5).

The grid is flattened. An edge of offset o joins pixel i to i + s, s the flat stride of o, and its
weight stands in one array per offset, zero where the grid ends. With a margin of zeros as wide as
the largest stride P, the product

    (A p)_i = a_ii p_i - sum_k (w_k[i] p[i + s_k] + w_k[i - s_k] p[i - s_k])

is one loop without a branch, the same for every dimension and every set of offsets. Each step
passes over memory twice, in slices that stay in the first-level cache: `_advance` renews the
direction p and multiplies it by A, `_descend` renews x and r and their norms. Sums are float64.
"""

import numba
import numpy as np
import torch
from numba import njit, prange

from softcut_lib.grid.edges import at_head, at_tail

# numba's default order would take a layer that is not safe when called from several threads
numba.config.THREADING_LAYER_PRIORITY = ["omp", "tbb", "workqueue"]

SLICE = 2048
# Sums may be reordered (that is what lets them run in vector registers); NaN and infinity are kept.
_options = {"cache": True, "fastmath": {"reassoc", "contract", "nsz", "arcp"}}


@njit(**_options)
def _multiply_slice(weights, strides, diagonal, p, margin, q, a, b):
    """q[a:b] = (A p)[a:b]; the slices make all loops start at 0, which is what vectorizes."""
    out, center, diag = q[a:b], p[margin + a : margin + b], diagonal[a:b]
    for j in range(b - a):
        out[j] = diag[j] * center[j]
    for k in range(len(strides)):
        s = strides[k]
        to_head, to_tail = (
            weights[k, margin + a : margin + b],
            weights[k, margin + a - s : margin + b - s],
        )
        ahead, behind = p[margin + a + s : margin + b + s], p[margin + a - s : margin + b - s]
        for j in range(b - a):
            out[j] -= to_head[j] * ahead[j] + to_tail[j] * behind[j]


@njit(**_options)
def _multiply(weights, strides, diagonal, p, margin, q):
    """q = A p."""
    for a in range(0, len(q), SLICE):
        _multiply_slice(weights, strides, diagonal, p, margin, q, a, min(a + SLICE, len(q)))


@njit(**_options)
def _renew_direction(beta, r, inverse, p, margin, a, b):
    """p = M r + beta p on [a, b), M the diagonal preconditioner."""
    out, residual, scale = p[margin + a : margin + b], r[a:b], inverse[a:b]
    for j in range(b - a):
        out[j] = residual[j] * scale[j] + beta * out[j]


@njit(**_options)
def _advance(weights, strides, diagonal, inverse, beta, r, p, margin, q):
    """p = M r + beta p and q = A p in one pass; returns <p, q>."""
    n, total = len(q), 0.0
    # The product at pixel i reads p up to i + margin, so the direction runs that far ahead.
    _renew_direction(beta, r, inverse, p, margin, 0, min(margin, n))
    for a in range(0, n, SLICE):
        b = min(a + SLICE, n)
        _renew_direction(beta, r, inverse, p, margin, min(a + margin, n), min(b + margin, n))
        _multiply_slice(weights, strides, diagonal, p, margin, q, a, b)
        direction, product = p[margin + a : margin + b], q[a:b]
        for j in range(b - a):
            total += np.float64(direction[j]) * np.float64(product[j])
    return total


@njit(**_options)
def _descend(alpha, inverse, p, margin, q, x, r):
    """x += alpha p and r -= alpha q in one pass; returns <r, r> and <r, M r>."""
    n, square, energy = len(q), 0.0, 0.0
    for a in range(0, n, SLICE):
        b = min(a + SLICE, n)
        direction, product, scale = p[margin + a : margin + b], q[a:b], inverse[a:b]
        answer, residual = x[a:b], r[a:b]
        for j in range(b - a):
            answer[j] += alpha * direction[j]
            residual[j] -= alpha * product[j]
        for j in range(b - a):
            term = np.float64(residual[j]) * np.float64(residual[j])
            square += term
            energy += term * scale[j]
    return square, energy


@njit(**_options)
def _norms(r, inverse):
    square, energy = 0.0, 0.0
    for j in range(len(r)):
        term = np.float64(r[j]) * np.float64(r[j])
        square += term
        energy += term * inverse[j]
    return square, energy


@njit(**_options)
def _first_residual(weights, strides, diagonal, rhs, p, margin, x, r):
    """r = rhs - A x; p is scratch and left zero."""
    p[margin : margin + len(x)] = x
    _multiply(weights, strides, diagonal, p, margin, r)
    p[:] = 0
    for j in range(len(r)):
        r[j] = rhs[j] - r[j]


def _relative(
    weights, strides, diagonal, inverse, matrix, rhs, x, margin, tol, max_iter, steps, history
):
    """Solve each system by itself, one per core, until ||r|| <= tol ||rhs||."""
    for s in prange(len(rhs)):
        m, n, number = matrix[s], rhs.shape[1], rhs.dtype.type
        r, q = np.empty_like(rhs[s]), np.empty_like(rhs[s])
        p = np.zeros(n + 2 * margin, rhs.dtype)
        target = tol * tol * _norms(rhs[s], inverse[m])[0]
        _first_residual(weights[m], strides, diagonal[m], rhs[s], p, margin, x[s], r)
        square, energy = _norms(r, inverse[m])
        history[0, s] = square
        beta, k = number(0), 0
        while k < max_iter and square > target:
            curvature = _advance(
                weights[m], strides, diagonal[m], inverse[m], beta, r, p, margin, q
            )
            if not curvature > 0:  # rounding has used the directions up, or NaN
                square = np.nan if np.isnan(curvature) else square
                break
            before = energy
            square, energy = _descend(number(energy / curvature), inverse[m], p, margin, q, x[s], r)
            beta = number(energy / before)
            k += 1
            history[k, s] = square
        if not np.isfinite(square):
            x[s, :] = np.nan
        history[k + 1 :, s] = square
        steps[s] = k


def _published(
    weights, strides, diagonal, inverse, matrix, rhs, x, margin, bound, max_iter, steps, history
):
    """All systems step together, at least once, until the norm over the whole batch < bound."""
    count, n, number = len(rhs), rhs.shape[1], rhs.dtype.type
    r, q = np.empty_like(rhs), np.empty_like(rhs)
    p = np.zeros((count, n + 2 * margin), rhs.dtype)
    energy, square, beta = np.empty(count), np.empty(count), np.zeros(count)
    for s in prange(count):
        m = matrix[s]
        _first_residual(weights[m], strides, diagonal[m], rhs[s], p[s], margin, x[s], r[s])
        square[s], energy[s] = _norms(r[s], inverse[m])
        history[0, s] = square[s]
    k = 0
    while k < max_iter:
        for s in prange(count):
            m = matrix[s]
            curvature = _advance(
                weights[m],
                strides,
                diagonal[m],
                inverse[m],
                number(beta[s]),
                r[s],
                p[s],
                margin,
                q[s],
            )
            before = energy[s]
            alpha = number(before / curvature) if curvature != 0 else number(0)
            square[s], energy[s] = _descend(alpha, inverse[m], p[s], margin, q[s], x[s], r[s])
            beta[s] = energy[s] / before if before != 0 else 0.0
            history[k + 1, s] = square[s]
        k += 1
        total = 0.0
        for s in range(count):
            if np.isfinite(square[s]):
                total += square[s]
        if np.sqrt(total) < bound:
            break
    for s in range(count):
        if not np.isfinite(square[s]):
            x[s, :] = np.nan
        history[k + 1 :, s] = square[s]
        steps[s] = k


# Each loop twice: starting threads costs more than a small system, and one system needs none.
_LOOPS = {
    (stop, parallel): njit(parallel=parallel, nogil=True, **_options)(loop)
    for stop, loop in (("relative", _relative), ("published", _published))
    for parallel in (False, True)
}


def pack(system):
    """The system as padded flat arrays: (weights (M, K, P + N), strides, diagonal (M, N), P)."""
    grid, diagonal = system.grid, system.diagonal()
    strides, arrays = [], []
    step = [1]
    for n in grid[:0:-1]:
        step.insert(0, step[0] * n)
    for w, offset in zip(system.weights, system.offsets, strict=True):
        stride = sum(o * t for o, t in zip(offset, step, strict=True))
        if w.numel():  # an offset without edges may have any stride, even 0
            place = at_tail if stride > 0 else at_head
            strides.append(abs(stride))
            arrays.append(place(system.labeled(w), offset, grid))
    margin = max(strides, default=0)
    count, n = diagonal.shape[:2].numel(), diagonal[0, 0].numel()
    weights = diagonal.new_zeros(count, len(arrays), margin + n)
    for k, array in enumerate(arrays):
        weights[:, k, margin:] = array.expand_as(diagonal).reshape(count, n)
    flat = diagonal.reshape(count, n).contiguous().numpy()
    return weights.numpy(), np.array(strides, np.int64), flat, margin


def run(system, rhs, x, options):
    """Conjugate gradients with the fused kernel; x holds the start and becomes the answer.

    Returns (steps (B, L), squared residual norms (steps + 1, B, L)).
    """
    weights, strides, diagonal, margin = pack(system)
    batch, labels = rhs.shape[:2]
    inverse = 1 / diagonal if options.preconditioner == "jacobi" else np.ones_like(diagonal)
    per_sample = len(diagonal) // batch
    matrix = np.arange(batch * labels) // (labels if per_sample == 1 else 1)
    flat = rhs.reshape(batch * labels, -1).contiguous().numpy()
    steps = np.zeros(batch * labels, np.int64)
    history = np.zeros((options.max_iter + 1, batch * labels))
    bound = options.tol * (rhs.numel() if options.stop == "published" else 1)
    threads = torch.get_num_threads()
    parallel = threads > 1 and len(flat) > 1
    if parallel:
        numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
    _LOOPS[options.stop, parallel](
        weights,
        strides,
        diagonal,
        inverse,
        matrix,
        flat,
        x.view(batch * labels, -1).numpy(),
        margin,
        bound,
        options.max_iter,
        steps,
        history,
    )
    if torch.get_num_threads() != threads:
        # numba's thread pool, when it starts, sets OpenMP's count for the process, PyTorch's too
        torch.set_num_threads(threads)
    steps = torch.from_numpy(steps).view(batch, labels)
    history = torch.from_numpy(history[: int(steps.max()) + 1])
    return steps, history.view(-1, batch, labels)
