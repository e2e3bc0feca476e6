"""How much of a regularizer, and how long a scribble: what recorded runs say (chapter 15).

    chosen weight = argmax over the weights of mean IoU on the *validation* images, over all seeds,

of the network that each run kept. Test images take no part; their IoU is recorded beside it. The
strength of a CRF behind a network is chosen by the same rule, for each run by itself.
"""

from __future__ import annotations

from statistics import fmean

from softcut_lib.train.pairing import mean_interval
from softcut_lib.train.seeds import runs_of


def validation_iou(row: dict) -> float:
    """Mean IoU on the validation images of the network that a run kept; ``row`` of a file.

    >>> history = {"epoch": [0, 1], "val_iou": [0.5, 0.6]}
    >>> validation_iou({"best_epoch": 1, "history": history})
    0.6
    """
    history = row["history"]
    return history["val_iou"][history["epoch"].index(row["best_epoch"])]


def chosen_weights(rows, *, weights) -> dict:
    """The weights of each regularizer, and which one validation chooses.

    Args:
        rows: of a results file.
        weights: model -> `Supervision`; others are left out.

    Returns:
        name of the regularizer -> dict: weights (ascending), models, seeds (those that all weights
        have), val and test (mean IoU at every weight), chosen (a weight; None without a common
        seed) and model.

    Example:
        >>> from softcut_lib.train.scribbles import Supervision
        >>> rows = [{"model": name, "seed": 0, "best_epoch": 0, "summary": {"iou": test},
        ...          "history": {"epoch": [0], "val_iou": [val]}}
        ...         for name, val, test in (("a", 0.7, 0.6), ("b", 0.8, 0.5))]
        >>> weights = {"a": Supervision("scribbles", "normalized-cut", 0.3),
        ...            "b": Supervision("scribbles", "normalized-cut", 3.0)}
        >>> found = chosen_weights(rows, weights=weights)["normalized-cut"]
        >>> found["chosen"], found["model"], found["test"]
        (3.0, 'b', [0.6, 0.5])
    """
    found: dict = {}
    for model, told in sorted(weights.items(), key=lambda pair: pair[1].weight):
        runs = runs_of({"rows": rows}, model)
        if runs:
            found.setdefault(told.regularizer, []).append((told.weight, model, runs))
    return {name: _choice(sweep) for name, sweep in found.items()}


def _choice(sweep):
    weights, models, runs = map(list, zip(*sweep, strict=True))
    seeds = sorted(set.intersection(*map(set, runs)))
    result = {"weights": weights, "models": models, "seeds": seeds}
    if not seeds:
        return result | {"val": [], "test": [], "chosen": None, "model": None}
    result["val"] = [fmean(validation_iou(own[s]) for s in seeds) for own in runs]
    result["test"] = [fmean(own[s]["summary"]["iou"] for s in seeds) for own in runs]
    best = best_place(result["val"])
    return result | {"chosen": weights[best], "model": models[best]}


def best_place(val) -> int:
    """Where the validation IoU is largest; the first of several, which is the weakest setting.

    >>> best_place([0.5, 0.7, 0.7])
    1
    """
    return max(range(len(val)), key=val.__getitem__)


def by_length(files, lengths, *, experiment="scribbles", data="weizmann") -> dict:
    """Test IoU over the length of the scribbles, from the files of one data set.

    Args:
        files: contents of results files; those of other data are passed over.
        lengths: name of a length -> its share of the path; the data set is "<data>-<length>".
        experiment, data: of the files.

    Returns:
        model -> list of (share, mean IoU over seeds and images, interval or None, seeds), by share.

    Example:
        >>> test = {"name": ["a", "b"], "iou": [0.4, 0.6]}
        >>> row = {"model": "unet-pce", "seed": 0, "test": test}
        >>> file = {"experiment": "scribbles", "data": "weizmann-half", "rows": [row]}
        >>> by_length([file], {"half": 0.5})
        {'unet-pce': [(0.5, 0.5, None, [0])]}
    """
    import numpy as np

    shares = {f"{data}-{name}": share for name, share in lengths.items()}
    found: dict = {}
    for file in files:
        if file["experiment"] != experiment or file["data"] not in shares:
            continue
        for model in dict.fromkeys(row["model"] for row in file["rows"]):
            runs = runs_of(file, model)
            values = np.array([row["test"]["iou"] for row in runs.values()])
            interval, _ = mean_interval(values)
            entry = (shares[file["data"]], float(values.mean()), interval, list(runs))
            found.setdefault(model, []).append(entry)
    return {model: sorted(entries, key=lambda e: e[0]) for model, entries in found.items()}
