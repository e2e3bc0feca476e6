"""Verdicts on the bounds are computed: they follow the numbers, and say when there are none."""

import json

import pytest

from softcut_lib import show

KINDS = {"untrained": "u", "photograph": "p", "trained": "t", "piecewise": "w"}


def spread(median):
    return {"median": median, "q1": 0.9 * median, "q3": 1.1 * median, "min": median, "n": 5}


def row(kind, method, seconds, *, steps=None, reached=True, size=(256, 256), batch=8):
    counts = None if steps is None else {"min": steps, "median": steps, "max": steps}
    return {
        "kind": kind, "size": list(size), "batch": batch, "method": method, "status": "measured",
        "seconds": spread(seconds), "setting": {"dtype": "float32", "tol": 1e-5},
        "errors": {"x": 1e-5, "scores": 1e-5, "weights": 9e-5 if reached else 0.5},
        "reached": reached, "forward_only": False, "memory": 2**20,
        "iterations": {"forward": counts, "backward": counts},
    }  # fmt: skip


def results(**changes):
    """A file in which every bound is met."""
    cells = []
    for kind in KINDS:
        cells += [
            row(kind, "CG", 0.1, steps=100),
            row(kind, "CG, every pixel", 0.1, steps=100), row(kind, "Multigrid", 0.04, steps=20),
            row(kind, "Direct", 0.3), row(kind, "plain CG", 1.0, steps=300),
            row(kind, "plain CG, torch kernel", 2.0, steps=300), row(kind, "KLU", 6.0),
            row(kind, "CHOLMOD", 0.3), row(kind, "SuperLU", 0.5),
            row(kind, "PUBLISHED_CG", 0.001, steps=1, reached=False),
        ]  # fmt: skip
    names = list(dict.fromkeys(r["method"] for r in cells))
    growth = [
        {"method": name, "size": [n, n], "status": "measured", "seconds": spread(n**power)}
        for name, power in (("CG", 2.0), ("Multigrid", 2.0), ("Direct", 3.0))
        for n in (64, 256, 512, 1024)
    ]
    frame = [{"kind": kind, "size": [1024, 2048], "method": "CG", "reached": True, "error": 9e-5,
              "seconds": spread(0.2), "iterations": None, "memory": None}
             for kind in ("untrained", "trained")]  # fmt: skip
    return {
        "schema": 1, "quick": False, "target": 1e-4, "kinds": KINDS, "cells": cells,
        "main": {"size": [256, 256], "batch": 8}, "growth": growth, "frame": frame,
        "methods": [{"name": n, "ours": n in ("CG", "Multigrid", "Direct"), "package": None,
                     "note": "", "forward_only": False} for n in names],
        "contrast": [{"contrast": c, "seconds": spread(t)} for c, t in ((1.0, 1.0), (1e8, 1.05))],
        "training": [{"method": "CG", "batch": 8, "size": [256, 256], "share": spread(0.04),
                      "step_seconds": spread(1.0), "layer_seconds": spread(0.04)}],
        "memory": [{"method": "CG", "size": [1024, 2048], "arrays": 7.5, "allowed": 8}],
        "bandwidth": [], "machine": {}, "sessions": [], "peers": {}, **changes,
    }  # fmt: skip


def verdicts(content, gpu=None):
    return {text: met for text, _, _, met in show.bounds(content, gpu)}


def find(found, words):
    (met,) = [met for text, met in found.items() if words in text]
    return met


def test_every_bound_can_be_met():
    gpu = {"training": [
        {"method": name, "batch": 32, "share": 0.05, "errors": {"x": 1e-5, "weights": None}}
        for name in ("CG", "Direct")
    ]}  # fmt: skip
    found = verdicts(results(), gpu)
    assert set(found.values()) == {True} and len(found) == 20
    assert "yes" in repr(show.bounds_table(results(), gpu))


def test_what_was_not_measured_is_no_success():
    empty = results(cells=[], growth=[], frame=[], contrast=[], training=[], memory=[])
    assert set(verdicts(empty).values()) == {None}
    without = [r for r in results()["cells"] if r["method"] != "KLU" or r["kind"] != "trained"]
    assert find(verdicts(results(cells=without)), "faster than KLU on all") is None


def test_a_quick_run_says_nothing_about_the_training_step():
    assert find(verdicts(results(quick=True)), "at most 5 % of a training") is None


def change(method, **fields):
    return [{**r, **fields} if r["method"] == method else r for r in results()["cells"]]


@pytest.mark.parametrize(
    ("method", "fields", "bound"),
    [
        ("plain CG", {"seconds": spread(0.5)}, "faster than plain CG, geometric"),
        ("KLU", {"seconds": spread(2.0)}, "100 times faster than KLU"),
        ("KLU", {"seconds": spread(2.0)}, "Direct at least 8 times"),
        ("Multigrid", {"seconds": spread(0.06)}, "trained weights: Multigrid takes at most half"),
        ("CHOLMOD", {"seconds": spread(0.1)}, "CHOLMOD"),
        ("SuperLU", {"seconds": spread(0.2)}, "Direct faster than SuperLU"),
    ],
)
def test_a_worse_number_changes_the_verdict(method, fields, bound):
    assert find(verdicts(results(cells=change(method, **fields))), bound) is False


