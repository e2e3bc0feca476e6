"""Run the benchmarks: `python -m benchmarks --help`."""

import argparse
import os
import shlex
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from softcut_lib.train.provenance import describe_machine, describe_session
from softcut_lib.train.runs import runs_folder, write_json

from . import special, training_step
from .cells import METHODS, Memory, run_cell
from .measure import MAX_STEPS, TARGET, quietly
from .options import count, grid_size, output_file
from .problems import KINDS, make, trained_network
from .store import Store

OUTPUT = Path(__file__).parents[1] / "book" / "results" / "solvers-cpu.json"
SIZES = ["64x64", "128x128", "256x256", "512x512", "1024x2048"]
BATCHES = [1, 8, 32]
MAIN = ((256, 256), 8)  # what the bounds are about: measured first, without a limit
PARTS = ("cells", "training", "frame", "growth", "bandwidth", "contrast", "memory")
DESCRIPTION = """Times the soft cut layer, forward and backward, beside its peers on the same
systems at the same measured error, and writes one results file that the book's page reads. Stop it
at any time: the same command goes on where it was."""


def parse(argv):
    parser = argparse.ArgumentParser("python -m benchmarks", description=DESCRIPTION)
    add = parser.add_argument
    add("--quick", action="store_true", help="small sizes only, about two minutes")
    add("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="what to measure")
    add("--sizes", nargs="+", type=grid_size, metavar="HxW", help=f"default: {' '.join(SIZES)}")
    add("--batches", nargs="+", type=count, help=f"default: {' '.join(map(str, BATCHES))}")
    add("--weights", nargs="+", choices=list(KINDS), default=list(KINDS))
    names = [method.name for method in METHODS]
    add("--solvers", nargs="+", choices=names, default=names, metavar="NAME", help=", ".join(names))
    add("--minutes", type=float, help="stop beginning new cells after this long (default 20)")
    add("--seconds", type=float, default=0.6, help="time for the repeats of one row; six times "
        "that in the main cells (256x256, batch 8)")  # fmt: skip
    add("--limit", type=float, default=3.0, help="rows whose single run would take longer than "
        "this many seconds are left out, except in the main cells")  # fmt: skip
    add("--threads", type=count, default=os.cpu_count(), help="of PyTorch and numba")
    add("--output", type=output_file, default=OUTPUT)
    add("--fresh", action="store_true", help="forget what an interrupted run has measured")
    add("--list", action="store_true", help="only say which peers are installed")
    options = parser.parse_args(argv)
    options.sizes = options.sizes or [grid_size(s) for s in (SIZES[:2] if options.quick else SIZES)]
    options.batches = options.batches or (BATCHES[1:2] if options.quick else BATCHES)
    options.minutes = options.minutes or (2 if options.quick else 20)
    if options.quick:
        options.seconds, options.limit = min(options.seconds, 0.1), min(options.limit, 0.4)
    return options


def peers():
    """Every package that a row needs: its version, or why it is missing and how to get it."""
    found = {}
    for method in [*METHODS, _monai()]:
        if method.package is None:
            continue
        entry = {"rows": [], "version": None, "missing": method.missing()}
        entry = found.setdefault(method.package, entry)
        entry["rows"].append(method.name)
        entry["install"] = f"pip install {shlex.quote(method.package)}"
        if method.install:
            entry["install"] += f"; it {method.install}"
        try:
            entry["version"] = version(method.package.split("<")[0])
        except PackageNotFoundError:
            entry["missing"] = entry["missing"] or "not installed"
    return found


def _monai():
    from .methods import Method

    return Method("training step", None, needs=training_step.NEEDS, package=training_step.PACKAGE)


def report(found):
    for package, entry in found.items():
        if entry["missing"]:
            print(f"missing: {', '.join(entry['rows'])}: {entry['install']} ({entry['missing']})")
        else:
            print(f"found:   {', '.join(entry['rows'])}: {package.split('<')[0]} "
                  f"{entry['version']}")  # fmt: skip


def units(options):
    """What there is to measure, the most important first: (name, function of the bar)."""
    main = [MAIN] if MAIN[0] in options.sizes and MAIN[1] in options.batches else []
    grid = [(s, b) for s in options.sizes for b in options.batches if (s, b) not in main]
    grid.sort(key=lambda cell: cell[0][0] * cell[0][1] * cell[1])
    quick, seconds = options.quick, options.seconds
    frame, step = ((256, 512), (64, 64)) if quick else ((1024, 2048), MAIN[0])
    squares = [(n, n) for n in ((64, 128, 256, 512) if quick else (64, 128, 256, 512, 1024, 2048))]
    parts = {
        "bandwidth": lambda bar: special.bandwidth([frame, step], bar, seconds=2 * seconds),
        "memory": lambda bar: special.cg_memory(frame, bar),
        "frame": lambda bar: special.frame(
            frame, ("untrained", "trained"), bar, seconds=5 * seconds
        ),
        "contrast": lambda bar: special.contrast(step, MAIN[1], bar, seconds=5 * seconds),
        "training": lambda bar: training_step.training_step(
            step, 2 if quick else MAIN[1], bar, seconds=20 * seconds
        ),
        "growth": lambda bar: special.growth(
            squares, bar, seconds=seconds, limit=5 * options.limit
        ),
    }
    if "cells" in options.parts:
        yield from (("cells", (kind, *cell), True) for cell in main for kind in options.weights)
    for name, measure in parts.items():
        if name in options.parts and not (name == "training" and training_step.missing()):
            yield name, measure, False
    if "cells" in options.parts:
        yield from (("cells", (kind, *cell), False) for cell in grid for kind in options.weights)


def warm_up(options):
    """Every method once on a tiny system, so that no compilation is timed."""
    for method in METHODS:
        if method.name in options.solvers and not method.missing():
            if method.name == "plain CG, torch.compile":
                continue  # compiled for each size before its clock starts
            for batch in (1, 3):
                problem = make("photograph", (20, 24), batch)
                for choice in method.choices:
                    quietly(method.prepare(problem, {"tol": 1e-3, "max_iter": MAX_STEPS, **choice}))


def main(argv=None):
    options = parse(sys.argv[1:] if argv is None else argv)
    torch.set_num_threads(options.threads)
    found = peers()
    report(found)
    if options.list:
        return 0
    import numba
    from tqdm import tqdm

    numba.set_num_threads(min(options.threads, numba.config.NUMBA_NUM_THREADS))
    command = shlex.join(["python", "-m", "benchmarks", *(argv or sys.argv[1:])])
    session = describe_session(command)
    store = Store(runs_folder() / "benchmarks", session, vars(options), fresh=options.fresh)
    if store.units:
        print(f"going on after {len(store.units)} parts that an earlier start has measured")
    warm_up(options)
    start, memory = time.monotonic(), Memory(store.rows("cells"))
    todo, failures = list(units(options)), []
    with tqdm(total=len(todo), bar_format="{l_bar}{bar}| {n}/{total} [{elapsed}] {postfix}") as bar:
        for part, what, is_main in todo:
            key = f"{part} {what}" if part == "cells" else part
            late = time.monotonic() - start > 60 * options.minutes
            if late and part != "cells" and key not in store.units:
                failures.append({"part": key, "reason": _over(options)})
            elif key not in store.units:
                try:
                    rows = _measure(part, what, is_main, late, memory, options, bar)
                    store.add(key, part, rows)
                except (RuntimeError, ValueError, MemoryError) as error:
                    # one part that fails must not cost the others; the file and the page name it
                    reason = f"{type(error).__name__}: {error}".splitlines()[0][:200]
                    failures.append({"part": key, "reason": reason})
                    print(f"{key} failed: {reason}", file=sys.stderr)
            bar.update()
        bar.set_postfix_str("done")
    content = contents(options, store, found, time.monotonic() - start)
    content["failures"] = failures
    write_json(options.output, content)
    store.close()
    print(f"wrote {options.output}")
    return 0


def _measure(part, what, is_main, late, memory, options, bar):
    """The rows of one part."""
    if part != "cells":
        return list(what(bar.set_postfix_str))
    if late:
        return _late(what, options)
    rows = run_cell(
        *what, options.solvers, memory, room=0.7 * _total_memory(), bar=bar.set_postfix_str,
        seconds=options.seconds * (6 if is_main else 1),
        limit=float("inf") if is_main else options.limit, main=is_main,
    )  # fmt: skip
    memory.add(rows)
    return rows


def _late(what, options):
    kind, size, batch = what
    reason = _over(options)
    rows = [m.name for m in METHODS if m.name in options.solvers and not m.missing()]
    row = {"kind": kind, "size": list(size), "batch": batch, "status": "left out", "reason": reason}
    return [{**row, "method": name} for name in rows]


def _over(options):
    return f"the {options.minutes:g} minutes of this run were over"


def _total_memory():
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def contents(options, store, found, wall):
    """The results file."""
    machine = describe_machine()
    machine["cores"], machine["memory"] = os.cpu_count(), _total_memory()
    _, origin = trained_network()
    methods = [m for m in METHODS if m.name in options.solvers]
    sections = {part: store.rows(part) for part in PARTS}
    return {
        "schema": 1,
        "about": "forward and backward of the soft cut layer beside its peers",
        "quick": options.quick,
        "target": TARGET,
        "main": {"size": list(MAIN[0]), "batch": MAIN[1]},
        "kinds": KINDS,
        "trained": {name: origin[name] for name in ("experiment", "model", "data", "seed")},
        "methods": [
            {"name": m.name, "ours": m.ours, "note": m.note, "package": m.package,
             "forward_only": m.forward_only, "batched": m.batched}
            for m in methods
        ],
        "peers": found,
        "machine": machine,
        "sessions": store.sessions,
        "wall_time_s": round(wall, 1),
        **sections,
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
