"""The normalized cut paper's tables beside ours: which run answers to which printed number (A2).

    printed: pooled mIoU on PASCAL VOC 2012, networks that start from ImageNet
    here:    the same experiment (pooled; `scribbles-voc`), and smaller ones on horses and CamVid

and its figure 5: energies of one photograph there, means over those not trained on here.
Everything is read, from `book/papers.json` and the results files; what nobody has run here stays
empty, beside the command that would fill it.
"""

from __future__ import annotations

from collections.abc import Iterable
from statistics import fmean, stdev

from softcut_lib.train.metrics import pooled_iou
from softcut_lib.train.results import papers
from softcut_lib.train.seeds import runs_of

SOURCE = "tang2018normalized"
# data set of ours -> (experiment, the network that stands for the one of table 2)
DATA = {
    "voc": ("scribbles-voc", "atrous"),
    "weizmann": ("scribbles", "unet"),
    "camvid": ("scribbles-camvid", "unet"),
}
TABLES = {
    1: {
        "pCE": "atrous-plain-pce",
        "pCE + NEL": "atrous-plain-nel",
        "pCE + NEL + NC": "atrous-plain-nc-nel",
        "pCE + NEL + NC, multi-scale": "atrous-nc-nel",
        "pCE + NEL + NC, multi-scale, CRF": "atrous-nc-nel",
    },
    2: {
        "full masks": "{net}-masks",
        "GrabCut proposals": "{net}-grabcut",
        "normalized-cut proposals": "{net}-seeded-nc",
        "KernelCut proposals": "{net}-kernel-cut",
        "ScribbleSup": "{net}-alternating",
        "joint loss without NC": "{net}-pce",
        "joint loss with NC": "{net}-nc",
    },
    3: {
        "DeepLab-MSc-largeFOV": "atrous",
        "DeepLab-VGG16": None,  # nothing here has its form
        "DeepLab-ResNet101": "resnet101",
    },
}
# of figure 5: the networks that only cluster, each row's model and energy
CLUSTERED = {
    "msra": ("clustering-msra", "atrous-plain"),
    "weizmann": ("scribbles-clustering", "unet"),
}
ENERGIES = {
    "K-means before": ("masks", "kmeans"),
    "K-means after": ("only-kmeans", "kmeans"),
    "K-means algorithm": ("only-kmeans", "kmeans_algorithm"),
    "NC before": ("masks", "normalized_cut"),
    "NC after": ("only-nc", "normalized_cut"),
    "NC algorithm": ("only-nc", "normalized_cut_algorithm"),
}
WAYS = {
    "miou_full": "masks",
    "miou_scribbles_without_nc": "pce",
    "miou_scribbles_with_nc": "nc",
}


def counterpart(table: int, row: str, metric: str, data: str) -> tuple[str, str] | None:
    """(experiment, model) of ours that answers to a printed number; None where there is none.

    Args:
        table: 1, 2 or 3.
        row, metric: as in `papers.json`.
        data: a name in `DATA`.

    Example:
        >>> counterpart(2, "GrabCut proposals", "miou_after_crf", "weizmann")
        ('scribbles-crf', 'unet-grabcut')
        >>> counterpart(3, "DeepLab-ResNet101", "miou_full", "voc")
        ('scribbles-voc', 'resnet101-masks')
    """
    from softcut_lib.train.experiments import EXPERIMENTS

    experiment, net = DATA[data]
    after = metric == "miou_after_crf" or row.endswith("CRF")
    model = TABLES[table][row.removesuffix(" + CRF")]
    if model is None:
        return None
    model = f"{model}-{WAYS[metric]}" if table == 3 else model.format(net=net)
    experiment += "-crf" if after else ""
    return (experiment, model) if model in EXPERIMENTS[experiment].models else None


def measured(files: Iterable[dict], experiment: str, model: str) -> dict | None:
    """Mean IoU of a recorded row over its seeds: pooled over the images where that is recorded.

    Returns:
        dict: iou, spread over the seeds (None for one), seeds, pooled (bool); None without a run.

    Raises:
        ValueError: a seed has rows in several files, say a trial's beside the full one.
    """
    runs = _runs(files, experiment, model)
    if not runs:
        return None
    tests = [row["test"] for row in runs.values()]
    pooled = all("both" in test for test in tests)
    values = [
        pooled_iou(test["both"], test["either"])[0] if pooled else fmean(test["iou"])
        for test in tests
    ]
    return {"iou": fmean(values), **_over_seeds(values, runs), "pooled": pooled}


def _runs(files, experiment, model):
    """seed -> row, from all files of an experiment."""
    runs: dict = {}
    for file in files:
        if file["experiment"] == experiment:
            found = runs_of(file, model)
            if twice := sorted(set(runs) & set(found)):
                raise ValueError(
                    f"files: several hold {model} of {experiment}, seed {twice[0]}; leave out all "
                    "but one, e.g. those whose names say fast, gpu, min_cut or a scale"
                )
            runs |= found
    return runs


def _over_seeds(values, runs):
    return {"spread": stdev(values) if len(values) > 1 else None, "seeds": sorted(runs)}


