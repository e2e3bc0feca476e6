"""Every second pixel eliminated before conjugate gradients begin, compiled by numba (chapter 6).

Color the pixels of a 2-D grid with 4 neighbors like a chessboard: a black pixel b has red
neighbors only, and Kron reduction replaces its star by links between them,

    the neighbors r, q get the link  w_rb w_qb / D_b,   r also the ground  w_rb ground_b / D_b
    and the score  w_rb score_b / D_b,                  D_b = ground_b + sum_r w_rb.

What remains is a circuit of half the pixels, on which conjugate gradients need about half the
steps; x_b = (score_b + sum_r w_rb x_r) / D_b gives the others back. Nothing is subtracted, so a
ground of 1 survives beside conductances of 1e8.

In rows of odd length W, pixel (i, c) has the flat index k = i W + c, which is even exactly for the
red ones. Red pixel k is node k / 2, and its eight neighbors stand at the same four strides
everywhere: 1, W, (W + 1) / 2 and (W - 1) / 2 (and back). So the reduced circuit is again one of
kernels_cpu.py, and its loops solve it. Source: Hageman and Young 1981, chapter 8.
"""

import numpy as np
from numba import prange

from softcut_lib.solvers.compiling import LOOSE, PARALLEL, compiled
from softcut_lib.solvers.kernels_cpu import dot, ordered_sum


@compiled()
def odd(width):
    """The length of a row: the width, or one more."""
    return width | 1


@compiled()
def _rows(C, i):
    """The vertical conductances above and below row i, zeros beyond the grid."""
    nothing = np.zeros(C.shape[1], C.dtype) if i == 0 or i == len(C) else C[0]
    return C[i - 1] if i else nothing, C[i] if i < len(C) else nothing


@compiled(fastmath=True)
def _largest_sum(total, ground):
    most = ground[0]
    for j in range(len(ground)):
        value = 2 * total[j] - ground[j]
        most = value if value > most else most
    return most


@compiled(fastmath=LOOSE)
def _invert_row(C, R, ground, inverse, i):
    """1 / D of row i; returns its largest row sum of |A|, 2 D - ground."""
    total, g, (above, below), beside = inverse[i], ground[i], _rows(C, i), R[i]
    for j in range(len(total)):
        total[j] = g[j] + (above[j] + below[j])
    for j in range(len(beside)):
        total[j] += beside[j]
    after = total[1:]
    for j in range(len(beside)):
        after[j] += beside[j]
    most = _largest_sum(total, g)
    for j in range(len(total)):
        total[j] = 1 / total[j] if total[j] > 0 else total[j] - total[j]
    return most


@compiled(fastmath=LOOSE)
def _keep(row, i, nodes):
    """The red pixels of row i, to where they stand among the nodes."""
    c = i % 2
    start, n, red = (i * odd(len(row)) + c) // 2, (len(row) - c + 1) // 2, row[c:]
    out = nodes[start : start + n]
    for j in range(n):
        out[j] = red[2 * j]


@compiled(fastmath=LOOSE)
def _fold_row(C, R, inverse, values, nodes, i):
    """value_r + sum_b w_rb value_b / D_b for the red pixels r of row i.

    Called with the ground it gives the ground of the reduced circuit, with scores its scores.
    """
    before, later = max(i - 1, 0), min(i + 1, len(values) - 1)
    up, d_up, down, d_down = values[before], inverse[before], values[later], inverse[later]
    v, d, w, (above, below) = values[i], inverse[i], R[i], _rows(C, i)
    out = np.empty(len(v), v.dtype)
    for j in range(len(v)):
        out[j] = v[j] + (above[j] * (d_up[j] * up[j]) + below[j] * (d_down[j] * down[j]))
    after, v_after, d_after = out[1:], v[1:], d[1:]
    for j in range(len(w)):
        out[j] += w[j] * (d_after[j] * v_after[j])
    for j in range(len(w)):
        after[j] += w[j] * (d[j] * v[j])
    _keep(out, i, nodes)


@compiled(fastmath=LOOSE)
def _link_row(C, R, inverse, links, i):
    """The links of the red pixels of row i to later ones: strides 1, W, (W + 1) / 2, (W - 1) / 2.

    Two neighbors on a row or column share one black pixel, diagonal ones share two.
    """
    width, w, d = C.shape[1], R[i], inverse[i]
    out, w_after, d_after = np.empty(width, C.dtype), w[1:], d[1:]
    out[width - 2 :] = 0
    for j in range(width - 2):
        out[j] = w[j] * d_after[j] * w_after[j]
    _keep(out, i, links[0])
    if i == len(C):
        return
    down, d_down, w_down, down_after = C[i], inverse[i + 1], R[i + 1], C[i, 1:]
    if i + 1 < len(C):
        onward = C[i + 1]
        for j in range(width):
            out[j] = down[j] * d_down[j] * onward[j]
        _keep(out, i, links[1])
    out[width - 1] = 0
    for j in range(width - 1):
        out[j] = w[j] * d_after[j] * down_after[j] + down[j] * d_down[j] * w_down[j]
    _keep(out, i, links[2])
    after, d_down_after = out[1:], d_down[1:]
    out[0] = 0
    for j in range(width - 1):
        after[j] = w[j] * d[j] * down[j] + down_after[j] * d_down_after[j] * w_down[j]
    _keep(out, i, links[3])


