"""Trained networks tested in another way: another decoder, whole frames in place of windows.

    mask = decode(scores, weights),     e.g. the minimum cut of the scores *before* the cut.

A decoder that has strengths is tested at the one that validation images choose. Chapters 10 to 12
and 15; the thesis' experiments 8 and 9, and a question to its experiment 11.
"""

from __future__ import annotations

from statistics import fmean

import torch

from softcut_lib.train.evaluation import evaluate, summarize, through_windows
from softcut_lib.train.fitting import run_name, split_of
from softcut_lib.train.runs import runs_folder
from softcut_lib.train.sweep import best_place


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
        frames"), where they differ; with `chosen_strength` as ``strength`` where the experiment has
        several; and with what it measures besides.
    """
    from softcut_lib.train.experiments import load_model

    model, _ = load_model(runs_folder(runs) / record["experiment"] / run_name(record))
    items = split_of(settings, record, "test")
    model.decode = decode
    if decode is not None and getattr(model, "decodes_with_weights", True):
        with torch.no_grad():
            if model(items[0]["image"][None]).weights is None:
                return None
    further = {}
    if decode is not None and settings.strengths:
        known = split_of(settings, record, "val")
        further["strength"] = chosen_strength(
            model, known, settings, device=device, progress=progress
        )
        model.strength = further["strength"]["chosen"]
    test = evaluate(
        through_windows(model, None if whole else settings.windows), items, settings.objective,
        device=device, metric=settings.metric, counts=settings.counts, batch=settings.test_batch,
        progress=progress,
    )  # fmt: skip
    options = dict(record["options"])
    if decode is not None:
        options["decode"] = decode
    if whole and settings.windows is not None:
        options["tested"] = "whole frames"
    if settings.measure is not None:
        sets = {"val": split_of(settings, record, "val"), "test": items}
        further |= settings.measure(model, sets)
    return {
        **record,
        **further,
        "experiment": experiment or record["experiment"],
        "options": options,
        "summary": summarize(test),
        "test": test,
    }


def chosen_strength(model, items, settings, *, device="cpu", progress=False) -> dict:
    """How strong a decoder should be: tried on validation images, the best mean IoU wins.

    chosen = argmax over s of mean IoU of the masks that the decoder gives at s times its strengths,

    the first where several are best; all else stays, and the network with it.

    Args:
        model: a trained network with a decoder; its attribute ``strength`` is the factor, and ends
            as the last one tried.
        items: the validation images with masks; nothing else is looked at.
        settings: the experiment's settings, with ``strengths``.
        device: "cpu" or "cuda".
        progress: a bar on the error stream.

    Returns:
        dict: strengths, val (mean IoU at each), chosen, and without (mean IoU undecoded).
    """

    def tried():
        found = evaluate(
            through_windows(model, settings.windows), items, settings.objective, device=device,
            metric=settings.metric, batch=settings.test_batch, progress=progress,
        )  # fmt: skip
        return fmean(found["iou"])

    decode, model.decode = model.decode, None
    without, model.decode, val = tried(), decode, []
    for strength in settings.strengths:
        model.strength = strength
        val.append(tried())
    strengths = list(settings.strengths)
    chosen = strengths[best_place(val)]
    return {"strengths": strengths, "val": val, "chosen": chosen, "without": without}
