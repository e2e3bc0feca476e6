"""Edges of a grid as offsets: differences along them, and the adjoint of that (chapter 3).

An edge direction is an *offset* o. It joins every pixel p (the tail) to q = p + o (the
head), so its edges form a tensor a little smaller than the grid: each axis is shorter by
|o_a|. The two functions that everything else is made of are

    jump:    (D x)_pq = x_q - x_p          pixels -> edges
    spread:  D'                            edges -> pixels, its adjoint

and the weighted Laplacian is L = sum over offsets of D' diag(w) D.
"""

from torch.nn.functional import pad

from softcut_lib import _checks as check


def axis_offsets(dim):
    """Unit offsets of a grid of `dim` axes: (1, 0), (0, 1) in 2-D (4 neighbors).

    Args:
        dim: number of grid axes, at least 1.

    Returns:
        A tuple of `dim` offsets, axis 0 first.

    Raises:
        ValueError: if `dim` is not a positive integer.

    Source: thesis, section 2; the first 2-D offset carries C, the second R.

    Example:
        >>> axis_offsets(2)
        ((1, 0), (0, 1))
    """
    check.positive_integer("dim", dim)
    return tuple(tuple(int(a == b) for b in range(dim)) for a in range(dim))


def diagonal_offsets(dim=2):
    """Offsets of all remaining neighbors that touch a pixel: in 2-D (1, 1) and (1, -1).

    Together with `axis_offsets` they make the 8 neighbors of 2-D and the 26 of 3-D, each
    pair of opposite directions once.

    Args:
        dim: number of grid axes, at least 1.

    Returns:
        A tuple of (3**dim - 1) / 2 - dim offsets whose first nonzero entry is positive.

    Raises:
        ValueError: if `dim` is not a positive integer.

    Source: thesis, section 1 (the optional diagonal edges).

    Example:
        >>> diagonal_offsets(2)
        ((1, 1), (1, -1))
    """
    check.positive_integer("dim", dim)
    steps = [()]
    for _ in range(dim):
        steps = [(*step, s) for step in steps for s in (1, 0, -1)]
    forward = [o for o in steps if next((s for s in o if s), 0) > 0]
    return tuple(o for o in forward if sum(map(abs, o)) > 1)


def edge_shape(grid, offset):
    """Shape of the edge tensor of one offset: n_a - |o_a| along each axis, at least 0.

    Args:
        grid: the grid's shape (n_1, ..., n_d).
        offset: d integers, not all zero.

    Returns:
        A tuple of d integers; a zero means that no edge of this direction fits the grid.

    Raises:
        ValueError: if the lengths differ or the offset is zero.

    Source: thesis, section 2: C is (h-1, w) and R is (h, w-1).

    Example:
        >>> edge_shape((4, 5), (1, -1))
        (3, 4)
    """
    check.offset(offset, len(grid))
    return tuple(max(n - abs(o), 0) for n, o in zip(grid, offset, strict=True))


def _windows(grid, offset):
    """Per axis (start of the tails, start of the heads, number of edges)."""
    # An axis of length n and entry o holds n - |o| edges. The other end of an edge is o further,
    # so for o > 0 the tails are the first n - o pixels and the heads the last; for o < 0 they swap.
    for n, o in zip(grid, offset, strict=True):
        count = max(n - abs(o), 0)
        yield min(max(-o, 0), n), min(max(o, 0), n), count


def tail(x, offset):
    """The pixels where the edges of `offset` start, as a view of x (..., *grid)."""
    grid = x.shape[x.dim() - len(offset) :]
    return x[(..., *(slice(t, t + n) for t, _, n in _windows(grid, offset)))]


def head(x, offset):
    """The pixels where the edges of `offset` end, as a view of x (..., *grid)."""
    grid = x.shape[x.dim() - len(offset) :]
    return x[(..., *(slice(h, h + n) for _, h, n in _windows(grid, offset)))]


def at_tail(edges, offset, grid):
    """Adjoint of `tail`: edge values placed on their tails in a grid of zeros."""
    return _place(edges, [(t, g - t - n) for (t, _, n), g in _pair(grid, offset)])


def at_head(edges, offset, grid):
    """Adjoint of `head`: edge values placed on their heads in a grid of zeros."""
    return _place(edges, [(h, g - h - n) for (_, h, n), g in _pair(grid, offset)])


def _pair(grid, offset):
    return zip(_windows(grid, offset), grid, strict=True)


def _place(edges, margins):
    # pad lists the last axis first; being a plain function it can be differentiated and vmapped
    return pad(edges, [m for margin in reversed(margins) for m in margin])


def jump(x, offset):
    """Difference across every edge of one offset: (D x)_pq = x_q - x_p, q = p + offset.

    Args:
        x: tensor (..., *grid); the last len(offset) axes are the grid.
        offset: the edge direction.

    Returns:
        Tensor (..., *edge_shape(grid, offset)).

    Raises:
        ValueError: if x has fewer axes than the offset.

    Source: thesis, section 2.1: the voltage drop across a resistor (up to sign).

    Example:
        >>> import torch
        >>> jump(torch.tensor([1.0, 4.0, 9.0]), (1,))
        tensor([3., 5.])
    """
    check.grid_axes("x", x, len(offset))
    check.offset(offset, len(offset))
    return head(x, offset) - tail(x, offset)


def spread(edges, offset, grid):
    """Adjoint of `jump`: each edge value enters its head with + and its tail with -.

    For all x and e:  <jump(x), e> = <x, spread(e)>.

    Args:
        edges: tensor (..., *edge_shape(grid, offset)).
        offset: the edge direction.
        grid: shape of the grid.

    Returns:
        Tensor (..., *grid): at each pixel, what flows in minus what flows out.

    Raises:
        ValueError: if the shape of `edges` does not fit the grid.

    Source: Kirchhoff's current law, thesis eq. 25.

    Example:
        >>> import torch
        >>> spread(torch.tensor([3.0, 5.0]), (1,), (3,))
        tensor([-3., -2.,  5.])
    """
    check.edge_tensor("edges", edges, offset, grid)
    return at_head(edges, offset, grid) - at_tail(edges, offset, grid)


def crop_edges(maps, offsets=None):
    """Turn one map per offset, given on all pixels, into edge tensors.

    The value of an edge is the map's value at the edge's tail, so in 2-D the last row of the
    first map and the last column of the second are dropped.

    Args:
        maps: tensor (B, K, *grid), one channel per offset.
        offsets: K offsets; the unit offsets of the grid if None.

    Returns:
        A list of K tensors (B, *edge_shape(grid, offset)).

    Raises:
        ValueError: if the number of channels is not the number of offsets.

    Source: thesis, Fig. 13 (the published network drops the last row and column).

    Example:
        >>> import torch
        >>> [tuple(w.shape) for w in crop_edges(torch.ones(1, 2, 4, 5))]
        [(1, 3, 5), (1, 4, 4)]
    """
    check.grid_axes("maps", maps, 3)
    offsets = axis_offsets(maps.dim() - 2) if offsets is None else offsets
    for offset in offsets:
        check.offset(offset, maps.dim() - 2)
    if maps.shape[1] != len(offsets):
        raise ValueError(
            f"maps must have one channel per offset: expected {len(offsets)} for offsets "
            f"{tuple(offsets)}, got shape {tuple(maps.shape)}; change the last layer's channels"
        )
    return [tail(maps[:, k], offset) for k, offset in enumerate(offsets)]
