"""The lattice of one image on the CPU, through the compiled kernels (chapter 14).

`tables` says what is computed; here the arguments are packed, and the kernels called.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch

from softcut_lib.affinity import kernels_apply, kernels_build
from softcut_lib.affinity.permutohedral import stretches
from softcut_lib.solvers.compiling import announced, numba_threads

_PIECES = 4
"""At most so many tables are splatted side by side and added up."""


@dataclass(frozen=True)
class Hashed:
    """One image's lattice as arrays: pixel to simplex, simplex to corners, vertex to neighbours."""

    simplex: np.ndarray  # (N,) uint32
    corners: np.ndarray  # (S, d + 1) uint32
    weights: np.ndarray  # (N, d + 1)
    left: np.ndarray  # (d + 1, V + 1) uint32, V where missing
    right: np.ndarray

    @property
    def vertices(self):
        """How many lattice points the image touches."""
        return self.left.shape[1] - 1

    def multiply(self, maps, orders, a, scale, out):
        """out = scale * P B P' maps for contiguous maps (L, N), B the mean over orders of axes."""
        kind = maps.dtype.type
        labels, count = maps.shape
        # a piece's table is worth its additions only where pixels outnumber vertices
        pieces = min(max(count // (4 * self.vertices), 1), _PIECES)
        # three vectors to a row share the look-up of its place, while the table fits the cache
        lanes = 24 if labels > 8 and self.vertices < 20_000 else 8
        lattice = (self.simplex, self.corners, self.weights.astype(kind, copy=False))
        blurs = (self.left, self.right, np.array(orders), kind(a), kind(scale))
        with announced("lattice", kind), numba_threads(torch.get_num_threads()):
            kernels_apply.multiply(maps, lanes, pieces, *lattice, *blurs, out)


def build_hashed(points, reach):
    """The lattice of one image's features, an array (d, N); None if it does not pack.

    reach: (d,), bounds of the features' sizes.
    """
    digits = packing(reach)
    if digits is None:
        return None
    low, bits, rank_bits, key_low, key_bits = digits
    d, count = points.shape
    size = d + 1
    weights = np.empty((count, size), points.dtype)
    codes, simplex = np.empty(count, np.int64), np.empty(count, np.uint32)
    stretch = stretches(d).astype(points.dtype)
    build = kernels_build
    with announced("lattice", points.dtype), numba_threads(torch.get_num_threads()):
        build.place(points, stretch, low, bits, rank_bits, weights, codes)
        simplices, _, _ = build.number(codes, simplex)
        codes = build.corner_codes(simplices, low, bits, rank_bits, key_low, key_bits)
        corners = np.empty(codes.shape, np.uint32)
        vertices, keys, values = build.number(codes.reshape(-1), corners.reshape(-1))
        place = [int(key_bits[j + 1 :].sum()) for j in range(d)]
        every = sum(1 << p for p in place)
        steps = np.array([size * (1 << p) - every for p in place] + [-every], np.int64)
        left, right = (np.empty((size, len(vertices) + 1), np.uint32) for _ in range(2))
        build.join(vertices, steps, keys, values, left, right)
    return Hashed(simplex, corners, weights, left, right)


def packing(reach):
    """How simplices and vertices pack into 62 bits each, for |features| <= reach; or None.

    Returns (low, bits, rank_bits, key_low, key_bits): each digit's least value and its bits.
    """
    d = len(reach)
    size = d + 1
    # the largest |y_j|, by the triangle inequality; rounding and turning may add 2 to v
    reach = reach.astype(np.float64) * stretches(d)
    bound = [reach[j:].sum() + (j * reach[j - 1] if j else 0) for j in range(d)]
    low = np.array([-math.ceil(b / size) - 2 for b in bound], np.int64)
    bits = np.array([int(-2 * n).bit_length() for n in low], np.int64)
    # a corner lies up to d + 1 beside its simplex' v, and a blur looks d further
    key_low = size * low - 2 * size
    key_bits = np.array([int(-2 * n).bit_length() for n in key_low], np.int64)
    rank_bits = int(d).bit_length()
    if bits.sum() + d * rank_bits > 62 or key_bits.sum() > 62:
        return None
    return low, bits, rank_bits, key_low, key_bits
