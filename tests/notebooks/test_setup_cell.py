"""The set-up cell of every notebook, where the library is missing: in Colab, say."""

import os
import subprocess
import sys

from book.colab import build_wheel
from tests.notebooks.scratch import read_notebook

CELL = next(c.source for c in read_notebook("A1_receptive_field").cells if c.cell_type == "code")
AFTER = "\nimport torch, numpy; print(sc.__file__, torch.__version__, numpy.__version__)"


def run(python, folder, code):
    """Run code in another folder, with no path to the project."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run([python, "-c", code], cwd=folder, env=env, capture_output=True, text=True)


def test_the_reason_is_said_where_there_is_no_wheel(bare, tmp_path):
    done = run(bare, tmp_path, CELL)
    assert done.returncode != 0
    assert "softcut_lib: put its wheel beside this notebook" in done.stderr.splitlines()[-1]


def test_a_wheel_beside_the_notebook_is_installed(bare, tmp_path):
    build_wheel(tmp_path)
    done = run(bare, tmp_path, CELL + AFTER)
    assert done.returncode == 0, done.stderr
    library, *versions = done.stdout.split()
    assert str(bare.parents[1]) in library
    here = run(
        sys.executable,
        tmp_path,
        "import torch, numpy as n; print(torch.__version__, n.__version__)",
    )
    assert versions == here.stdout.split(), "the cell must not touch torch or numpy"
    code = "from softcut_lib.train.results import papers; print(len(papers()['results']))"
    assert int(run(bare, tmp_path, code).stdout) > 100, "the wheel must hold the papers' numbers"
