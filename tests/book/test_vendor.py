"""MathJax at build time: checked, required in CI, and its absence is said."""

import shutil
import subprocess

import pytest

from book import vendor


@pytest.fixture
def npm(monkeypatch, tmp_path):
    """A stand-in that "installs" one script; its content can be changed."""
    content = {"text": "formulas"}

    def run(command, **options):
        assert "--ignore-scripts" in command and vendor.PACKAGE in command
        folder = tmp_path.joinpath(command[command.index("--prefix") + 1])
        script = folder / "node_modules" / "mathjax" / "es5" / vendor.SCRIPT
        script.parent.mkdir(parents=True)
        script.write_text(content["text"])
        return subprocess.CompletedProcess(command, content.get("status", 0), "", "no network")

    monkeypatch.setattr(vendor.subprocess, "run", run)
    monkeypatch.setattr(vendor.shutil, "which", lambda name: "npm")
    monkeypatch.delenv("CI", raising=False)
    expected = tmp_path / "expected"
    expected.mkdir()
    (expected / vendor.SCRIPT).write_text("formulas")
    monkeypatch.setattr(vendor, "SHA256", vendor.tree_sum(expected))
    return content


def test_it_is_fetched_once(npm, tmp_path, monkeypatch):
    target = tmp_path / "vendor" / "mathjax"
    assert vendor.provide(target) and (target / vendor.SCRIPT).read_text() == "formulas"
    monkeypatch.setattr(vendor.shutil, "which", lambda name: None)
    assert vendor.provide(target), "what is there needs no npm"
    assert [path.name for path in target.parent.iterdir()] == ["mathjax"]


@pytest.mark.parametrize("trouble", ["other files", "no network", "no npm"])
def test_without_it_the_build_says_what_needs_the_internet(
    npm, tmp_path, monkeypatch, capsys, trouble
):
    if trouble == "other files":
        npm["text"] = "changed"
    elif trouble == "no network":
        npm["status"] = 1
    else:
        monkeypatch.setattr(vendor.shutil, "which", lambda name: None)
    target = tmp_path / "vendor" / "mathjax"
    assert not vendor.provide(target) and not target.exists()
    said = capsys.readouterr().out
    assert "formulas" in said and "internet" in said
    assert {"other files": "other files", "no network": "no network", "no npm": "not installed"}[
        trouble
    ] in said
    monkeypatch.setenv("CI", "true")
    with pytest.raises(RuntimeError, match="CI requires it"):
        vendor.provide(target)


def test_a_damaged_copy_is_not_taken(npm, tmp_path):
    target = tmp_path / "vendor" / "mathjax"
    vendor.provide(target)
    (target / "more.js").write_text("")
    shutil.copy(target / vendor.SCRIPT, target / "again.js")
    assert vendor.provide(target)
    assert [path.name for path in target.iterdir()] == [vendor.SCRIPT]
