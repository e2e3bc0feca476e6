"""Splat, blur and slice of one image, compiled by numba (chapter 14).

Labels are filtered a panel at a time, eight or a multiple of it, so that a vertex' values are
whole vectors and its row of the table a few cache lines. The pixels are cut into pieces, as many
as the image's size asks for and however many threads there are; each piece splats into its own
table, and the tables are added in their order: the same bits at every run.
"""

import numpy as np
from numba import prange

from softcut_lib.affinity.kernels_build import TILE
from softcut_lib.affinity.lanes import LANES, add_scaled, transpose_block
from softcut_lib.solvers.compiling import LOOSE, PARALLEL, compiled


@compiled()
def _transpose(source, row, column, target, to_row, to_column, height, width):
    """target[to_row + j, to_column + i] = source[row + i, column + j], i < height, j < width."""
    if height < LANES or width < LANES:
        for i in range(height):
            for j in range(width):
                target[to_row + j, to_column + i] = source[row + i, column + j]
        return
    for i in range(0, height, LANES):
        i = min(i, height - LANES)  # the last block overlaps the one before
        for j in range(0, width, LANES):
            j = min(j, width - LANES)
            transpose_block(source, row + i, column + j, target, to_row + j, to_column + i)


@compiled()
def _splat(maps, label, labels, first, last, simplex, corners, weights, table):
    """Add the pixels [first, last) of the maps from `label` on onto the table (V + 1, lanes)."""
    size, lanes = weights.shape[1], table.shape[1]
    tile = np.zeros((TILE, lanes), table.dtype)
    for start in range(first, last, TILE):
        count = min(TILE, last - start)
        _transpose(maps, label, start, tile, 0, 0, labels, count)
        for i in range(count):
            around, share = corners[simplex[start + i]], weights[start + i]
            for k in range(size):
                for c in range(0, lanes, LANES):
                    add_scaled(table, around[k], tile, i, share[k], c)


@compiled()
def _slice(table, label, labels, first, last, simplex, corners, weights, maps):
    """Read the table back at the pixels [first, last) of the maps from `label` on."""
    size, lanes = weights.shape[1], table.shape[1]
    tile = np.empty((TILE, lanes), table.dtype)
    for start in range(first, last, TILE):
        count = min(TILE, last - start)
        tile[:] = 0
        for i in range(count):
            around, share = corners[simplex[start + i]], weights[start + i]
            for k in range(size):
                for c in range(0, lanes, LANES):
                    add_scaled(tile, i, table, around[k], share[k], c)
        _transpose(tile, 0, 0, maps, label, start, count, labels)


@compiled()
def _blur(table, other, left, right, a):
    """other = (1 - 2 a) table + a (left + right); the last row, the missing vertex, stays 0."""
    other[:] = 0
    for v in range(len(table) - 1):
        for c in range(0, table.shape[1], LANES):
            add_scaled(other, v, table, v, 1 - a - a, c)
            add_scaled(other, v, table, left[v], a, c)
            add_scaled(other, v, table, right[v], a, c)


@compiled(fastmath=LOOSE)
def _blur_all(tables, orders, left, right, a, scale):
    """tables[0] = scale * the mean over the orders of (their blurs of the sum of tables)."""
    total = tables[0]
    for piece in range(1, len(tables)):
        total += tables[piece]
    result, share = np.zeros_like(total), scale / total.dtype.type(len(orders))
    this, that = np.empty_like(total), np.empty_like(total)
    for order in orders:
        this[:] = total
        for j in order:
            _blur(this, that, left[j], right[j], a)
            this, that = that, this
        result += share * this
    total[:] = result


@compiled(parallel=PARALLEL)
def multiply(maps, lanes, pieces, simplex, corners, weights, left, right, orders, a, scale, out):
    """out = W maps, both (L, N), for one image; lanes: labels to a panel, pieces: see above."""
    labels, count = maps.shape
    panels = (labels + lanes - 1) // lanes
    tables = np.zeros((panels, pieces, left.shape[1], lanes), maps.dtype)
    for task in prange(panels * pieces):
        p, q = task // pieces, task % pieces
        first, last = q * count // pieces, (q + 1) * count // pieces
        label, some = p * lanes, min(lanes, labels - p * lanes)
        _splat(maps, label, some, first, last, simplex, corners, weights, tables[p, q])
    for p in prange(panels):
        _blur_all(tables[p], orders, left, right, a, scale)
    for task in prange(panels * pieces):
        p, q = task // pieces, task % pieces
        first, last = q * count // pieces, (q + 1) * count // pieces
        label, some = p * lanes, min(lanes, labels - p * lanes)
        _slice(tables[p, 0], label, some, first, last, simplex, corners, weights, out)
