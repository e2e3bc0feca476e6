"""Images, scores, masks and conductances side by side, and a cut with all its parts.

Each plot is one call that returns a `Picture`; tensors go in as they are (every chapter).
"""

import math

import numpy as np
import torch
from matplotlib.colors import LogNorm, TwoSlopeNorm
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from softcut_lib.grid.edges import at_head, at_tail, axis_offsets
from softcut_lib.show.style import (
    COLORS,
    CONDUCTANCE,
    MASK,
    SCORES,
    blank,
    picture,
    styled,
)

__all__ = ["cut", "images", "overlay_mask"]

KINDS = ("image", "scores", "mask", "labels", "conductance", "map", "probability")
BARRED = ("scores", "conductance", "map", "probability")
WIDTH = 6.6  # inches, the page


@styled
def images(pictures, *, titles=None, kinds=None, columns=None, limits=None, alt):
    """Show images, scores, masks or conductances side by side.

    Args:
        pictures: list of tensors (h, w), (1 or 3, h, w) or with leading axes of length 1; a list of
            edge tensors [C, R] is drawn as the geometric mean of the conductances at each pixel.
        titles: one string each; may have several lines.
        kinds: one name or one each of "image", "scores" (diverging, 0 white), "mask", "labels",
            "conductance" (log scale), "map" (any quantity), "probability"; guessed if None.
        columns: panels in a row; at most 3 if None, which a phone can still show.
        limits: (low, high) of the colors, for all or one pair each; from the data if None.
        alt: the alternative text.

    Returns:
        A `Picture`.

    Raises:
        ValueError: wrong shape, kind, number of titles, or no alternative text.

    Example:
        >>> import torch
        >>> images([torch.zeros(4, 5), torch.eye(4) > 0], alt="A gray image and a diagonal mask.")
        [figure: A gray image and a diagonal mask.]
    """
    if isinstance(pictures, torch.Tensor | np.ndarray):
        pictures = [pictures]
    count = len(pictures)
    kinds = kinds if isinstance(kinds, list | tuple) else [kinds] * count
    limits = limits if isinstance(limits, list) else [limits] * count
    titles = titles or [""] * count
    for name, given in (("titles", titles), ("kinds", kinds), ("limits", limits)):
        if len(given) != count:
            raise ValueError(f"{name} must hold one entry per picture, {count}, got {len(given)}")
    columns = columns or {2: 2, 4: 2}.get(count, 3)
    panels = [panel(p, k) for p, k in zip(pictures, kinds)]
    lines = max(title.count("\n") + bool(title) for title in titles)
    fig, axes = _arrange(panels, min(columns, count), lines)
    for (ax, bar), part, title, limit in zip(axes, panels, titles, limits):
        draw_panel(ax, bar, *part, limit)
        ax.set_title(title, pad=5)
    return picture(fig, alt)


def _arrange(panels, columns, lines):
    """A figure with one axes for every panel and one for its color bar, placed by hand.

    Automatic layouts shift panels that have a color bar against those that have none.
    """
    rows = math.ceil(len(panels) / columns)
    gap, head = 0.14, 0.14 + 0.2 * lines if lines else 0.06
    aspects = [values.shape[0] / values.shape[1] for values, _ in panels]
    wide = (WIDTH - gap * (columns + 1)) / columns
    wide = min(wide, 4.6 / max(aspects), 4.6)
    heights = [wide * max(aspects[r * columns : (r + 1) * columns]) for r in range(rows)]
    feet = [
        0.45 if any(kind in BARRED for _, kind in panels[r * columns : (r + 1) * columns]) else 0.1
        for r in range(rows)
    ]
    width = max((wide + gap) * columns + gap, 2.0)
    height = sum(heights) + sum(feet) + head * rows
    fig, axes, top = blank(width, height), [], height
    for r in range(rows):
        top -= head + heights[r]
        for c in range(min(columns, len(panels) - r * columns)):
            left = (gap + c * (wide + gap)) / width
            ax = fig.add_axes([left, top / height, wide / width, heights[r] / height])
            bar = [left + 0.04 * wide / width, (top - 0.15) / height, 0.92 * wide / width]
            axes.append((ax, [*bar, 0.08 / height]))
        top -= feet[r]
    return fig, axes


