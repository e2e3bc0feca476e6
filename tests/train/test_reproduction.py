"""The thesis beside ours: what is printed, what is recorded, what would make a row."""

import pytest

from softcut_lib import show
from softcut_lib.cli import build_parser
from softcut_lib.train.experiments import EXPERIMENTS
from softcut_lib.train.reproduction import (
    beside,
    caption,
    differences,
    printed_rows,
    printed_times,
    recorded_rows,
)
from softcut_lib.train.results import as_row, paper_row, papers
from tests.train.test_results import record

NUMBERED = [name for name, e in EXPERIMENTS.items() if e.number]


def file(*rows):
    return {
        "experiment": "horses", "data": "weizmann", "rows": [as_row(row) for row in rows]
    }  # fmt: skip


@pytest.mark.parametrize("name", NUMBERED)
def test_every_printed_row_has_a_line_and_a_command(name):
    experiment = EXPERIMENTS[name]
    data = "weizmann" if experiment.number == 1 else "camvid"
    lines = beside(name, [], data=data)
    printed = {r["row"] for r in papers()["results"] if r["experiment"] == experiment.number}
    assert {line["about"] for line in lines} == printed
    for line in lines:
        words = line["command"].split()
        arguments = build_parser().parse_args(words[1:])
        assert arguments.experiment == name and arguments.models == [line["model"]]
        assert arguments.data == data and experiment.with_options(data, arguments.profile)
        assert line["model"] in experiment.models and {"miou", "loss"} <= set(line["printed"])


def test_recorded_rows_replace_the_command_and_join_their_seeds():
    results = file(record("base", 0), record("base", 1), record("base-wide"))
    lines = beside("horses", [results, {**results, "experiment": "sign"}], data="weizmann")
    base = [line for line in lines if line["model"] == "base"]
    assert len(base) == 1 and base[0]["command"] is None and base[0]["ours"]["seeds"] == [0, 1]
    assert base[0]["printed"] == paper_row("Base", experiment=1)
    assert "Experiment 1, Table 2" in caption("horses")
    (wide,) = [line for line in lines if line["model"] == "base-wide"]
    assert wide["printed"] == {} and wide["ours"]["times_base"] == pytest.approx(1)
    assert {line["model"] for line in lines if line["command"]} == {
        "submodular", "submodular-isotonic", "softcut-published", "softcut-exact"
    }  # fmt: skip


def test_synthetic_runs_do_not_fill_a_printed_row():
    synthetic = as_row({**record("base"), "data": "synthetic"})
    results = {"experiment": "horses", "data": "synthetic", "rows": [synthetic]}
    empty, ours = [x for x in beside("horses", [results], data="weizmann") if x["model"] == "base"]
    assert empty["command"] and empty["ours"] is None and "miou" in empty["printed"]
    assert ours["ours"]["data"] == "synthetic" and ours["printed"] == {}


def test_only_the_printed_protocol_stands_in_a_printed_line():
    """A run on halved photographs, or decided by the min cut, comes after it, whatever its file."""
    small, cut, full = (record("softcut-published") for _ in range(3))
    small["options"] = {**small["options"], "scale": 0.5}
    cut["options"] = {**small["options"], "decode": "min_cut"}
    reduced = [file(cut), file(small)]

    def lines_of(files):
        lines = beside("horses", files, data="weizmann")
        return [line for line in lines if line["model"] == "softcut-published"]

    empty, *others = lines_of(reduced)
    assert empty["ours"] is None and empty["command"] and "miou" in empty["printed"]
    found = [line["ours"]["options"] for line in others]
    assert ["decode" in options for options in found] == [False, True]
    first, *others = lines_of([*reduced, file(full)])
    assert first["ours"]["options"]["scale"] == 1 and first["printed"] and not first["command"]
    assert len(others) == 2 and not any(line["printed"] or line["command"] for line in others)


def test_a_step_is_timed_not_a_run_that_stopped_early():
    short = {**record("softcut"), "wall_time_s": 12.5, "stopped": {"step": 90, "reason": "nan"}}
    short["history"] = [{**epoch, "step": 90} for epoch in short["history"]]
    rows = {row["model"]: row for row in recorded_rows(file(record("base"), short))}
    assert rows["softcut"]["times_base"] == 2
    assert (rows["base"]["stopped"], rows["softcut"]["stopped"]) == (0, 1)


def test_processor_time_counts_where_all_have_it():
    busy = record("softcut")
    for run, wall in ((busy, 100.0), (calm := record("base"), 10.0)):
        run["history"] = [
            {**epoch, "seconds": wall, "cpu_seconds": 5.0} for epoch in run["history"]
        ]
    rows = {row["model"]: row for row in recorded_rows(file(calm, busy))}
    assert rows["softcut"]["times_base"] == pytest.approx(1)
    for epoch in calm["history"]:
        del epoch["cpu_seconds"]
    rows = {row["model"]: row for row in recorded_rows(file(calm, busy))}
    assert rows["softcut"]["times_base"] == pytest.approx(10)


