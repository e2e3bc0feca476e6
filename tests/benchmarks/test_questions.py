"""The count of what questions are worth writes its rows and says what chose sigma."""

import json

import pytest

from benchmarks import questions


def test_a_run_writes_its_rows(tmp_path, capsys):
    file = tmp_path / "questions.json"
    options = ["--data", "synthetic", "--questions", "2", "--seeds", "0", "1", "--images", "3"]
    options += ["--training", "2", "--rules", "random", "change", "--output", str(file)]
    assert questions.main(options) == 0
    found = json.loads(file.read_text())
    assert found["size"] == [80, 104] and len(found["images"]) == 3
    assert [(r["rule"], r["seed"]) for r in found["rows"]] == [
        (rule, seed) for rule in ("random", "change") for seed in (0, 1)
    ]
    for row in found["rows"]:
        assert len(row["iou"]) == 3 and all(len(line) == 3 for line in row["iou"])
        assert all(0 <= v <= 1 for line in row["iou"] for v in line)
    first = {r["seed"]: r["iou"][0] for r in found["rows"] if r["rule"] == "random"}
    assert all(r["iou"][0] == first[r["seed"]] for r in found["rows"]), "the same first pixels"
    best = max(found["sigmas"], key=found["sigmas"].get)
    assert float(best) == found["sigma"]
    assert "--questions 2" in found["sessions"][0]["command"] and found["wall_time_s"] > 0
    assert "after the last question" in capsys.readouterr().out


def test_an_unknown_rule_is_refused(capsys):
    with pytest.raises(SystemExit):
        questions.main(["--rules", "guess"])
    assert "guess" in capsys.readouterr().err
