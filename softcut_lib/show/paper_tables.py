"""The normalized cut paper's numbers beside ours, and what every network of ours reaches (15, A2).

What is not recorded is empty, or a sentence says so.
"""

from softcut_lib.show.tables import table
from softcut_lib.train.counterparts import DATA, to_fill
from softcut_lib.train.results import papers
from softcut_lib.train.table_scribbles import NETS, SUPERVISIONS

__all__ = ["energies_table", "fill_table", "network_table", "paper_table", "shares_table"]

WORDS = {"voc": "VOC", "weizmann": "horses", "camvid": "CamVid", "msra": "MSRA10K"}


def paper_table(lines, *, caption=""):
    """One table of the paper: each printed number beside ours on three data sets.

    Args:
        lines: from `softcut_lib.train.counterparts.beside_paper`.
        caption: a sentence above the table.

    Returns:
        A `Table`. In brackets the standard deviation over the seeds, after it their number; empty
        where nothing is recorded, "none" where nothing here answers to the row.

    Example:
        >>> line = {"row": "pCE", "metric": "miou", "printed": 0.558,
        ...         "models": {"voc": ("scribbles-voc", "atrous-plain-pce")},
        ...         "ours": {"voc": {"iou": 0.5, "spread": 0.01, "seeds": [0, 1], "pooled": True}}}
        >>> paper_table([line]).rows
        [['pCE', 'mean intersection over union', '0.558', '0.500 (0.010), 2']]
    """
    metrics = papers()["metrics"]
    data = list(lines[0]["models"])
    rows = [
        [line["row"], metrics[line["metric"]], line["printed"], *(_ours(line, d) for d in data)]
        for line in lines
    ]
    return table(
        ["row", "what", "paper", *(f"here: {WORDS[d]}" for d in data)], rows, caption=caption
    )


def _ours(line, data):
    if line["models"][data] is None:
        return "none"
    return _measured(line["ours"][data], "iou")


def _measured(found, name, digits=3):
    """Mean, its spread over the seeds, their number, and that of the images where it is told."""
    if found is None:
        return ""
    spread = "" if found["spread"] is None else f" ({found['spread']:.{digits}f})"
    counts = [len(found["seeds"]), *([found["images"]] if "images" in found else [])]
    return f"{found[name]:.{digits}f}{spread}, {', '.join(map(str, counts))}"


def energies_table(lines, *, caption=""):
    """The paper's figure 5: each printed energy beside ours.

    Args:
        lines: from `softcut_lib.train.counterparts.energies_beside_paper`.
        caption: a sentence above the table.

    Returns:
        A `Table`. Behind a mean the standard deviation over the seeds, then the numbers of seeds
        and of images; empty where nothing is recorded.

    Example:
        >>> ours = {"energy": 0.21, "spread": None, "seeds": [0], "images": 148}
        >>> line = {"row": "NC before", "printed": 0.18, "ours": {"weizmann": ours}}
        >>> energies_table([line])
        energy     paper, one image  here: horses
        NC before  0.18              0.210, 1, 148
    """

    def cell(found):
        squares = found is not None and found["energy"] >= 10  # of colors, or a normalized cut
        return _measured(found, "energy", 0 if squares else 3)

    rows = [
        [line["row"], f"{line['printed']:g}", *map(cell, line["ours"].values())] for line in lines
    ]
    heads = [f"here: {WORDS[data]}" for data in lines[0]["ours"]]
    return table(["energy", "paper, one image", *heads], rows, caption=caption)


def fill_table(lines):
    """The commands that would fill what is empty in tables of `paper_table`, `energies_table`.

    >>> fill_table([]).rows
    [['nothing is empty']]
    """
    return table(
        ["would fill what is empty"], [[c] for c in to_fill(lines)] or [["nothing is empty"]]
    )


def shares_table(lines, *, caption=""):
    """Shares of full supervision, from `softcut_lib.train.counterparts.shares`."""
    metrics = papers()["metrics"]
    percent = lambda share: "" if share is None else f"{share:.0%}"  # noqa: E731
    rows = [
        [line["row"], metrics[line["metric"]], percent(line["printed"])]
        + [percent(line["ours"][d]) for d in DATA]
        for line in lines
    ]
    header = ["row", "share of full masks", "paper", *(f"here: {WORDS[d]}" for d in DATA)]
    return table(header, rows, caption=caption)


def network_table(found, *, caption=""):
    """Our networks under each way of supervision, and the share of full supervision in percent.

    Args:
        found: from `softcut_lib.train.counterparts.by_network`.
        caption: a sentence above the table.

    Example:
        >>> network_table({"unet": {"pce": {"iou": 0.6, "share": 0.75, "seeds": [0]}}}).rows
        [['small U-Net', '0.600, 75%', '1']]
    """
    ways = list(dict.fromkeys(way for row in found.values() for way in row))
    if not ways:
        return table(["network"], [["no recorded runs in this copy"]], caption=caption)
    rows = []
    for net, row in found.items():
        counts = sorted({len(run["seeds"]) for run in row.values()})
        seeds = counts[0] if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
        rows.append([NETS[net][0], *(_with_share(way, row.get(way)) for way in ways), seeds])
    return table(
        ["network", *(SUPERVISIONS[way][0] for way in ways), "seeds"], rows, caption=caption
    )


def _with_share(way, run):
    if run is None:
        return None
    share = "" if way == "masks" or run["share"] is None else f", {run['share']:.0%}"
    return f"{run['iou']:.3f}{share}"
