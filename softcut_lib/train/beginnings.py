"""Runs that begin alike: what several rows train first, all in the same way, is trained once.

"Cross-entropy" and "cross-entropy, then a regularizer beside it" are one training up to the step at
which the regularizer comes in. Whichever row gets there first leaves its state; the others go on
from there, as a run goes on that was stopped, and end with the numbers of a run of their own.
Chapter 15.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from softcut_lib.train.runs import read_checkpoint, write_atomically, write_checkpoint


@dataclass(frozen=True)
class Beginning:
    """The first ``steps`` steps of several rows, with one seed and the same options.

    Args:
        folder: that keeps the state behind them like that of a run, once a run has got there.
        steps: at least 1.
    """

    folder: Path
    steps: int

    def keep(self, folder: Path, last: Path) -> None:
        """Leave the state of a run that has just made these steps, unless one has been left.

        Args:
            folder: of the run.
            last: its checkpoint behind these steps.
        """
        temporary = self.folder.with_name(f".{self.folder.name}.{os.getpid()}.tmp")
        try:
            temporary.mkdir(parents=True)
            shutil.copyfile(last, temporary / "last.ckpt")
            for name in ("best.ckpt", "config.json"):
                shutil.copyfile(folder / name, temporary / name)
            if not self.folder.exists():
                temporary.rename(self.folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def take(self, folder: Path, config: dict) -> None:
        """Put the state where the run in ``folder`` resumes from."""
        best = read_checkpoint(self.folder / "best.ckpt")
        write_checkpoint(folder / "best.ckpt", {**best, "config": config})
        write_atomically(folder / "last.ckpt", (self.folder / "last.ckpt").read_bytes())

    def forget(self) -> None:
        """Remove the state, so that the next run makes these steps itself."""
        shutil.rmtree(self.folder, ignore_errors=True)


def beginning_of(settings, config: dict, folder: Path, name) -> Beginning | None:
    """What a run shares with others at its start, None where it shares nothing.

    Args:
        settings: the `Experiment`; its objective says with ``first`` where the shared part ends.
        config: of the run.
        folder: of the experiment's runs.
        name: ``name(config)`` names a run's folder.
    """
    rows, model = settings.models, config["model"]
    shared = rows[model].begins or model
    if all(row.begins != shared for row in rows.values()):
        return None
    steps = settings.objective.first
    return Beginning(folder / f"{name({**config, 'model': shared})}-first{steps}", steps)
