"""The thesis' tables beside what came out here: printed rows, recorded runs, what differs.

Everything is read, from `book/papers.json` and the results files; a row that nobody has run here
comes with the command that would. The reproduction appendix.
"""

from __future__ import annotations

from collections.abc import Iterable
from statistics import fmean

from softcut_lib.train.experiments import EXPERIMENTS, choose
from softcut_lib.train.fitting import DEFAULTS
from softcut_lib.train.provenance import GPU_ALONE
from softcut_lib.train.results import METRICS, book_file, papers, read_results
from softcut_lib.train.runs import read_json

MAXFLOW = " + MaxFlow"
STEPS = 156  # batches of an epoch of the thesis' U-Nets, known from the published code


def recorded_files(folder=None) -> dict[str, dict]:
    """Every results file of a training, name -> content; benchmarks are passed over.

    Args:
        folder: where they lie; `book/results/` of this copy if None.

    Example:
        >>> all("experiment" in content for content in recorded_files().values())
        True
    """
    folder = book_file("papers.json").parent / "results" if folder is None else folder
    paths = [p for p in sorted(folder.glob("*.json")) if "experiment" in read_json(p)]
    return {path.stem: read_results(path) for path in paths}


def printed_rows(name: str, *, path=None) -> dict[str, dict[str, tuple]]:
    """model -> {metric: (value, bracket or None)} as the thesis prints them for an experiment.

    Args:
        name: of an experiment in `EXPERIMENTS`.
        path: of `papers.json`, where it lies elsewhere.

    Returns:
        Only models that its table has; nothing for an experiment of ours, or where this copy of the
        library has no `papers.json`.

    Example:
        >>> printed_rows("horses")["base"]["miou"]  # doctest: +SKIP
        (0.472, 0.0243)
    """
    experiment = choose("experiment", name, EXPERIMENTS)
    try:
        entries = [
            entry for entry in papers(path)["results"]
            if experiment.number and entry["experiment"] == experiment.number
        ]  # fmt: skip
    except ValueError:
        return {}
    found = {}
    for model, row in experiment.models.items():
        words = f"{row.printed}{MAXFLOW if experiment.decode else ''}"
        cells = {e["metric"]: (e["value"], e["bracket"]) for e in entries if e["row"] == words}
        if cells:
            found[model] = cells
    return found


def printed_times(name: str, *, path=None) -> dict[str, float]:
    """model -> training time that the thesis prints over that of its Base, where it prints both.

    Args:
        name: of an experiment in `EXPERIMENTS`.
        path: of `papers.json`, where it lies elsewhere.

    Example:
        >>> round(printed_times("frames")["softcut-published"])  # doctest: +SKIP
        12
    """
    rows = printed_rows(name, path=path)
    over = {model: over_base(cells, rows.get("base", {})) for model, cells in rows.items()}
    return {model: ratio for model, ratio in over.items() if ratio is not None}


def over_base(cells: dict, base: dict) -> float | None:
    """Printed training time of a row over that of Base; None where one of them is not printed.

    >>> over_base({"train_time_minutes": (35, None)}, {"train_time_minutes": (5, None)})
    7.0
    """
    times = [row.get("train_time_minutes") for row in (cells, base)]
    return times[0][0] / times[1][0] if all(times) else None


def command(name: str, *, data: str, model: str) -> str:
    """The command line that makes a row of a results file.

    >>> command("horses", data="weizmann", model="base")
    'softcut reproduce horses --data weizmann --models base'
    """
    return f"softcut reproduce {name} --data {data} --models {model}"


def recorded_rows(results: dict) -> list[dict]:
    """The runs of a results file by model and options, averaged over their seeds.

    Returns:
        One dict for each: model, data, options, counts; iou, loss, figures as (mean, bracket);
        seeds; on_gpu; constant, the iou of an answer without a network (None where it was not
        recorded, see `evaluate`); how many seeds stopped early, by themselves; and times_base, the
        time of a step, its share of the validations included, over that of "base" with the same
        options on the same machine (processor time where all runs there have it; None without such
        a base, or where a GPU was shared with other processes).
    """
    groups: dict = {}
    for row in results["rows"]:
        key = row["model"], tuple(sorted(row["options"].items()))
        groups.setdefault(key, []).append(row)
    pace = {key: _pace(runs, results["rows"]) for key, runs in groups.items()}
    rows = []
    for (model, options), runs in groups.items():
        own, base = pace[model, options], pace.get(("base", options), {})
        ratios = [own[machine] / base[machine] for machine in own if machine in base]
        shared = {name: runs[0][name] for name in ("data", "options", "counts")}
        metrics = {
            metric: tuple(
                fmean(run["summary"][metric + part] for run in runs) for part in ("", "_bracket")
            )
            for metric in METRICS
        }
        rows.append(
            {
                "model": model,
                **shared,
                **metrics,
                "seeds": sorted(run["seed"] for run in runs),
                "on_gpu": any(run["machine"]["device"] != "cpu" for run in runs),
                "constant": _constant(runs),
                "stopped": sum(run.get("stopped") is not None for run in runs),
                "times_base": fmean(ratios) if ratios else None,
            }
        )
    return rows


def _constant(runs):
    known = [run["test"]["constant"] for run in runs if "constant" in run["test"]]
    return fmean(map(fmean, known)) if known else None


def _pace(runs, everything):
    """machine -> seconds of a step of these runs, where nothing else used its GPU."""
    found = {}
    for machine in dict.fromkeys(map(_machine, runs)):
        clock = _clock([run for run in everything if _machine(run) == machine])
        here = [run for run in runs if _machine(run) == machine]
        if not any(map(_shared, here)):
            found[machine] = fmean(_per_step(run, clock) for run in here)
    return found


