"""The fused CPU kernel of conjugate gradients, compiled by numba (chapter 5).

The grid is flattened. An edge of offset o joins pixel i to i + s, s the flat stride of o, and its
weight stands in one array per offset, zero where the grid ends. With a margin of zeros at least as
wide as the largest stride, the product

    (A p)_i = ground_i p_i + sum_k (w_k[i] (p_i - p[i + s_k]) + w_k[i - s_k] (p_i - p[i - s_k]))

is one loop without a branch, the same for every dimension and every set of offsets. Differences
come first and no diagonal is formed: a diagonal of 1e8 + 1 in float32 has lost the 1, and with it
the ground, which alone fixes x (trained weights reach 1e7).

A step passes over memory twice, in slices that stay in the first-level cache: `_advance` renews x
and the direction p and multiplies it by A, `_descend` renews r and its norms. Sums are float64,
taken slice by slice and added in the order of the slices: an answer depends neither on its batch
nor on the number of threads, to the last bit.
"""

from collections import namedtuple

import numpy as np
from numba import prange

from softcut_lib.solvers.compiling import LOOSE, PARALLEL, compiled

SLICE = 2048
LINE = 64  # bytes of a cache line and of the widest vector: arrays begin on one

# One system: weights (K, margin + row), strides (K,), ground (n,). See `flat.flatten`.
Circuit = namedtuple("Circuit", "weights strides ground margin")
# Its arrays while it is solved: p (row + 2 margin), M the diagonal preconditioner, the others (n,).
Vectors = namedtuple("Vectors", "rhs x r p q M")


@compiled()
def ordered_sum(parts):
    """Added in this order, whichever thread computed the parts."""
    total = 0.0
    for part in parts:
        total += part
    return total


