"""Pictures of total variation: a string in its tube, pooled values, blocks in color (chapter 7)."""

import numpy as np
import torch

from softcut_lib.show.style import COLORS, canvas, picture, styled

__all__ = ["block_colors", "string_in_tube", "isotonic_steps"]


@styled
def string_in_tube(y, w, x, *, alt=None):
    """A signal with its total variation solution, and the same as running sums in a tube.

    Args:
        y: (n,), the signal.
        w: (n - 1,), weights, the radius of the tube.
        x: (n,), the solution: slopes of the string.
        alt: the alternative text; made from the numbers if None.

    Returns:
        A `Picture`. The running sums are drawn without their common straight trend.

    Example:
        >>> string_in_tube([0.0, 0.9, 0.0], [0.5, 0.5], [0.3, 0.3, 0.3])
        [figure: A signal of 3 values ... which bends at 0 places.]
    """
    y, w, x = (_array(t) for t in (y, w, x))
    n = len(y)
    if w.shape != (n - 1,) or x.shape != (n,):
        raise ValueError(
            f"w and x must have shapes {(n - 1,)} and {(n,)} for y of shape {y.shape}, got "
            f"{w.shape} and {x.shape}"
        )
    ends = np.arange(n + 1)
    trend = ends * y.mean()
    sums, string = (np.append(0, np.cumsum(v)) - trend for v in (y, x))
    radius = np.concatenate(([0], w, [0]))
    bends = np.flatnonzero(np.abs(np.diff(x)) > 1e-3 * np.ptp(y)) + 1
    fig, axes = canvas(2, 1, height=5.4)
    top, bottom = axes[:, 0]
    top.plot(ends[:-1] + 0.5, y, "o", color="#9aa3ad", markersize=4, label="signal y")
    top.stairs(x, ends, color=COLORS[0], linewidth=2.2, baseline=None, label="solution x")
    top.set_ylabel("value")
    bottom.fill_between(ends, sums - radius, sums + radius, color="#dfe5ec", label="tube")
    bottom.plot(ends, sums, color="#9aa3ad", linewidth=1.2, label="running sum of y")
    bottom.plot(ends, string, color=COLORS[0], label="taut string")
    bottom.plot(bends, string[bends], "o", color=COLORS[1], markersize=6, label="bends")
    bottom.set(xlabel="position", ylabel="sum, trend removed")
    for ax in (top, bottom):
        ax.legend(loc="best", fontsize=10)
    alt = alt or (
        f"A signal of {n} values and its piecewise constant solution; below, the running sum in a "
        f"tube, and a string pulled tight within it, which bends at {len(bends)} places."
    )
    return picture(fig, alt)


@styled
def isotonic_steps(y, x, *, alt=None):
    """Values in order, and the non-decreasing sequence nearest to them, pooled blocks shaded.

    Args:
        y: (n,), values in the order that x must respect.
        x: (n,), their isotonic regression.
        alt: the alternative text; made from the numbers if None.

    Returns:
        A `Picture`.

    Example:
        >>> isotonic_steps([1.0, 3.0, 2.0], [1.0, 2.5, 2.5])
        [figure: 3 points and a staircase of 2 steps that never falls...]
    """
    y, x = _array(y), _array(x)
    if y.shape != x.shape or y.ndim != 1:
        raise ValueError(
            f"y and x must be sequences of the same length, got {y.shape} and {x.shape}"
        )
    place = np.arange(len(y))
    starts = np.flatnonzero(np.append(True, np.diff(x) > 0))
    ends = np.append(starts[1:], len(x))
    fig, axes = canvas(height=3.2)
    ax = axes[0, 0]
    for k, (a, b) in enumerate(zip(starts, ends)):
        if b - a > 1:
            ax.axvspan(a - 0.5, b - 0.5, color="#eceff3", zorder=0, lw=0)
            ax.vlines(place[a:b], np.minimum(y, x)[a:b], np.maximum(y, x)[a:b], color="#b5bcc6")
        ax.hlines(x[a], a - 0.5, b - 0.5, color=COLORS[0], linewidth=2.4,
                  label="isotonic regression" if k == 0 else None)  # fmt: skip
    ax.plot(place, y, "o", color=COLORS[1], markersize=5, label="values")
    ax.set(xlabel="rank", ylabel="value")
    ax.grid(axis="x", visible=False)
    ax.legend()
    alt = alt or (
        f"{len(y)} points and a staircase of {len(starts)} steps that never falls; where the "
        "points fall, they share one step at their mean."
    )
    return picture(fig, alt)


def block_colors(x, *, seed=0):
    """Every connected region of equal values in a color of its own, as an image for `images`.

    Args:
        x: (h, w), or with leading axes of length 1.
        seed: of the colors.

    Returns:
        Tensor (3, h, w) in [0, 1].

    Example:
        >>> import torch
        >>> block_colors(torch.zeros(4, 5)).unique().numel() <= 3
        True
    """
    from skimage.measure import label

    values = _array(x).reshape(x.shape[-2:])
    _, number = np.unique(values, return_inverse=True)
    regions = label(number.reshape(values.shape) + 1, connectivity=1)
    colors = np.random.default_rng(seed).uniform(0.15, 1, (int(regions.max()) + 1, 3))
    return torch.from_numpy(colors[regions]).float().permute(2, 0, 1)


def _array(values):
    if isinstance(values, torch.Tensor):
        return values.detach().cpu().double().numpy()
    return np.asarray(values, dtype=float)
