"""Result files: what is refused, merging, several writers."""

import copy
import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from softcut_lib.train import results
from softcut_lib.train.experiments import EXPERIMENTS
from softcut_lib.train.results import (
    as_row,
    paper_row,
    papers,
    read_results,
    recorded,
    validate_results,
    write_results,
)

ROOT = Path(__file__).resolve().parents[2]
SESSION = {"command": "softcut reproduce horses", "commit": "abc", "date": "2026-01-01"}


def record(model="base", seed=0):
    summary = {f"{name}{part}": 0.5 for name in ("iou", "loss", "figures")
               for part in ("", "_bracket")}  # fmt: skip
    return {
        "experiment": "horses", "model": model, "data": "weizmann", "seed": seed,
        "options": {"optimizer": "adam", "lr": 1e-3, "epochs": 2, "batch": 1, "scale": 1.0,
                    "objective": "RevealedPixels(fraction=0.001)"},
        "counts": {"train": 180, "val": 50, "test": 2}, "parameters": 19969, "best_epoch": 1,
        "summary": summary,
        "test": {"name": ["a", "b"], "iou": [0.4, 0.6], "loss": [0.5, 0.5], "figures": [3, 4]},
        "history": [
            {"epoch": k, "step": 180 * k, "train_loss": 0.12345678901, "val_loss": 0.5}
            for k in range(2)
        ],
        "wall_time_s": 12.5,
        "machine": {"device": "cpu", "processor": "x", "threads": 1, "system": "Linux",
                    "versions": {"torch": "2"}},
        "sessions": [SESSION],
    }  # fmt: skip


def write(path, *records):
    rows = [as_row(r) for r in records]
    return write_results(path, rows, experiment=("horses", EXPERIMENTS["horses"]),
                         data="weizmann", session=SESSION)  # fmt: skip


def test_written_files_are_read_back(tmp_path):
    path = tmp_path / "results" / "horses-weizmann.json"
    value = write(path, record())
    assert read_results(path) == value
    assert value["rows"][0]["history"]["train_loss"] == [0.12346] * 2
    assert "[ 0.4, 0.6 ]" in path.read_text()
    assert not list(path.parent.glob(".*"))


def test_columns_of_the_data_stand_once_and_only_where_all_rows_have_them(tmp_path):
    path, known = tmp_path / "r.json", {"constant": [0.125, 0.25]}
    told = [{**r, "test": {**r["test"], **known}} for r in (record(), record(seed=1))]
    value = write(path, *told)
    text = path.read_text()
    assert text.count('"name"') == text.count('"constant"') == 1
    assert read_results(path) == value
    assert all(row["test"]["constant"] == [0.125, 0.25] for row in value["rows"])
    mixed = write(path, record(seed=2))  # an older record knows no constant
    assert path.read_text().count('"constant"') == 2 and read_results(path) == mixed
    assert ["constant" in row["test"] for row in mixed["rows"]] == [True, True, False]


@pytest.mark.parametrize("wrong", [None, 3, [], [3], [{}], [{"test": 3}], [{"seed": 0}]])
def test_damaged_rows_are_named(tmp_path, wrong):
    path = tmp_path / "r.json"
    write(path, record())
    path.write_text(json.dumps({**json.loads(path.read_text()), "rows": wrong}))
    with pytest.raises(ValueError, match=r"r\.json: results\.rows"):
        read_results(path)


def test_rows_are_merged_and_replaced(tmp_path):
    path = tmp_path / "r.json"
    write(path, record("base"), record("softcut"))
    newer = {**record("base"), "wall_time_s": 1.0}
    value = write(path, newer, record("base", seed=1))
    assert [(row["model"], row["seed"]) for row in value["rows"]] == [
        ("base", 0), ("base", 1), ("softcut", 0)
    ]  # fmt: skip
    assert value["rows"][0]["wall_time_s"] == 1.0


def test_several_writers_lose_nothing(tmp_path):
    path = tmp_path / "r.json"
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda seed: write(path, record(seed=seed)), range(8)))
    assert [row["seed"] for row in read_results(path)["rows"]] == list(range(8))


def change(place, value):
    def apply(file):
        *parents, last = place
        for part in parents:
            file = file[part]
        if value is None:
            del file[last]
        else:
            file[last] = value

    return apply