@compiled()
def aligned(rows, n, like):
    """Room for (rows, n) such numbers; where rows are whole cache lines, each begins on one."""
    lane = LINE // like.itemsize
    space = np.empty(rows * n + lane, like.dtype)
    first = -(space.ctypes.data // like.itemsize) % lane
    return space[first : first + rows * n].reshape(rows, n)


@compiled(fastmath=LOOSE)
def multiply_slice(A, p, q, a, b):
    """q[a:b] = (A p)[a:b]; the slices make all loops start at 0, which is what vectorizes."""
    first, last = A.margin + a, A.margin + b
    out, here, ground = q[a:b], p[first:last], A.ground[a:b]
    for k in range(len(A.strides)):
        s = A.strides[k]
        to_head, to_tail = A.weights[k, first:last], A.weights[k, first - s : last - s]
        ahead, behind = p[first + s : last + s], p[first - s : last - s]
        if k == 0:
            for j in range(b - a):
                flow = to_head[j] * (here[j] - ahead[j]) + to_tail[j] * (here[j] - behind[j])
                out[j] = ground[j] * here[j] + flow
        else:
            for j in range(b - a):
                out[j] += to_head[j] * (here[j] - ahead[j]) + to_tail[j] * (here[j] - behind[j])


@compiled(fastmath=LOOSE)
def dot(u, v):
    """<u, v> in float64."""
    total = 0.0
    for j in range(len(u)):
        total += np.float64(u[j]) * np.float64(v[j])
    return total


@compiled(fastmath=LOOSE)
def _renew(v, alpha, beta, margin, a, b):
    """x += alpha p, then p = M r + beta p, on [a, b)."""
    p, x, r, scale = v.p[margin + a : margin + b], v.x[a:b], v.r[a:b], v.M[a:b]
    for j in range(b - a):
        before = p[j]
        x[j] += alpha * before
        p[j] = scale[j] * r[j] + beta * before


@compiled()
def _advance(A, v, alpha, beta, piece, parts):
    """`_renew` and q = A p on a piece [a, b) in one pass; parts[0] gets <p, q>, slice by slice.

    The product at pixel i reads p up to i + margin, so the renewal runs that far ahead. Where the
    piece borders on another one, `_together` has renewed p before, margin wide on both sides.
    """
    n, margin = len(v.x), A.margin
    done = piece[0] + margin if piece[0] else 0
    end = piece[1] - margin if piece[1] < n else n
    for a in range(piece[0], piece[1], SLICE):
        b = min(a + SLICE, piece[1])
        reach = min(b + margin, end)
        if reach > done:
            _renew(v, alpha, beta, margin, done, reach)
            done = reach
        multiply_slice(A, v.p, v.q, a, b)
        parts[0, a // SLICE] = dot(v.p[margin + a : margin + b], v.q[a:b])


@compiled(fastmath=LOOSE)
def _descend_slice(alpha, q, scale, r):
    square, energy = 0.0, 0.0
    for j in range(len(r)):
        value = r[j] - alpha * q[j]
        r[j] = value
        term = np.float64(value) * np.float64(value)
        square += term
        energy += term * scale[j]
    return square, energy


@compiled()
def _descend(v, alpha, piece, parts):
    """r -= alpha q on a piece; parts[:2] get <r, r> and <r, M r>, slice by slice."""
    for a in range(piece[0], piece[1], SLICE):
        b = min(a + SLICE, piece[1])
        part = _descend_slice(alpha, v.q[a:b], v.M[a:b], v.r[a:b])
        parts[0, a // SLICE], parts[1, a // SLICE] = part


@compiled(fastmath=True)
def _scale_slice(A, jacobi, scale, a, b):
    """scale = 1 / diag(A) or ones on [a, b); returns the largest row sum of |A| there."""
    first, last = A.margin + a, A.margin + b
    ground, most = A.ground[a:b], A.ground[a]
    for j in range(b - a):
        scale[j] = 0
    for k in range(len(A.strides)):
        s = A.strides[k]
        to_head, to_tail = A.weights[k, first:last], A.weights[k, first - s : last - s]
        for j in range(b - a):
            scale[j] += to_head[j] + to_tail[j]
    for j in range(b - a):
        most = max(most, ground[j] + 2 * scale[j])
        scale[j] = 1 / (ground[j] + scale[j]) if jacobi else 1
    return most


@compiled()
def _prepare(A, v, jacobi, piece, parts):
    """M, r = rhs and p = x on a piece; parts get <r, r>, <r, M r> and row sums, slice by slice."""
    for a in range(piece[0], piece[1], SLICE):
        b = min(a + SLICE, piece[1])
        rhs, r, x, p = v.rhs[a:b], v.r[a:b], v.x[a:b], v.p[A.margin + a : A.margin + b]
        for j in range(b - a):
            r[j], p[j] = rhs[j], x[j]
        most = _scale_slice(A, jacobi, v.M[a:b], a, b)
        square, energy = _descend_slice(x.dtype.type(0), rhs, v.M[a:b], r)
        parts[0, a // SLICE], parts[1, a // SLICE], parts[2, a // SLICE] = square, energy, most


@compiled()
def _residual(A, v, piece, parts):
    """r = rhs - A p on a piece; parts[:2] get <r, r> and <r, M r>, slice by slice."""
    for a in range(piece[0], piece[1], SLICE):
        b = min(a + SLICE, piece[1])
        multiply_slice(A, v.p, v.q, a, b)
        rhs, r = v.rhs[a:b], v.r[a:b]
        for j in range(b - a):
            r[j] = rhs[j]
        part = _descend_slice(r.dtype.type(1), v.q[a:b], v.M[a:b], r)
        parts[0, a // SLICE], parts[1, a // SLICE] = part


@compiled(fastmath=LOOSE)
def _finish(v, alpha, finite, margin, piece, parts):
    """The last x += alpha p, and p = x, on a piece; parts[2] gets <x, x>, slice by slice."""
    for a in range(piece[0], piece[1], SLICE):
        b = min(a + SLICE, piece[1])
        x, p = v.x[a:b], v.p[margin + a : margin + b]
        for j in range(b - a):
            x[j] = x[j] + alpha * p[j] if finite else np.nan
            p[j] = x[j]
        parts[2, a // SLICE] = dot(x, x)


def _together(arrays, which, rhs, x, bounds, options, steps, history, report):
    """Step all systems at once, each cut into pieces at `bounds`, one thread to a piece.

    A system is done when ||r|| <= tol ||rhs||; `published`: all go on until the norm over the batch
    is below tol. report: true <r, r>, <x, x>, <rhs, rhs> (`sized`: given, as what tol refers to),
    and the largest row sum of |A|.
    """
    weights, strides, ground, margin = arrays
    jacobi, zero, published, sized, tol, max_iter = options
    (count, n), pieces = rhs.shape, len(bounds) - 1
    row = weights.shape[2] - margin
    r, q, M = aligned(count, row, rhs), aligned(count, row, rhs), aligned(count, row, rhs)
    p = aligned(count, row + 2 * margin, rhs)
    p.fill(0)
    As = [Circuit(weights[which[0, s]], strides, ground[which[1, s]], margin) for s in range(count)]
    vs = [Vectors(rhs[s], x[s], r[s], p[s], q[s], M[s]) for s in range(count)]
    parts = np.zeros((count, 3, (n + SLICE - 1) // SLICE))
    square, energy, active = np.empty(count), np.empty(count), np.ones(count, np.bool_)
    alpha, beta = np.zeros(count, rhs.dtype), np.zeros(count, rhs.dtype)

    for t in prange(count * pieces):
        s, piece = t // pieces, bounds[t % pieces : t % pieces + 2]
        _prepare(As[s], vs[s], jacobi, piece, parts[s])
    for s in range(count):
        report[s, 2] = report[s, 2] if sized else ordered_sum(parts[s, 0])
        report[s, 3] = 0
        for rows in parts[s, 2]:
            report[s, 3] = max(report[s, 3], rows)
    if not zero:
        for t in prange(count * pieces):
            s, piece = t // pieces, bounds[t % pieces : t % pieces + 2]
            _residual(As[s], vs[s], piece, parts[s])
    for s in range(count):
        square[s], energy[s] = ordered_sum(parts[s, 0]), ordered_sum(parts[s, 1])
        active[s] = published or square[s] > tol * tol * report[s, 2]
        history[s, 0], steps[s] = square[s], 0

    k = 0
    while k < max_iter and active.any():
        for s in range(count):
            if active[s]:
                for c in bounds[1:-1]:  # what two neighboring pieces both read
                    _renew(vs[s], alpha[s], beta[s], margin, c - margin, c + margin)
        for t in prange(count * pieces):
            s, piece = t // pieces, bounds[t % pieces : t % pieces + 2]
            if active[s]:
                _advance(As[s], vs[s], alpha[s], beta[s], piece, parts[s])
        for s in range(count):
            if active[s]:
                curvature = ordered_sum(parts[s, 0])
                alpha[s] = energy[s] / curvature if curvature > 0 else 0
                active[s] = published or curvature > 0  # else rounding used the directions up
                if np.isnan(curvature):
                    square[s] = np.nan
        for t in prange(count * pieces):
            s, piece = t // pieces, bounds[t % pieces : t % pieces + 2]
            if active[s]:
                _descend(vs[s], alpha[s], piece, parts[s])
        k += 1
        total = 0.0
        for s in range(count):
            if active[s]:
                before = energy[s]
                square[s], energy[s] = ordered_sum(parts[s, 0]), ordered_sum(parts[s, 1])
                beta[s] = energy[s] / before if before != 0 else 0
                history[s, k], steps[s] = square[s], k
                active[s] = published or square[s] > tol * tol * report[s, 2]
                total += square[s] if np.isfinite(square[s]) else 0
        if published and np.sqrt(total) < tol:
            break

    for t in prange(count * pieces):
        s, piece = t // pieces, bounds[t % pieces : t % pieces + 2]
        _finish(vs[s], alpha[s], np.isfinite(square[s]), margin, piece, parts[s])
    for s in range(count):
        report[s, 1] = ordered_sum(parts[s, 2])
    if sized:  # the residual that counts is another circuit's
        return
    for t in prange(count * pieces):
        s, piece = t // pieces, bounds[t % pieces : t % pieces + 2]
        _residual(As[s], vs[s], piece, parts[s])
    for s in range(count):
        report[s, 0] = ordered_sum(parts[s, 0])


together, together_threads = compiled()(_together), compiled(parallel=PARALLEL)(_together)


def _alone(arrays, which, rhs, x, bounds, options, steps, history, report):
    """Solve each system by itself, one thread to a system."""
    for s in prange(len(rhs)):
        one = slice(s, s + 1)
        found = steps[one], history[one], report[one]
        together(arrays, which[:, one], rhs[one], x[one], bounds, options, *found)


alone, alone_threads = compiled()(_alone), compiled(parallel=PARALLEL)(_alone)
