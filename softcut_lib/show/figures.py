"""Curves, bars and matrices, one call each (every chapter)."""

import numpy as np
import torch
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from softcut_lib.show.style import COLORS, SCORES, STYLES, canvas, picture, styled

__all__ = ["bars", "curves", "matrix"]


@styled
def curves(
    x, lines, *, xlabel, ylabel, log="", title="", levels=None, marks=None, markers=False,
    stairs=False, height=3.4, alt,
):  # fmt: skip
    """Plot curves over x, with a legend; of more than four lines it stands below, clear of them.

    Args:
        x: one sequence for all lines; None where each line brings its own.
        lines: a dict label -> y, or label -> (x, y).
        xlabel, ylabel, title: text, with units.
        log: axes on a log scale: "", "x", "y" or "xy".
        levels: dict label -> y of dashed horizontal lines.
        marks: dict label -> x of dotted vertical lines.
        markers: draw the points too.
        stairs: piecewise-constant lines, jumping at the next x.
        height: inches; the width is that of the page.
        alt: the alternative text.

    Returns:
        A `Picture`.

    Example:
        >>> curves([0, 1], {"rise": [0, 2]}, xlabel="x", ylabel="y", alt="A line from 0 up to 2.")
        [figure: A line from 0 up to 2.]
    """
    fig, axes = canvas(width=6.4, height=height)
    ax = axes[0, 0]
    for k, (label, line) in enumerate(lines.items()):
        own, y = line if isinstance(line, tuple) else (x, line)
        ax.plot(
            _array(own), _array(y), label=label, color=COLORS[k % len(COLORS)],
            linestyle=STYLES[k % len(STYLES)], marker="osD^vX"[k % 6] if markers else None,
            markersize=5, drawstyle="steps-post" if stairs else "default",
        )  # fmt: skip
    for k, (label, y) in enumerate((levels or {}).items()):
        ax.axhline(float(y), color=["#555555", "#999999"][k % 2], linestyle="--", linewidth=1.3)
        left = _room(lines, float(y), 0) > _room(lines, float(y), -1)
        ax.annotate(
            label, (0.005 if left else 0.995, float(y)), xycoords=("axes fraction", "data"),
            ha="left" if left else "right", va="bottom",
            fontsize=11, color="#333333",
        )  # fmt: skip
    for label, where in (marks or {}).items():
        ax.axvline(float(where), color="#777777", linestyle=":", linewidth=1.5)
        ax.annotate(
            label, (float(where), 0.98), xycoords=("data", "axes fraction"), ha="left", va="top",
            xytext=(3, 0), textcoords="offset points", fontsize=11, color="#333333",
        )  # fmt: skip
    if "x" in log:
        ax.set_xscale("log")
    if "y" in log:
        ax.set_yscale("log")
    for name, axis in (("x", ax.xaxis), ("y", ax.yaxis)):
        if name in log:
            number_powers(axis)
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title)
    if len(lines) > 4:
        legend_below(fig, height)
    elif len(lines) > 1:
        ax.legend()
    return picture(fig, alt)


def legend_below(fig, height):
    """A legend under the axes, in as many columns, at most 3, as the figure's width holds."""
    for columns in (3, 2, 1):
        legend = fig.legend(loc="outside lower center", ncols=columns)
        size = legend.get_window_extent(fig.canvas.get_renderer())
        if columns == 1 or size.width <= 0.98 * fig.bbox.width:
            break
        legend.remove()
    fig.set_figheight(height + size.height / fig.dpi)


def number_powers(axis):
    """Write the powers of ten on a logarithmic axis; 2 and 5 times them where it shows but one."""
    low, high = axis.get_view_interval()
    if high < 10 * low:  # matplotlib numbers the small ticks of less than a decade
        return
    axis.set_minor_formatter(NullFormatter())
    if np.floor(np.log10(high)) == np.ceil(np.log10(low)):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))


@styled
def bars(values, *, ylabel, errors=None, title="", height=3.2, alt):
    """One bar per label, with its value written on it.

    Args:
        values: dict label -> number.
        ylabel, title: text.
        errors: dict label -> half length of an error bar.
        height: inches.
        alt: the alternative text.

    Returns:
        A `Picture`.

    Example:
        >>> bars({"a": 1.0, "b": 2.0}, ylabel="size", alt="Two bars, the second twice the first.")
        [figure: Two bars, the second twice the first.]
    """
    fig, axes = canvas(width=6.4, height=height)
    ax = axes[0, 0]
    heights = [float(v) for v in values.values()]
    spread = None if errors is None else [float(errors[k]) for k in values]
    colors = [COLORS[k % len(COLORS)] for k in range(len(heights))]
    drawn = ax.bar(list(values), heights, yerr=spread, color=colors, capsize=4, width=0.65)
    ax.bar_label(drawn, fmt="%.3g", padding=3, fontsize=11)
    ax.margins(y=0.15)
    ax.grid(axis="x", visible=False)
    ax.set(ylabel=ylabel, title=title)
    return picture(fig, alt)


@styled
def matrix(entries, *, title="", labels=None, digits=3, height=None, alt):
    """A matrix as colors, its entries written in where it is small.

    Args:
        entries: (rows, columns), dense, or a SciPy sparse array.
        title: text.
        labels: names of the rows and columns.
        digits: significant digits of the entries.
        height: inches.
        alt: the alternative text.

    Returns:
        A `Picture`.

    Example:
        >>> matrix([[2.0, -1.0], [-1.0, 2.0]], alt="A two by two matrix, 2 on its diagonal.")
        [figure: A two by two matrix, 2 on its diagonal.]
    """
    entries = entries.toarray() if hasattr(entries, "toarray") else entries
    entries = np.asarray(_array(entries), dtype=float)
    rows, columns = entries.shape
    written = max(rows, columns) <= 12
    height = height or (min(max(0.5 * rows + 0.6, 1.6), 5.4) if written else 4.6)
    fig, axes = canvas(width=6.4 if written else 5.4, height=height)
    ax = axes[0, 0]
    reach = max(np.abs(entries).max(), 1e-12)
    drawn = ax.imshow(entries, cmap=SCORES, vmin=-reach, vmax=reach, interpolation="nearest")
    ax.grid(False)
    ax.set_title(title)
    if labels is not None:
        ax.set_xticks(range(columns), labels[:columns])
        ax.set_yticks(range(rows), labels[:rows])
    if not written:
        fig.colorbar(drawn, ax=ax, shrink=0.8)
        return picture(fig, alt)
    for (i, j), value in np.ndenumerate(entries):
        dark = abs(value) > 0.6 * reach
        ax.text(
            j, i, f"{value:.{digits}g}", ha="center", va="center",
            fontsize=12 if columns <= 8 else 9, color="white" if dark else "black",
        )  # fmt: skip
    return picture(fig, alt)


def _room(lines, y, end):
    """Distance from a level to the nearest line at one end of the plot."""
    ends = (_array(line[1] if isinstance(line, tuple) else line) for line in lines.values())
    return min((abs(float(values[end]) - y) for values in ends if len(values)), default=0.0)


def _array(values):
    return values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)
