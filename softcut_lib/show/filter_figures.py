"""Pictures of Gaussian filtering: splat, blur and slice on the triangular lattice (chapter 14).

The recorded times come from book/results/filtering-cpu.json, which `python -m
benchmarks.filtering` writes.
"""

import numpy as np
import torch
from matplotlib.collections import LineCollection

from softcut_lib.affinity.permutohedral import (
    elevate,
    enclosing_simplex,
    gaussian_scale,
    vertex_keys,
)
from softcut_lib.affinity.tables import build_tables
from softcut_lib.show.benchmark_tables import milliseconds
from softcut_lib.show.style import COLORS, canvas, picture, styled
from softcut_lib.show.tables import table

__all__ = ["filtering_table", "filtering_words", "lattice_steps", "loss_share_table"]


@styled
def lattice_steps(points, values, *, alt=None):
    """Splat, blur and slice of a few values in the plane, on the lattice of triangles.

    Args:
        points: (N, 2), features in units of sigma.
        values: (N,), at least 0: what is filtered.
        alt: the alternative text; made from the numbers if None.

    Returns:
        A `Picture` of three panels: the pixels and their triangles with what each lattice point
        has received; the same after the blur; the values read back at the pixels. Areas are in
        proportion to values, and each panel has its own scale.

    Raises:
        ValueError: wrong shapes, or negative values.

    Example:
        >>> lattice_steps([[0.0, 0.0], [0.3, 0.1]], [1.0, 0.0])
        [figure: A plane ... 2 pixels ... 4 lattice points...]
    """
    points, values = (torch.as_tensor(t, dtype=torch.float64) for t in (points, values))
    if points.dim() != 2 or points.shape[1] != 2 or values.shape != points.shape[:1]:
        raise ValueError(
            f"points and values must have shapes (N, 2) and (N,), got {tuple(points.shape)} and "
            f"{tuple(values.shape)}"
        )
    if values.numel() and values.min() < 0:
        raise ValueError(f"values must be at least 0 to be areas, got {float(values.min()):g}")
    lattice = build_tables(points.T[None])
    received = lattice.splat(values[:, None])
    blurred = lattice.blur(received, [0, 1, 2], 1 / 4) + lattice.blur(received, [2, 1, 0], 1 / 4)
    answer = gaussian_scale(2) * lattice.slice(blurred / 2)[:, 0]
    places = _places(points, lattice)
    low = np.floor(places.min(0) - 0.3)
    high = np.ceil(places.max(0) + 0.3)
    fig, axes = canvas(1, 3, width=9, height=3.4, sharex=True, sharey=True)
    for ax, title in zip(axes[0], ("splat", "blur", "slice"), strict=True):
        ax.add_collection(LineCollection(_edges(low, high), colors="#d5d9de", linewidths=0.8))
        ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal", title=title)
        ax.grid(visible=False)
    xy = points.numpy()
    splat, blur, read = axes[0]
    rays = [
        (p, places[v]) for p, value, row in zip(xy, values, lattice.vertex.tolist()) if value
        for v in row
    ]  # fmt: skip
    splat.add_collection(LineCollection(rays, colors=COLORS[1], linewidths=0.9))
    _discs(splat, places, received[:-1, 0] / received.max(), COLORS[0])
    _discs(splat, xy, values / values.max(), COLORS[1])
    _discs(blur, places, blurred[:-1, 0] / blurred.max(), COLORS[0])
    _discs(read, xy, answer / answer.max(), COLORS[1])
    for ax in axes[0]:
        ax.plot(*xy.T, ".", color="black", markersize=3, zorder=4)
    splat.set_ylabel("second feature / sigma")
    blur.set_xlabel("first feature / sigma")
    alt = alt or (
        f"A plane cut into triangles, three times, and {len(xy)} pixels in it. First, rays from "
        f"each pixel with a value to the corners of its triangle, and discs on {lattice.vertices} "
        "lattice points; then the discs spread to neighbouring lattice points; last, discs at all "
        "pixels, the larger the nearer they are to those that had a value."
    )
    return picture(fig, alt)


def filtering_table(content, *, size, threads, caption=None):
    """The recorded times and errors of one image size with so many threads.

    Args:
        content: as `read_recorded("filtering-cpu")` gives it.
        size: (h, w).
        threads: number of threads.
        caption: a sentence above the table; made from the arguments if None.

    Returns:
        A `Table`: median milliseconds to build and to apply for 2 and 21 labels, and the errors.

    Raises:
        ValueError: nothing was recorded for them.
    """
    rows = [r for r in content["rows"] if (r["size"], r["threads"]) == (list(size), threads)]
    if not rows:
        there = sorted({(*r["size"], r["threads"]) for r in content["rows"]})
        raise ValueError(f"size and threads must be among {there}, got {(*size, threads)}")
    body = []
    for name in dict.fromkeys(r["method"] for r in rows):
        own = [r for r in rows if r["method"] == name]
        time = {(r["part"], r["labels"]): milliseconds(r["seconds"]["median"]) for r in own}
        off = own[0]["cut"] / own[0]["exact_cut"] - 1
        body.append([
            name, time["build", 2], time["apply", 2], time["apply", 21],
            f"{own[0]['filter_error']:.1%}", f"{own[0]['gradient_cosine']:.4f}", f"{off:+.1%}",
        ])  # fmt: skip
    header = ["method", "build, ms", "apply, K = 2", "K = 21"]
    header += ["filter error", "gradient cosine", "cut off by"]
    default = f"{size[0]} x {size[1]}, threads: {threads}"
    return table(header, body, caption=default if caption is None else caption)


