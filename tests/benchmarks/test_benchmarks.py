"""The benchmarks at a tiny size: every row runs, errors are what they say, nothing is hidden."""

import json
import re
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import softcut_lib as sc
from benchmarks import __main__ as command
from benchmarks import measure, plain, special, training_step
from benchmarks.cells import METHODS, Memory, run_cell
from benchmarks.methods import PLAIN, Method, layer
from benchmarks.problems import KINDS, Answer, exact, make
from benchmarks.store import Store

ROOT = Path(__file__).parents[2]
SIZE = (32, 40)


def quiet(text):
    """A progress bar that nobody sees."""


def cell(kind="photograph", names=None, *, size=SIZE, batch=2, memory=None, **options):
    limits = {"seconds": 0.0, "limit": 9.0, "room": 1e12, "main": False} | options
    names = [m.name for m in METHODS] if names is None else names
    return run_cell(kind, size, batch, names, memory or Memory(), bar=quiet, **limits)


@pytest.mark.parametrize("kind", KINDS)
def test_a_problem_is_reproducible_and_has_the_forms_of_the_layer(kind):
    one, two = make(kind, SIZE, 2), make(kind, SIZE, 2)
    h, w = SIZE
    assert one.scores.shape == one.gradient.shape == (2, 1, h, w)
    assert [tuple(t.shape) for t in one.weights] == [(2, h - 1, w), (2, h, w - 1)]
    for a, b in zip(
        (one.scores, one.gradient, *one.weights), (two.scores, two.gradient, *two.weights)
    ):
        assert a.dtype == torch.float32 and torch.equal(a, b) and bool(a.isfinite().all())
    assert not torch.equal(one.scores[0], one.scores[1])


@pytest.mark.parametrize("kind", KINDS)
def test_the_reference_is_superlus_and_autograds(kind):
    """The exact answer equals a float64 sparse factorization, differentiated by autograd."""
    problem = make(kind, SIZE, 2)
    reference = exact(problem)
    answer = layer(lambda setting: sc.SuperLU())(problem, {"dtype": "float64"})()
    found = measure.errors(answer, reference)
    assert measure.worst(found) < 1e-10, found


def test_errors_are_relative_and_the_worst_sample_counts():
    exactly = Answer(torch.ones(2, 1, 3, 3), torch.ones(2, 1, 3, 3), [torch.ones(2, 2, 3)] * 2)
    x = exactly.x.clone()
    x[1] *= 1.25
    found = measure.errors(replace(exactly, x=x), exactly)
    assert found == {"x": 0.25, "scores": 0.0, "weights": 0.0}
    edges = [torch.ones(2, 2, 3), 3 * torch.ones(2, 2, 3)]
    found = measure.errors(replace(exactly, weights=edges), exactly)
    assert found["weights"] == pytest.approx((4 * 6 / 12) ** 0.5)
    assert measure.errors(Answer(x), exactly) == {"x": 0.25, "scores": None, "weights": None}
    assert measure.worst(measure.errors(Answer(x * float("nan")), exactly)) > 1e20


def test_the_plain_product_is_the_matrix():
    problem = make("piecewise", SIZE, 2).to(torch.float64)
    system = sc.GridSystem(problem.weights)
    weights = [w.unsqueeze(1) for w in problem.weights]
    product = plain.multiply(problem.scores, *weights)
    torch.testing.assert_close(product, system @ problem.scores)


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)
@pytest.mark.parametrize("kind", ["photograph", "piecewise"])
def test_every_row_reaches_its_error(method, kind):
    """Tiny, but whole: tolerance search, errors, times, memory."""
    if method.missing():
        pytest.skip(f"{method.name}: {method.missing()}")
    if method.kinds and kind not in method.kinds:
        assert cell(kind, [method.name]) == []
        return
    if "compile" in method.name:
        pytest.skip("takes a C++ compiler half a minute")
    (row,) = cell(kind, [method.name])
    assert row["status"] == "measured", row
    assert row["seconds"]["n"] >= 1 and row["seconds"]["median"] > 0
    json.dumps(row, allow_nan=False)
    if method.search == "none":
        assert not row["reached"], "the published rule stops early on averaged losses"
        assert row["errors"]["weights"] > 1e-3
    else:
        assert row["reached"] and max(e or 0 for e in row["errors"].values()) <= measure.TARGET
    assert (row["errors"]["weights"] is None) == method.forward_only


