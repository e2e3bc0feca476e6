"""Plots of the benchmarks: times of all methods, growth with the size (appendix Benchmarks)."""

import math

import numpy as np

from softcut_lib.show.benchmark_bounds import growth_exponents
from softcut_lib.show.benchmark_tables import milliseconds, select
from softcut_lib.show.style import COLORS, STYLES, canvas, picture, styled

__all__ = ["benchmark_growth", "benchmark_sizes", "benchmark_times"]

MARKERS = ("o", "s", "D", "^", "v", "P", "X")


@styled
def benchmark_times(results, *, size, batch, alt=None):
    """The time of every method on every kind of weights, one line per method.

    Args:
        results: as `read_benchmarks` gives them.
        size: (h, w).
        batch: number of images.
        alt: the alternative text; made from the results if None.

    Returns:
        A `Picture`: filled marks reached the wanted error, hollow ones missed it.

    Raises:
        ValueError: nothing was measured there.
    """
    rows = select(results, size=size, batch=batch)
    if not rows:
        raise ValueError(f"size, batch: the results hold no row of {size}, batch {batch}")
    best = {}
    for row in rows:
        best.setdefault(row["method"], []).append(row["seconds"]["median"])
    names = sorted(best, key=lambda name: np.mean(np.log(best[name])), reverse=True)
    kinds = list(results["kinds"])
    fig, axes = canvas(width=6.4, height=1.4 + 0.34 * len(names))
    ax = axes[0, 0]
    for k, kind in enumerate(kinds):
        for row in rows:
            if row["kind"] != kind:
                continue
            time, y = row["seconds"], names.index(row["method"]) + 0.15 * (k - 1.5)
            ax.plot([1e3 * time["q1"], 1e3 * time["q3"]], [y, y], color=COLORS[k], lw=1.5)
            fill = COLORS[k] if row["reached"] else "white"
            ax.plot(1e3 * time["median"], y, MARKERS[k], color=COLORS[k], mfc=fill, ms=6)
        ax.plot([], [], MARKERS[k], color=COLORS[k], label=kind)
    ax.set(xscale="log", xlabel="milliseconds, forward and backward", yticks=range(len(names)))
    ax.set_yticklabels(names)
    fig.legend(loc="outside upper center", ncols=4, frameon=False)
    if alt is None:
        first = {k: _fastest([r for r in rows if r["kind"] == k]) for k in kinds}
        told = "; ".join(
            f"{k}: {r['method']} {milliseconds(r['seconds']['median'])} ms"
            for k, r in first.items() if r
        )  # fmt: skip
        alt = (
            f"Times of {len(names)} methods on {size[0]} x {size[1]}, batch {batch}, on a "
            f"logarithmic axis. The fastest that reach the error are, {told}."
        )
    return picture(fig, alt)


def _fastest(rows):
    exact = [row for row in rows if row["reached"] and not row["forward_only"]]
    return min(exact, key=lambda row: row["seconds"]["median"], default=None)


@styled
def benchmark_sizes(results, kinds, *, batch=None, methods=None, alt=None):
    """Time for one image against the number of pixels, one panel for each kind of weights.

    Args:
        results: as `read_benchmarks` gives them.
        kinds: of weights, one or two.
        batch: number of images in a call; the one with most sizes, then the smallest, if None.
        methods: names; all that were measured with this batch if None.
        alt: the alternative text; made from the results if None.

    Returns:
        A `Picture`.

    Raises:
        ValueError: nothing was measured.
    """
    sizes = {}
    for row in select(results):
        sizes.setdefault(row["batch"], set()).add(tuple(row["size"]))
    if not sizes or batch not in (None, *sizes):
        raise ValueError(f"batch: the results hold no row of batch {batch}; of {sorted(sizes)}")
    batch = max(sizes, key=lambda b: (len(sizes[b]), -b)) if batch is None else batch
    fig, axes = canvas(1, len(kinds), width=3.6 * len(kinds) + 1, height=4.2, sharey=True)
    names = methods or [m["name"] for m in results["methods"] if not m["forward_only"]]
    shown = []
    for ax, kind in zip(axes[0], kinds):
        for k, name in enumerate(names):
            rows = select(results, kind=kind, batch=batch, method=name)
            points = sorted((math.prod(r["size"]), r["seconds"]["median"] / batch) for r in rows)
            if points:
                shown.append(name)
                label = name if shown.count(name) == 1 else None
                ax.plot(
                    *np.array(points).T, marker=MARKERS[k % len(MARKERS)], ms=5, lw=1.5,
                    color=COLORS[k % len(COLORS)], linestyle=STYLES[k // len(COLORS)], label=label,
                )  # fmt: skip
        ax.set(xscale="log", yscale="log", xlabel="pixels", title=kind)
    axes[0, 0].set_ylabel("seconds for one image")
    fig.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=10)
    default = (
        f"Time for one image, forward and backward, against its pixels, both axes logarithmic, for "
        f"{', '.join(dict.fromkeys(shown))} on {' and '.join(kinds)} weights, batch {batch}."
    )
    return picture(fig, default if alt is None else alt)


@styled
def benchmark_growth(results, *, alt=None):
    """Forward time of the library's solvers against pixels at fixed contrast, with exponents.

    Args:
        results: as `read_benchmarks` gives them.
        alt: the alternative text; made from the results if None.

    Returns:
        A `Picture`.
    """
    fig, axes = canvas(width=6.4, height=3.8)
    ax, exponents, told = axes[0, 0], growth_exponents(results), []
    for k, name in enumerate(dict.fromkeys(row["method"] for row in results["growth"])):
        rows = [r for r in results["growth"] if r["method"] == name and r["status"] == "measured"]
        pixels = [math.prod(row["size"]) for row in rows]
        label = name + (f", exponent {exponents[name]:.2f}" if name in exponents else "")
        told.append(label)
        times = [row["seconds"]["median"] for row in rows]
        ax.plot(pixels, times, marker=MARKERS[k], color=COLORS[k], linestyle=STYLES[k], label=label)
    ax.set(xscale="log", yscale="log", xlabel="pixels", ylabel="seconds, forward")
    ax.legend()
    default = f"Forward time against pixels, both axes logarithmic: {'; '.join(told)}."
    return picture(fig, default if alt is None else alt)
