"""The fused CPU kernel of exact reduction, compiled by numba (chapter 6).

Star-mesh transform: to eliminate node k of a circuit, with conductances c and grounds g,

    d = g_k + sum_j c_kj,    c_ij <- c_ij + c_ik c_kj / d,    g_i <- g_i + c_ik g_k / d.

Nothing is ever subtracted, so every conductance and every ground keeps its relative precision,
whatever the contrast (Grassmann, Taksar and Heyman 1985). With w_kj = c_kj / sqrt(d) the eliminated
rows are a Cholesky factor, and a right-hand side runs up and down as sums of products too:

    up:    y_k = b_k / sqrt(d),    b_j <- b_j + w_kj y_k,
    down:  x_k = (y_k + sum_j w_kj x_j) / sqrt(d).

Numbers below `floor`, the root of the smallest normal number, are set to 0, so that products of
two are normal or 0: processors are many times slower on what lies between.

A front's matrix holds conductances above and grounds on its diagonal. Eight nodes at a time are
eliminated before the rows below are renewed, so that memory is passed over an eighth as often.
"""

import numpy as np

from softcut_lib.solvers.compiling import LOOSE, compiled

PANEL = 8


@compiled(fastmath=LOOSE)
def _renew(first, second, panel, i):
    """What eight eliminated nodes add to rows i and i + 1, from column i + 1 on."""
    a0, a1, a2, a3 = panel[0, i], panel[1, i], panel[2, i], panel[3, i]
    a4, a5, a6, a7 = panel[4, i], panel[5, i], panel[6, i], panel[7, i]
    k = i + 1
    b0, b1, b2, b3 = panel[0, k], panel[1, k], panel[2, k], panel[3, k]
    b4, b5, b6, b7 = panel[4, k], panel[5, k], panel[6, k], panel[7, k]
    w0, w1, w2, w3 = panel[0, k:], panel[1, k:], panel[2, k:], panel[3, k:]
    w4, w5, w6, w7 = panel[4, k:], panel[5, k:], panel[6, k:], panel[7, k:]
    for j in range(len(first)):
        u0, u1, u2, u3, u4, u5, u6, u7 = w0[j], w1[j], w2[j], w3[j], w4[j], w5[j], w6[j], w7[j]
        first[j] += a0 * u0 + a1 * u1 + a2 * u2 + a3 * u3 + a4 * u4 + a5 * u5 + a6 * u6 + a7 * u7
        second[j] += b0 * u0 + b1 * u1 + b2 * u2 + b3 * u3 + b4 * u4 + b5 * u5 + b6 * u6 + b7 * u7


@compiled(fastmath=LOOSE)
def _eliminate(front, ground, cut, panel, rows, floor):
    """Eliminate the first `cut` nodes; `rows` keeps 1 / sqrt(d) and w. Returns whether d > 0."""
    size, good, at, number = len(front), True, 0, front.dtype.type
    for i in range(size):
        ground[i] = front[i, i]
    for p in range(0, cut, PANEL):
        stop = min(p + PANEL, cut)
        for k in range(p, stop):
            row, w, own = front[k, k + 1 :], panel[k - p, k + 1 : size], ground[k + 1 : size]
            d = ground[k]
            for j in range(len(row)):
                d += row[j]
            good = good and d > 0 and np.isfinite(d)
            scale = number(1) / np.sqrt(d)
            current = ground[k] * scale
            rows[at] = scale
            kept = rows[at + 1 : at + size - k]
            for j in range(len(row)):
                value = row[j] * scale
                w[j] = value if value > floor else number(0)
                kept[j] = w[j]
                own[j] += w[j] * current
            at += size - k
            for i in range(k + 1, stop):
                share, below, right = panel[k - p, i], front[i, i + 1 :], panel[k - p, i + 1 : size]
                for j in range(len(below)):
                    below[j] += share * right[j]
        panel[stop - p : PANEL, :size] = 0
        for i in range(stop, size - 1, 2):  # the second row's diagonal is not in use here
            _renew(front[i, i + 1 :], front[i + 1, i + 1 :], panel, i)
    for i in range(cut, size):
        front[i, i] = ground[i]
    return good


@compiled(fastmath=LOOSE)
def _add_child(front, runs, child, stride):
    """Add a child's border circuit; each run is a slice of its border and one of this front."""
    for r in range(4):
        a, here, m = runs[r, 0], runs[r, 1], runs[r, 2]
        for i in range(m):
            source, target = child[(a + i) * stride :], front[here + i]
            for s in range(r, 4):
                b, there, n = runs[s, 0], runs[s, 1], runs[s, 2]
                skip = i if s == r else 0
                left, right = target[there + skip : there + n], source[b + skip : b + n]
                for j in range(n - skip):
                    left[j] += right[j]


