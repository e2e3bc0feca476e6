"""Result files: what `softcut reproduce` writes and what the pages read (chapter 10, reproduction).

One file for each experiment and data set, `book/results/<experiment>-<data>.json`: where numbers
come from, and a row per model and seed with every test image's metrics, for paired differences.
"""

from __future__ import annotations

import math
import os
import time
from pathlib import Path

from softcut_lib.train.packing import as_text, unpack
from softcut_lib.train.runs import read_json, write_atomically

METRICS = ("iou", "loss", "figures")
SCHEMA = 2

# name -> type, or a dict of the same form; a list holds values of its one entry
_ROW = {
    "experiment": str,
    "model": str,
    "data": str,
    "seed": int,
    "options": {"optimizer": str, "lr": float, "epochs": int, "batch": int, "scale": float,
                "objective": str},
    "counts": {"train": int, "val": int, "test": int},
    "parameters": int,
    "best_epoch": int,
    "summary": {f"{name}{part}": float for name in METRICS for part in ("", "_bracket")},
    "test": {"name": [str], "iou": [float], "loss": [float], "figures": [int]},
    "history": {"epoch": [int], "step": [int], "train_loss": [float], "val_loss": [float]},
    "wall_time_s": float,
    "machine": {"device": str, "processor": str, "threads": int, "system": str, "versions": {}},
    "sessions": [{"command": str, "commit": str, "date": str}],
}  # fmt: skip
_FILE = {
    "schema": int, "experiment": str, "title": str, "source": str, "data": str, "about": str,
    "written": {"command": str, "commit": str, "date": str}, "rows": [_ROW],
}  # fmt: skip


def validate_results(value) -> None:
    """Check a result file's content.

    Raises:
        ValueError: naming the place, e.g. "rows[2].test.iou[7]", what was expected and what is
            there.

    Example:
        >>> validate_results({"schema": 2})
        Traceback (most recent call last):
        ValueError: results: 'experiment' is missing...
    """
    _check(value, _FILE, "results")
    if value["schema"] != SCHEMA:
        raise ValueError(f"results.schema: expected {SCHEMA}, got {value['schema']}")
    for number, row in enumerate(value["rows"]):
        place = f"rows[{number}]"
        for part in ("experiment", "data"):
            if row[part] != value[part]:
                raise ValueError(
                    f"{place}.{part}: expected {value[part]!r} as in the file, got {row[part]!r}"
                )
        for part, count in (("test", row["counts"]["test"]), ("history", None)):
            lengths = {name: len(column) for name, column in row[part].items()}
            if len(set(lengths.values())) != 1 or count not in (None, *lengths.values()):
                raise ValueError(
                    f"{place}.{part}: expected columns of one length"
                    f"{'' if count is None else f', {count}'}; got {lengths}"
                )
    keys = [_key(row) for row in value["rows"]]
    if len(set(keys)) != len(keys):
        raise ValueError("results.rows: two rows have the same model, seed and options")


def _check(value, form, place):
    if isinstance(form, dict):
        if not isinstance(value, dict):
            raise ValueError(f"{place}: expected an object, got {type(value).__name__}")
        for name, inner in form.items():
            if name not in value:
                raise ValueError(f"{place}: {name!r} is missing; it holds {sorted(value)}")
            _check(value[name], inner, f"{place}.{name}")
    elif isinstance(form, list):
        if not isinstance(value, list) or not value:
            raise ValueError(f"{place}: expected a list with entries, got {value!r:.60}")
        for number, entry in enumerate(value):
            _check(entry, form[0], f"{place}[{number}]")
    else:
        allowed = (int, float) if form is float else form
        wrong = not isinstance(value, allowed) or isinstance(value, bool)
        if wrong or (form is float and not math.isfinite(value)):
            raise ValueError(f"{place}: expected {form.__name__}, got {value!r:.60}")


def as_row(record: dict) -> dict:
    """A run's record as a row of a result file: the history by columns, rounded."""
    history = record["history"]
    names = [name for name in history[0] if all(name in epoch for epoch in history)]
    columns = {name: [epoch[name] for epoch in history] for name in names}
    return _round({**record, "history": columns})


def _round(value, digits=7):
    """Single numbers keep seven digits, those of lists (images, epochs) five."""
    if isinstance(value, dict):
        return {name: _round(inner, digits) for name, inner in value.items()}
    if isinstance(value, list):
        return [_round(inner, 5) for inner in value]
    return float(f"{value:.{digits}g}") if isinstance(value, float) else value


