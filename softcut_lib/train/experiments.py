"""The table of experiments, and `run`, which trains and tests one row of it.

The form of an experiment is in `forms.py`, the rows in `table_*.py`; a new table is added below.
Chapters 10 to 12.
"""

from __future__ import annotations

from pathlib import Path

import torch

from softcut_lib import _checks as check
from softcut_lib.train.forms import Data, Experiment, Model, choose
from softcut_lib.train.table_horses import HORSES
from softcut_lib.train.table_msra import MSRA
from softcut_lib.train.table_scribbles import SCRIBBLES
from softcut_lib.train.table_small import SMALL
from softcut_lib.train.table_streets import STREETS
from softcut_lib.train.table_voc import VOC

__all__ = [
    "EXPERIMENTS",
    "Data",
    "Experiment",
    "Model",
    "build_model",
    "choose",
    "load_model",
    "run",
]

EXPERIMENTS: dict[str, Experiment] = {**HORSES, **STREETS, **SMALL, **SCRIBBLES, **VOC, **MSRA}


def build_model(experiment: str, model: str, *, seed: int, log=None):
    """The untrained network of one row; its start is a function of the seed alone.

    >>> from softcut_lib.train.experiments import build_model
    >>> sum(p.numel() for p in build_model("horses", "base", seed=0).parameters())
    19969
    """
    row = choose("model", model, choose("experiment", experiment, EXPERIMENTS).models)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return row.build(log)


