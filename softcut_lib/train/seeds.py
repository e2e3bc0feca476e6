"""Several seeds of a row: their mean with two brackets, and what validation would choose.

The mean over seeds s and test images i of a metric m has two spreads,

    over images: std_i(mean_s m) / sqrt(n),        over seeds: std_s(mean_i m) / sqrt(S),

the choice of the n test images and the luck of S trainings. Whether two rows differ is decided by
`softcut_lib.train.pairing`. Chapter 10, reproduction tables.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch


class Spread(NamedTuple):
    """A mean over seeds and images, with both brackets; that over seeds is None for one seed."""

    mean: float
    images: float
    seeds: float | None
    count: int


def with_options(results: dict | None, **options) -> dict | None:
    """The results file with only those rows that were trained with the given options.

    Args:
        results: a results file's content, or None.
        options: e.g. optimizer and lr.

    Example:
        >>> rows = [{"model": "base", "options": {"lr": lr}} for lr in (0.01, 0.001)]
        >>> len(with_options({"rows": rows}, lr=0.01)["rows"])
        1
    """
    if results is None:
        return None
    rows = [row for row in results["rows"] if options.items() <= row["options"].items()]
    return {**results, "rows": rows}


def runs_of(results: dict | None, model: str) -> dict[int, dict]:
    """The rows of one model, seed -> row.

    Args:
        results: a results file's content, or None.
        model: name of the row.

    Raises:
        ValueError: a seed has several rows, trained with different options.

    Example:
        >>> runs_of(None, "base")
        {}
    """
    found: dict[int, dict] = {}
    for row in results["rows"] if results else []:
        if row["model"] == model and row["seed"] in found:
            raise ValueError(
                f"results: several rows of {model}, seed {row['seed']}; keep those of one set of "
                "options, see `with_options`"
            )
        if row["model"] == model:
            found[row["seed"]] = row
    return dict(sorted(found.items()))


def over_seeds(runs: dict[int, dict], metric: str = "iou") -> Spread:
    """Mean of a metric over all seeds and test images.

    Args:
        runs: from `runs_of`, at least one.
        metric: "iou", "loss" or "figures".

    Raises:
        ValueError: no run, or runs over different images.

    Example:
        >>> test = {"name": ["a", "b"], "iou": [0.2, 0.4]}
        >>> spread = over_seeds({0: {"test": test}})
        >>> round(spread.mean, 3), round(spread.images, 3), spread.seeds, spread.count
        (0.3, 0.1, None, 1)
    """
    names = [row["test"]["name"] for row in runs.values()]
    if not names or any(other != names[0] for other in names):
        raise ValueError("runs: expected at least one run, and all over the same images")
    values = [row["test"][metric] for row in runs.values()]
    table = torch.tensor(values, dtype=torch.float64)
    seeds, images = table.shape
    by_image = table.mean(0).std().item() / math.sqrt(images) if images > 1 else 0.0
    by_seed = table.mean(1).std().item() / math.sqrt(seeds) if seeds > 1 else None
    return Spread(table.mean().item(), by_image, by_seed, seeds)


def curves_of(results: dict | None, models, column: str = "val_loss") -> dict[str, tuple]:
    """How trainings went: a column of the history by step, the mean over the seeds.

    Args:
        results: a results file's content, or None.
        models: rows wanted; those that are not there are left out.
        column: of the history, e.g. "val_loss" or "train_loss".

    Returns:
        model -> (steps, means), up to where the first of its runs ended.

    Example:
        >>> rows = [{"model": "base", "seed": seed, "options": {},
        ...          "history": {"step": [10, 20], "val_loss": [0.5, 0.1 * seed]}}
        ...         for seed in (1, 2)]
        >>> curves_of({"rows": rows}, ["base", "cut"])
        {'base': ([10, 20], [0.5, 0.15...])}
    """
    found = {}
    for model in models:
        histories = [row["history"] for row in runs_of(results, model).values()]
        if histories:
            steps = min((history["step"] for history in histories), key=len)
            columns = zip(*(history[column] for history in histories), strict=False)
            found[model] = steps, [sum(values) / len(values) for values in columns]
    return found


def by_validation(results: dict | None, model: str, *, seed: int = 0) -> list[dict]:
    """The settings of one model in order of their lowest validation loss: the first is chosen.

    Returns:
        One dict per setting: optimizer, lr, val_loss (lowest of all epochs), and the row.
    """
    rows = [
        row
        for row in (results["rows"] if results else [])
        if row["model"] == model and row["seed"] == seed
    ]
    settings = [
        {
            "optimizer": row["options"]["optimizer"],
            "lr": row["options"]["lr"],
            "val_loss": min(row["history"]["val_loss"]),
            "row": row,
        }
        for row in rows
    ]
    return sorted(settings, key=lambda setting: setting["val_loss"])
