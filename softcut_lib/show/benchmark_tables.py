"""Tables of the benchmarks: every method's time, error, steps and memory (appendix Benchmarks).

The numbers come from book/results/solvers-cpu.json, which `make bench` writes.
"""

from statistics import median

from softcut_lib.show.tables import table
from softcut_lib.train.results import book_file
from softcut_lib.train.runs import read_json

__all__ = [
    "benchmark_machine",
    "benchmark_peers",
    "benchmark_table",
    "elimination_table",
    "left_out_table",
    "read_benchmarks",
    "read_gpu_benchmarks",
    "read_recorded",
    "share_table",
]

WHOLE = "CG, every pixel"  # the method without elimination
SECTIONS = ("cells", "training", "frame", "growth", "bandwidth", "contrast", "memory")


def read_benchmarks(name="solvers-cpu", *, path=None):
    """The content of a benchmark's results file.

    Args:
        name: of the file in book/results/, without its ending.
        path: the file itself, where it lies elsewhere.

    Raises:
        ValueError: no such file, or not of this form.

    Example:
        >>> read_benchmarks()["target"]
        0.0001
    """
    file = book_file(f"results/{name}.json", path)
    content = read_json(file)
    lacking = {"schema", "machine", "sessions", "methods", "peers", *SECTIONS} - set(content)
    if lacking or content["schema"] != 1:
        raise ValueError(
            f"{file.name}: expected a benchmark's results of schema 1; missing {sorted(lacking)}; "
            "`make bench` writes one"
        )
    return content


def read_recorded(name, *, path=None):
    """What a benchmark has recorded, or None where this copy of the book has no such file.

    Args:
        name: of the file in book/results/, without its ending.
        path: the file itself, where it lies elsewhere.

    Raises:
        ValueError: a damaged file, or nothing at ``path``.

    Example:
        >>> read_recorded("solvers-cpu")["schema"]
        1
        >>> read_recorded("dreams") is None
        True
    """
    try:
        file = book_file(f"results/{name}.json", path)
    except ValueError:
        return None
    return read_json(file)


def read_gpu_benchmarks(*, path=None):
    """The GPU benchmark's file with its rows in the CPU file's form; None where there is none.

    `python -m benchmarks.gpu` writes it, on a machine with a GPU.
    """
    content = read_recorded("solvers-gpu", path=path)
    if content is None:
        return None
    for row in content.get("cells", []):
        steps = {name: row.get(name) for name in ("forward", "backward")}
        row |= {"iterations": steps, "memory": row.get("peak"), "forward_only": False}
    kinds = {row["kind"]: row["kind"] for row in content.get("cells", [])}
    return {"cells": [], "training": [], "kinds": kinds, **content}


def select(results, *, size=None, batch=None, kind=None, method=None, status="measured"):
    """The rows of the main table with these properties."""
    wanted = {"size": list(size) if size else None, "batch": batch, "kind": kind, "method": method}
    return [
        row
        for row in results["cells"]
        if row["status"] == status
        and all(value is None or row[name] == value for name, value in wanted.items())
    ]


def benchmark_table(results, kind, *, size, batch, caption=None):
    """One kind of weights on one size: the methods from the fastest to the slowest.

    Args:
        results: as `read_benchmarks` gives them.
        kind: of weights, e.g. "trained".
        size: (h, w).
        batch: number of images.
        caption: a sentence above the table; made from the arguments if None.

    Returns:
        A `Table`: median time with quartiles and number of repeats, the three relative errors,
        steps of both passes (the largest of the batch), peak memory, precision and tolerance. A
        star marks a method that missed the error wanted.
    """
    rows = sorted(
        select(results, kind=kind, size=size, batch=batch), key=lambda r: r["seconds"]["median"]
    )
    body = []
    for row in rows:
        time = row["seconds"]
        name = row["method"] + ("" if row["reached"] else " *")
        name += " (forward only)" if row["forward_only"] else ""
        body.append([
            name, milliseconds(time["median"]),
            f"{milliseconds(time['q1'])}–{milliseconds(time['q3'])}", time["n"],
            *(_power(row["errors"][part]) for part in ("x", "scores", "weights")),
            *(_most(row["iterations"][part]) for part in ("forward", "backward")),
            None if row["memory"] is None else f"{row['memory'] / 2**20:.0f}",
            _setting(row["setting"]),
        ])  # fmt: skip
    words = results["kinds"][kind]
    default = f"{kind}: {words}; " if words != kind else f"{kind}, "
    default += f"{size[0]} x {size[1]}, batch {batch}"
    header = ["method", "ms", "quartiles", "n", "error x", "of ∂scores", "of ∂weights"]
    header += ["steps", "backward", "MiB", "setting"]
    return table(header, body, caption=default if caption is None else caption)


