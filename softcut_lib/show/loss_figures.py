"""Plots of the chapter on losses: panels of curves side by side, and an estimate's draws.

Each is one call that returns a `Picture` (chapter 9).
"""

import numpy as np

from softcut_lib.show.style import COLORS, STYLES, canvas, picture, styled

__all__ = ["curve_panels", "draws"]


@styled
def curve_panels(x, panels, *, xlabel, ylabel, log="", limits=None, marks=None, height=3.4, alt):
    """Plot curves in panels side by side that share their axes and one legend.

    Args:
        x: one sequence for all curves.
        panels: a dict title -> dict label -> y; equal labels get equal colors.
        xlabel, ylabel: text, with units.
        log: axes on a log scale: "", "x", "y" or "xy".
        limits: (low, high) of the vertical axis; curves are cut there.
        marks: dict label -> x of dotted vertical lines, labelled in the first panel.
        height: inches.
        alt: the alternative text.

    Returns:
        A `Picture`.

    Example:
        >>> panels = {"up": {"line": [0, 1]}, "down": {"line": [1, 0]}}
        >>> alt = "A line that rises on the left and falls on the right."
        >>> curve_panels([0, 1], panels, xlabel="x", ylabel="y", alt=alt)
        [figure: A line that rises on the left and falls on the right.]
    """
    fig, axes = canvas(1, len(panels), width=6.6, height=height, sharex=True, sharey=True)
    labels = list(dict.fromkeys(label for lines in panels.values() for label in lines))
    shown = {}
    for ax, (title, lines) in zip(axes[0], panels.items(), strict=True):
        for label, y in lines.items():
            k = labels.index(label)
            (shown[label],) = ax.plot(
                np.asarray(x), np.asarray(y), color=COLORS[k % len(COLORS)],
                linestyle=STYLES[k % len(STYLES)],
            )  # fmt: skip
        for where in (marks or {}).values():
            ax.axvline(float(where), color="#777777", linestyle=":", linewidth=1.5)
        ax.set(title=title, xlabel=xlabel)
        ax.set_xscale("log" if "x" in log else "linear")
        ax.set_yscale("log" if "y" in log else "linear")
    axes[0, 0].set_ylabel(ylabel)
    if limits is not None:
        axes[0, 0].set_ylim(*limits)
    for label, where in (marks or {}).items():
        place = (float(where), 0.98)
        axes[0, 0].annotate(
            label, place, xycoords=("data", "axes fraction"), va="top", xytext=(3, 0),
            textcoords="offset points",
        )  # fmt: skip
    fig.legend(shown.values(), shown, loc="outside lower center", ncols=min(len(shown), 4))
    return picture(fig, alt)


@styled
def draws(values, truth, *, label, height=3.2, alt):
    """Random estimates of one number: their histogram, and their mean as draws come in.

    Args:
        values: one estimate per draw, in the order of drawing.
        truth: the number they estimate.
        label: what is estimated, with units.
        height: inches.
        alt: the alternative text.

    Returns:
        A `Picture`.

    Example:
        >>> draws([0.9, 1.2, 0.8, 1.1], 1.0, label="loss", alt="Four draws scattered around 1.")
        [figure: Four draws scattered around 1.]
    """
    values, truth = np.asarray(values, dtype=float), float(truth)
    count = np.arange(1, len(values) + 1)
    mean = values.cumsum() / count
    error = 2 * values.std() / np.sqrt(count)
    fig, axes = canvas(1, 2, width=6.6, height=height)
    left, right = axes[0]
    left.hist(values, bins=40, color=COLORS[5])
    left.axvline(truth, color=COLORS[1], label="all pixels")
    left.set(xlabel=label, ylabel="draws")
    right.plot(count, mean, color=COLORS[0], label="mean so far")
    right.fill_between(
        count, mean - error, mean + error, color=COLORS[5], alpha=0.3, label="±2 standard errors"
    )
    right.axhline(truth, color=COLORS[1], label="all pixels")
    # The first few means swing far; the axis fits those from 2 % of the draws on.
    reach = 3 * error[len(values) // 50]
    right.set_ylim(truth - reach, truth + reach)
    right.set(xlabel="number of draws", ylabel=label, xscale="log")
    right.legend()
    return picture(fig, alt)
