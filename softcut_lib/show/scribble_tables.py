"""Tables and curves of weak supervision: weights, strengths, lengths, clusterings (15, A2).

They read results files and show as well, with a sentence in place, where those are not there yet.
"""

from statistics import fmean

from softcut_lib.show.figures import curves
from softcut_lib.show.tables import table
from softcut_lib.train.seeds import runs_of
from softcut_lib.train.sweep import validation_iou

__all__ = [
    "clustering_table",
    "length_table",
    "strength_table",
    "weight_curves",
    "weight_table",
]


def weight_table(content, *, caption=""):
    """Every weight's IoU on validation and test images, and which one validation chooses.

    Args:
        content: of a results file of `scribbles-lambda`, or None.
        caption: a sentence above the table.

    Example:
        >>> weight_table(None)
        regularizer
        no recorded runs in this copy
    """
    if content is None:
        return table(["regularizer"], [["no recorded runs in this copy"]], caption=caption)
    rows = []
    for name, sweep in content["conclusion"].items():
        for weight, val, test in zip(sweep["weights"], sweep["val"], sweep["test"], strict=False):
            chosen = "chosen" if weight == sweep["chosen"] else ""
            rows.append([name, f"{weight:g}", val, test, len(sweep["seeds"]), chosen])
    header = ["regularizer", "weight", "validation mIoU", "test mIoU", "seeds", "on validation"]
    return table(header, rows, caption=caption)


def weight_curves(content):
    """Test and validation IoU over the weight of each regularizer (the paper's Fig. 6).

    Args:
        content: of a results file of `scribbles-lambda` with at least one seed that all share.
    """
    sweeps = {name: s for name, s in content["conclusion"].items() if s["seeds"]}
    if not sweeps:
        raise ValueError("content must hold a sweep whose weights have a seed in common")
    first = next(iter(sweeps.values()))
    lines = {
        f"{name}, {part}": sweep[key]
        for name, sweep in sweeps.items()
        if sweep["weights"] == first["weights"]
        for part, key in (("validation", "val"), ("test", "test"))
    }
    words = "; ".join(f"{name} best on validation at {s['chosen']:g}" for name, s in sweeps.items())
    return curves(
        first["weights"], lines, xlabel="weight of the regularizer", ylabel="mean IoU", log="x",
        markers=True, alt=f"Mean intersection over union over the regularizer's weight: {words}.",
    )  # fmt: skip


def strength_table(content, *, names, caption=""):
    """What a dense CRF behind a network changes, at the strength that validation chose for it.

    Args:
        content: of a results file of `scribbles-crf` or its like, or None.
        names: model -> words, in the order of the table.
        caption: a sentence above the table.

    Returns:
        A `Table`: for every model the factor chosen for each seed, the validation mIoU without the
        CRF and with it, the test mIoU with it (means over the seeds).

    Example:
        >>> strength_table(None, names={})
        trained with
        no recorded runs in this copy
    """
    rows = []
    for model, words in names.items():
        runs = [run for run in runs_of(content, model).values() if "strength" in run]
        if runs:
            chosen = ", ".join(f"{run['strength']['chosen']:g}" for run in runs)
            before = fmean(_without(run) for run in runs)
            after = fmean(max(run["strength"]["val"]) for run in runs)
            tested = fmean(run["summary"]["iou"] for run in runs)
            rows.append([words, chosen, before, after, tested])
    if not rows:
        return table(["trained with"], [["no recorded runs in this copy"]], caption=caption)
    header = ["trained with", "strength, by seed", "validation mIoU", "after CRF"]
    return table([*header, "test mIoU after CRF"], rows, caption=caption)


def _without(run):
    """Validation mIoU without the CRF, in the measure of the one with it."""
    return run["strength"]["without"] if "without" in run["strength"] else validation_iou(run)


def length_table(found, *, names, caption=""):
    """Test IoU for scribbles of several lengths, from `softcut_lib.train.sweep.by_length`.

    Args:
        found: model -> list of (share of the path, mean, interval, seeds).
        names: model -> words, in the order of the table.
        caption: a sentence above the table.

    Example:
        >>> length_table({"a": [(0.0, 0.5, None, [0]), (1.0, 0.7, (0.6, 0.8), [0, 1])]},
        ...              names={"a": "pCE"}).rows
        [['pCE', '0.500', '0.700 (0.600 to 0.800)']]
    """
    shares = sorted({share for model in names for share, *_ in found.get(model, [])})
    if not shares:
        return table(["trained with"], [["no recorded runs in this copy"]], caption=caption)
    rows = []
    for model, words in names.items():
        cells = {share: (mean, interval) for share, mean, interval, _ in found.get(model, [])}
        rows.append([words, *(_with_interval(cells.get(share)) for share in shares)])
    heads = [f"{share:.0%} of the line" if share else "a spot" for share in shares]
    return table(["trained with", *heads], rows, caption=caption)


def _with_interval(cell):
    if cell is None:
        return None
    mean, interval = cell
    return f"{mean:.3f}" + (f" ({interval[0]:.3f} to {interval[1]:.3f})" if interval else "")


def clustering_table(content, *, names, caption=""):
    """Energies of clustering networks on unseen images beside those of the algorithms.

    Args:
        content: of a results file of `scribbles-clustering`, or None.
        names: model -> words, in the order of the table.
        caption: a sentence above the table.

    Returns:
        A `Table` with means over images and seeds, and the test mIoU, which no energy knows; the
        algorithms' row is the same for all.

    Example:
        >>> clustering_table(None, names={})
        network
        no recorded runs in this copy
    """
    if content is None:
        return table(["network"], [["no recorded runs in this copy"]], caption=caption)
    rows = []
    for model, words in names.items():
        found = [row for row in content["rows"] if row["model"] == model]
        runs = [row["clustering"] for row in found]
        if runs:
            iou = fmean(row["summary"]["iou"] for row in found)
            rows.append([words, *_energies(runs), iou, len(runs), len(runs[0]["name"])])
    every = [row["clustering"] for row in content["rows"]]
    best = _energies(every, "_algorithm")
    rows.append(["the algorithm, image by image", *best, None, None, len(every[0]["name"])])
    header = ["network", "normalized cut", "K-means", "test mIoU", "seeds", "images"]
    return table(header, rows, caption=caption)


def _energies(runs, of=""):
    """Means over runs and images of the normalized cut and of K-means."""
    cut, colors = (
        fmean(value for run in runs for value in run[f"{name}{of}"])
        for name in ("normalized_cut", "kmeans")
    )
    return [cut, f"{colors:.0f}"]
