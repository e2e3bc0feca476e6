"""The permutohedral lattice: where a point of R^d lies in it (chapter 14).

R^d is laid onto the hyperplane sum y = 0 of R^(d+1). The lattice points are the integer vectors
there whose entries are all equal modulo d + 1 (their *remainder*); they cut the plane into equal
simplices, each with one vertex of each remainder 0..d. A simplex is named by its vertex v of
remainder 0, in units of d + 1, and by a permutation: the *ranks* of the point's distances to it.

All arrays are (d + 1, N): one row per coordinate, so that each step is a whole-row operation.
"""

import math

import numpy as np
import torch


def elevate(features):
    """Lay points of R^d onto the plane sum y = 0, all lengths times sqrt(2/3) (d + 1).

    y_j = sum over i > j of s_i f_i - j s_j f_j,   s_i = sqrt(2/3) (d + 1) / sqrt(i (i + 1)).

    The scale is such that splat, blur and slice together have the variance of the Gaussian:
    d + 1 blurs with (1/4, 1/2, 1/4) and two linear interpolations.

    Args:
        features: (d, N).

    Returns:
        y, (d + 1, N).

    Source: Adams, Baek and Davis (2010), section 3.1.

    Example:
        >>> import torch
        >>> elevate(torch.tensor([[1.0]]))
        tensor([[ 1.1547],
                [-1.1547]])
    """
    d, count = features.shape
    stretch = stretches(d)
    y = features.new_zeros(d + 1, count)
    above = features.new_zeros(count)
    for j in range(d, 0, -1):
        scaled = features[j - 1] * float(stretch[j - 1])
        y[j] = above - j * scaled
        above = above + scaled
    y[0] = above
    return y


def stretches(d):
    """s_i of `elevate`, i = 1..d, as a float64 array."""
    i = np.arange(1, d + 1)
    return math.sqrt(2 / 3) * (d + 1) / np.sqrt(i * (i + 1))


def enclosing_simplex(y):
    """The simplex around each point of the plane, and the point's place in it.

    Args:
        y: (d + 1, N), each column summing to 0.

    Returns:
        v (long): the simplex's vertex of remainder 0, divided by d + 1; each column sums to 0.
        rank (long): each column a permutation of 0..d, 0 for the largest y / (d + 1) - v.
        weights: (d + 1, N), the barycentric weight of the vertex of remainder k in row k.

    Source: Adams, Baek and Davis (2010), section 3.1.

    Example:
        >>> import torch
        >>> v, rank, weights = enclosing_simplex(torch.tensor([[0.5], [-0.5]]))
        >>> v.T, rank.T, weights.T
        (tensor([[0, 0]]), tensor([[0, 1]]), tensor([[0.5000, 0.5000]]))
    """
    size = len(y)
    d = size - 1
    v = (y / size).round()
    t = y / size - v
    rank = torch.zeros_like(v, dtype=torch.long)
    for i in range(size):
        for j in range(i):
            later = t[i] <= t[j]  # on a tie the lower index ranks first
            rank[i] += later
            rank[j] += ~later
    # Rounding may leave the plane by h = sum v. The h coordinates that were rounded up most (the
    # smallest t, the last ranks) go down by one, or -h of the first ranks up; ranks turn round.
    rank += v.sum(0).long()
    turn = (rank < 0).long() - (rank > d).long()
    rank += turn * size
    v, t = v + turn, t - turn
    tau = torch.empty_like(t).scatter_(0, rank, t)  # t by rank, falling
    weights = torch.empty_like(t)
    weights[0] = 1 + tau[d] - tau[0]
    for k in range(1, size):
        weights[k] = tau[d - k] - tau[d - k + 1]
    return v.long(), rank, weights


def vertex_keys(v, rank):
    """The vertices of simplices: (d + 1) v_i + k, minus d + 1 where rank_i > d - k.

    Args:
        v, rank: (d + 1, N), of `enclosing_simplex`.

    Returns:
        (d + 1, d + 1, N) long: coordinates, then remainder k, then points.
    """
    size = len(v)
    k = torch.arange(size, device=v.device)[None, :, None]
    return size * v[:, None] + k - size * (rank[:, None] > size - 1 - k)


def gaussian_scale(d):
    """By how much W must be multiplied to have the Gaussian's integral, (2 pi)^(d/2).

    Splat, blur and slice keep a vertex' total, so W integrates to the volume per vertex,
    (d + 1)^(-1/2) (3/2)^(d/2).

    Example:
        >>> round(gaussian_scale(5), 2)
        87.96
    """
    return (2 * math.pi) ** (d / 2) * math.sqrt(d + 1) * (2 / 3) ** (d / 2)
