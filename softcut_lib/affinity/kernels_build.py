"""The lattice of one image built by hashing, compiled by numba (chapter 14).

The same simplices, vertices and weights as `permutohedral` and `tables` give, found without
sorting. Pixels are placed tile by tile, one row of a tile per coordinate, so that every loop runs
over neighbouring numbers; a simplex, then a vertex, is packed into the bits of one integer, and a
hash table gives each the number of its first appearance. Packed keys add like vectors: the
neighbour of a vertex along axis j is its key plus a constant.
"""

import numpy as np
from numba import prange

from softcut_lib.solvers.compiling import PARALLEL, compiled

TILE = 64
_EMPTY = -1
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: products' top bits spread evenly


@compiled()
def _place_tile(points, stretch, room, digits, weights, codes):
    """Simplex code and barycentric weights of the pixels of a tile; see `permutohedral`."""
    d, count = points.shape
    size = d + 1
    y, v, rank, tau, total = room
    low, bits, rank_bits = digits
    inverse = points.dtype.type(1) / points.dtype.type(size)
    for i in range(count):
        y[0, i], total[i], codes[i] = 0, 0, 0
    for j in range(d, 0, -1):
        for i in range(count):
            scaled = points[j - 1, i] * stretch[j - 1]
            y[j, i] = y[0, i] - j * scaled  # row 0 holds the sum of those above
            y[0, i] += scaled
    for j in range(size):
        for i in range(count):
            unit = y[j, i] * inverse
            whole = np.rint(unit)
            v[j, i], y[j, i], rank[j, i] = np.int32(whole), unit - whole, 0  # y is t from here on
            total[i] += v[j, i]
    for j in range(size):
        for k in range(j):
            for i in range(count):
                later = np.int32(y[j, i] <= y[k, i])
                rank[j, i] += later
                rank[k, i] += 1 - later
    for j in range(size):
        for i in range(count):
            moved = rank[j, i] + total[i]
            turn = np.int32(moved < 0) - np.int32(moved > d)
            rank[j, i] = moved + turn * size
            v[j, i] += turn
            y[j, i] -= turn
    for i in range(count):
        for j in range(size):
            tau[rank[j, i], i] = y[j, i]
    for i in range(count):
        weights[i, 0] = 1 + tau[d, i] - tau[0, i]
        for k in range(1, size):
            weights[i, k] = tau[d - k, i] - tau[size - k, i]
    for j in range(d):
        for i in range(count):
            codes[i] = (codes[i] << bits[j]) | np.int64(v[j, i] - low[j])
    for j in range(d):
        for i in range(count):
            codes[i] = (codes[i] << rank_bits) | np.int64(rank[j, i])


@compiled(parallel=PARALLEL)
def place(points, stretch, low, bits, rank_bits, weights, codes):
    """`_place_tile` for all pixels of an image, features (d, N)."""
    d, count = points.shape
    tiles = (count + TILE - 1) // TILE
    pieces = min(32, tiles)
    for piece in prange(pieces):
        t, tau = np.empty((d + 1, TILE), points.dtype), np.empty((d + 1, TILE), points.dtype)
        v, rank = np.empty((d + 1, TILE), np.int32), np.empty((d + 1, TILE), np.int32)
        room, digits = (t, v, rank, tau, np.empty(TILE, np.int32)), (low, bits, rank_bits)
        for tile in range(piece * tiles // pieces, (piece + 1) * tiles // pieces):
            part = slice(tile * TILE, min((tile + 1) * TILE, count))
            _place_tile(points[:, part], stretch, room, digits, weights[part], codes[part])


@compiled()
def _slot(keys, key):
    """Where the key stands in the table, or the empty place where it belongs."""
    mask = len(keys) - 1
    slot = np.int64((np.uint64(key) * _GOLDEN) >> np.uint64(32)) & mask
    while keys[slot] != key and keys[slot] != _EMPTY:
        slot = (slot + 1) & mask
    return slot


@compiled()
def number(codes, numbers):
    """numbers[i] = how many distinct codes came before the first codes[i].

    Returns the distinct codes in that order, and the hash table: its keys and their numbers.
    """
    keys, values = np.full(4096, _EMPTY, np.int64), np.empty(4096, np.int32)
    distinct = np.empty(2048, np.int64)
    count, last, latest = 0, np.int64(_EMPTY), np.int32(0)
    for i in range(len(codes)):
        code = codes[i]
        if code != last:
            slot = _slot(keys, code)
            if keys[slot] == _EMPTY:
                if count == len(distinct):
                    keys, values = (
                        np.full(4 * len(keys), _EMPTY, np.int64),
                        np.empty(4 * len(keys), np.int32),
                    )
                    longer = np.empty(4 * count, np.int64)
                    for k in range(count):
                        longer[k] = distinct[k]
                        slot = _slot(keys, distinct[k])
                        keys[slot], values[slot] = distinct[k], k
                    distinct = longer
                    slot = _slot(keys, code)
                keys[slot], values[slot], distinct[count] = code, count, code
                count += 1
            last, latest = code, values[slot]
        numbers[i] = latest
    return distinct[:count].copy(), keys, values


@compiled()
def corner_codes(simplices, low, bits, rank_bits, key_low, key_bits):
    """The packed keys of the d + 1 vertices of each simplex, (S, d + 1)."""
    d = len(low)
    size = d + 1
    codes = np.empty((len(simplices), size), np.int64)
    v, rank = np.empty(d, np.int64), np.empty(d, np.int64)
    for s in range(len(simplices)):
        code = simplices[s]
        for j in range(d - 1, -1, -1):
            rank[j] = code & ((np.int64(1) << rank_bits) - 1)
            code >>= rank_bits
        for j in range(d - 1, -1, -1):
            v[j] = (code & ((np.int64(1) << bits[j]) - 1)) + low[j]
            code >>= bits[j]
        for k in range(size):
            key = np.int64(0)
            for j in range(d):
                digit = size * v[j] + k - (size if rank[j] > d - k else 0)
                key = (key << key_bits[j]) | (digit - key_low[j])
            codes[s, k] = key
    return codes


@compiled()
def join(vertices, steps, keys, values, left, right):
    """left, right (d + 1, V + 1): the number of each vertex' key -+ steps[j], V where missing."""
    count = len(vertices)
    for j in range(len(steps)):
        for v in range(count + 1):
            left[j, v] = count
        right[j, count] = count
        for v in range(count):
            wanted = vertices[v] + steps[j]
            slot = _slot(keys, wanted)
            found = values[slot] if keys[slot] == wanted else count
            right[j, v] = found
            if found < count:
                left[j, found] = v
