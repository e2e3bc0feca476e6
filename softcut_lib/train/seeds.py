"""Several seeds of a row: their mean, paired differences, and what validation would choose.

A difference d of two rows, taken for every seed s and test image i, has two spreads,

    over images: std_i(mean_s d) / sqrt(n),        over seeds: std_s(mean_i d) / sqrt(S),

the choice of the n test images and the luck of S trainings. Chapter 10, reproduction tables.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch

DEFAULT = {"optimizer": "adam", "lr": 1e-3}


class Spread(NamedTuple):
    """A mean over seeds and images, with both brackets; that over seeds is None for one seed."""

    mean: float
    images: float
    seeds: float | None
    count: int


def runs_of(results: dict | None, model: str, **options) -> dict[int, dict]:
    """The rows of one model with the given options, seed -> row.

    Args:
        results: a results file's content, or None.
        model: name of the row.
        options: e.g. optimizer and lr; Adam with a rate of 0.001 where neither is given.

    Example:
        >>> runs_of(None, "base")
        {}
    """
    wanted = options or DEFAULT
    found = [
        row
        for row in (results["rows"] if results else [])
        if row["model"] == model and wanted.items() <= row["options"].items()
    ]
    return {row["seed"]: row for row in sorted(found, key=lambda row: row["seed"])}


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
    return _spread([_values(row, metric, runs) for row in runs.values()])


def difference(first: dict[int, dict], second: dict[int, dict], metric: str = "iou") -> Spread:
    """Mean of ``second - first``, seed by seed and image by image, over the seeds that both have.

    Args:
        first, second: from `runs_of`.
        metric: "iou", "loss" or "figures".

    Raises:
        ValueError: no common seed, or different images.

    Example:
        >>> one = {0: {"test": {"name": ["a", "b"], "iou": [0.2, 0.4]}}}
        >>> two = {0: {"test": {"name": ["a", "b"], "iou": [0.3, 0.6]}}, 1: one[0]}
        >>> spread = difference(one, two)
        >>> round(spread.mean, 3), round(spread.images, 3), spread.count
        (0.15, 0.05, 1)
    """
    both = {**first, **second}
    return _spread(
        [
            _values(second[seed], metric, both) - _values(first[seed], metric, both)
            for seed in first
            if seed in second
        ]
    )


def is_clear(spread: Spread) -> bool:
    """True where the mean is beyond twice both brackets, for three seeds or more."""
    return spread.count >= 3 and abs(spread.mean) > 2 * max(spread.images, spread.seeds)


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


def _values(row, metric, runs):
    names = next(iter(runs.values()))["test"]["name"]
    if row["test"]["name"] != names:
        raise ValueError("runs: expected results over the same images, but names differ")
    return torch.tensor(row["test"][metric], dtype=torch.float64)


def _spread(values):
    if not values:
        raise ValueError("runs: expected at least one seed that all have, got none")
    table = torch.stack(values)
    seeds, images = table.shape
    over_images = table.mean(0).std().item() / math.sqrt(images) if images > 1 else 0.0
    over_seeds = table.mean(1).std().item() / math.sqrt(seeds) if seeds > 1 else None
    return Spread(table.mean().item(), over_images, over_seeds, seeds)