def test_times_of_different_machines_are_never_compared():
    """A base that was trained elsewhere is no measure; one of several machines that has one is."""
    slow, base, elsewhere = record("softcut"), record("base"), record("base", 1)
    for run, name, seconds in ((slow, "x", 90.0), (base, "x", 30.0), (elsewhere, "y", 1.0)):
        run["machine"] = {**run["machine"], "processor": name}
        run["history"] = [{**epoch, "cpu_seconds": seconds} for epoch in run["history"]]
    rows = {row["model"]: row for row in recorded_rows(file(slow, base, elsewhere))}
    assert rows["softcut"]["times_base"] == pytest.approx(3)
    rows = {row["model"]: row for row in recorded_rows(file(slow, elsewhere))}
    assert rows["softcut"]["times_base"] is None and rows["base"]["times_base"] == 1


def test_printed_times_are_over_base():
    times = printed_times("frames")
    assert times["base"] == 1 and times["softcut-published"] > 1
    assert printed_times("scribbles") == {}


def test_a_gpu_that_others_used_times_nothing():
    runs = {name: record(name) for name in ("base", "softcut")}
    for others, known in ((0.8, True), (3.0, False)):
        for run in runs.values():
            run["machine"] = {**run["machine"], "device": "cuda"}
            run["history"] = [{**epoch, "gpu_others_gib": others} for epoch in run["history"]]
        for row in recorded_rows(file(*runs.values())):
            assert row["on_gpu"]
            assert (row["times_base"] is not None) == known


def test_the_constant_answer_is_there_where_it_was_recorded():
    newer = record("softcut")
    newer["test"] = {**newer["test"], "constant": [0.1, 0.2]}
    rows = {row["model"]: row for row in recorded_rows(file(record("base"), newer))}
    assert rows["base"]["constant"] is None and rows["softcut"]["constant"] == pytest.approx(0.15)


def test_rows_with_other_options_are_not_averaged():
    other = record("base", 1)
    other["options"] = {**other["options"], "scale": 0.5}
    rows = recorded_rows(file(record("base", 0), other))
    assert [(row["seeds"], row["options"]["scale"]) for row in rows] == [([0], 1.0), ([1], 0.5)]


def test_differences_name_what_was_done_otherwise():
    rows = recorded_rows(file(record("base", 0), record("base", 1)))
    found = {what: (there, here) for what, there, here in differences("horses", rows)}
    assert found["budget"] == ("100 passes, batches of 1", "2 passes, batches of 1")
    assert found["trainings"] == ("1", "2")
    assert "size" not in found


def test_differences_name_windows_and_whole_frames():
    options = {
        "optimizer": "adam", "lr": 1e-3, "epochs": 6, "steps_per_epoch": 100, "batch": 1,
        "scale": 1.0, "windows": "160 every 128",
    }  # fmt: skip
    whole = {**options, "tested": "whole frames"}
    rows = [
        as_row({**record(model), "data": "camvid", "experiment": "frames", "options": how})
        for model, how in (("base", options), ("two-decoders", whole))
    ]
    told = differences("frames", recorded_rows({"rows": rows}))
    found = {what: (there, here) for what, there, here in told}
    assert found["windows"] == ("320 every 256", "160 every 128")
    assert found["tested"] == ("by windows", "whole frames")


def test_without_the_papers_nothing_is_printed(tmp_path):
    assert printed_rows("horses", path=tmp_path / "papers.json") == {}


def test_tables_show_both_sides():
    slow = {**record("softcut-published"), "wall_time_s": 25.0}
    lines = beside("horses", [file(record("base"), slow)], data="weizmann")
    table = show.beside_table(lines, caption="Experiment 1")
    rows = {row[0]: row for row in table.rows}
    assert rows["Base"][1] == "0.4720 (0.0243)" and rows["Base"][5] == "0.5000 (0.5000)"
    assert rows["SoftCut approximate"][4] == "7.0" and rows["SoftCut approximate"][8] == "2.0"
    assert rows["Submodular"][-1].startswith("softcut reproduce horses --data weizmann")
    assert rows["Submodular"][5:9] == ["-"] * 4


def test_a_run_says_its_precision_and_how_it_was_shared_out():
    run = record("base")
    run["options"] = {**run["options"], "precision": "bf16-mixed", "accumulate": 2}
    table = show.beside_table(beside("horses", [file(run)], data="weizmann"), caption="")
    (words,) = (row[-1] for row in table.rows if row[0] == "Base")
    assert words.endswith("precision bf16-mixed, accumulate 2")
