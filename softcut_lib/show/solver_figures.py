"""Pictures of solvers and gradients: paths downhill, signed edge maps (chapters 4 and 5)."""

import numpy as np
import torch

from softcut_lib.grid.edges import at_head, at_tail, axis_offsets
from softcut_lib.show.style import COLORS, STYLES, canvas, picture, styled

__all__ = ["descent_paths", "edge_mean"]

MARKERS = ("o", "s", "D", "^", "v")


@styled
def descent_paths(matrix, rhs, paths, *, title="", alt):
    """Level lines of 1/2 x'Ax - b'x in the plane, and the ways that methods take to its minimum.

    Args:
        matrix: (2, 2), symmetric and positive definite.
        rhs: (2,).
        paths: dict label -> points (steps + 1, 2).
        title: text.
        alt: the alternative text.

    Returns:
        A `Picture`.

    Raises:
        ValueError: the matrix is not 2 by 2, or a path does not lie in the plane.

    Example:
        >>> import torch
        >>> A, b = torch.eye(2), torch.ones(2)
        >>> descent_paths(A, b, {"one step": [[0, 0], [1, 1]]}, alt="Circles and a straight way.")
        [figure: Circles and a straight way.]
    """
    matrix, rhs = _array(matrix), _array(rhs)
    if matrix.shape != (2, 2) or rhs.shape != (2,):
        raise ValueError(
            "matrix and rhs must be a system of two unknowns, (2, 2) and (2,), got "
            f"{matrix.shape} and {rhs.shape}"
        )
    lines = {label: _array(path) for label, path in paths.items()}
    for label, path in lines.items():
        if path.ndim != 2 or path.shape[1] != 2:
            raise ValueError(f"path {label!r} must have shape (steps + 1, 2), got {path.shape}")
    points = np.concatenate(list(lines.values()))
    low, high = points.min(0), points.max(0)
    margin = 0.35 * (high - low).max()
    low, high = low - margin, high + margin
    width, (across, up) = 6.4, high - low
    fig, axes = canvas(width=width, height=min(max((width - 1) * up / across, 2.5), 6) + 1.1)
    ax = axes[0, 0]
    minimum = np.linalg.solve(matrix, rhs)
    x, y = np.meshgrid(np.linspace(low[0], high[0], 200), np.linspace(low[1], high[1], 200))
    away = np.stack((x - minimum[0], y - minimum[1]), -1)
    energy = np.einsum("...i,ij,...j->...", away, matrix, away) / 2
    # evenly spaced in the square root, so that the ellipses stand at even distances
    start = next(iter(lines.values()))[0] - minimum
    top = max(float(start @ matrix @ start) / 2, float(energy.max()) / 6)
    levels = top * np.linspace(0, 2.4, 19)[1:] ** 2
    ax.contour(x, y, energy, levels=levels, colors="#b5bcc6", linewidths=0.9)
    for k, (label, path) in enumerate(lines.items()):
        ax.plot(
            path[:, 0], path[:, 1], color=COLORS[k % len(COLORS)], linestyle=STYLES[k % 5],
            marker=MARKERS[k % 5], markersize=5, linewidth=1.8, label=label,
        )  # fmt: skip
    ax.plot(*minimum, marker="*", markersize=11, color="#20242c", linestyle="", label="solution")
    ax.set_aspect("equal")
    ax.set_xlim(low[0], high[0])
    ax.set_ylim(low[1], high[1])
    ax.set_xlabel("$x_1$")
    ax.set_ylabel("$x_2$")
    ax.set_title(title)
    ax.grid(False)
    fig.legend(loc="outside lower center", ncols=len(lines) + 1)
    return picture(fig, alt)


def edge_mean(edges, offsets=None):
    """Mean of the values of the edges that meet at each pixel: gradients of conductances as a map.

    Args:
        edges: one tensor per offset, (1, *edge_shape), any sign.
        offsets: edge directions; the unit offsets if None.

    Returns:
        Tensor (1, *grid), for `images` with kinds "scores".

    Example:
        >>> import torch
        >>> edge_mean([torch.tensor([[[1.0, -3.0]]]), torch.zeros(1, 2, 1)])
        tensor([[[ 0.5000, -1.5000],
                 [ 0.5000, -1.5000]]])
    """
    offsets = axis_offsets(len(edges)) if offsets is None else offsets
    dim = len(offsets[0])
    grid = [n + abs(o) for n, o in zip(edges[0].shape[-dim:], offsets[0])]
    total = sum(p(e, o, grid) for e, o in zip(edges, offsets) for p in (at_tail, at_head))
    ones = [torch.ones_like(e) for e in edges]
    count = sum(p(e, o, grid) for e, o in zip(ones, offsets) for p in (at_tail, at_head))
    return (total / count.clamp(min=1)).detach()


def _array(values):
    if isinstance(values, torch.Tensor):
        return values.detach().cpu().double().numpy()
    return np.asarray(values, dtype=float)
