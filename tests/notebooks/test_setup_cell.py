"""The set-up cell of every notebook, where the library is missing: in Colab, say."""

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from tests.notebooks.scratch import NOTEBOOKS, read_notebook

CELL = next(c.source for c in read_notebook("A1_receptive_field").cells if c.cell_type == "code")
AFTER = "\nimport torch, numpy; print(sc.__file__, torch.__version__, numpy.__version__)"


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """An environment that sees all installed packages but not the library."""
    home = tmp_path_factory.mktemp("bare")
    seen = home / "seen"
    seen.mkdir()
    for entry in Path(sysconfig.get_paths()["purelib"]).iterdir():
        if "softcut" not in entry.name and entry.suffix not in (".pth", ".egg-link"):
            (seen / entry.name).symlink_to(entry)
    venv.create(home / "env", with_pip=False)
    python = home / "env" / "bin" / "python"
    where = [python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"]
    site = subprocess.run(where, capture_output=True, text=True, check=True).stdout.strip()
    (Path(site) / "seen.pth").write_text(f"{seen}\n")
    return python


def run(python, folder, code):
    return subprocess.run([python, "-c", code], cwd=folder, capture_output=True, text=True)


def test_the_reason_is_said_where_there_is_no_wheel(bare, tmp_path):
    done = run(bare, tmp_path, CELL)
    assert done.returncode != 0
    assert "softcut_lib: put its wheel beside this notebook" in done.stderr.splitlines()[-1]


def test_a_wheel_beside_the_notebook_is_installed(bare, tmp_path):
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "-w", tmp_path, copy_of_the_package(tmp_path)], check=True)
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


def copy_of_the_package(folder):
    """A copy to build from, so that nothing is written into the checkout."""
    import shutil

    root, source = NOTEBOOKS.parent, folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(root / name, source)
    shutil.copytree(root / "softcut_lib", source / "softcut_lib")
    shutil.copytree(root / "book", source / "book")
    return source