def _reduce(C, R, ground, margin, inverse, links, reduced, sums, most):
    """The reduced circuits: inverse (Q, h, w), links (Q, 4, margin + n) of zeros, ground (Q, n).

    C, R and ground hold one matrix for each of the Q circuits, or one for several in a row. most:
    the largest row sum of |A| of the whole circuits.
    """
    count, height = len(inverse), ground.shape[1]
    c, r, g = count // len(C), count // len(R), count // len(ground)
    for t in prange(count * height):
        q, i = t // height, t % height
        sums[q, i] = _invert_row(C[q // c], R[q // r], ground[q // g], inverse[q], i)
    for t in prange(count * height):
        q, i = t // height, t % height
        _fold_row(C[q // c], R[q // r], inverse[q], ground[q // g], reduced[q], i)
        _link_row(C[q // c], R[q // r], inverse[q], links[q, :, margin:], i)
    for q in range(count):
        most[q] = sums[q].max()


def _reduce_scores(C, R, inverse, rhs, reduced, parts, report):
    """The scores of the reduced circuits, (S, n), and <rhs, rhs> of the whole ones."""
    count, height, _ = rhs.shape
    c, r, q = count // len(C), count // len(R), count // len(inverse)
    for t in prange(count * height):
        s, i = t // height, t % height
        _fold_row(C[s // c], R[s // r], inverse[s // q], rhs[s], reduced[s], i)
        parts[s, 0, i] = dot(rhs[s, i], rhs[s, i])
    for s in range(count):
        report[s, 2] = ordered_sum(parts[s, 0])


@compiled(fastmath=LOOSE)
def _place_row(nodes, x, i):
    """The red pixels of row i of x; the black ones are zero."""
    c, row = i % 2, x[i]
    start, pairs = (i * odd(len(row)) + c) // 2, len(row) // 2
    red, zero = nodes[start:], x.dtype.type(0)
    if c:
        for j in range(pairs):
            row[2 * j], row[2 * j + 1] = zero, red[j]
    else:
        for j in range(pairs):
            row[2 * j], row[2 * j + 1] = red[j], zero
    if len(row) % 2:
        row[len(row) - 1] = zero if c else red[pairs]


@compiled(fastmath=LOOSE)
def _expand_row(C, R, inverse, rhs, x, i):
    """The black pixels of row i of x, from their red neighbors."""
    up, down, (above, below) = x[max(i - 1, 0)], x[min(i + 1, len(x) - 1)], _rows(C, i)
    row, v, w, d, out = x[i], rhs[i], R[i], inverse[i], np.empty(x.shape[1], x.dtype)
    for j in range(len(row)):
        out[j] = v[j] + (above[j] * up[j] + below[j] * down[j])
    after, row_after = out[1:], row[1:]
    for j in range(len(w)):
        out[j] += w[j] * row_after[j]
    for j in range(len(w)):
        after[j] += w[j] * row[j]
    for j in range(len(row)):
        row[j] = out[j] * d[j] if (i + j) & 1 else row[j]


@compiled(fastmath=LOOSE)
def _residual_row(C, R, ground, rhs, x, i):
    """||rhs - A x||^2 on row i."""
    here, g, v, w, out = x[i], ground[i], rhs[i], R[i], np.empty(x.shape[1], x.dtype)
    up, down, (above, below) = x[max(i - 1, 0)], x[min(i + 1, len(x) - 1)], _rows(C, i)
    for j in range(len(here)):
        flow = above[j] * (here[j] - up[j]) + below[j] * (here[j] - down[j])
        out[j] = v[j] - g[j] * here[j] - flow
    ahead, after = here[1:], out[1:]
    for j in range(len(w)):
        out[j] -= w[j] * (here[j] - ahead[j])
    for j in range(len(w)):
        after[j] -= w[j] * (ahead[j] - here[j])
    return dot(out, out)


def _expand(C, R, ground, inverse, rhs, red, x, parts, most, report):
    """x of the whole circuits; report: <r, r>, <x, x>, <rhs, rhs> kept, largest row sum of |A|."""
    count, height, _ = rhs.shape
    c, r, g, q = count // len(C), count // len(R), count // len(ground), count // len(inverse)
    for t in prange(count * height):
        s, i = t // height, t % height
        _place_row(red[s], x[s], i)
    for t in prange(count * height):
        s, i = t // height, t % height
        _expand_row(C[s // c], R[s // r], inverse[s // q], rhs[s], x[s], i)
    for t in prange(count * height):
        s, i = t // height, t % height
        parts[s, 0, i] = _residual_row(C[s // c], R[s // r], ground[s // g], rhs[s], x[s], i)
        parts[s, 1, i] = dot(x[s, i], x[s, i])
    for s in range(count):
        report[s, 0], report[s, 1] = ordered_sum(parts[s, 0]), ordered_sum(parts[s, 1])
        report[s, 3] = most[s // q]


# each serial and with threads
reduce = compiled()(_reduce), compiled(parallel=PARALLEL)(_reduce)
reduce_scores = compiled()(_reduce_scores), compiled(parallel=PARALLEL)(_reduce_scores)
expand = compiled()(_expand), compiled(parallel=PARALLEL)(_expand)