def filtering_words(content, *, size, threads, ours="lattice, sym", labels=21):
    """A sentence for each peer: what lattice and one product take of its time.

    Args:
        content: as `read_recorded("filtering-cpu")` gives it.
        size, threads: as for `filtering_table`.
        ours: the method compared.
        labels: columns of the product.
    """
    rows = [r for r in content["rows"] if (r["size"], r["threads"]) == (list(size), threads)]
    fewest = min(r["labels"] for r in rows)  # the peer's build also copies the labels' energies
    wanted = {"build": fewest, "apply": labels}
    time = {
        (r["method"], r["part"]): r["seconds"]["median"]
        for r in rows
        if r["labels"] == wanted[r["part"]]
    }
    own = [m["name"] for m in content["methods"] if m["ours"]]
    build, apply = time[ours, "build"], time[ours, "apply"]
    lines = []
    for peer in dict.fromkeys(name for name, _ in time if name not in own):
        whole = (build + apply) / (time[peer, "build"] + time[peer, "apply"])
        alone = apply / time[peer, "apply"]
        lines.append(
            f"{ours}, threads {threads}, K = {labels}, as a share of the time of {peer}:\n"
            f"    build and one product {whole:.2f}, the product alone {alone:.2f}"
        )
    return "\n".join(lines)


def loss_share_table(content, *, threads, caption=None):
    """A whole normalized cut loss beside the training steps of networks, and the peer's filter.

    Args:
        content: as `read_recorded("filtering-cpu")` gives it.
        threads: number of threads.
        caption: a sentence above the table; made from the arguments if None.

    Returns:
        A `Table`: median milliseconds for each number of labels; after those of a network's step,
        which share of step and loss together the loss is.

    Raises:
        ValueError: nothing was recorded for so many threads.
    """
    rows = [row for row in content.get("loss", []) if row["threads"] == threads]
    if not rows:
        there = sorted({row["threads"] for row in content.get("loss", [])})
        raise ValueError(f"threads must be among {there}, got {threads}")
    counts = sorted({row["labels"] for row in rows})
    time = {(r["part"], r["name"], r["labels"]): r["seconds"]["median"] for r in rows}
    (ours,) = {name for part, name, _ in time if part == "loss"}
    body = []
    for part, name in dict.fromkeys((part, name) for part, name, _ in time):
        cells = []
        for count in counts:
            own, loss = time[part, name, count], time["loss", ours, count]
            cells.append(milliseconds(own))
            cells.append(f"{loss / (own + loss):.0%}" if part == "step" else "")
        words = {"step": "step of {}", "loss": "normalized cut loss: {}", "filter": "{}"}
        body.append([words[part].format(name), *cells])
    header = [""]
    for count in counts:
        header += [f"K = {count}, ms", "share of the loss"]
    size = " x ".join(map(str, rows[0]["size"]))
    return table(header, body, caption=caption or f"{size}, one image, threads: {threads}")


def _places(points, lattice):
    """Where the lattice points lie in the plane, (V, 2): elevation, undone."""
    v, rank, _ = enclosing_simplex(elevate(points.T))
    keys = vertex_keys(v, rank).permute(2, 1, 0).double()  # pixel, corner, coordinate
    places = torch.empty(lattice.vertices, 2, dtype=torch.float64)
    places[lattice.vertex.long().flatten()] = _lower(keys.flatten(0, 1))
    return places.numpy()


def _lower(keys):
    """E'y / 6: E, the matrix of `elevate`, is an isometry up to the factor 6 = 2/3 (d + 1)^2."""
    E = elevate(torch.eye(2, dtype=torch.float64))
    return keys @ E / 6


def _edges(low, high):
    """The lattice's edges in a box, as pairs of points: it consists of all sums of two steps."""
    steps = 3 * torch.eye(3, dtype=torch.float64) - 1
    reach = int(2 * max(np.abs(low).max(), np.abs(high).max())) + 2
    count = torch.arange(-reach, reach + 1, dtype=torch.float64)
    a, b = (t.flatten() for t in torch.meshgrid(count, count, indexing="ij"))
    keys = a[:, None] * steps[0] + b[:, None] * steps[1]
    starts = _lower(keys).numpy()
    near = ((starts > low - 2) & (starts < high + 2)).all(1)
    ends = [_lower(keys + step).numpy()[near] for step in steps]
    return np.concatenate([np.stack([starts[near], end], 1) for end in ends])


def _discs(ax, places, areas, color):
    sizes = 260 * np.asarray(areas, float)
    ax.scatter(*places.T, s=sizes, color=color, alpha=0.75, linewidths=0, zorder=3)
