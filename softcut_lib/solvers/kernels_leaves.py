"""The fused CPU kernel for the leaves of exact reduction, many leaves at a time (chapter 6).

The arithmetic is that of `kernels_direct`, by the program of the leaf's shape instead of a dense
matrix. Values stand as (number, lanes): each innermost loop works on all leaves of a group at once.
"""

import numpy as np

from softcut_lib.solvers.compiling import LOOSE, compiled


@compiled(fastmath=LOOSE)
def _eliminate_leaf(program, values, own, scales, floor):
    """The elimination of a group of leaves by their program; returns whether all d > 0."""
    good, t, number = True, 0, values.dtype.type
    lanes = values.shape[1]
    d = np.empty(lanes, values.dtype)
    row, column, target = program.row, program.column, program.target
    for k in range(program.inner):
        a, b = row[k], row[k + 1]
        for z in range(lanes):
            d[z] = own[k, z]
        for p in range(a, b):
            for z in range(lanes):
                d[z] += values[p, z]
        for z in range(lanes):
            good = good and d[z] > 0 and np.isfinite(d[z])
            d[z] = number(1) / np.sqrt(d[z])
            scales[k, z] = d[z]
            own[k, z] *= d[z]
        for p in range(a, b):
            c = column[p]
            for z in range(lanes):
                value = values[p, z] * d[z]
                value = value if value > floor else number(0)
                values[p, z] = value
                own[c, z] += value * own[k, z]
        for p in range(a, b):
            for q in range(p + 1, b):
                here = target[t]
                t += 1
                for z in range(lanes):
                    values[here, z] += values[p, z] * values[q, z]
    return good


@compiled(fastmath=LOOSE)
def reduce_leaves(program, tables, first, stop, conduct, ground, work, store, floor):
    """Reduce the groups first ... stop of one shape; returns whether all are positive definite."""
    inner, row, pair, edge_at = program.inner, program.row, program.pair, program.edge_at
    pixel, edge, side, at, size = tables.pixel, tables.edge, tables.side, tables.work, tables.size
    good, border, kept = True, side.shape[1], row[-1]
    lanes = pixel.shape[2]
    values = np.empty((program.count, lanes), work.dtype)
    own = np.empty((inner + border, lanes), work.dtype)
    for g in range(first, stop):
        values[:], own[:] = 0, 0
        for k in range(inner):
            for z in range(lanes):
                own[k, z] = ground[pixel[g, k, z]]
        for k in range(len(edge_at)):
            for z in range(lanes):
                values[edge_at[k], z] = conduct[edge[g, k, z]]
        out = store[g]
        good &= _eliminate_leaf(program, values, own, out, floor)
        for p in range(kept):
            for z in range(lanes):
                out[inner + p, z] = values[p, z]
        for i in range(border):
            for z in range(lanes):
                p = side[g, i, z]
                if p >= 0:
                    work[at[g, z] + p * (size[g, z] + 1)] = own[inner + i, z]
            for j in range(i + 1, border):
                here = pair[i, j]
                for z in range(lanes):
                    p, q = side[g, i, z], side[g, j, z]
                    if p >= 0 and q >= 0:
                        work[at[g, z] + min(p, q) * size[g, z] + max(p, q)] = values[here, z]
    return good


@compiled(fastmath=LOOSE)
def up_leaves(program, tables, first, stop, store, rhs, vector, inside, floor):
    """Carry right-hand sides (R, pixels) from the groups' pixels to their borders."""
    inner, row, column = program.inner, program.row, program.column
    pixel, side, at = tables.pixel, tables.side, tables.vector
    lanes, number = pixel.shape[2], vector.dtype.type
    b = np.empty((inner + side.shape[1], lanes), vector.dtype)
    for g in range(first, stop):
        for r in range(len(rhs)):
            b[inner:] = 0
            for k in range(inner):
                for z in range(lanes):
                    b[k, z] = rhs[r, pixel[g, k, z]]
            for k in range(inner):
                y = inside[r, g, k]
                for z in range(lanes):
                    value = b[k, z] * store[g, k, z]
                    y[z] = number(0) if abs(value) < floor else value
                for p in range(row[k], row[k + 1]):
                    later, w = b[column[p]], store[g, inner + p]
                    for z in range(lanes):
                        later[z] += w[z] * y[z]
            for i in range(side.shape[1]):
                for z in range(lanes):
                    if side[g, i, z] >= 0:
                        vector[r, at[g, z] + side[g, i, z]] = b[inner + i, z]


@compiled(fastmath=LOOSE)
def down_leaves(program, tables, first, stop, store, x, vector, inside, floor):
    """Carry the answers from the groups' borders to their pixels."""
    inner, row, column = program.inner, program.row, program.column
    pixel, side, at = tables.pixel, tables.side, tables.vector
    lanes, number = pixel.shape[2], vector.dtype.type
    v = np.empty((inner + side.shape[1], lanes), vector.dtype)
    for g in range(first, stop):
        for r in range(len(x)):
            for i in range(side.shape[1]):
                for z in range(lanes):
                    p = side[g, i, z]
                    v[inner + i, z] = vector[r, at[g, z] + p] if p >= 0 else number(0)
            for k in range(inner - 1, -1, -1):
                total, y = v[k], inside[r, g, k]
                for z in range(lanes):
                    total[z] = y[z]
                for p in range(row[k], row[k + 1]):
                    later, w = v[column[p]], store[g, inner + p]
                    for z in range(lanes):
                        total[z] += w[z] * later[z]
                for z in range(lanes):
                    value = total[z] * store[g, k, z]
                    total[z] = number(0) if abs(value) < floor else value
                    x[r, pixel[g, k, z]] = total[z]
