"""Pictures of a matrix and its inverse: rows of A^-1 as images, seeds on a photo (chapter 3)."""

import numpy as np
import torch
from matplotlib.colors import LogNorm
from matplotlib.ticker import LogLocator, NullLocator

from softcut_lib.show.style import COLORS, blank, picture, styled

__all__ = ["inverse_rows", "paint_seeds", "patterns"]

WIDTH = 6.6


@styled
def inverse_rows(image, pixels, rows, *, titles=None, columns=3, decades=4, alt):
    """A photograph with numbered pixels, and beside it a row of A^-1 for each of them.

    Args:
        image: float (3, h, w) in [0, 1]; leading axes of length 1 are dropped.
        pixels: list of (i, j), drawn as dots 1, 2, ... on the image; one dot where all are equal.
        rows: one non-negative map (h, w) per pixel: its row of A^-1.
        titles: one string per row; "row of pixel k" if None.
        columns: panels side by side, the photograph included.
        decades: powers of ten that the color scale spans, downward from the largest entry.
        alt: the alternative text.

    Returns:
        A `Picture`.

    Raises:
        ValueError: as many rows as pixels are needed.

    Example:
        >>> import torch
        >>> row = torch.full((4, 6), 1 / 24)
        >>> inverse_rows(torch.zeros(3, 4, 6), [(1, 2)], [row], alt="A photo and one even row.")
        [figure: A photo and one even row.]
    """
    if len(pixels) != len(rows):
        raise ValueError(
            f"rows must hold one map per pixel, expected {len(pixels)}, got {len(rows)}"
        )
    photo = _array(image).reshape(3, *image.shape[-2:]).transpose(1, 2, 0)
    rows = [_array(row).reshape(photo.shape[:2]) for row in rows]
    titles = titles or [f"row of pixel {k + 1}" for k in range(len(rows))]
    distinct = list(dict.fromkeys(tuple(pixel) for pixel in pixels))
    top = max(row.max() for row in rows)
    scale = LogNorm(top * 10.0**-decades, top, clip=True)
    fig, axes, foot = _grid(len(rows) + 1, columns, photo.shape[0] / photo.shape[1], foot=0.75)
    bar = fig.add_axes([0.2, 0.76 * foot, 0.6, 0.12 * foot])
    axes[0].imshow(photo)
    axes[0].set_title("photograph", pad=5)
    for k, (ax, row) in enumerate(zip(axes[1:], rows)):
        drawn = ax.imshow(np.maximum(row, scale.vmin), cmap="magma", norm=scale)
        ax.set_title(titles[k], pad=5)
        place = distinct.index(tuple(pixels[k]))
        _dot(ax, pixels[k], place, label=False)
        _dot(axes[0], pixels[k], place, label=len(distinct) > 1)
    ruler = fig.colorbar(drawn, cax=bar, orientation="horizontal")
    ruler.outline.set_visible(False)
    ruler.locator = LogLocator(numticks=decades + 1)
    ruler.ax.xaxis.set_minor_locator(NullLocator())
    ruler.set_label("share of each pixel's score in the answer", labelpad=2)
    return picture(fig, alt)


def _dot(ax, pixel, k, label):
    i, j = pixel
    color = COLORS[k % len(COLORS)]
    ax.plot(j, i, "o", color=color, markersize=7, markeredgecolor="white", markeredgewidth=1.4)
    if label:
        box = {"boxstyle": "round,pad=0.15", "fc": color, "ec": "none"}
        ax.annotate(
            str(k + 1), (j, i), xytext=(6, 5), textcoords="offset points", fontsize=13,
            fontweight="bold", color="white", bbox=box,
        )  # fmt: skip


def _grid(count, columns, aspect, foot):
    """`count` bare axes of one aspect ratio; the room below them, `foot` inches, as a share."""
    columns = min(columns, count)
    lines = -(-count // columns)
    gap, head = 0.12, 0.34
    wide = (WIDTH - gap * (columns + 1)) / columns
    tall = wide * aspect
    height = lines * (tall + head) + foot
    fig, axes = blank(WIDTH, height), []
    for n in range(count):
        r, c = divmod(n, columns)
        left, low = gap + c * (wide + gap), height - (r + 1) * (tall + head)
        ax = fig.add_axes([left / WIDTH, low / height, wide / WIDTH, tall / height])
        ax.set_xticks([])
        ax.set_yticks([])
        ax.grid(False)
        ax.spines[:].set_visible(True)
        ax.spines[:].set_color("#999999")
        axes.append(ax)
    return fig, axes, foot / height


def paint_seeds(image, seeds, *, grow=2):
    """A photograph with its seeds painted on: label 1 red, label 0 blue, 2 and on further colors.

    Args:
        image: float (3, h, w) in [0, 1]; leading axes of length 1 are dropped.
        seeds: long (h, w), 255 where free; leading axes of length 1 are dropped.
        grow: pixels by which the painted strokes are widened so that they can be seen.

    Returns:
        Float tensor (3, h, w), for `show.images`.

    Raises:
        ValueError: shapes that differ.

    Example:
        >>> import torch
        >>> paint_seeds(torch.ones(3, 4, 6), torch.full((4, 6), 255)).shape
        torch.Size([3, 4, 6])
    """
    shape = tuple(image.shape[-2:])
    if tuple(seeds.shape[-2:]) != shape or seeds.numel() != shape[0] * shape[1]:
        raise ValueError(f"seeds must have the image's shape {shape}, got {tuple(seeds.shape)}")
    out = image.detach().cpu().float().reshape(3, *shape).clone()
    colors = [COLORS[0], COLORS[1], *COLORS[2:]]
    for label in seeds.unique().tolist():
        if label == 255:
            continue
        mask = (seeds.reshape(1, *shape) == label).float()
        mask = torch.nn.functional.max_pool2d(mask, 2 * grow + 1, 1, grow)[0] > 0
        hexes = colors[label % len(colors)]
        rgb = torch.tensor([int(hexes[k : k + 2], 16) / 255 for k in (1, 3, 5)])
        out[:, mask] = rgb[:, None]
    return out


@styled
def patterns(matrices, *, titles, alt):
    """Where matrices have entries: black where nonzero, one panel each.

    Args:
        matrices: list of square SciPy sparse arrays.
        titles: one string each.
        alt: the alternative text.

    Returns:
        A `Picture`.

    Example:
        >>> import scipy.sparse
        >>> patterns([scipy.sparse.eye_array(5)], titles=["I"], alt="Five entries on a diagonal.")
        [figure: Five entries on a diagonal.]
    """
    fig, axes, _ = _grid(len(matrices), 3, 1, foot=0.1)
    for ax, matrix, title in zip(axes, matrices, titles):
        size = max(0.3, min(4, 260 / matrix.shape[0] / len(matrices)))
        ax.spy(matrix, markersize=size, color="#20242c")
        ax.set_xticks([])
        ax.set_yticks([])
        ax.set_title(title, pad=5)
    return picture(fig, alt)


def _array(values):
    return values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)
