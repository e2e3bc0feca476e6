"""`make` from nothing: what is missing is said, what was interrupted does not count as done."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOOLS = (
    "sh bash cat cksum tr sed rm mkdir touch echo printf chmod cp false true dirname env".split()
)

# Stands for a Python that can make environments; its pip installs nothing, or fails when told to.
FAKE = """#!/bin/sh
here=$(dirname "$0")
case "$*" in
  *version_info*) exit 0 ;;
  -VV) echo "Python 3.12.0 (fake)" ;;
  *"-m venv"*) mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
  *install*) echo "$*" >> calls; [ ! -e broken ] ;;
  *"-m pytest"*) echo "tests ran" ;;
  *) exit 0 ;;
esac
"""


@pytest.fixture
def clone(tmp_path):
    """A folder with the files that set-up reads, and a PATH without any Python."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in TOOLS:
        (tools / name).symlink_to(shutil.which(name))
    return tmp_path


def make(clone, *arguments):
    command = [shutil.which("make"), *arguments]
    env = {"PATH": str(clone / "tools"), "HOME": os.environ.get("HOME", "")}
    return subprocess.run(command, cwd=clone, env=env, capture_output=True, text=True)


def with_python(clone):
    python = clone / "tools" / "python3"
    python.write_text(FAKE)
    python.chmod(0o755)


def ready(clone):
    return list((clone / ".venv").glob("ready-*"))


def test_help_is_the_default_and_names_every_target(clone):
    listed = set(re.findall(r"^  ([a-z-]+) ", make(clone).stdout, re.MULTILINE))
    (declared,) = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert listed == set(declared.split())


def test_a_missing_python_is_said(clone):
    done = make(clone, "test")
    assert done.returncode != 0
    assert "No Python 3.11, 3.12 or 3.13" in done.stdout
    assert "make test PYTHON=" in done.stdout


def test_torch_is_installed_first_and_set_up_is_done_once(clone):
    with_python(clone)
    first = make(clone, "test")
    assert first.returncode == 0, first.stdout + first.stderr
    calls = (clone / "calls").read_text().splitlines()
    assert calls[0].endswith("-c constraints.txt torch") and "-e .[dev]" in calls[-1]
    second = make(clone, "test")
    assert second.stdout == "tests ran\n"
    assert (clone / "calls").read_text().splitlines() == calls


def test_new_versions_set_up_again(clone):
    with_python(clone)
    make(clone, "test")
    (old,) = ready(clone)
    (clone / "constraints.txt").write_text("torch==0.0\n")
    assert "Setting up" in make(clone, "test").stdout
    assert ready(clone) != [old] and len(ready(clone)) == 1


def test_a_failed_set_up_is_not_done(clone):
    with_python(clone)
    (clone / "broken").touch()
    done = make(clone, "test")
    assert done.returncode != 0 and "tests ran" not in done.stdout and not ready(clone)
    (clone / "broken").unlink()
    assert "tests ran" in make(clone, "test").stdout
