"""Scripts fetched at build time: checked, required in CI, and their absence is said."""

import shutil
import subprocess

import pytest

from book import vendor


@pytest.fixture(params=[vendor.MATHJAX, vendor.REVEAL], ids=lambda package: package.name)
def package(request, monkeypatch, tmp_path):
    """A package of one file, as `npm` below delivers it."""
    monkeypatch.delenv("CI", raising=False)
    expected = tmp_path / "expected" / request.param.kept[0]
    expected.parent.mkdir(parents=True)
    expected.write_text("formulas")
    return request.param._replace(sha256=vendor.tree_sum(tmp_path / "expected"))


@pytest.fixture
def npm(monkeypatch, tmp_path, package):
    """A stand-in that "installs" one script; its content can be changed."""
    content = {"text": "formulas"}

    def run(command, **options):
        assert "--ignore-scripts" in command and package.spec in command
        folder = tmp_path.joinpath(command[command.index("--prefix") + 1])
        whole = folder / "node_modules" / package.name / package.root
        script = whole / package.kept[0]
        script.parent.mkdir(parents=True)
        script.write_text(content["text"])
        (whole / "unwanted.js").write_text("")
        return subprocess.CompletedProcess(command, content.get("status", 0), "", "no network")

    monkeypatch.setattr(vendor.subprocess, "run", run)
    monkeypatch.setattr(vendor.shutil, "which", lambda name: "npm")
    return content


def test_it_is_fetched_once(npm, package, tmp_path, monkeypatch):
    target = vendor.provide(package, tmp_path / "vendor")
    assert (target / package.kept[0]).read_text() == "formulas"
    monkeypatch.setattr(vendor.shutil, "which", lambda name: None)
    assert vendor.provide(package, target.parent) == target, "what is there needs no npm"
    assert [path.name for path in target.parent.iterdir()] == [package.name]


@pytest.mark.parametrize("trouble", ["other files", "no network", "no npm"])
def test_without_it_the_build_says_what_needs_the_internet(
    npm, package, tmp_path, monkeypatch, capsys, trouble
):
    if trouble == "other files":
        npm["text"] = "changed"
    elif trouble == "no network":
        npm["status"] = 1
    else:
        monkeypatch.setattr(vendor.shutil, "which", lambda name: None)
    assert vendor.provide(package, tmp_path / "vendor") is None
    assert not (tmp_path / "vendor" / package.name).exists()
    said = capsys.readouterr().out
    assert package.title in said and "now need the internet" in said
    assert {"other files": "other files", "no network": "no network", "no npm": "not installed"}[
        trouble
    ] in said
    monkeypatch.setenv("CI", "true")
    with pytest.raises(RuntimeError, match="CI requires it"):
        vendor.provide(package, tmp_path / "vendor")


def test_a_damaged_copy_is_not_taken(npm, package, tmp_path):
    target = vendor.provide(package, tmp_path / "vendor")
    (target / "more.js").write_text("")
    shutil.copy(target / package.kept[0], target / "again.js")
    assert vendor.provide(package, tmp_path / "vendor") == target
    files = [path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()]
    assert files == [package.kept[0]]
