"""`softcut doctor` and the help pages: what they promise is there, and what is broken is said."""

import argparse
import re
import shlex
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
import torch

import softcut_lib as sc
from softcut_lib import cli
from softcut_lib.cli import doctor


def commands():
    """{name: parser} of every subcommand."""
    (action,) = (
        a
        for a in cli.build_parser()._subparsers._group_actions
        if isinstance(a, argparse._SubParsersAction)
    )
    return action.choices


def examples(text):
    """The command lines of a help page, without what is said beside them."""
    block = re.search(r"^examples?:\n((?:  .*\n?)+)", text, re.MULTILINE)
    assert block, f"no examples in:\n{text}"
    found = []
    for line in block[1].splitlines():
        words = shlex.split(re.split(r"\s{3,}", line.strip())[0])
        words = words[words.index("softcut") + 1 :]
        found.append(words)
    return found


@pytest.mark.parametrize("name", sorted(commands()))
def test_every_help_page_has_examples_that_parse(name):
    found = examples(commands()[name].format_help())
    for words in found:
        assert words[0] == name
        cli.build_parser().parse_args(words)


def test_the_main_help_has_an_example_of_every_command():
    found = examples(cli.build_parser().format_help())
    assert {words[0] for words in found} == set(commands())
    for words in found:
        cli.build_parser().parse_args(words)


def report(capsys):
    """(exit status, {name: (mark, text)}, everything printed)."""
    status = cli.main(["doctor"])
    text = capsys.readouterr().out
    lines = re.findall(r"^  (ok|--|!!) (.{1,18})((?: .*)?(?:\n {24}.*)*)$", text, re.MULTILINE)
    found = {name.strip(): (mark, " ".join(rest.split())) for mark, name, rest in lines}
    return status, found, text


@pytest.fixture
def quick(monkeypatch, tmp_path):
    """Without the kernels, which one test runs; its own folders."""
    monkeypatch.setattr(doctor, "kernels", lambda: [])
    monkeypatch.setenv("SOFTCUT_RUNS", str(tmp_path / "runs"))
    monkeypatch.delenv("SOFTCUT_DATA", raising=False)
    return tmp_path


def test_all_is_well_here(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("SOFTCUT_RUNS", str(tmp_path / "runs"))
    monkeypatch.delenv("SOFTCUT_DATA", raising=False)
    status, found, text = report(capsys)
    assert status == 0 and text.endswith("All that is needed works.\n")
    assert found["torch"] == ("ok", torch.__version__)
    assert found["softcut-lib"][1].startswith(sc.__version__)
    mark, kernel = found["fused on cpu"]
    assert mark == "ok" and float(re.search(r"to (\S+)", kernel)[1]) < 1e-5
    assert set(doctor.EXTRAS) <= set(found)
    assert found["SOFTCUT_DATA"][0] == "--" and "weizmann_horse_db" in found["SOFTCUT_DATA"][1]
    assert not (tmp_path / "runs").exists(), "looking must not write"


def test_missing_and_old_packages(capsys, quick, monkeypatch):
    """A core package that is missing is broken; an extra that lacks one names its install line."""
    real = doctor.version

    def version(name):
        if name in ("networkx", "tqdm"):
            raise PackageNotFoundError(name)
        return {"scipy": "1.2.0", "lightning": "1.0"}.get(name) or real(name)

    monkeypatch.setattr(doctor, "version", version)
    status, found, text = report(capsys)
    assert status == 1
    assert found["networkx"] == ("!!", "not installed; pip install 'networkx>=3.3'")
    assert found["scipy"][0] == "!!" and "1.2.0, but >=1.13 is needed" in found["scipy"][1]
    mark, train = found["train"]
    assert mark == "--" and "tqdm (not installed)" in train and "lightning (1.0, but" in train
    assert train.endswith("pip install 'softcut-lib[train]'")
    broken = text.partition("Broken:\n")[2]
    assert "networkx" in broken and "scipy" in broken and "tqdm" not in broken


def test_a_library_that_is_not_installed(capsys, quick, monkeypatch):
    def requires(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(doctor, "requires", requires)
    status, found, _ = report(capsys)
    assert status == 1 and "pip install -e ." in found["requirements"][1]


@pytest.mark.parametrize("wrong", [lambda x: x + 1, lambda x: 1 / 0, lambda x: x * torch.nan])
def test_a_kernel_that_fails_is_broken(monkeypatch, wrong):
    """Wrong, raising or NaN: none of them passes for a working kernel."""
    solve = sc.solve

    def other(system, rhs, solver):
        x, info = solve(system, rhs, sc.CG(max_iter=8, accept=True, kernel="torch"))
        return (wrong(x) if solver.kernel == "fused" else x), info

    monkeypatch.setattr(sc, "solve", other)
    mark, _, text = doctor.compared("fused on cpu", torch.device("cpu"))
    assert mark == "!!" and ("differs" in text or "ZeroDivisionError" in text)


def test_data_is_opened_by_its_loader(capsys, quick, monkeypatch):
    sc.write_synthetic_streets(quick / "cityscapes", counts={"train": 1}, size=(32, 64))
    (quick / "weizmann_horse_db" / "rgb").mkdir(parents=True)
    (quick / "weizmann_horse_db" / "figure_ground").mkdir()
    (quick / "camvid").mkdir()  # unpacked elsewhere
    monkeypatch.setenv("SOFTCUT_DATA", str(quick))
    status, found, _ = report(capsys)
    assert found["cityscapes"][0] == "ok" and "Cityscapes()" in found["cityscapes"][1]
    assert found["weizmann_horse_db"][0] == "!!", "a partial data set is broken"
    assert found["voc2012"][0] == "--" and "VOCtrainval" in found["voc2012"][1]
    assert found["voc2012"][1].startswith("not there, for PascalVOC")
    state, text = found["camvid"]
    assert state == "--" and text.startswith("there, but no CamVid") and "train/" in text
    assert status == 1
    monkeypatch.setenv("SOFTCUT_DATA", str(quick / "nowhere"))
    assert report(capsys)[1]["SOFTCUT_DATA"][0] == "!!"


def test_a_runs_folder_that_is_a_file(capsys, quick):
    Path(quick / "runs").write_text("")
    status, found, _ = report(capsys)
    assert status == 1 and found["folder"][0] == "!!" and "SOFTCUT_RUNS" in found["folder"][1]