def panel(values, kind=None):
    """A picture as an array (h, w) or (h, w, 3), with its kind."""
    if isinstance(values, list | tuple):
        values, kind = mean_conductance(values), kind or "conductance"
    values = torch.as_tensor(values).detach().cpu()
    while values.dim() > 2 and values.shape[0] == 1:
        values = values[0]
    if values.dim() == 3 and values.shape[0] == 3:
        values = values.permute(1, 2, 0)
    elif values.dim() != 2:
        raise ValueError(
            "pictures must be of shape (h, w), (1, h, w) or (3, h, w), one sample and one label "
            f"each, got {tuple(values.shape)}"
        )
    if kind is None:
        kind = "labels"
        if values.dtype == torch.bool:
            kind = "mask"
        elif values.is_floating_point():
            low, high = (float(values.min()), float(values.max())) if values.numel() else (0, 0)
            kind = "scores" if low < 0 else "image" if high <= 1 else "map"
    if kind not in KINDS:
        raise ValueError(f"kinds must be among {', '.join(KINDS)}, got {kind!r}")
    return values.numpy(), kind


def draw_panel(ax, bar, values, kind, limits=None):
    """Draw an array of one kind into ax, and its color bar, where it has one, at the place bar."""
    ax.set_xticks([])
    ax.set_yticks([])
    ax.grid(False)
    ax.spines[:].set_visible(True)
    ax.spines[:].set_color("#999999")
    small = max(values.shape[:2]) <= 32
    options = {"interpolation": "nearest" if small else "antialiased"}
    if kind == "image":
        low, high = limits or (0, 1)
        ax.imshow(np.clip(values, low, high), cmap="gray", vmin=low, vmax=high, **options)
        return
    if kind == "mask":
        ax.imshow(values.astype(int), cmap=MASK, vmin=0, vmax=1, interpolation="nearest")
        return
    if kind == "labels":
        ax.imshow(_label_colors(values), interpolation="nearest")
        return
    finite = values[np.isfinite(values)]
    if kind == "scores":
        reach = max(abs(finite.min()), abs(finite.max()), 1e-12) if finite.size else 1
        low, high = limits or (-reach, reach)
        options |= {"cmap": SCORES, "norm": TwoSlopeNorm(0, min(low, -1e-12), max(high, 1e-12))}
    elif kind == "conductance":
        positive = finite[finite > 0]
        top = positive.max() if positive.size else 1
        low, high = limits or (max(positive.min(), top * 1e-4) if positive.size else 0.1, top)
        options |= {"cmap": CONDUCTANCE, "norm": LogNorm(low, max(high, low * 1.01), clip=True)}
    else:
        low, high = limits or ((0, 1) if kind == "probability" else (finite.min(), finite.max()))
        options |= {"cmap": "viridis", "vmin": low, "vmax": high}
    drawn = ax.imshow(values, **options)
    ruler = ax.figure.colorbar(
        drawn, cax=ax.figure.add_axes(bar), orientation="horizontal", extend="neither"
    )
    ruler.outline.set_visible(False)
    ruler.ax.tick_params(labelsize=10, length=3, pad=2)
    if kind == "conductance":
        ruler.locator = LogLocator(numticks=4)
        ruler.minorlocator = NullLocator()
    else:
        wide = ax.figure.get_figwidth() * bar[2]  # inches; a number takes up to half of one
        ruler.locator = MaxNLocator(4 if wide > 2 else 2)
    ruler.update_ticks()
    if kind != "conductance":  # numbers at the ends of two bars side by side would collide
        low, high = ruler.ax.get_xlim()
        for place, label in zip(ruler.ax.get_xticks(), ruler.ax.get_xticklabels()):
            share = (place - low) / (high - low)
            label.set_ha("left" if share < 0.05 else "right" if share > 0.95 else "center")


def _label_colors(labels):
    """RGB of integer labels; 255 (void, or free) is light gray."""
    palette = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in COLORS]) / 255
    colors = palette[labels.astype(int) % len(palette)]
    colors[labels == 255] = 0.9
    return colors


