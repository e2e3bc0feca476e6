"""From settings to a record: fit with exact resume, reload the best network, test it.

Chapter 10.
"""

from __future__ import annotations

import logging
import shutil
import sys
import time
import warnings
from pathlib import Path

import torch
from torch.utils.data import DataLoader

from softcut_lib.train.evaluation import evaluate, summarize
from softcut_lib.train.provenance import describe_machine, describe_session
from softcut_lib.train.runs import read_checkpoint, read_json, runs_folder, write_json


def run_name(config: dict) -> str:
    """Folder name of a run, from everything that defines it."""
    options = config["options"]
    parts = [
        config["data"],
        config["model"],
        options["optimizer"],
        f"lr{options['lr']:g}",
        f"e{options['epochs']}",
    ]
    if options["scale"] != 1:
        parts.append(f"scale{options['scale']:g}")
    return "-".join([*parts, f"seed{config['seed']}"])


def fit(settings, config, *, threads, device, resume, overwrite, train, progress, runs, command):
    """Train and test as `run` describes; ``settings`` is the experiment, ``config`` its record."""
    folder = runs_folder(runs) / config["experiment"] / run_name(config)
    if overwrite and train and folder.exists():
        shutil.rmtree(folder)
    if (folder / "result.json").exists():
        return read_json(folder / "result.json")
    if not train:
        return None
    last = folder / "last.ckpt"
    if last.exists() and not resume:
        raise ValueError(
            f"an unfinished run is in {folder}: continue it with --resume (resume=True) or start "
            "again with --overwrite (overwrite=True)"
        )
    if threads is not None:
        torch.set_num_threads(threads)
    folder.mkdir(parents=True, exist_ok=True)
    previous = read_json(folder / "config.json") if last.exists() else {"sessions": []}
    sessions = [*previous["sessions"], describe_session(command)]
    write_json(folder / "config.json", {**config, "sessions": sessions})

    load = settings.data[config["data"]].load
    sets = {split: load(split, scale=config["options"]["scale"]) for split in ("train", "val")}
    resumed_from = last if last.exists() else None
    module, stopped = _train(settings, config, sets, folder, device, resumed_from, progress)

    best = read_checkpoint(folder / "best.ckpt")
    module.model.load_state_dict(best["state_dict"])
    sets["test"] = load("test", scale=config["options"]["scale"])
    started = time.perf_counter()
    test = evaluate(module.model, sets["test"], settings.objective, device=device)
    record = {
        **config,
        "counts": {split: len(items) for split, items in sets.items()},
        "parameters": sum(p.numel() for p in module.model.parameters()),
        "best_epoch": best["epoch"],
        "stopped": stopped,
        "summary": summarize(test),
        "test": test,
        "history": module.history,
        "wall_time_s": sum(row["seconds"] for row in module.history)
        + time.perf_counter()
        - started,
        "machine": describe_machine(device),
        "sessions": sessions,
    }
    write_json(folder / "result.json", record)
    return record


def decoded(record: dict, settings, decode: str, *, runs=None) -> dict | None:
    """The record of the same run, tested with another decoder; None where it has no conductances.

    The loss stays that of the probabilities: a hard mask has none.
    """
    from softcut_lib.train.experiments import load_model

    folder = runs_folder(runs) / record["experiment"] / run_name(record)
    model, _ = load_model(folder)
    items = settings.data[record["data"]].load("test", scale=record["options"]["scale"])
    with torch.no_grad():
        if model(items[0]["image"][None]).weights is None:
            return None
    model.decode = decode
    test = evaluate(model, items, settings.objective)
    options = {**record["options"], "decode": decode}
    return {**record, "options": options, "summary": summarize(test), "test": test}


def _train(settings, config, sets, folder: Path, device, checkpoint, progress):
    from lightning.pytorch import Trainer

    from softcut_lib.train.callbacks import KeepBestAndLast, Progress
    from softcut_lib.train.experiments import build_model
    from softcut_lib.train.module import SegmentationModule, SolveLog, TrainingStopped

    solves = SolveLog()
    model = build_model(config["experiment"], config["model"], seed=config["seed"], log=solves)
    module = SegmentationModule(
        model,
        settings.objective,
        optimizer=settings.optimizer,
        lr=settings.lr,
        seed=config["seed"],
        folder=folder,
        solves=solves,
    )
    if checkpoint is not None:
        read_checkpoint(checkpoint)
        print(f"continuing the run in {folder}", file=sys.stderr)
    for name in ("lightning.pytorch.utilities.rank_zero", "lightning.pytorch.accelerators.cuda"):
        logging.getLogger(name).setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        warnings.filterwarnings("ignore", message=".*exists and is not empty.*")
        warnings.filterwarnings("ignore", message=".*LeafSpec.*")
        trainer = Trainer(
            accelerator="gpu" if device.startswith("cuda") else "cpu",
            devices=1,
            max_epochs=settings.epochs,
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            inference_mode=False,
            default_root_dir=folder,
            callbacks=[*[Progress(settings.epochs)] * progress, KeepBestAndLast(folder, config)],
        )
        stopped = None
        try:
            trainer.fit(
                module,
                DataLoader(sets["train"], settings.batch),
                DataLoader(sets["val"], 1),
                ckpt_path=checkpoint,
                weights_only=True,
            )
        except TrainingStopped as error:
            if not (folder / "best.ckpt").exists():
                raise
            # Training ended early, by itself. The best network up to here is what it gave.
            print(f"softcut: {error}", file=sys.stderr)
            stopped = {"step": module.global_step, "reason": error.reason}
    return module.cpu(), stopped
