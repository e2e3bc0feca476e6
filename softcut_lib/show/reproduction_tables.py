"""Tables of the reproduction appendix: the thesis' rows beside ours, and models in pairs (A2).

The lines come from `softcut_lib.train.reproduction` and `softcut_lib.train.pairing`.
"""

from softcut_lib.show.tables import table
from softcut_lib.train.fitting import DEFAULTS
from softcut_lib.train.reproduction import budget, over_base

__all__ = ["beside_table", "paired_table"]

METRICS = {"iou": ("miou", "mIoU"), "loss": ("loss", "loss"), "figures": ("figures", "figures")}


def beside_table(lines, *, caption="", digits=4):
    """One experiment: every printed row beside every recorded one.

    Args:
        lines: from `softcut_lib.train.reproduction.beside`.
        caption: a sentence above the table.
        digits: decimals.

    Returns:
        A `Table` with one row per line: the model, three numbers of the thesis, its training time
        over that of Base where it prints them, three of ours, our time over Base's, seeds, and what
        the run was, or the command that would make it.

    Example:
        >>> line = {"model": "base", "about": "Base", "printed": {"miou": (0.472, 0.0243)},
        ...         "ours": None, "command": "softcut reproduce horses"}
        >>> beside_table([line]).rows[0][:3], beside_table([line]).rows[0][-1]
        (['Base', '0.4720 (0.0243)', '-'], 'softcut reproduce horses')
    """
    base = next((x["printed"] for x in lines if x["model"] == "base"), {})
    rows = [_row(line, base) for line in lines]
    header = ["model"]
    header += [f"thesis: {words}" for _, words in METRICS.values()] + ["thesis: time / Base"]
    header += [f"here: {words}" for _, words in METRICS.values()] + ["here: time / Base"]
    return table([*header, "seeds", "run"], rows, digits=digits, caption=caption)


def _row(line, base):
    printed, ours = line["printed"], line["ours"]
    theirs = [printed.get(metric) for metric, _ in METRICS.values()]
    ratio = over_base(printed, base)
    theirs.append(None if ratio is None else f"{ratio:.1f}")
    if ours is None:
        return [line["about"], *theirs, None, None, None, None, None, line["command"]]
    relative = ours["times_base"]
    cells = [ours[metric] for metric in METRICS]
    cells.append(None if relative is None else f"{relative:.1f}")
    options = ours["options"]
    words = [ours["data"], budget(options)]
    words.append(f"{options['optimizer'].capitalize()} at {options['lr']:g}")
    words += [f"scale {options['scale']:g}"] * (options["scale"] != 1)
    words += [f"{name} {options[name]}" for name in DEFAULTS if name in options]
    words += ["GPU"] * ours["on_gpu"]
    words += [options[name] for name in ("decode", "tested") if name in options]
    words += [f"{ours['stopped']} stopped early"] * bool(ours["stopped"])
    seeds = ", ".join(map(str, ours["seeds"]))
    return [line["about"], *theirs, *cells, seeds, ", ".join(words)]


def paired_table(
    differences, *, pairs=(), names=None, other="otherwise", caption="", digits=3
):  # fmt: skip
    """Models in pairs, trained with the same seeds and tested on the same images.

    Args:
        differences: from `softcut_lib.train.pairing.paired_differences`.
        pairs: all pairs that were asked for; those without a difference get a line that says so.
        names: model -> words.
        other: where a model is compared with itself in another results file: what is other there,
            e.g. "by the min cut".
        caption: a sentence above the table.
        digits: decimals.

    Returns:
        A `Table`: the pair, the mean difference with its bracket over the images, the 95 %
        interval over trainings and images, numbers of seeds and images, and the answer.

    Example:
        >>> from softcut_lib.train.pairing import Difference
        >>> gap = Difference("base", "cut", "iou", 0.05, (0.01, 0.09), 0.004, (0, 1, 2), 100)
        >>> paired_table([gap]).rows[0][1:3]
        ['+0.050 (0.004)', '+0.010 to +0.090']
    """
    names = names or {}

    def words(pair):
        first, second = (names.get(model, model) for model in pair)
        return f"{first}, {other}" if pair[0] == pair[1] else f"{second} minus {first}"

    found = {(gap.first, gap.second): gap for gap in differences}
    rows = []
    for pair in dict.fromkeys([*pairs, *found]):
        gap = found.get(pair)
        if gap is None:
            rows.append([words(pair), None, None, None, None, "not recorded here"])
            continue
        interval = None
        if gap.interval is not None:
            interval = " to ".join(f"{end:+.{digits}f}" for end in gap.interval)
        mean = f"{gap.mean:+.{digits}f} ({gap.by_image:.{digits}f})"
        rows.append([words(pair), mean, interval, len(gap.seeds), gap.images, gap.verdict])
    header = ["models", "difference", "95 % interval", "seeds", "images", "answer"]
    if not rows:
        header, rows = ["models"], [["not recorded yet"]]
    return table(header, rows, digits=digits, caption=caption)
