"""Tables of rows that were trained with several seeds (chapter 10, reproduction tables).

They say what a results file holds and read as well where it is missing or not complete.
"""

from softcut_lib.show.tables import table
from softcut_lib.train.seeds import by_validation, over_seeds, runs_of

__all__ = ["seeds_table", "settings_table"]


def seeds_table(results, decoded=None, *, names, caption=""):
    """Every model's mean over its seeds, by its own decision and by the min cut.

    Args:
        results: a results file's content with one set of options (see
            `softcut_lib.train.seeds.with_options`), or None where there is none.
        decoded: the same runs tested with decode="min_cut", or None.
        names: model -> words, in the order of the table; models without a run are left out.
        caption: a sentence above the table.

    Returns:
        A `Table`. In brackets: standard error over images; over seeds ("-" for one seed). "to the
        end" counts the seeds whose training did not stop itself.

    Example:
        >>> seeds_table(None, names={"base": "Base"}, caption="Horses")
        Horses
        model
        no recorded runs in this copy
    """
    rows = []
    for model, name in names.items():
        runs, hard = runs_of(results, model), runs_of(decoded, model)
        if not runs:
            continue
        ended = sum(not row.get("stopped") for row in runs.values())
        cells = [f"{ended} of {len(runs)}"]
        cells += [_cell(over_seeds(runs, "iou")), _cell(over_seeds(runs, "figures"), 1)]
        cut = [None, None]
        if hard:
            cut = [_cell(over_seeds(hard, "iou")), _cell(over_seeds(hard, "figures"), 1)]
        rows.append([name, next(iter(runs.values()))["parameters"], *cells, *cut])
    if not rows:
        return _nothing(results, "model", caption)
    header = ["model", "parameters", "to the end", "mIoU", "figures"]
    return table([*header, "min cut: mIoU", "min cut: figures"], rows, caption=caption)


def settings_table(results, models, *, names, caption=""):
    """Optimizers and learning rates of some models, the one chosen on validation first.

    Args:
        results: a results file's content, or None.
        models: names of rows.
        names: model -> words.
        caption: a sentence above the table.

    Returns:
        A `Table` with every setting's lowest validation loss, its test mIoU, bracket over images,
        and whether the run reached its end; models with a single recorded setting are left out.

    Example:
        >>> settings_table(None, ["base"], names={})
        model
        no recorded runs in this copy
    """
    rows = []
    for model in models:
        settings = by_validation(results, model)
        for rank, setting in enumerate(settings if len(settings) > 1 else []):
            iou = over_seeds({0: setting["row"]})
            rows.append(
                [names.get(model, model), setting["optimizer"].capitalize(), f"{setting['lr']:g}",
                 "no" if setting["row"].get("stopped") else "yes", setting["val_loss"],
                 (iou.mean, iou.images), "chosen" if rank == 0 else ""]
            )  # fmt: skip
    if not rows:
        return _nothing(results, "model", caption)
    header = ["model", "optimizer", "rate", "to the end", "validation loss", "test mIoU"]
    header.append("on validation")
    return table(header, rows, caption=caption)


def _nothing(results, what, caption):
    words = "no recorded runs in this copy" if results is None else "not recorded yet"
    return table([what], [[words]], caption=caption)


def _cell(spread, digits=3):
    seeds = "-" if spread.seeds is None else f"{spread.seeds:.{digits}f}"
    return f"{spread.mean:.{digits}f} ({spread.images:.{digits}f}; {seeds})"
