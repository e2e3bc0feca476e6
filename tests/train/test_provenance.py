"""Where a number comes from: the very code that made it, and nothing of whose machine it was."""

import json
import platform
import re
import subprocess

import pytest

from softcut_lib.train import provenance


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A folder in which the library seems to lie; not a repository yet."""
    file = tmp_path / "softcut_lib" / "train" / "provenance.py"
    file.parent.mkdir(parents=True)
    file.write_text("")
    monkeypatch.setattr(provenance, "__file__", str(file))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    return tmp_path


def git(folder, *words):
    names = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", folder, *names, *words]
    subprocess.run(command, check=True, capture_output=True)


def test_edited_code_does_not_go_by_the_name_of_its_commit(checkout):
    assert provenance.commit() == "not a git checkout"
    git(checkout, "init")
    git(checkout, "add", "softcut_lib")
    git(checkout, "commit", "-m", "first")
    head = provenance.describe_session("softcut train")["commit"]
    assert re.fullmatch("[0-9a-f]{40}", head)
    (checkout / "notes.md").write_text("no part of the library")
    assert provenance.commit() == head
    for change in ("new.py", "train/provenance.py"):
        path = checkout / "softcut_lib" / change
        before = path.read_text() if path.exists() else None
        path.write_text("x = 1")
        assert provenance.commit() == f"{head}+changes", change
        path.unlink() if before is None else path.write_text(before)
    assert provenance.commit() == head


def test_a_machine_is_told_by_its_parts_not_by_its_name(monkeypatch):
    monkeypatch.setattr(platform, "node", lambda: "the-desk-of-somebody")
    monkeypatch.setattr(provenance, "PACKAGES", ("torch", "no-such-package"))
    machine = provenance.describe_machine()
    assert "somebody" not in json.dumps(machine) and machine["device"] == "cpu"
    assert machine["versions"]["torch"] and machine["processor"] and machine["threads"] > 0
    assert machine["versions"]["no-such-package"] == "not installed as a package"
