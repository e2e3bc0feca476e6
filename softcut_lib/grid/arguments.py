"""Do weights, offsets, grid and ground of a system fit each other? Chapter 3.

An edge tensor is shorter than the grid by the size of its offset, along every axis.
"""

import torch

from softcut_lib import _checks as checks
from softcut_lib.grid.edges import axis_offsets, edge_shape


def fit_weights(weights, offsets, grid):
    """Weights as a tuple, with the offsets and the grid that they belong to."""
    if isinstance(weights, torch.Tensor) or not isinstance(weights, tuple | list):
        raise TypeError(
            "weights must be a list with one tensor per offset, such as [C, R] in 2-D, got "
            f"{type(weights).__name__}"
        )
    weights = tuple(weights)
    if not weights:
        raise ValueError("weights must hold at least one edge tensor, got an empty list")
    one_per_axis(weights, offsets)
    if offsets is None:
        offsets = axis_offsets(len(weights) if grid is None else len(grid))
    for offset in offsets:
        if not isinstance(offset, tuple | list):
            raise TypeError(
                "offsets must hold one tuple of integers for each edge direction, such as "
                f"((1, 0), (0, 1)) in 2-D and ((1,),) in 1-D, got {offsets!r}"
            )
    offsets = tuple(tuple(o) for o in offsets)
    if len(weights) != len(offsets):
        raise ValueError(
            f"weights must hold one tensor per offset: expected {len(offsets)} for offsets "
            f"{offsets}, got {len(weights)}; pass offsets= for other neighbors than the axes'"
        )
    dim = len(offsets[0])
    for k, (w, offset) in enumerate(zip(weights, offsets, strict=True)):
        checks.offset(offset, dim)
        checks.floating(f"weights[{k}]", w)
        checks.same_kind(f"weights[{k}]", w, "weights[0]", weights[0])
        if w.dim() not in (dim + 1, dim + 2):
            raise ValueError(
                f"weights[{k}] must have shape (B, *edges) or (B, L, *edges) with {dim} edge axes, "
                f"got shape {tuple(w.shape)}; a single image needs a batch axis: w[None]"
            )
        if w.shape[0] != weights[0].shape[0]:
            raise ValueError(
                f"weights[{k}] must have the batch size of weights[0], {weights[0].shape[0]}, got "
                f"{w.shape[0]}"
            )
    if grid is None:
        grid = tuple(n + abs(o) for n, o in zip(weights[0].shape[-dim:], offsets[0], strict=True))
    grid = tuple(grid)  # no int(): where a graph is recorded, a length may be a symbol
    if min(grid) < 1:
        raise ValueError(f"the grid must have at least one pixel along every axis, got {grid}")
    shapes = [edge_shape(grid, o) for o in offsets]
    arrived = [tuple(w.shape[-dim:]) for w in weights]
    if arrived != shapes:
        wrong = next(k for k in range(len(shapes)) if arrived[k] != shapes[k])
        hint = "check the order of the weights and of the offsets"
        if dim == 2 and len(offsets) == 2:
            hint = (
                "weights[0] holds the vertical edges (h-1, w), weights[1] the horizontal (h, w-1)"
            )
            swapped = tuple(n + abs(o) for n, o in zip(arrived[1], offsets[0], strict=True))
            if arrived[0] == edge_shape(swapped, offsets[1]):
                hint = "they look swapped: " + hint
        if arrived[wrong] == grid:
            hint = (
                "one number per pixel and direction becomes edges by crop_edges(maps, offsets), "
                "maps (B, len(offsets), *grid)"
            )
        raise ValueError(
            f"weights[{wrong}] must end in {shapes[wrong]} for offset {offsets[wrong]} on the grid "
            f"{grid}, got shape {tuple(weights[wrong].shape)}; {hint}"
        )
    return weights, offsets, grid


def one_per_axis(weights, offsets):
    """Refuse more edge tensors than there can be axes, where no offsets say where they lead."""
    if offsets is not None or not weights or not isinstance(weights[0], torch.Tensor):
        return
    if len(weights) > weights[0].dim():  # its batch axis may be what is missing
        raise ValueError(
            f"weights must hold one tensor per axis of the grid where offsets is None, got "
            f"{len(weights)} tensors, the first of shape {tuple(weights[0].shape)}; say where they "
            "lead, in 2-D offsets=axis_offsets(2) + diagonal_offsets(2), or drop the others"
        )


def fit_ground(ground, reference, batch, grid):
    """The ground, (batch, *grid) or (batch, labels, *grid), of the dtype and device of a weight."""
    checks.floating("ground", ground)
    checks.same_kind("ground", ground, "weights[0]", reference)
    shape = tuple(ground.shape)
    if ground.dim() not in (1 + len(grid), 2 + len(grid)) or (shape[0], *shape[-len(grid) :]) != (
        batch,
        *grid,
    ):
        raise ValueError(
            f"ground must have shape {(batch, *grid)} or (batch, labels, *grid) with batch {batch} "
            f"and grid {grid}, got {shape}; a constant is torch.full({(batch, *grid)}, value)"
        )
    return ground