def test_a_missing_peer_is_reported_with_what_to_do(capsys, monkeypatch):
    ghost = Method(
        "ghost", None, needs="no_such_module", package="ghost-solver", install="needs luck"
    )
    monkeypatch.setattr("benchmarks.cells.METHODS", [ghost])
    monkeypatch.setattr(command, "METHODS", [ghost])
    (row,) = cell(names=["ghost"])
    assert row["status"] == "left out" and "ModuleNotFoundError" in row["reason"]
    command.report(command.peers())
    line = capsys.readouterr().out.splitlines()[0]
    assert line.startswith(
        "missing: ghost: pip install ghost-solver; it needs luck (ModuleNotFound"
    )


def test_a_row_that_fails_is_recorded(monkeypatch):
    def prepare(problem, setting):
        raise RuntimeError("out of luck")

    monkeypatch.setattr("benchmarks.cells.METHODS", [Method("bad", prepare)])
    (row,) = cell(names=["bad"])
    assert row["status"] == "failed" and row["reason"] == "RuntimeError: out of luck"


def test_rows_beyond_time_or_memory_are_left_out_with_the_reason():
    seconds = {"median": 1.0}
    known = {"kind": "photograph", "size": [32, 40], "batch": 1, "method": "CG",
             "status": "measured", "seconds": seconds, "memory": 2**30, "setting": {}}  # fmt: skip
    memory = Memory([known])
    assert memory.expect("CG", "photograph", (64, 80), 2) == (16.0, 16 * 2**30)
    assert memory.expect("CG", "trained", (64, 80), 2) is None
    (row,) = cell(names=["CG"], memory=memory, limit=1.0)
    assert row["status"] == "left out" and "about 2 s, the limit is 1 s" in row["reason"]
    (row,) = cell(names=["CG"], memory=memory, room=1e9)
    assert "2 GiB" in row["reason"]


def test_times_are_taken_in_turns():
    calls = []
    runs = {name: lambda name=name: calls.append(name) for name in "ab"}
    times = measure.interleaved(runs, {"a": 0, "b": 0}, seconds=9, rounds=3)
    assert calls == ["a", "b", "b", "a", "a", "b"]
    assert [len(t) for t in times.values()] == [3, 3]
    times = measure.interleaved(runs, {"a": 5.0, "b": 0}, seconds=1.0, rounds=2)
    assert times["a"] == [5.0], "a run longer than its time is not repeated"


def test_a_tolerance_is_tightened_until_the_error_fits():
    problem = make("trained", SIZE, 1)
    reference = exact(problem)
    setting, reached = measure.find_setting(PLAIN[0], problem, reference, start=0.3)
    assert reached
    answer = PLAIN[0].prepare(problem, setting)()
    assert measure.worst(measure.errors(answer, reference)) <= measure.TARGET
    loose = PLAIN[0].prepare(problem, {**setting, "tol": 30 * setting["tol"]})()
    assert measure.worst(measure.errors(loose, reference)) > measure.TARGET


def test_a_stopped_run_goes_on(tmp_path):
    session = {"commit": "abc", "command": "c", "date": "d"}
    first = Store(tmp_path, session, {"seconds": 1})
    first.add("cells one", "cells", [{"a": 1}])
    with first.path.open("a") as file:
        file.write('\n{"unit": "cells two", "part": "ce')  # killed while it wrote
    again = Store(tmp_path, session, {"seconds": 1})
    assert again.units == {"cells one"} and again.rows("cells") == [{"a": 1}]
    assert len(again.sessions) == 2
    assert Store(tmp_path, session, {"seconds": 2}).units == set(), "other options, another run"
    assert Store(tmp_path, session, {"seconds": 1}, fresh=True).units == set()


def test_the_other_measurements_at_a_tiny_size():
    frame = list(special.frame((32, 40), ["trained"], quiet, seconds=0))
    assert {row["method"] for row in frame} >= {"CG", "Direct"}
    assert all(row["reached"] and row["error"] <= measure.TARGET for row in frame)
    growth = list(special.growth([(32, 32), (64, 64)], quiet, seconds=0, limit=9))
    assert {row["status"] for row in growth} == {"measured"}
    late = list(special.growth([(32, 32), (64, 64)], quiet, seconds=0, limit=0))
    assert {row["status"] for row in late[-2:]} == {"left out"}
    copy, step = special.bandwidth([(64, 64)], quiet, seconds=0.01)
    assert copy["bytes_per_second"] > 0 and step["arrays"] == 14
    contrast = list(special.contrast((32, 32), 1, quiet, seconds=0))
    assert [row["contrast"] for row in contrast] == [1, 1e2, 1e4, 1e6, 1e8]
    json.dumps([frame, growth, copy, step, contrast], allow_nan=False)