def _machine(run):
    return run["machine"]["device"], run["machine"].get("processor"), run["machine"].get("threads")


def _clock(runs):
    """Processor time where all runs recorded it on a CPU: a busy machine does not lengthen it."""
    on_cpu = all(
        run["machine"]["device"] == "cpu" and "cpu_seconds" in run["history"] for run in runs
    )
    return "cpu_seconds" if on_cpu else "seconds"


def _shared(run):
    """Whether other processes used the run's GPU, so that its seconds are not its own."""
    return max(run["history"].get("gpu_others_gib", [0])) > GPU_ALONE


def _per_step(run, clock):
    """Time of a training, validation included, over its steps (some runs stop early)."""
    total = sum(run["history"].get(clock, [run["wall_time_s"]]))
    return total / max(run["history"]["step"][-1], 1)


def beside(name: str, files: Iterable[dict], *, data: str, path=None) -> list[dict]:
    """Every row that the thesis prints for an experiment, and every recorded one, side by side.

    Args:
        name: of the experiment.
        files: contents of results files; those of other experiments are passed over.
        data: the data set whose command is given where nothing is recorded.
        path: of `papers.json`, where it lies elsewhere.

    Returns:
        dicts with model, about (its name in the thesis, else its words), printed (metric ->
        (value, bracket), in the first line of a model), ours (of `recorded_rows`, or None), command
        (or None). Runs on reduced images, decided in another way, or on synthetic data are no runs
        of a printed row: they come after it, in this order.
    """
    experiment = choose("experiment", name, EXPERIMENTS)
    printed = printed_rows(name, path=path)
    ours: dict[str, list] = {}
    for results in files:
        if results["experiment"] == name:
            for row in recorded_rows(results):
                ours.setdefault(row["model"], []).append(row)
    suffix = MAXFLOW if experiment.decode else ""
    lines = []
    for model, entry in experiment.models.items():
        about = f"{entry.printed}{suffix}" if model in printed else entry.about
        line = {"model": model, "about": about, "printed": {}, "ours": None, "command": None}
        found = [{**line, "ours": row} for row in ours.get(model, [])]
        found.sort(key=lambda x: _distance(x["ours"], experiment))
        if model in printed:
            if not found or any(_distance(found[0]["ours"], experiment)):
                found.insert(0, {**line, "command": command(name, data=data, model=model)})
            found[0]["printed"] = printed[model]
        lines += found
    return lines


def _distance(row, experiment):
    """What keeps a run from being one of the printed row, worst first."""
    options = row["options"]
    otherwise = options.get("decode") != experiment.decode or "tested" in options
    return row["data"] == "synthetic", otherwise, options["scale"] != 1


def caption(name: str, *, path=None) -> str:
    """What an experiment is, in one line.

    >>> caption("sign")  # doctest: +SKIP
    'Experiment 2, Table 4: Traffic signs (sign)'
    """
    experiment = choose("experiment", name, EXPERIMENTS)
    (training,) = [t for t in papers(path)["trainings"] if t["experiment"] == experiment.number]
    table = f"Table {training['tables'][-1]}"
    return f"Experiment {experiment.number}, {table}: {experiment.title} ({name})"


def budget(options: dict) -> str:
    """How long a run was trained, in words.

    >>> budget({"epochs": 6, "steps_per_epoch": 100, "batch": 8})
    '600 steps of 8 images'
    >>> budget({"epochs": 100, "batch": 1})
    '100 passes, batches of 1'
    """
    if "steps_per_epoch" in options:
        return (
            f"{options['epochs'] * options['steps_per_epoch']} steps of {options['batch']} images"
        )
    return f"{options['epochs']} passes, batches of {options['batch']}"


def differences(name: str, rows: Iterable[dict], *, path=None) -> list[tuple[str, str, str]]:
    """How the recorded protocol differs from the printed one: (what, in the thesis, here).

    Args:
        name: of an experiment that the thesis has.
        rows: from `recorded_rows`.
        path: of `papers.json`, where it lies elsewhere.
    """
    experiment = choose("experiment", name, EXPERIMENTS)
    (training,) = [t for t in papers(path)["trainings"] if t["experiment"] == experiment.number]
    epochs = training["epochs"]
    theirs = {
        "data": training["data"],
        "budget": f"{epochs} passes, batches of {training['batch']}"
        if experiment.number == 1
        else f"{epochs} epochs of {STEPS} batches of {training['batch']}",
        "optimizer": f"{training['optimizer']}, lr {training['lr']}",
        "trainings": "1",
    }
    found = {}
    for row in rows:
        options, counts = row["options"], row["counts"]
        ours = {
            "data": f"{experiment.data[row['data']].about} "
            f"({counts['train']}/{counts['val']}/{counts['test']})",
            "budget": budget(options),
            "optimizer": f"{options['optimizer'].capitalize()}, lr {options['lr']:g}",
            "trainings": str(len(row["seeds"])),
        }
        if options["scale"] != 1:
            theirs["size"], ours["size"] = "native", f"{options['scale']:g} of the sides"
        if "windows" in options:  # those of the thesis' code; its text has another side
            theirs["windows"] = "{} every {}".format(*experiment.windows)
            ours["windows"] = options["windows"]
            theirs["tested"], ours["tested"] = "by windows", options.get("tested", "by windows")
        for option in DEFAULTS:
            if option in options:
                theirs[option], ours[option] = "not said", str(options[option])
        for what, here in ours.items():
            if here != theirs[what]:
                found.setdefault((what, theirs[what]), []).append(here)
    return [(what, there, "; ".join(dict.fromkeys(here))) for (what, there), here in found.items()]
