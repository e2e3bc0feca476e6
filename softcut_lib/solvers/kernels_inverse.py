"""The diagonal of the inverse from a reduced circuit, compiled by numba (chapter 6).

With w and 1 / sqrt(d) of `kernels_direct`, and Z = A^-1, from the last node to the first

    Z_kj = sum_l w_kl Z_lj / sqrt(d),    Z_kk = (1 / sqrt(d) + sum_l w_kl Z_lk) / sqrt(d),

the sums over the later neighbors l of node k (Takahashi, Fagan and Chen 1973). Only entries between
nodes of the same front or leaf are needed, and a front's children find theirs in it.
"""

import numpy as np

from softcut_lib.solvers.compiling import LOOSE, compiled


@compiled(fastmath=LOOSE)
def fronts(fronts, store, work, out):
    """Complete all fronts of one system, parents first; `out` gets the separators' variances.

    A front's matrix holds Z, both halves; its border part has been put there by its parent, in the
    place where the reduced matrix stood.
    """
    for k in range(len(fronts) - 1, -1, -1):
        f = fronts[k]
        n = f.size
        inverse = work[f.work : f.work + n * n].reshape(n, n)
        at = f.store + f.cut * n - f.cut * (f.cut - 1) // 2
        for i in range(f.cut - 1, -1, -1):
            at -= n - i
            scale, row = store[at], inverse[i, i + 1 :]
            row[:] = 0
            for p in range(n - i - 1):
                share, other = store[at + 1 + p] * scale, inverse[i + 1 + p, i + 1 :]
                for j in range(len(row)):
                    row[j] += share * other[j]
            total = scale * scale
            for p in range(n - i - 1):
                total += store[at + 1 + p] * scale * row[p]
                inverse[i + 1 + p, i] = row[p]
            inverse[i, i] = total
            out[f.pixel + i * f.pixel_step] = total
        for c in range(2):
            below, stride = work[f.child_work[c] :], f.child_size[c]
            for r in range(4):
                a, here, m = f.runs[c, r, 0], f.runs[c, r, 1], f.runs[c, r, 2]
                for i in range(m):
                    for s in range(4):
                        b, there, length = f.runs[c, s, 0], f.runs[c, s, 1], f.runs[c, s, 2]
                        start = (a + i) * stride + b
                        for j in range(length):
                            below[start + j] = inverse[here + i, there + j]


@compiled(fastmath=LOOSE)
def leaves(program, tables, store, work, out):
    """Complete all leaves of one shape; `out` gets their pixels' variances."""
    row, column, inner = program.row, program.column, program.inner
    pixel, side, at, size = tables.pixel, tables.side, tables.work, tables.size
    nodes, lanes = inner + side.shape[1], pixel.shape[2]
    inverse = np.empty((nodes, nodes, lanes), work.dtype)
    for g in range(len(pixel)):
        inverse[:] = 0
        for i in range(side.shape[1]):
            for j in range(side.shape[1]):
                for z in range(lanes):
                    p, q = side[g, i, z], side[g, j, z]
                    if p >= 0 and q >= 0:
                        inverse[inner + i, inner + j, z] = work[at[g, z] + p * size[g, z] + q]
        for k in range(inner - 1, -1, -1):
            scale = store[g, k]
            for p in range(row[k], row[k + 1]):
                w, later = store[g, inner + p], column[p]
                for q in range(row[k], row[k + 1]):
                    for z in range(lanes):
                        entry = inverse[later, column[q], z]
                        inverse[k, column[q], z] += w[z] * scale[z] * entry
            for z in range(lanes):
                inverse[k, k, z] = scale[z] * scale[z]
            for p in range(row[k], row[k + 1]):
                w, later = store[g, inner + p], column[p]
                for z in range(lanes):
                    inverse[later, k, z] = inverse[k, later, z]
                    inverse[k, k, z] += w[z] * scale[z] * inverse[k, later, z]
            for z in range(lanes):
                out[pixel[g, k, z]] = inverse[k, k, z]
