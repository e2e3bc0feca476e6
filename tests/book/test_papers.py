"""The papers' numbers: every one is cited, in range, and read by the library."""

import json
from pathlib import Path

import pytest

from softcut_lib.train.results import paper_row, papers

PAPERS = json.loads((Path(__file__).parents[2] / "book" / "papers.json").read_text())
RESULTS, TRAININGS = PAPERS["results"], PAPERS["trainings"]
THESIS = "bonfiglio2022softcut"


def test_every_number_is_cited():
    bibliography = (Path(__file__).parents[2] / "book" / "references.bib").read_text()
    for source in PAPERS["sources"]:
        assert f"{{{source}," in bibliography
    keys = {"source", "experiment", "table", "row", "metric", "value", "bracket"}
    for number in RESULTS:
        assert keys <= set(number)
        assert number["source"] in PAPERS["sources"] and number["metric"] in PAPERS["metrics"]


def test_no_number_is_given_twice():
    keys = [(r["source"], r["table"], r["row"], r["metric"]) for r in RESULTS]
    assert len(keys) == len(set(keys))


def test_values_are_in_range():
    for number in RESULTS:
        assert number["value"] > 0
        if number["metric"].startswith("miou") or number["metric"] == "loss":
            assert number["value"] < 1, number
        if number["source"] == THESIS and number["metric"] != "train_time_minutes":
            assert 0 < number["bracket"] < 0.15 * number["value"] + 0.01, number


@pytest.mark.parametrize("experiment", range(1, 12))
def test_every_experiment_has_its_tables(experiment):
    (training,) = [t for t in TRAININGS if t["experiment"] == experiment]
    rows = [r for r in RESULTS if r["experiment"] == experiment]
    assert {r["table"] for r in rows} == {training["tables"][-1]}
    assert {"miou", "loss", "figures"} <= {r["metric"] for r in rows}
    assert {r["row"] for r in rows} >= ({"Base"} if training["decoding"] != "min cut" else set())


def test_tables_are_those_of_the_thesis():
    tables = {t for training in TRAININGS if training["experiment"] for t in training["tables"]}
    assert tables == set(range(2, 20))


def test_experiments_with_equal_data_have_comparable_losses():
    """Dice is 1 minus an overlap: in the binary experiments it lies near 1 - mIoU."""
    for experiment in (2, 3, 4):
        rows = [r for r in RESULTS if r["experiment"] == experiment]
        miou = {r["row"]: r["value"] for r in rows if r["metric"] == "miou"}
        loss = {r["row"]: r["value"] for r in rows if r["metric"] == "loss"}
        assert all(0 < 1 - miou[row] - loss[row] < 0.1 for row in miou)


def test_the_library_reads_the_file():
    assert papers() == PAPERS
    (base,) = [
        r for r in RESULTS if r["table"] == 2 and r["row"] == "Base" and r["metric"] == "miou"
    ]
    assert paper_row("Base", experiment=1)["miou"] == (base["value"], base["bracket"])