def elimination_table(results, *, caption=None):
    """Time of `CG` as a share of what it takes without eliminating every second pixel.

    Args:
        results: as `read_benchmarks` gives them.
        caption: a sentence above the table; made from the arguments if None.

    Returns:
        A `Table`: for each kind of weights the least, median and largest share of all cells that
        have both, and in how many of them the elimination pays.
    """
    body = []
    for kind in results["kinds"]:
        times = {
            (row["method"], *row["size"], row["batch"]): row["seconds"]["median"]
            for row in select(results, kind=kind)
        }
        shares = sorted(
            time / times[WHOLE, *cell]
            for (method, *cell), time in times.items()
            if method == "CG" and (WHOLE, *cell) in times
        )
        if shares:
            pays = f"{sum(share < 1 for share in shares)} of {len(shares)}"
            body.append([kind, shares[0], median(shares), shares[-1], pays])
    default = f"CG on every second pixel, as a share of the time of {WHOLE}"
    header = ["weights", "least", "median", "largest", "pays in cells"]
    return table(header, body, digits=2, caption=default if caption is None else caption)


def milliseconds(seconds):
    """Three significant digits, in milliseconds."""
    value = 1e3 * seconds
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _power(value):
    return None if value is None else f"{value:.0e}"


def _most(steps):
    return None if steps is None else steps["max"]


def _setting(setting):
    parts = [setting.get("dtype", "")]
    if "tol" in setting:
        parts.append(f"tol {setting['tol']:.0e}")
    if "refine" in setting:
        parts.append(f"refine {setting['refine']}")
    return ", ".join(parts)


def left_out_table(results):
    """The rows that were not measured and why, those with one reason together."""
    groups = {}
    for row in results["cells"]:
        if row["status"] != "measured":
            groups.setdefault((row["method"], _short(row["reason"])), []).append(row)
    body = []
    for (method, reason), rows in sorted(groups.items()):
        kinds = sorted({row["kind"] for row in rows})
        cells = sorted({(*row["size"], row["batch"]) for row in rows})
        where = ", ".join(f"{h}x{w} batch {b}" for h, w, b in cells)
        body.append([method, reason, where, "all" if len(kinds) == 4 else ", ".join(kinds)])
    body += [["-", f["reason"], f["part"], "-"] for f in results.get("failures", [])]
    return table(["method", "why", "sizes", "weights"], body, caption="Rows that were not measured")


def _short(reason):
    """Rows that differ only in the seconds expected belong together."""
    return reason.split("about")[0] + "more than" + reason.split("limit is")[1] + " (expected)" if (
        "limit is" in reason
    ) else reason  # fmt: skip


def benchmark_peers(results):
    """What each row is, its package and version, or how to install what was missing."""
    body = []
    for method in results["methods"]:
        entry = results["peers"].get(method["package"]) or {}
        if method["package"] is None:
            source = "this library" if method["ours"] else "this benchmark"
        elif entry.get("missing"):
            source = f"missing: {entry['install']}"
        else:
            source = f"{method['package'].split('<')[0]} {entry['version']}"
        body.append([method["name"], source, method["note"]])
    return table(["row", "from", "what it is"], body, caption="The methods")


def benchmark_machine(results):
    """Where and when the file was made."""
    machine, last = results["machine"], results["sessions"][-1]
    versions = machine["versions"]
    rows = [
        ["command", last["command"]],
        ["commit", last["commit"]],
        ["date", last["date"]],
        ["processor", machine["processor"]],
        ["threads", f"{machine['threads']} of {machine['cores']} cores"],
        ["memory", f"{machine['memory'] / 2**30:.0f} GiB"],
        ["versions", ", ".join(f"{name} {number}" for name, number in versions.items())],
        ["wall time", f"{results['wall_time_s'] / 60:.0f} min"],
        ["extent", "quick: small sizes only" if results["quick"] else "full"],
    ]
    return table(["", ""], rows, caption="How these numbers were made")


def share_table(results):
    """A training step of the U-Net with two decoders, without and with the layer.

    Args:
        results: as `read_benchmarks` or `read_gpu_benchmarks` give them.
    """
    body = []
    for row in results["training"]:
        layer, share = row.get("layer_seconds"), row.get("share")
        if isinstance(share, float):  # the GPU's file keeps the medians' ratio
            share = dict.fromkeys(("median", "q1", "q3"), share)
        steps = (row.get("iterations") or {}).get("forward")
        body.append([
            row["method"], milliseconds(row["step_seconds"]["median"]),
            None if layer is None else milliseconds(layer["median"]),
            None if share is None else f"{100 * share['median']:.1f} %",
            None if share is None else f"{100 * share['q1']:.1f}–{100 * share['q3']:.1f}",
            _most(steps),
        ])  # fmt: skip
    where = results["training"][:1]
    caption = "".join(
        f"One training step, {row['size'][0]} x {row['size'][1]}, batch {row['batch']}"
        for row in where
    )
    header = ["solver", "step, ms", "layer, ms", "share", "quartiles, %", "steps"]
    return table(header, body, caption=caption)
