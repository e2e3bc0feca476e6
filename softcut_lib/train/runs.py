"""Run folders: where a training run keeps its state, and how files are written so that a kill
at any moment leaves either the old or the new file, never half of one. Chapter 10.
"""

from __future__ import annotations

import json
import os
import pickle
import sys
import zipfile
from pathlib import Path

import torch


class TrainingStopped(ValueError):
    """A step whose loss or gradient is not finite, or that the cut refuses; `reason` says which."""

    def __init__(self, message, reason):
        super().__init__(message)
        self.reason = reason


def runs_folder(folder: str | os.PathLike | None = None) -> Path:
    """Where runs are kept: ``folder``, else ``SOFTCUT_RUNS``, else the user's cache folder.

    >>> from softcut_lib.train.runs import runs_folder
    >>> runs_folder("my-runs").name
    'my-runs'
    """
    chosen = folder or os.environ.get("SOFTCUT_RUNS")
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        cache = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        cache = Path.home() / "Library" / "Caches"
    else:
        cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "softcut" / "runs"


def write_atomically(path: str | os.PathLike, content: bytes) -> None:
    """Write a file under a temporary name and rename it, so that it is never half written.

    Raises:
        OSError: it cannot be written, say because the disk is full; the message names the file,
            and what was there before is kept.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror or error}; not written", str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)  # a disk that is full should not stay fuller


def refuse_unwritable(name: str, path: str | os.PathLike) -> None:
    """Refuse, before hours of work, a file that could not be written after them.

    Raises:
        ValueError: path is a folder, or its folder cannot be made or written to.
    """
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"{name}: {path} is a folder; name the file to write in it")
    there = next(above for above in path.absolute().parents if above.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        why = "may not be written to" if there.is_dir() else "is no folder"
        raise ValueError(f"{name}: {path} cannot be written, {there} {why}; name another place")


def write_json(path: str | os.PathLike, value) -> None:
    """Write JSON atomically. Infinite or undefined numbers are refused, as JSON has none."""
    text = json.dumps(value, indent=1, allow_nan=False)
    write_atomically(path, (text + "\n").encode())


def read_json(path: str | os.PathLike):
    """Read JSON; a missing or damaged file is an error that names it."""
    path = Path(path)
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise ValueError(f"{path}: there is no such file") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not valid JSON ({error}); restore or delete the file") from None


def write_checkpoint(path: str | os.PathLike, state: dict) -> None:
    """Save tensors and plain values atomically."""
    import io

    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_atomically(path, buffer.getvalue())


def read_checkpoint(path: str | os.PathLike) -> dict:
    """Load a checkpoint (tensors and plain values only, never code).

    Raises:
        ValueError: a missing or damaged file, named, with what to do.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path}: there is no such checkpoint")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, OSError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        if isinstance(error, pickle.UnpicklingError):  # PyTorch's text advises to run its code
            reason = "no tensors and plain values"
        raise ValueError(
            f"{path}: no checkpoint, or a damaged one, and cannot be read ({reason}); if it is a "
            "run's, delete it and start the run again with --overwrite, or restore it from a copy"
        ) from None
    if not isinstance(state, dict) or "state_dict" not in state:
        raise ValueError(f"{path}: this file is no checkpoint of a softcut run (no 'state_dict')")
    return state
