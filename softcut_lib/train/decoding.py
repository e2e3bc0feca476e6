"""Trained networks tested in another way than they were trained: a decoder in place of 1/2.

    mask = decode(scores, weights),     e.g. the minimum cut of the scores *before* the cut.

Chapters 10 to 12; the thesis' experiments 8 and 9.
"""

from __future__ import annotations

import torch

from softcut_lib.train.evaluation import evaluate, summarize
from softcut_lib.train.fitting import run_name, split_of
from softcut_lib.train.runs import runs_folder


def decoded(
    record: dict, settings, decode: str, *, runs=None, experiment=None, device="cpu",
    progress=False,
) -> dict | None:  # fmt: skip
    """The record of the same run, tested with another decoder; None where it has no conductances.

    The loss stays that of the probabilities: a hard mask has none.

    Args:
        record: of a finished run.
        settings: the experiment's settings of that run.
        decode: the decoder, as in `CutNet`.
        runs: folder of all runs.
        experiment: name of the experiment in the new record; the run's if None.
        device: "cpu" or "cuda".
        progress: a bar on the error stream.
    """
    from softcut_lib.train.experiments import load_model

    model, _ = load_model(runs_folder(runs) / record["experiment"] / run_name(record))
    items = split_of(settings, record, "test")
    with torch.no_grad():
        if model(items[0]["image"][None]).weights is None:
            return None
    model.decode = decode
    test = evaluate(
        model, items, settings.objective, device=device, metric=settings.metric, progress=progress
    )
    return {
        **record,
        "experiment": experiment or record["experiment"],
        "options": {**record["options"], "decode": decode},
        "summary": summarize(test),
        "test": test,
    }
