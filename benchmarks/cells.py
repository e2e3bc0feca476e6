"""The main table: every method on every size, batch and kind of weights that there is time for."""

from .measure import (
    TARGET,
    find_setting,
    interleaved,
    spread,
    steps,
    verified,
    worst,
)
from .methods import OURS, PLAIN
from .peers import PEERS
from .problems import exact, make

METHODS = OURS + PLAIN + PEERS


class Memory:
    """What earlier rows took, to guess what a larger one will take."""

    def __init__(self, rows=()):
        self.rows = [row for row in rows if row["status"] == "measured"]

    def add(self, rows):
        self.rows += [row for row in rows if row["status"] == "measured"]

    def expect(self, name, kind, size, batch):
        """(seconds, bytes) of one run, from the nearest measured row of this method; None if none.

        Linear in the batch; sizes by the power 3/2, that of exact reduction and of conjugate
        gradients whose steps grow with the diameter.
        """
        known = [row for row in self.rows if row["method"] == name and row["kind"] == kind]
        if not known:
            return None
        pixels = size[0] * size[1]
        near = min(known, key=lambda r: abs(_log_ratio(pixels, r)) + 0.1 * abs(batch - r["batch"]))
        ratio = pixels / (near["size"][0] * near["size"][1])
        scale = ratio ** (1.5 if ratio > 1 else 1) * batch / near["batch"]
        return near["seconds"]["median"] * scale, (near["memory"] or 0) * scale

    def tolerance(self, name, kind):
        found = [row["setting"].get("tol") for row in self.rows
                 if row["method"] == name and row["kind"] == kind]  # fmt: skip
        return next((tol for tol in reversed(found) if tol), 1e-4)


def _log_ratio(pixels, row):
    from math import log

    return log(pixels / (row["size"][0] * row["size"][1]))


def run_cell(kind, size, batch, names, memory, *, seconds, limit, room, bar, main):
    """The rows of one cell. `limit`: longest single run in seconds; `room`: bytes there are."""
    rows, running, found = [], {}, {}
    problem = reference = None
    for method in METHODS:
        if method.name not in names or (method.kinds and kind not in method.kinds):
            continue
        row = {"kind": kind, "size": list(size), "batch": batch, "method": method.name}
        reason = _reason(method, row, memory, limit, room, main)
        if reason:
            rows.append({**row, "status": "left out", "reason": reason})
            continue
        if problem is None:
            bar(f"{kind} {size[0]}x{size[1]} batch {batch}: exact answer")
            problem = make(kind, size, batch)
            reference = exact(problem)
        bar(f"{kind} {size[0]}x{size[1]} batch {batch}: {method.name}")
        try:
            start = memory.tolerance(method.name, kind)
            measured = _first(method, problem, reference, start, found)
        except (RuntimeError, ValueError, MemoryError) as error:
            what = f"{type(error).__name__}: {error}".splitlines()[0][:200]
            rows.append({**row, "status": "failed", "reason": what})
            continue
        running[method.name] = measured.pop("run"), measured.pop("first")
        rows.append({**row, "status": "measured", **measured})
    bar(f"{kind} {size[0]}x{size[1]} batch {batch}: {len(running)} methods in turns")
    times = interleaved(
        {name: run for name, (run, _) in running.items()},
        {name: first for name, (_, first) in running.items()},
        seconds=seconds,
    )
    for row in rows:
        if row["status"] == "measured":
            row["seconds"] = spread(times[row["method"]])
    return rows


def _reason(method, row, memory, limit, room, main):
    """Why this row is not measured, or None."""
    missing = method.missing()
    if missing:
        return f"not {'installed' if method.package else 'in this version'} ({missing})"
    if method.name == "plain CG, torch.compile" and not main:
        return "compiled anew for every size, so measured in the main cells only"
    expected = memory.expect(method.name, row["kind"], row["size"], row["batch"])
    if expected is None:
        return None
    if expected[0] > limit:
        return f"one run would take about {expected[0]:.0f} s, the limit is {limit:g} s"
    if expected[1] > room:
        return f"it would need about {expected[1] / 2**30:.0f} GiB"
    return None


def _first(method, problem, reference, start, tuned):
    setting, _ = find_setting(method, problem, reference, start=start, found=tuned)
    setting, run, answer, first, bytes_, found = verified(method, problem, reference, setting)
    return {
        "run": run,
        "first": first,
        "setting": setting,
        "errors": {name: None if e is None else float(f"{e:.3g}") for name, e in found.items()},
        "reached": bool(worst(found) <= TARGET),
        "forward_only": method.forward_only,
        "iterations": {"forward": steps(answer.forward), "backward": steps(answer.backward)},
        "memory": bytes_,
    }