def test_a_solver_that_missed_the_error_does_not_count():
    """Without Multigrid and CG in reach of the error, the best of ours is Direct."""
    cells = [
        {**r, "reached": False} if r["method"] in ("CG", "CG, every pixel", "Multigrid") else r
        for r in results()["cells"]
    ]
    found = verdicts(results(cells=cells))
    assert find(found, "faster than plain CG, geometric") is False
    assert find(found, "trained weights: Multigrid takes at most half") is None


def test_the_other_bounds_follow_their_numbers():
    slow = [{**r, "seconds": spread(2.0)} for r in results()["frame"]]
    wrong = [{**r, "reached": False, "error": 1e-2} for r in results()["frame"]]
    assert find(verdicts(results(frame=slow)), "in 1.0 s, trained") is False
    assert find(verdicts(results(frame=wrong)), "in 1.0 s, trained") is False
    contrast = [{"contrast": c, "seconds": spread(c)} for c in (1.0, 1.2)]
    assert find(verdicts(results(contrast=contrast)), "contrast within") is False
    memory = [{"method": "CG", "size": [8, 8], "arrays": 9.0, "allowed": 8}]
    assert find(verdicts(results(memory=memory)), "arrays of the grid's size") is False
    exponents = show.growth_exponents(results())
    assert exponents == pytest.approx({"CG": 1.0, "Multigrid": 1.0, "Direct": 1.5})


def test_the_table_marks_a_missed_error_and_sorts_by_time():
    shown = show.benchmark_table(results(), "trained", size=(256, 256), batch=8)
    assert shown.rows[0][0] == "PUBLISHED_CG *" and shown.rows[1][0] == "Multigrid"
    assert shown.rows[1][1] == "40" and shown.rows[1][6] == "9e-05"


def test_rows_left_out_are_grouped_by_reason():
    late = [{"kind": kind, "size": [512, 512], "batch": 8, "method": "KLU", "status": "left out",
             "reason": f"one run would take about {k} s, the limit is 3 s"}
            for k, kind in enumerate(KINDS)]  # fmt: skip
    (line,) = show.left_out_table({"cells": late}).rows
    assert line == ["KLU", "one run would take more than 3 s (expected)", "512x512 batch 8", "all"]


def test_plots_tell_what_they_show():
    picture = show.benchmark_times(results(), size=(256, 256), batch=8)
    assert "trained: Multigrid 40 ms" in picture.alt
    assert "PUBLISHED_CG" not in picture.alt, "the fastest must have reached the error"
    assert "exponent 1.50" in show.benchmark_growth(results()).alt
    assert "CHOLMOD" in show.benchmark_sizes(results(), ["trained"]).alt
    with pytest.raises(ValueError, match="no row"):
        show.benchmark_times(results(), size=(8, 8), batch=8)
    with pytest.raises(ValueError, match="no row of batch 3"):
        show.benchmark_sizes(results(), ["trained"], batch=3)


def test_a_file_of_another_form_is_refused(tmp_path):
    path = tmp_path / "solvers-cpu.json"
    path.write_text(json.dumps({"schema": 1}))
    with pytest.raises(ValueError, match="missing .*'cells'"):
        show.read_benchmarks(path=path)


def test_the_gpu_file_is_read_in_the_same_form(tmp_path):
    path = tmp_path / "solvers-gpu.json"
    cell = {
        "kind": "trained", "size": [64, 64], "batch": 8, "method": "CG, fused",
            "status": "measured", "setting": {"dtype": "float32", "tol": 1e-5}, "reached": True,
            "seconds": spread(0.001), "errors": {"x": 1e-5, "scores": 1e-5, "weights": 1e-5},
            "peak": 2**21, "forward": {"min": 1, "median": 2, "max": 3}, "backward": None,
    }  # fmt: skip
    path.write_text(json.dumps({"schema": 1, "cells": [cell]}))
    gpu = show.read_gpu_benchmarks(path=path)
    (line,) = show.benchmark_table(gpu, "trained", size=(64, 64), batch=8).rows
    assert line[:2] == ["CG, fused", "1"] and line[7:10] == ["3", "-", "2"]


def test_elimination_pays_where_its_share_is_below_one():
    file = results()
    cells = [row("trained", "CG", 0.1, size=(64, 64)), row("trained", "CG", 0.1, batch=1)]
    cells += [row("trained", "CG, every pixel", t, size=size, batch=batch)
              for t, size, batch in ((0.4, (64, 64), 8), (0.05, (256, 256), 1))]  # fmt: skip
    shown = show.elimination_table({**file, "cells": cells, "kinds": {"trained": "t", "mild": "m"}})
    assert shown.rows == [["trained", "0.25", "1.12", "2.00", "1 of 2"]]
