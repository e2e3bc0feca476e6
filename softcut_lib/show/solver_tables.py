"""A short table of the benchmarks, and what it says in words (chapter 5)."""

from textwrap import fill

from softcut_lib.show.benchmark_tables import milliseconds, select
from softcut_lib.show.tables import table

__all__ = ["solver_summary", "solver_words"]

OURS = ("CG", "Multigrid", "Direct")
PLAIN = "plain CG"


def _cell(results):
    """(size, batch) of the main cell, or of the largest one that was measured; None if none was."""
    cells = {(tuple(row["size"]), row["batch"]) for row in select(results)}
    main = results.get("main")
    wanted = (tuple(main["size"]), main["batch"]) if main else None
    return wanted if wanted in cells else max(cells, key=_values, default=None)


def _values(cell):
    (h, w), batch = cell
    return h * w * batch, h, w


def _rows(results, kind, cell):
    """method -> row of one cell and kind; methods without a backward pass are left out."""
    rows = select(results, size=cell[0], batch=cell[1], kind=kind)
    return {row["method"]: row for row in rows if not row["forward_only"]}


def _median(row):
    return row["seconds"]["median"]


def _peer(results, rows):
    """The fastest package of somebody else's that reached the error."""
    methods = results.get("methods", [])
    names = {m["name"] for m in methods if m["package"] or m["name"] == "SuperLU"}
    found = [row for name, row in rows.items() if name in names and row["reached"]]
    return min(found, key=_median, default=None)


def _ratio(rows, slow, fast):
    """How many times longer one takes than the other, if both were measured and exact."""
    if not all(name in rows and rows[name]["reached"] for name in (slow, fast)):
        return None
    return _median(rows[slow]) / _median(rows[fast])


def solver_summary(results):
    """One line for each kind of weights: steps of CG, times, and the fastest peer.

    Args:
        results: as `read_benchmarks` or `read_gpu_benchmarks` give them.

    Returns:
        A `Table` of the file's main cell (else the largest one measured). A star marks a time whose
        method missed the error wanted; a dash, a row that the file lacks.
    """
    cell = _cell(results)
    body = []
    for kind in results["kinds"] if cell else []:
        rows = _rows(results, kind, cell)
        steps = (rows.get("CG", {}).get("iterations") or {}).get("forward")
        ratio, peer = _ratio(rows, PLAIN, "CG"), _peer(results, rows)
        body.append([
            kind, None if steps is None else steps["max"], _time(rows.get(PLAIN)),
            *(_time(rows.get(name)) for name in OURS), None if ratio is None else f"{ratio:.1f}",
            None if peer is None else f"{peer['method']}, {milliseconds(_median(peer))}",
        ])  # fmt: skip
    where = "nothing measured"
    if cell:
        (h, w), batch = cell
        where = f"forward and backward in milliseconds, {h} x {w}, batch {batch}"
    header = ["weights", "steps of CG", PLAIN, *OURS, f"{PLAIN} / CG", "fastest peer"]
    return table(header, body, caption=f"{where}; {_source(results)}")


def _time(row):
    return None if row is None else milliseconds(_median(row)) + ("" if row["reached"] else " *")


def _source(results):
    machine = results.get("machine", {})
    threads = machine.get("threads")
    words = [machine.get("processor", "unknown processor")]
    words += [f"{threads} thread{'s' if threads > 1 else ''}"] if threads else []
    words += [session["date"][:10] for session in results.get("sessions", [])[-1:]]
    words += ["a quick run of small sizes"] if results.get("quick") else []
    return ", ".join(words)


def solver_words(results):
    """Sentences on what `solver_summary` shows; every number and every verdict is the file's.

    Args:
        results: as `read_benchmarks` or `read_gpu_benchmarks` give them.

    Returns:
        A string, one sentence a line (long ones wrapped); what was not measured is said.
    """
    cell = _cell(results)
    if cell is None:
        return "The file holds no measured row."
    by_kind = {kind: _rows(results, kind, cell) for kind in results["kinds"]}
    lines = [_steps(by_kind), _fused(by_kind), *_rivals(by_kind), *_peers(results, by_kind)]
    lacking = [
        f"{name} on {kind}"
        for kind, rows in by_kind.items()
        for name in (*OURS, PLAIN)
        if name not in rows
    ]
    if lacking:
        lines.append(f"Rows that the file lacks: {', '.join(lacking)}.")
    return "\n".join(fill(line, 96, subsequent_indent="    ") for line in lines if line)


def _steps(by_kind):
    counts = {
        kind: rows["CG"]["iterations"]["forward"]["max"]
        for kind, rows in by_kind.items()
        if rows.get("CG", {}).get("iterations")
    }
    if len(counts) < 2:
        return ""
    few, many = min(counts, key=counts.get), max(counts, key=counts.get)
    return (
        f"CG takes from {counts[few]} steps ({few} weights) to {counts[many]} ({many}) "
        "for the same error."
    )


def _fused(by_kind):
    ratios = {kind: _ratio(rows, PLAIN, "CG") for kind, rows in by_kind.items()}
    ratios = [ratio for ratio in ratios.values() if ratio is not None]
    if not ratios:
        return ""
    return (
        f"It is {min(ratios):.1f} to {max(ratios):.1f} times as fast as {PLAIN}, the thesis' "
        "algorithm in tensor operations."
    )


def _rivals(by_kind):
    for name in OURS[1:]:
        ratios = {kind: _ratio(rows, "CG", name) for kind, rows in by_kind.items()}
        ratios = {kind: ratio for kind, ratio in ratios.items() if ratio is not None}
        wins = [f"{kind} ({ratio:.1f} times)" for kind, ratio in ratios.items() if ratio > 1]
        if ratios:
            yield f"{name} is faster than CG on {' and '.join(wins) if wins else 'none'}" + (
                " of the weights." if not wins else " weights."
            )


def _peers(results, by_kind):
    lost = []
    for kind, rows in by_kind.items():
        peer = _peer(results, rows)
        ours = [rows[n] for n in OURS if n in rows and rows[n]["reached"]]
        if peer and ours and _median(peer) < min(map(_median, ours)):
            lost.append(f"{peer['method']} on {kind} weights")
    if any(_peer(results, rows) for rows in by_kind.values()):
        yield f"Peers faster than all of the library's: {', '.join(lost) if lost else 'none'}."