@pytest.mark.parametrize(
    "place, value, message",
    [
        (["rows"], None, "'rows' is missing"),
        (["rows"], [], "results.rows: expected a list with entries"),
        (["schema"], 1, "schema: expected 2, got 1"),
        (["rows", 0, "seed"], "0", r"rows\[0\].seed: expected int, got '0'"),
        (["rows", 0, "seed"], True, r"rows\[0\].seed: expected int"),
        (["rows", 0, "test", "iou", 1], float("nan"), r"test.iou\[1\]: expected float, got nan"),
        (["rows", 0, "test", "iou"], [0.5], "columns of one length, 2"),
        (["rows", 0, "counts", "test"], 98, "columns of one length, 98"),
        (["rows", 0, "data"], "synthetic", "expected 'weizmann' as in the file"),
        (["rows", 0, "machine", "device"], None, "'device' is missing"),
        (["written", "commit"], None, "'commit' is missing"),
    ],
)
def test_invalid_files_are_refused(tmp_path, place, value, message):
    file = copy.deepcopy(write(tmp_path / "r.json", record()))
    validate_results(file)
    change(place, value)(file)
    with pytest.raises(ValueError, match=message):
        validate_results(file)


def test_two_rows_of_one_run_are_refused(tmp_path):
    file = write(tmp_path / "r.json", record())
    file["rows"] *= 2
    with pytest.raises(ValueError, match="two rows"):
        validate_results(file)


def test_damaged_files_are_named_and_not_replaced(tmp_path):
    path = tmp_path / "r.json"
    path.write_text('{"schema": 1,')
    with pytest.raises(ValueError, match="r.json: not valid JSON"):
        write(path, record())
    assert path.read_text() == '{"schema": 1,'
    path.write_text("{}")
    with pytest.raises(ValueError, match="r.json: results: 'schema' is missing"):
        read_results(path)
    with pytest.raises(ValueError, match="no such file"):
        read_results(tmp_path / "none.json")


def test_pages_learn_what_is_missing(tmp_path):
    path = tmp_path / "r.json"
    write(path, record("base"))
    content, missing = recorded("horses", "weizmann", models=["base", "softcut"], path=path)
    assert content == read_results(path) and missing == ["softcut"]
    assert recorded("horses", "unicorns", models=["base"]) == (None, ["base"])
    path.write_text("{}")
    with pytest.raises(ValueError, match="r.json"):
        recorded("horses", "weizmann", path=path)


def test_each_size_and_decoder_has_its_own_file(monkeypatch):
    asked = []
    monkeypatch.setattr(results, "book_file", lambda name, path: asked.append(name) or path)
    monkeypatch.setattr(results, "read_results", lambda path: {"rows": []})
    recorded("horses", "weizmann")
    recorded("horses", "weizmann", scale=0.5, decode="min_cut")
    assert asked == [
        "results/horses-weizmann.json", "results/horses-weizmann-scale0.5-min_cut.json"
    ]  # fmt: skip


def test_the_books_files_are_valid_and_hold_no_path_of_a_machine():
    paths = sorted((ROOT / "book" / "results").glob("*.json"))
    assert paths
    for path in paths:
        benchmark = path.stem.partition("-")[0] in (
            "solvers",
            "filtering",
            "variation",
            "playground",
            "questions",
            "arms",
            "windows",
        )
        if not benchmark:  # these have forms of their own
            read_results(path)
        assert not re.search(r"/(home|root|tmp|work|Users)/", path.read_text()), path


def test_papers_numbers():
    assert paper_row("Base", experiment=1)["miou"] == (0.472, 0.0243)
    assert "bonfiglio2022softcut" in papers()["sources"]
    with pytest.raises(ValueError, match="row: no row 'Nothing'"):
        paper_row("Nothing", experiment=1)


def test_papers_elsewhere(tmp_path):
    with pytest.raises(ValueError, match="other.json"):
        papers(tmp_path / "other.json")
    (tmp_path / "other.json").write_text(json.dumps({"sources": {}}))
    with pytest.raises(ValueError, match="results.*missing"):
        papers(tmp_path / "other.json")


def test_a_full_disk_names_the_file_and_keeps_what_was_there(monkeypatch, tmp_path):
    from softcut_lib.train import runs

    def full(*arguments):
        raise OSError(28, "No space left on device")

    runs.write_json(tmp_path / "result.json", {"a": 1})
    monkeypatch.setattr(runs.os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left on device; not written: .*result.json"):
        runs.write_json(tmp_path / "result.json", {"a": 2})
    assert runs.read_json(tmp_path / "result.json") == {"a": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]