def write_results(path, rows: list[dict], *, experiment, data: str, session: dict) -> dict:
    """Merge rows into a result file; a row with the same model, seed and options is replaced.

    Several processes may write to the same file: a lock file beside it keeps them apart, and the
    file itself is replaced in one move.

    Args:
        path: the file; made where it is missing.
        rows: from `as_row`.
        experiment: (name, `Experiment`), whose title and source are recorded.
        data: name of the data set.
        session: command, commit, date, as `provenance.describe_session` gives them.

    Returns:
        The content written.

    Raises:
        ValueError: the existing file is damaged or of another experiment, or a row is not valid.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    name, settings = experiment
    with _Lock(path.with_name(f".{path.name}.lock")):
        kept = read_results(path)["rows"] if path.exists() else []
        merged = {_key(row): row for row in [*kept, *rows]}
        value = {
            "schema": SCHEMA, "experiment": name, "title": settings.title,
            "source": settings.source, "data": data, "about": settings.data[data].about,
            "written": session, "rows": [merged[key] for key in sorted(merged)],
        }  # fmt: skip
        if settings.conclude is not None:
            value["conclusion"] = _round(settings.conclude(value["rows"]))
        validate_results(value)
        write_atomically(path, as_text(value).encode())
    return value


def read_results(path) -> dict:
    """Read and check a result file; errors name the file."""
    value = unpack(read_json(path))
    try:
        validate_results(value)
    except ValueError as error:
        raise ValueError(f"{path}: {error}; write it again with `softcut reproduce`") from None
    return value


def results_path(
    experiment: str, data: str, *, profile: str = "full", scale: float = 1.0, decode=None,
    tested=None,
) -> Path:  # fmt: skip
    """Where `softcut reproduce` writes: `book/results/` of the checkout, else of this folder.

    Example:
        >>> results_path("horses", "weizmann", scale=0.5, decode="min_cut").name
        'horses-weizmann-scale0.5-min_cut.json'
    """
    home = Path(__file__).resolve().parents[2] / "book"
    book = home if home.is_dir() else Path("book")
    parts = [experiment, data, profile * (profile != "full"), f"scale{scale:g}" * (scale != 1)]
    parts += [decode, tested]
    return book / "results" / f"{'-'.join(part for part in parts if part)}.json"


def book_file(name: str, path=None) -> Path:
    """A file of the folder `book/`, e.g. "papers.json" or "results/horses-weizmann.json".

    Args:
        name: path below `book/`.
        path: the file itself, where it lies elsewhere; then `name` is not looked for.

    Raises:
        ValueError: it is neither beside the library nor in the current folder or its parents.
    """
    if path is not None:
        return Path(path)
    here = Path(__file__).resolve()
    places = [here.parents[2], here.parents[1], Path.cwd(), *Path.cwd().parents]  # [1]: in a wheel
    for place in places:
        if (place / "book" / name).is_file():
            return place / "book" / name
    raise ValueError(
        f"path: book/{name} is not in this copy of the book; run from a checkout, "
        "or pass the file's path"
    )


def recorded(
    experiment: str, data: str, *, models=(), profile: str = "full", scale: float = 1.0,
    decode=None, tested=None, path=None,
) -> tuple[dict | None, list]:  # fmt: skip
    """The recorded runs of an experiment, and which of ``models`` they lack.

    Args:
        experiment, data, profile, scale, decode, tested: as for `results_path`.
        models: rows that a page wants to show.
        path: the file, where it lies elsewhere.

    Returns:
        (content, missing models); the content is None where this copy of the book has no file.

    Raises:
        ValueError: a damaged file.

    Example:
        >>> recorded("horses", "unicorns", models=["base"])
        (None, ['base'])
    """
    parts = {"profile": profile, "scale": scale, "decode": decode, "tested": tested}
    name = results_path(experiment, data, **parts).name
    try:
        found = book_file(f"results/{name}", path)
    except ValueError:
        return None, list(models)
    content = read_results(found)
    there = {row["model"] for row in content["rows"]}
    return content, [model for model in models if model not in there]


def papers(path=None) -> dict:
    """The numbers that the papers print: sources, metrics, results, trainings.

    Args:
        path: the file `papers.json`; found by itself in a checkout of the book.

    Example:
        >>> rows = papers()["results"]  # doctest: +SKIP
    """
    value = read_json(book_file("papers.json", path))
    missing = {"sources", "results"} - set(value)
    if missing:
        raise ValueError(f"{path or 'book/papers.json'}: {sorted(missing)} missing")
    return value


def paper_row(row: str, *, experiment: int, path=None) -> dict[str, tuple]:
    """One printed row of the thesis: metric -> (value, bracket or None).

    Example:
        >>> paper_row("Base", experiment=1)["miou"]  # doctest: +SKIP
        (0.472, 0.0243)
    """
    entries = [
        entry for entry in papers(path)["results"]
        if entry["row"] == row and entry["experiment"] == experiment
    ]  # fmt: skip
    if not entries:
        raise ValueError(f"row: no row {row!r} of experiment {experiment} in papers.json")
    return {entry["metric"]: (entry["value"], entry["bracket"]) for entry in entries}


def _key(row):
    return row["model"], row["seed"], tuple(sorted(row["options"].items()))


class _Lock:
    """Exclusive use of a file among processes, by creating another one beside it."""

    def __init__(self, path: Path, patience: float = 30.0):
        self.path = path
        self.patience = patience

    def __enter__(self):
        deadline = time.monotonic() + self.patience
        while True:
            try:
                os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
                return self
            except FileExistsError:
                if time.monotonic() > deadline:
                    raise ValueError(
                        f"{self.path}: another process has held this lock for {self.patience:g} s; "
                        "if none is running, delete the file"
                    ) from None
                time.sleep(0.05)

    def __exit__(self, *error):
        self.path.unlink(missing_ok=True)