@compiled(fastmath=LOOSE)
def _reduce_front(f, conduct, ground, work, store, scratch, panel, floor):
    n = f.size
    front = work[f.work : f.work + n * n].reshape(n, n)
    front[:] = 0
    for i in range(f.cut):
        front[i, i] = ground[f.pixel + i * f.pixel_step]
    for i in range(f.cut - 1):
        front[i, i + 1] = conduct[f.edge + i * f.edge_step]
    front[0, f.end_at[0]] += conduct[f.end_edge[0]]
    front[f.cut - 1, f.end_at[1]] += conduct[f.end_edge[1]]
    for c in range(2):
        _add_child(front, f.runs[c], work[f.child_work[c] :], f.child_size[c])
    return _eliminate(front, scratch, f.cut, panel, store[f.store :], floor)


@compiled(fastmath=LOOSE)
def reduce_fronts(fronts, conduct, ground, work, store, floor):
    """Reduce these fronts of one system in turn; returns whether it is positive definite."""
    good, widest = True, 0
    for k in range(len(fronts)):
        widest = max(widest, fronts[k].size)
    scratch, panel = np.empty(widest, work.dtype), np.empty((PANEL, widest), work.dtype)
    for k in range(len(fronts)):
        good &= _reduce_front(fronts[k], conduct, ground, work, store, scratch, panel, floor)
    return good


@compiled(fastmath=LOOSE)
def up_fronts(fronts, store, rhs, vector, floor):
    """Carry right-hand sides (R, pixels) of one system up through these fronts."""
    zero = vector.dtype.type(0)
    for k in range(len(fronts)):
        f = fronts[k]
        for r in range(len(rhs)):
            v = vector[r, f.vector : f.vector + f.size]
            v[f.cut :] = 0
            for i in range(f.cut):
                v[i] = rhs[r, f.pixel + i * f.pixel_step]
            for c in range(2):
                child = vector[r, f.child_vector[c] :]
                for s in range(4):
                    a, here, n = f.runs[c, s, 0], f.runs[c, s, 1], f.runs[c, s, 2]
                    source, target = child[a : a + n], v[here : here + n]
                    for j in range(n):
                        target[j] += source[j]
            at = f.store
            for i in range(f.cut):
                m = f.size - i - 1
                y = v[i] * store[at]
                y = zero if abs(y) < floor else y
                v[i] = y
                w, later = store[at + 1 : at + 1 + m], v[i + 1 :]
                for j in range(m):
                    later[j] += w[j] * y
                at += m + 1


@compiled(fastmath=LOOSE)
def down_fronts(fronts, store, x, vector, floor):
    """Carry the answers down through these fronts, parents before children."""
    zero = vector.dtype.type(0)
    for k in range(len(fronts) - 1, -1, -1):
        f = fronts[k]
        for r in range(len(x)):
            v = vector[r, f.vector : f.vector + f.size]
            at = f.store + f.cut * f.size - f.cut * (f.cut - 1) // 2
            for i in range(f.cut - 1, -1, -1):
                m = f.size - i - 1
                at -= m + 1
                w, later, total = store[at + 1 : at + 1 + m], v[i + 1 :], v[i]
                for j in range(m):
                    total += w[j] * later[j]
                total *= store[at]
                v[i] = zero if abs(total) < floor else total
            for i in range(f.cut):
                x[r, f.pixel + i * f.pixel_step] = v[i]
            for c in range(2):
                child = vector[r, f.child_vector[c] :]
                for s in range(4):
                    a, here, n = f.runs[c, s, 0], f.runs[c, s, 1], f.runs[c, s, 2]
                    source, target = v[here : here + n], child[a : a + n]
                    for j in range(n):
                        target[j] = source[j]


@compiled(fastmath=LOOSE)
def residual(conduct, ground, rhs, x, shape, out):
    """out = rhs - A x of one system, differences first, in float64.

    Returns the norms of out, rhs and x.
    """
    h, w = shape
    below = (h - 1) * w
    squares = np.zeros(3)
    for i in range(h):
        for j in range(w):
            p = i * w + j
            here = np.float64(x[p])
            total = np.float64(rhs[p]) - np.float64(ground[p]) * here
            if i > 0:
                total += np.float64(conduct[p - w]) * (np.float64(x[p - w]) - here)
            if i < h - 1:
                total += np.float64(conduct[p]) * (np.float64(x[p + w]) - here)
            if j > 0:
                total += np.float64(conduct[below + p - i - 1]) * (np.float64(x[p - 1]) - here)
            if j < w - 1:
                total += np.float64(conduct[below + p - i]) * (np.float64(x[p + 1]) - here)
            out[p] = total
            squares[0] += total * total
            squares[1] += np.float64(rhs[p]) ** 2
            squares[2] += here * here
    return np.sqrt(squares)