def beside_paper(table: int, files: Iterable[dict], *, path=None) -> list[dict]:
    """Every number of a table of the paper, and what was measured here.

    Args:
        table: 1, 2 or 3.
        files: contents of results files.
        path: of `papers.json`, where it lies elsewhere.

    Returns:
        One dict per printed number: row, metric, printed, models (data -> (experiment, model), or
        None where there is no counterpart), ours (data -> `measured` or None).
    """
    files = list(files)
    lines = []
    for entry in papers(path)["results"]:
        if entry["source"] != SOURCE or entry["table"] != table:
            continue
        names = [entry["row"], entry["metric"]]
        models = {data: counterpart(table, *names, data) for data in DATA}
        ours = {
            data: measured([f for f in files if f["data"] == data], *pair) if pair else None
            for data, pair in models.items()
        }
        lines.append(
            {"row": names[0], "metric": names[1], "printed": entry["value"], "models": models,
             "ours": ours}
        )  # fmt: skip
    return lines


def energies_beside_paper(files: Iterable[dict], *, path=None) -> list[dict]:
    """Every energy of the paper's figure 5, and what was measured here.

    Args:
        files: contents of results files.
        path: of `papers.json`, where it lies elsewhere.

    Returns:
        As `beside_paper`, with the data sets of `CLUSTERED`; ours (data -> dict: energy, the mean
        over all photographs that were not trained on, spread over the seeds, seeds, images).
    """
    files = list(files)
    lines = []
    for entry in papers(path)["results"]:
        if entry["source"] != SOURCE or entry["table"] != "figure 5":
            continue
        way, column = ENERGIES[entry["row"]]
        models = {data: (name, f"{net}-{way}") for data, (name, net) in CLUSTERED.items()}
        ours = {}
        for data, pair in models.items():
            runs = _runs([f for f in files if f["data"] == data], *pair)
            values = [fmean(row["clustering"][column]) for row in runs.values()]
            ours[data] = {
                "energy": fmean(values), **_over_seeds(values, runs),
                "images": max(len(row["clustering"]["name"]) for row in runs.values()),
            } if values else None  # fmt: skip
        names = {"row": entry["row"], "metric": entry["metric"], "printed": entry["value"]}
        lines.append({**names, "models": models, "ours": ours})
    return lines


def to_fill(lines: Iterable[dict]) -> list[str]:
    """The commands that would measure what is empty, one for each experiment and data set.

    Example:
        >>> line = {"models": {"weizmann": ("scribbles", "unet-pce"), "voc": None},
        ...         "ours": {"weizmann": None, "voc": None}}
        >>> to_fill([line])
        ['softcut reproduce scribbles --data weizmann --models unet-pce --seeds 0 1 2']
    """
    wanted: dict = {}
    for line in lines:
        for data, pair in line["models"].items():
            if pair is not None and line["ours"][data] is None:
                models = wanted.setdefault((pair[0], data), [])
                models += [pair[1]] * (pair[1] not in models)
    return [
        f"softcut reproduce {experiment} --data {data} --models {' '.join(models)} --seeds 0 1 2"
        for (experiment, data), models in wanted.items()
    ]


def shares(lines: Iterable[dict]) -> list[dict]:
    """What part of full supervision each row of table 3 reaches: the paper's and ours.

    Args:
        lines: from `beside_paper` of table 3.

    Returns:
        One dict per row and way of supervision: row, metric, printed (a share), ours (data -> a
        share or None).
    """
    lines = list(lines)
    full = {line["row"]: line for line in lines if line["metric"] == "miou_full"}
    found = []
    for line in lines:
        whole = full[line["row"]]
        if line is whole:
            continue
        ours = {}
        for data, part in line["ours"].items():
            base = whole["ours"][data]
            ours[data] = part["iou"] / base["iou"] if part and base else None
        share = line["printed"] / whole["printed"]
        found.append({"row": line["row"], "metric": line["metric"], "printed": share, "ours": ours})
    return found


def by_network(content: dict | None, ways=("masks", "pce", "nc", "crf")) -> dict[str, dict]:
    """What every network of ours reaches with each way of supervision, and the share of full masks.

    Args:
        content: of a results file of scribbles, or None.
        ways: names in `softcut_lib.train.table_scribbles.SUPERVISIONS`.

    Returns:
        network -> way -> `measured`, with ``share`` of the way "masks" (None where that is not
        recorded); networks and ways without a run are left out.

    Example:
        >>> rows = [{"model": f"unet-{way}", "seed": 0, "test": {"iou": [iou]}}
        ...         for way, iou in (("masks", 0.8), ("pce", 0.6))]
        >>> found = by_network({"experiment": "scribbles", "rows": rows})
        >>> round(found["unet"]["pce"]["share"], 3)
        0.75
    """
    from softcut_lib.train.table_scribbles import NETS

    table = {}
    for net in NETS if content else ():
        runs = {way: measured([content], content["experiment"], f"{net}-{way}") for way in ways}
        whole = runs.get("masks")
        found = {
            way: {**run, "share": run["iou"] / whole["iou"] if whole else None}
            for way, run in runs.items()
            if run
        }
        if found:
            table[net] = found
    return table
