"""Callbacks of a training run: checkpoints written atomically, the history as CSV, progress.

Chapter 10.
"""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path

from lightning.pytorch.callbacks import Callback, Checkpoint

from softcut_lib.train.runs import write_atomically, write_checkpoint


class KeepBestAndLast(Checkpoint):
    """After each epoch: `best.ckpt` (lowest validation loss), `last.ckpt`, `history.csv`.

    The best is written before the last: a run killed between the two repeats the epoch and writes
    the same best again. Where a file cannot be written, the former ones stay. Behind the steps of a
    `Beginning`, the state is left for the rows that share it.
    """

    def __init__(self, folder: Path, config: dict, *, beginning=None):
        self.folder = folder
        self.config = config
        self.beginning = beginning

    def on_train_epoch_end(self, trainer, module):
        rows = module.history
        temporary = self.folder / ".last.ckpt.tmp"
        try:
            if trainer.is_global_zero:
                self._keep_best(module, rows)
            trainer.save_checkpoint(temporary, weights_only=False)  # every process takes part
            if trainer.is_global_zero:
                if self.beginning and module.global_step == self.beginning.steps:
                    self.beginning.keep(self.folder, temporary)
                temporary.replace(self.folder / "last.ckpt")
                write_atomically(self.folder / "history.csv", as_csv(rows).encode())
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise OSError(
                f"the checkpoint of step {module.global_step} could not be written in "
                f"{self.folder} ({error}); the one before is kept: make room, then the same "
                "command with --resume goes on from there"
            ) from error

    def _keep_best(self, module, rows):
        if rows[-1]["val_loss"] <= min(row["val_loss"] for row in rows):
            write_checkpoint(
                self.folder / "best.ckpt",
                {
                    "state_dict": module.model.state_dict(),
                    "epoch": rows[-1]["epoch"],
                    "val_loss": rows[-1]["val_loss"],
                    "config": self.config,
                },
            )


class Progress(Callback):
    """One bar for the whole run with the time left; without a terminal, one line an epoch."""

    def __init__(self, epochs: int):
        self.epochs = epochs
        self.bar = None

    def on_train_start(self, trainer, module):
        if sys.stderr.isatty() and trainer.is_global_zero:
            from tqdm import tqdm

            total = self.epochs * trainer.num_training_batches // module.parts
            self.bar = tqdm(total=total, initial=trainer.global_step, unit="step", mininterval=0.5)

    def on_train_batch_end(self, trainer, module, *args):
        if self.bar is not None:
            self.bar.update(trainer.global_step - self.bar.n)

    def on_train_epoch_end(self, trainer, module):
        if not trainer.is_global_zero:
            return
        row = module.history[-1]
        text = f"train {row['train_loss']:.4f}, validation {row['val_loss']:.4f}"
        if self.bar is not None:
            self.bar.set_postfix_str(f"epoch {row['epoch'] + 1}/{self.epochs}, {text}")
            return
        left = (self.epochs - row["epoch"] - 1) * row["seconds"] / 60
        solver = "".join(
            f", {name} steps {row[f'{name}_steps_mean']:.0f} (max {row[f'{name}_steps_max']:.0f})"
            for name in ("forward", "adjoint")
            if f"{name}_steps_mean" in row
        )
        print(
            f"epoch {row['epoch'] + 1}/{self.epochs}: {text}{solver}, "
            f"{row['seconds']:.1f} s, about {left:.1f} min left",
            file=sys.stderr,
            flush=True,
        )

    def teardown(self, trainer, module, stage):
        if self.bar is not None:
            self.bar.close()
            self.bar = None


def as_csv(rows: list[dict]) -> str:
    """The history as CSV text, one row an epoch."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
