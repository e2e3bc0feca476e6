"""The GPU benchmark: it says so where there is no GPU, and its code runs without one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]


def bench(*arguments):
    command = [sys.executable, "-m", "benchmarks.gpu", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=os.environ)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_what_to_do_and_fails():
    done = bench()
    assert done.returncode == 2 and "--dry" in done.stderr and "no CUDA device" in done.stderr


def test_dry_run(tmp_path):
    pytest.importorskip("triton")
    file = tmp_path / "gpu.json"
    done = bench("--dry", "--seconds", "0.001", "--parts", "graphs", "--output", str(file))
    assert done.returncode == 0, done.stderr
    first = json.loads(file.read_text())
    rows = first["graphs"]
    assert len(rows) == 2 and all(row["seconds"]["median"] > 0 for row in rows)
    done = bench("--dry", "--add", "--parts", "arms", "--seconds", "0.001", "--output", str(file))
    assert done.returncode == 0, done.stderr
    both = json.loads(file.read_text())
    assert both["graphs"] == rows and [row["model"] for row in both["arms"]] == ["base"]
    assert len(both["sessions"]) == 2 and both["wall_time_s"] > first["wall_time_s"] > 0