def mean_conductance(weights, offsets=None):
    """Geometric mean of the conductances that meet at each pixel, (h, w), first sample and label.

    It shows a border that a single edge of a pixel crosses; a zero counts as 1e-6 of the largest.
    """
    weights = [torch.as_tensor(w).detach().cpu() for w in weights]
    offsets = offsets or axis_offsets(len(weights))
    dim = len(offsets[0])
    weights = [w.reshape(-1, *w.shape[w.dim() - dim :])[0] for w in weights]
    grid = tuple(n + abs(o) for n, o in zip(weights[0].shape, offsets[0]))
    top = max(float(w.max()) for w in weights if w.numel())
    total, count = torch.zeros(grid, dtype=weights[0].dtype), torch.zeros(grid)
    for w, offset in zip(weights, offsets):
        for place in (at_tail, at_head):
            total += place(w.clamp(min=max(1e-6 * top, 1e-30)).log(), offset, grid)
            count += place(torch.ones_like(w), offset, grid).to(count)
    return (total / count.clamp(min=1)).exp()


def overlay_mask(image, mask, *, color=(1.0, 0.85, 0.1), dim=0.35):
    """An image with a mask on it: the outside dimmed, the mask's outline drawn.

    Args:
        image: float (h, w), (1 or 3, h, w), in [0, 1]; leading axes of length 1 are dropped.
        mask: bool (h, w), leading axes of length 1 are dropped.
        color: RGB of the outline.
        dim: brightness left outside, in [0, 1].

    Returns:
        Float tensor (3, h, w), for `images`.

    Raises:
        ValueError: shapes that differ.

    Example:
        >>> import torch
        >>> overlay_mask(torch.ones(5, 5), torch.eye(5) > 0).shape
        torch.Size([3, 5, 5])
    """
    values, _ = panel(image, "image")
    inside, _ = panel(mask, "mask")
    if values.shape[:2] != inside.shape:
        raise ValueError(f"mask must have the image's shape {values.shape[:2]}, got {inside.shape}")
    values = torch.as_tensor(values).float()
    if values.dim() == 2:
        values = values[..., None].expand(*values.shape, 3)
    inside = torch.as_tensor(inside).bool()
    out = torch.where(inside[..., None], values, 1 - (1 - values * dim) * (1 - dim / 2))
    # the outline is as thick on a large picture as on a small one
    reach = max(1, round(max(inside.shape) / 260))
    window = torch.nn.MaxPool2d(2 * reach + 1, 1, reach)
    grown = window(inside[None].float())[0] > 0
    edge = grown & ~inside
    return torch.where(edge[..., None], torch.tensor(color), out).permute(2, 0, 1)


@styled
def cut(image=None, scores=None, weights=None, output=None, mask=None, *, titles=None, alt=None):
    """What goes into a cut and what comes out, side by side; parts that are None are left out.

    Args:
        image: (1 or 3, h, w); where `mask` is given too, the mask is outlined on it.
        scores, output: real maps (1, h, w) or (h, w); both share one color scale.
        weights: list of edge tensors, shown as the mean conductance at each pixel.
        mask: bool (h, w).
        titles: replaces the names of the parts.
        alt: the alternative text; made from the parts if None.

    Returns:
        A `Picture`.

    Example:
        >>> import torch
        >>> cut(scores=torch.tensor([[-1.0, 2.0]]), mask=torch.tensor([[False, True]]))
        [figure: Side by side: scores (-1 to 2), decision (1 of 2 pixels are foreground).]
    """
    parts, names, kinds, said = [], [], [], []
    if image is not None:
        parts, names, kinds, said = [image], ["image"], ["image"], ["image"]
    for name, part in (("scores", scores), ("conductances", weights), ("output", output)):
        if part is None:
            continue
        parts.append(part)
        names.append(name)
        kinds.append("conductance" if name == "conductances" else "scores")
        values = part if name != "conductances" else mean_conductance(part)
        low, high = float(torch.as_tensor(values).min()), float(torch.as_tensor(values).max())
        said.append(f"{name} ({low:.3g} to {high:.3g})")
    if mask is not None:
        inside = torch.as_tensor(mask)
        parts.append(mask if image is None else overlay_mask(image, mask))
        names.append("decision")
        kinds.append("mask" if image is None else "image")
        said.append(f"decision ({int(inside.sum())} of {inside.numel()} pixels are foreground)")
    alt = alt or f"Side by side: {', '.join(said)}."
    return images(parts, titles=titles or names, kinds=kinds, alt=alt)
