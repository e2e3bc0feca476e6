"""From settings to a record: fit with exact resume, reload the best network, test it.

Chapter 10.
"""

from __future__ import annotations

import logging
import shutil
import sys
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import torch

from softcut_lib.train.batches import loaders
from softcut_lib.train.beginnings import beginning_of
from softcut_lib.train.evaluation import evaluate, known_device, summarize, through_windows
from softcut_lib.train.provenance import describe_machine, describe_session
from softcut_lib.train.runs import (
    TrainingStopped,
    read_checkpoint,
    read_json,
    runs_folder,
    write_json,
)

# options that a record names only where they differ from these
DEFAULTS = {"precision": "32-true", "accumulate": 1, "devices": 1}


@dataclass(frozen=True)
class Resources:
    """Where and with what a run computes; what of it can change a number is also in the options."""

    device: str = "cpu"
    devices: int = 1
    precision: str = "32-true"
    accumulate: int = 1
    threads: int | None = None
    workers: int = 0
    progress: bool = True


def run_name(config: dict) -> str:
    """Folder name of a run, from everything that defines it.

    Example:
        >>> options = {"optimizer": "adam", "lr": 1e-3, "epochs": 6, "steps_per_epoch": 100,
        ...            "batch": 8, "scale": 1.0}
        >>> run_name({"data": "camvid", "model": "base", "seed": 0, "options": options})
        'camvid-base-adam-lr0.001-e6x100-batch8-seed0'
    """
    options = config["options"]
    epochs = f"e{options['epochs']}"
    if "steps_per_epoch" in options:
        epochs += f"x{options['steps_per_epoch']}"
    parts = [config["data"], config["model"], options["optimizer"], f"lr{options['lr']:g}", epochs]
    usual = {"batch": 1, "test_batch": 1, "scale": 1.0, "count": None, **DEFAULTS}
    parts += [
        f"{name}{options[name]}" for name in usual if options.get(name, usual[name]) != usual[name]
    ]
    return "-".join([*parts, f"seed{config['seed']}"])


def fit(settings, config, how: Resources, *, resume, overwrite, train, runs, command):
    """Train and test as `run` describes; ``settings`` is the experiment, ``config`` its record."""
    if how.threads is not None:  # also for tests of a run that is finished
        torch.set_num_threads(how.threads)
    every = runs_folder(runs) / config["experiment"]
    folder = every / run_name(config)
    beginning = beginning_of(settings, config, every, run_name)
    if overwrite and train:
        if folder.exists():
            shutil.rmtree(folder)
        if beginning is not None:
            beginning.forget()
    if (folder / "result.json").exists():
        return read_json(folder / "result.json")
    if not train:
        return None
    known_device(how.device)
    from softcut_lib.train.callbacks import KeepBestAndLast  # Lightning: not to read what is there

    last = folder / "last.ckpt"
    if last.exists() and not resume:
        raise ValueError(
            f"an unfinished run is in {folder}: continue it with --resume (resume=True) or start "
            "again with --overwrite (overwrite=True)"
        )
    folder.mkdir(parents=True, exist_ok=True)
    begun = beginning is not None and beginning.folder.exists() and not last.exists()
    origin = beginning.folder if begun else folder
    goes_on = begun or last.exists()
    previous = read_json(origin / "config.json")["sessions"] if goes_on else []
    sessions = [*previous, describe_session(command)]
    write_json(folder / "config.json", {**config, "sessions": sessions})
    if begun:
        beginning.take(folder, config)

    sets = {split: split_of(settings, config, split) for split in ("train", "val")}
    keep = KeepBestAndLast(folder, config, beginning=beginning)
    resumed_from = last if last.exists() else None
    module, stopped = _train(settings, config, sets, folder, how, resumed_from, keep)

    best = read_checkpoint(folder / "best.ckpt")
    module.model.load_state_dict(best["state_dict"])
    sets["test"] = split_of(settings, config, "test")
    started = time.perf_counter()
    test = evaluate(
        through_windows(module.model, settings.windows), sets["test"], settings.objective,
        device=how.device, metric=settings.metric, counts=settings.counts,
        batch=settings.test_batch, progress=how.progress,
    )  # fmt: skip
    further = {}
    if settings.measure is not None and settings.decodes is None:  # else `retested` measures
        further = settings.measure(module.model, sets)
    record = {
        **config,
        "counts": {split: len(items) for split, items in sets.items()},
        "parameters": sum(p.numel() for p in module.model.parameters()),
        "best_epoch": best["epoch"],
        "stopped": stopped,
        "summary": summarize(test),
        "test": test,
        **further,
        "history": module.history,
        "wall_time_s": sum(row["seconds"] for row in module.history)
        + time.perf_counter()
        - started,
        "machine": describe_machine(how.device),
        "sessions": sessions,
    }
    write_json(folder / "result.json", record)
    return record