def run(
    experiment: str = "horses",
    *,
    model: str,
    data: str = "synthetic",
    seed: int = 0,
    profile: str = "full",
    optimizer: str | None = None,
    lr: float | None = None,
    epochs: int | None = None,
    steps: int | None = None,
    batch: int | None = None,
    test_batch: int | None = None,
    scale: float = 1.0,
    device: str = "cpu",
    devices: int = 1,
    precision: str = "32-true",
    accumulate: int = 1,
    threads: int | None = None,
    workers: int = 0,
    resume: bool = False,
    overwrite: bool = False,
    train: bool = True,
    progress: bool = True,
    runs=None,
    command: str | None = None,
) -> dict | None:
    """Train and test one row of an experiment, and return its record.

    The run lives in its own folder (see `runs_folder`): `last.ckpt` after every epoch, `best.ckpt`
    of lowest validation loss, `history.csv`, and at the end `result.json`, the record. A finished
    run is read, not repeated. A run that was killed at any step goes on, with ``resume``, from the
    last epoch's end, and ends with the same numbers.

    Args:
        experiment: a name in `EXPERIMENTS`. One that decodes another's networks trains those.
        model: a row, e.g. "base" or "softcut".
        data: a data set of the experiment, e.g. "weizmann" or "synthetic".
        seed: of the start of the weights, the order of the images, every step's randomness.
        profile: "full", or "fast" for a short trial.
        optimizer: "adam" or "adagrad"; None for the experiment's own, like the next five.
        lr: learning rate.
        epochs: validations in all.
        steps: optimizer steps in all, in place of `epochs`.
        batch: images of one optimizer step, over all devices and parts.
        test_batch: images that are validated and tested together, see `evaluate`.
        scale: factor on the images' sides, in (0, 1].
        device: "cpu" or "cuda".
        devices: processes that share each batch (DDP). Batch statistics and pooled losses are then
            those of a process' share, so it is another training unless the network and the loss
            have neither.
        precision: "32-true", "bf16-mixed" or "16-mixed" (cuda), as Lightning names them; the cut's
            solve stays in float32.
        accumulate: parts of a batch, one after the other; as with `devices`.
        threads: CPU threads; None leaves PyTorch's number.
        workers: processes that load images; 0 loads them between the steps.
        resume: continue a run that was stopped; it ends with the same numbers.
        overwrite: forget what is there and start again.
        train: False only reads a finished run, and returns None where there is none.
        progress: show how far it is, on the error stream.
        runs: folder of all runs.
        command: recorded as the command that started the run.

    Returns:
        The record: options, data counts, one value per test image (IoU, loss, figures), the
        history, and where and when it ran. See `softcut_lib.train.results`. None where it is not
        to be trained and has not been, or where a network has no conductances to decode with.

    Raises:
        ValueError: an unknown name, an unfinished run without ``resume``, a damaged checkpoint, a
            device that is not there, a loss or gradient that is not finite, a batch that cannot be
            shared out evenly.
        OSError: a checkpoint that cannot be written; the one before is kept.
    """
    from softcut_lib.train.decoding import retested
    from softcut_lib.train.fitting import DEFAULTS, Resources, fit

    chosen = choose("experiment", experiment, EXPERIMENTS)
    choose("model", model, chosen.models)
    settings = chosen.with_options(
        data, profile, optimizer=optimizer, lr=lr, epochs=epochs, steps=steps, batch=batch,
        test_batch=test_batch,
    )  # fmt: skip
    choose("optimizer", settings.optimizer, {"adam": 0, "adagrad": 0})
    choose("precision", precision, dict.fromkeys(("32-true", "bf16-mixed", "16-mixed")))
    if precision == "16-mixed" and not device.startswith("cuda"):
        raise ValueError(
            "precision: 16-mixed needs a GPU (device='cuda'); on the CPU take bf16-mixed"
        )
    counts = {"devices": devices, "accumulate": accumulate}
    for name, value in (counts | ({} if threads is None else {"threads": threads})).items():
        check.positive_integer(name, value)
    for name, value in (("seed", seed), ("workers", workers)):
        if value < 0:
            raise ValueError(f"{name} must be an integer of at least 0, got {value}")
    how = Resources(device, devices, precision, accumulate, threads, workers, progress)
    options = {
        "optimizer": settings.optimizer,
        "lr": float(settings.lr),
        "epochs": int(settings.epochs),
        "batch": settings.batch,
        "scale": float(scale),
        "objective": repr(settings.objective),
    }
    for name in ("steps_per_epoch", "count"):
        if getattr(settings, name) is not None:
            options[name] = getattr(settings, name)
    if settings.test_batch != 1:
        options["test_batch"] = settings.test_batch
    if settings.windows is not None:
        options["windows"] = "{} every {}".format(*settings.windows)
    options |= {
        name: getattr(how, name) for name in DEFAULTS if getattr(how, name) != DEFAULTS[name]
    }
    config = {
        "experiment": chosen.decodes or experiment,
        "model": model,
        "data": data,
        "seed": int(seed),
        "options": options,
    }
    record = fit(
        settings, config, how, resume=resume, overwrite=overwrite, train=train, runs=runs,
        command=command,
    )  # fmt: skip
    if record is None or chosen.decodes is None:
        return record
    if chosen.decode is None and chosen.measure is None:
        return {**record, "experiment": experiment}
    return retested(
        record, settings, decode=chosen.decode, runs=runs, experiment=experiment, device=device,
        progress=progress,
    )  # fmt: skip


def load_model(path):
    """A trained network and the configuration it was trained with.

    Args:
        path: a run's folder, or its `best.ckpt`.

    Returns:
        (`CutNet` in evaluation mode, dict with experiment, model, data, seed, options).

    Raises:
        ValueError: a missing or damaged checkpoint, or one of another network.
    """
    from softcut_lib.train.runs import read_checkpoint

    path = Path(path)
    path = path / "best.ckpt" if path.is_dir() else path
    state = read_checkpoint(path)
    if "config" not in state:
        raise ValueError(f"{path}: no 'config' in this checkpoint; give the run's best.ckpt")
    config = state["config"]
    model = build_model(config["experiment"], config["model"], seed=config["seed"])
    try:
        model.load_state_dict(state["state_dict"])
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise ValueError(
            f"{path}: these weights do not fit the model {config['model']!r} ({reason}); "
            "train it again with this version"
        ) from None
    return model.eval(), config
