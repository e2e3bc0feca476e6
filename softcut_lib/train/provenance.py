"""Where a number comes from: command, commit, date, machine, versions. Chapter 10."""

from __future__ import annotations

import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

# A context with cuDNN and cuBLAS takes below 1 GiB; a second training has one too, and tensors.
GPU_ALONE = 1.5
PACKAGES = ("softcut-lib", "torch", "numpy", "scipy", "numba", "lightning", "scikit-image")


def describe_session(command: str | None = None) -> dict:
    """Command, commit and date of one start of a run (a resumed run has several)."""
    return {
        "command": command or "softcut_lib.run(...)",
        "commit": commit(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def describe_machine(device: str = "cpu") -> dict:
    """Device, CPU threads and versions. Nothing that names the machine or its user."""
    name = torch.cuda.get_device_name() if device.startswith("cuda") else processor()
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed as a package"
    return {
        "device": device,
        "processor": name,
        "threads": torch.get_num_threads(),
        "system": platform.system(),
        "versions": versions,
    }


def held_by_others(device) -> float:
    """GiB of a GPU's memory outside PyTorch's pool here: other processes', and this one's context.

    Times of a run are its own only where this is small, see `GPU_ALONE`.
    """
    free, total = torch.cuda.mem_get_info(device)
    return (total - free - torch.cuda.memory_reserved(device)) / 2**30


def commit() -> str:
    """Commit of the checkout the library runs from, with "+changes" if it was edited since."""
    home = Path(__file__).resolve().parents[2]
    try:
        head = _git(home, "rev-parse", "HEAD")
        edited = _git(home, "status", "--porcelain", "--", "softcut_lib")
    except (OSError, subprocess.CalledProcessError):
        return "not a git checkout"
    return head + ("+changes" if edited else "")


def processor() -> str:
    """The CPU's model name where the system tells it."""
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _git(folder, *arguments) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