@pytest.mark.skipif(training_step.missing() is not None, reason="needs monai")
def test_the_training_step_at_a_tiny_size():
    rows = list(training_step.training_step((64, 64), 1, quiet, seconds=0))
    assert rows[0]["method"] == "no layer" and "share" not in rows[0]
    assert all(0 < row["share"]["median"] < 1 for row in rows[1:]) and len(rows) > 2


def test_one_command_writes_the_file_the_page_reads(tmp_path, monkeypatch, capsys):
    from softcut_lib import show

    monkeypatch.setenv("SOFTCUT_RUNS", str(tmp_path / "runs"))
    threads = torch.get_num_threads()
    output = tmp_path / "solvers.json"
    words = "--sizes 16x20 --batches 2 --weights photograph --parts cells --solvers CG Direct"
    arguments = [*words.split(), "--seconds", "0", "--threads", str(threads)]
    assert command.main([*arguments, "--output", str(output)]) == 0
    results = show.read_benchmarks(path=output)
    assert [row["method"] for row in results["cells"]] == ["CG", "Direct"]
    assert results["sessions"][-1]["command"].startswith("python -m benchmarks --sizes 16x20")
    assert results["machine"]["threads"] == threads and results["machine"]["processor"]
    assert not list((tmp_path / "runs").rglob("*.jsonl")), "a finished run leaves nothing to resume"


def test_a_part_that_fails_costs_no_other(tmp_path, monkeypatch, capsys):
    def fails(*arguments, **options):
        raise RuntimeError("no luck")

    monkeypatch.setenv("SOFTCUT_RUNS", str(tmp_path / "runs"))
    monkeypatch.setattr(special, "contrast", fails)
    output = tmp_path / "solvers.json"
    words = "--sizes 16x20 --batches 2 --weights photograph --parts cells contrast --solvers CG"
    arguments = [*words.split(), "--seconds", "0", "--threads", str(torch.get_num_threads())]
    assert command.main([*arguments, "--output", str(output)]) == 0
    results = json.loads(output.read_text())
    assert results["failures"] == [{"part": "contrast", "reason": "RuntimeError: no luck"}]
    assert results["cells"][0]["status"] == "measured"


def test_what_there_was_no_time_for_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SOFTCUT_RUNS", str(tmp_path / "runs"))
    output = tmp_path / "solvers.json"
    words = "--sizes 16x20 --batches 2 --weights photograph --parts cells contrast --solvers CG"
    arguments = [*words.split(), "--minutes", "1e-9", "--threads", str(torch.get_num_threads())]
    assert command.main([*arguments, "--output", str(output)]) == 0
    results = json.loads(output.read_text())
    (row,) = results["cells"]
    assert row["status"] == "left out" and "minutes of this run were over" in row["reason"]
    (part,) = results["failures"]
    assert part["part"] == "contrast" and part["reason"] == row["reason"]


@pytest.mark.parametrize(
    "words",
    [
        ["--sizes", "64"],
        ["--sizes", "0x8"],
        ["--batches", "0"],
        ["--threads", "-2"],
        ["--output", str(ROOT / "book")],
        ["--solvers", "magic"],
        ["--weights", "x"],
    ],
)
def test_a_wrong_choice_is_refused(words, capsys):
    with pytest.raises(SystemExit):
        command.parse(words)
    assert words[-1] in capsys.readouterr().err


def test_the_extra_names_every_package():
    """What `make bench` installs is what the rows need."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    assert "softcut-lib[train]" in extras["bench"]
    extra = " ".join(extras["bench"] + extras["train"])
    recipe = (ROOT / "Makefile").read_text()
    for package in command.peers():
        name = re.split("[<=>]", package)[0]
        assert name in extra or package in recipe, package
        assert re.search(rf"^{name}==", (ROOT / "constraints.txt").read_text(), re.MULTILINE), name
