"""Trained networks tested in another way: another decoder, whole frames in place of windows.

    mask = decode(scores, weights),     e.g. the minimum cut of the scores *before* the cut.

Chapters 10 to 12; the thesis' experiments 8 and 9, and a question to its experiment 11.
"""

from __future__ import annotations

import torch

from softcut_lib.train.evaluation import evaluate, summarize, through_windows
from softcut_lib.train.fitting import run_name, split_of
from softcut_lib.train.runs import runs_folder


def retested(
    record: dict, settings, *, decode=None, whole=False, runs=None, experiment=None, device="cpu",
    progress=False,
) -> dict | None:  # fmt: skip
    """The record of the same run, tested in another way; None where that needs conductances.

    The loss stays that of the probabilities: a hard mask has none.

    Args:
        record: of a finished run.
        settings: the experiment's settings of that run.
        decode: the decoder, as in `CutNet`; None for the threshold 1/2.
        whole: test on whole frames where the run had windows.
        runs: folder of all runs.
        experiment: name of the experiment in the new record; the run's if None.
        device: "cpu" or "cuda".
        progress: a bar on the error stream.

    Returns:
        The record with another test and summary, and in its options decode and tested ("whole
        frames"), where they differ; and with what the experiment measures besides.
    """
    from softcut_lib.train.experiments import load_model

    model, _ = load_model(runs_folder(runs) / record["experiment"] / run_name(record))
    items = split_of(settings, record, "test")
    model.decode = decode
    if decode is not None and getattr(model, "decodes_with_weights", True):
        with torch.no_grad():
            if model(items[0]["image"][None]).weights is None:
                return None
    test = evaluate(
        through_windows(model, None if whole else settings.windows), items, settings.objective,
        device=device, metric=settings.metric, counts=settings.counts, progress=progress,
    )  # fmt: skip
    options = dict(record["options"])
    if decode is not None:
        options["decode"] = decode
    if whole and settings.windows is not None:
        options["tested"] = "whole frames"
    further = {}
    if settings.measure is not None:
        further = settings.measure(model, {"val": split_of(settings, record, "val"), "test": items})
    return {
        **record,
        **further,
        "experiment": experiment or record["experiment"],
        "options": options,
        "summary": summarize(test),
        "test": test,
    }