def split_of(settings, config, split):
    """The images of one split that a run uses."""
    few = {} if settings.count is None else {"count": settings.count}
    load = settings.data[config["data"]].load
    return load(split, scale=config["options"]["scale"], **few)


def _train(settings, config, sets, folder: Path, how: Resources, checkpoint, keep):
    from lightning.pytorch import Trainer

    from softcut_lib.train.callbacks import Progress
    from softcut_lib.train.experiments import build_model
    from softcut_lib.train.module import SegmentationModule, SolveLog

    solves = SolveLog()
    model = build_model(config["experiment"], config["model"], seed=config["seed"], log=solves)
    module = SegmentationModule(
        model, settings.objective, optimizer=settings.optimizer, lr=settings.lr,
        seed=config["seed"], metric=settings.metric, windows=settings.windows,
        parts=how.accumulate, devices=how.devices, folder=folder, solves=solves,
    )  # fmt: skip
    training, validation = loaders(
        sets["train"], sets["val"], settings, seed=config["seed"], step=NextStep(module),
        parts=how.accumulate, devices=how.devices, workers=how.workers,
    )  # fmt: skip
    if checkpoint is not None:
        read_checkpoint(checkpoint)
        print(f"continuing the run in {folder}", file=sys.stderr)
    stop = folder / "stopped.json"
    stop.unlink(missing_ok=True)
    for name in ("lightning.pytorch.utilities.rank_zero", "lightning.pytorch.accelerators.cuda"):
        logging.getLogger(name).setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        warnings.filterwarnings("ignore", message=".*exists and is not empty.*")
        warnings.filterwarnings("ignore", message=".*LeafSpec.*")
        trainer = Trainer(
            accelerator="gpu" if how.device.startswith("cuda") else "cpu",
            devices=how.devices,
            strategy="ddp_spawn" if how.devices > 1 else "auto",
            precision=how.precision,
            accumulate_grad_batches=how.accumulate,
            max_epochs=settings.epochs,
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            inference_mode=False,
            default_root_dir=folder,
            callbacks=[
                *[Progress(settings.epochs)] * how.progress,
                keep,
            ],
        )
        try:
            trainer.fit(module, training, validation, ckpt_path=checkpoint, weights_only=True)
        except SystemExit as end:  # what Lightning makes of Ctrl-C, without a word
            if isinstance(end.__context__, KeyboardInterrupt):
                raise KeyboardInterrupt from None
            raise
        except Exception as error:
            # among several processes the one that stopped has ended, and the others with it
            if not stop.exists() and how.devices > 1:
                cause = str(error).strip().splitlines()[-1]
                raise ValueError(f"one of {how.devices} processes failed: {cause}") from error
            if not stop.exists():
                raise
            told = read_json(stop)
            if not (folder / "best.ckpt").exists():
                raise TrainingStopped(told["message"], told["reason"]) from error
            # Training ended early, by itself. The best network up to here is what it gave.
            print(f"softcut: {told['message']}", file=sys.stderr)
    stopped = None
    if stop.exists():
        stopped = {name: told[name] for name in ("step", "reason")}
    if how.devices > 1:
        module.history = read_checkpoint(folder / "last.ckpt")["history"]
    return module.cpu(), stopped


class NextStep:
    """The next optimizer step of a module that is trained."""

    def __init__(self, module):
        self.module = module

    def __call__(self):
        return self.module.global_step
