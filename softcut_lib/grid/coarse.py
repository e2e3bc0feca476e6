"""Soldering: a grid of half the size, each of whose nodes is 2^d pixels made one (chapter 6).

With P the matrix that gives every pixel the voltage of its node, the soldered circuit is the
Galerkin product

    A_c = P' A P:  grounds of a node add up, links between two nodes add up, links inside vanish,

again a `GridSystem`, with offsets halved. A system solved on it restricts every cell to one value.
"""

from itertools import product

from torch.nn.functional import pad

from softcut_lib.grid.edges import at_tail, axis_offsets, edge_shape, tail


def coarse_shape(grid):
    """Half of every axis, rounded up."""
    return tuple((n + 1) // 2 for n in grid)


def parities(dim):
    """All corners of a cell of 2^dim pixels, the first pixel's own corner first."""
    return tuple(product((0, 1), repeat=dim))


def every_second(x, corner):
    """The pixels at one corner of every cell, as a view of x (..., *grid)."""
    return x[(..., *(slice(start, None, 2) for start in corner))]


def corner_map(x, corner):
    """`every_second`, with zeros where the last cell is cut off: (..., *coarse_shape(grid))."""
    grid = x.shape[x.dim() - len(corner) :]
    missing = [(n + 1) // 2 - (n - start + 1) // 2 for n, start in zip(grid, corner, strict=True)]
    return pad(every_second(x, corner), [m for end in reversed(missing) for m in (0, end)])


def solder_sum(x, dim):
    """P' x: the sum over each cell, (..., *coarse_shape(grid))."""
    return sum(corner_map(x, corner) for corner in parities(dim))


def solder_copy(x, grid):
    """P x: every pixel takes its node's value, (..., *grid)."""
    for axis, n in enumerate(grid, start=x.dim() - len(grid)):
        x = x.repeat_interleave(2, axis).narrow(axis, 0, n)
    return x


def solder(weights, offsets, ground, grid):
    """(weights, offsets, ground) of the soldered circuit; tensors may have any leading axes.

    The link of offset o from pixel p joins the nodes floor(p / 2) and floor((p + o) / 2), which
    depends on o and on the corner of its cell in which p stands.
    """
    dim, coarse = len(grid), coarse_shape(grid)
    joined = {
        step: ground.new_zeros(*ground.shape[:-dim], *edge_shape(coarse, step))
        for step in axis_offsets(dim)
    }
    for w, offset in zip(weights, offsets, strict=True):
        if not w.numel():
            continue
        tails = at_tail(w, offset, grid)
        for corner in parities(dim):
            step = tuple((c + o) // 2 for c, o in zip(corner, offset, strict=True))
            if not any(step) or 0 in edge_shape(coarse, step):
                continue  # inside one node, or longer than the grid
            links = tail(corner_map(tails, corner), step)
            back = tuple(-s for s in step)
            step = back if back in joined else step  # the same links, seen from the other end
            joined[step] = joined[step] + links if step in joined else links
    return list(joined.values()), tuple(joined), solder_sum(ground, dim)


def coarsen(system):
    """Solder 2^d pixels into one node: a circuit of half the size along every axis.

    A_c = P' A P, with (P x)_i = x_floor(i / 2): every pixel takes the voltage of its node.

    Args:
        system: a `GridSystem` of any dimension and any offsets; odd sizes leave smaller last cells.

    Returns:
        A `GridSystem` on the grid (ceil(n_1 / 2), ..), batch and labels as before. Its offsets are
        the unit offsets, and those that longer or diagonal links make.

    Raises:
        Nothing: every circuit can be soldered.

    Source: Brandt 1986 and Notay 2010 (plain aggregation); thesis, section 2.1 for the circuit.

    Example:
        >>> import torch
        >>> from softcut_lib import GridSystem
        >>> chain = GridSystem([torch.tensor([[1.0, 2.0, 3.0]])])    # 4 pixels, 3 resistors
        >>> chain.coarsen().to_scipy().toarray()
        array([[ 4., -2.],
               [-2.,  4.]], dtype=float32)
    """
    weights, ground = system.weights, system.ground
    if system.labels is not None:  # tensors that labels share must add to those that they do not
        weights, ground = ([_per_label(t, system) for t in g] for g in (weights, [ground]))
        (ground,) = ground
    weights, offsets, ground = solder(weights, system.offsets, ground, system.grid)
    grid = coarse_shape(system.grid)
    return type(system)(weights, offsets=offsets, ground=ground, grid=grid, check=False)


def _per_label(tensor, system):
    tensor = system.labeled(tensor)
    return tensor.expand(system.batch, system.labels, *tensor.shape[2:])
