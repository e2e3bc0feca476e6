"""Choosing a weight on validation images, never on test images; lengths of scribbles."""

import pytest

from softcut_lib import show
from softcut_lib.train.experiments import EXPERIMENTS
from softcut_lib.train.sweep import by_length, chosen_weights
from softcut_lib.train.table_scribbles import LENGTHS

CONCLUDE = EXPERIMENTS["scribbles-lambda"].conclude


def row(model, seed, val, test):
    history = {"epoch": [0, 1, 2], "val_iou": [0.1, val, 0.9]}
    return {"model": model, "seed": seed, "best_epoch": 1, "history": history,
            "summary": {"iou": test},
            "test": {"name": ["a", "b"], "iou": [test, test]}}  # fmt: skip


def test_validation_chooses_whatever_the_test_says():
    """Test values are turned around, and the choice stays."""
    rows = [row(f"unet-nc{tail}", s, v + s / 100, 1 - v)
            for tail, v in (("-0.1", 0.5), ("-0.3", 0.7), ("", 0.6)) for s in (0, 1)]  # fmt: skip
    found = CONCLUDE(rows)["normalized-cut"]
    assert found["weights"] == [0.1, 0.3, 1.0] and found["chosen"] == 0.3
    assert found["model"] == "unet-nc-0.3" and found["seeds"] == [0, 1]
    assert found["val"] == pytest.approx([0.505, 0.705, 0.605])
    assert found["test"] == pytest.approx([0.5, 0.3, 0.4])
    for r in rows:
        r["summary"]["iou"] = 1 - r["summary"]["iou"]
    assert CONCLUDE(rows)["normalized-cut"]["chosen"] == 0.3


def test_only_seeds_that_all_weights_have_count():
    rows = [
        row("unet-nc", 0, 0.6, 0.5),
        row("unet-nc-3", 0, 0.5, 0.6),
        row("unet-nc-3", 1, 0.9, 0.9),
    ]
    assert CONCLUDE(rows)["normalized-cut"]["chosen"] == 1.0
    none = CONCLUDE([rows[0], rows[2]])["normalized-cut"]
    assert none["chosen"] is None and none["seeds"] == []
    assert chosen_weights([], weights={}) == {}


def test_lengths_come_from_the_files_of_one_data_set():
    files = [
        {"experiment": "scribbles", "data": f"{data}-{name}",
         "rows": [row("unet-pce", s, 0.5, 0.4 + share / 5 + s / 100) for s in (0, 1)]}
        for data in ("weizmann", "synthetic") for name, share in LENGTHS.items()
    ]  # fmt: skip
    files.append({"experiment": "scribbles", "data": "weizmann", "rows": files[0]["rows"]})
    (entries,) = by_length(files, LENGTHS).values()
    assert [e[0] for e in entries] == [0.0, 0.25, 0.5, 1.0]
    assert [e[1] for e in entries] == pytest.approx([0.405, 0.455, 0.505, 0.605])
    assert entries[0][2][0] < 0.405 < entries[0][2][1] and entries[0][3] == [0, 1]
    table = show.length_table(by_length(files, LENGTHS), names={"unet-pce": "pCE"})
    assert table.header[1] == "a spot" and table.rows[0][4].startswith("0.605 (")


def test_tables_of_the_sweep_mark_the_choice():
    content = {"conclusion": CONCLUDE([row("unet-nc", 0, 0.6, 0.5), row("unet-nc-3", 0, 0.5, 0.6)])}
    rows = show.weight_table(content).rows
    assert [r[-1] for r in rows] == ["chosen", ""] and rows[0][1:4] == ["1", "0.600", "0.500"]
    assert "best on validation at 1" in show.weight_curves(content).alt
    with pytest.raises(ValueError, match="seed in common"):
        show.weight_curves({"conclusion": {}})


def test_table_of_strengths_reads_what_each_run_chose():
    rows = []
    for seed, val in ((0, [0.5, 0.7]), (1, [0.8, 0.6])):
        chosen = {"strengths": [0.5, 1.0], "val": val, "chosen": [0.5, 1.0][val.index(max(val))]}
        rows.append(row("unet-pce", seed, 0.6 + seed / 10, 0.55) | {"strength": chosen})
    rows.append(row("unet-nc", 0, 0.6, 0.5))  # recorded before strengths were chosen
    names = {"unet-nc": "NC", "unet-pce": "pCE", "unet-crf": "none"}
    table = show.strength_table({"rows": rows}, names=names)
    assert table.rows == [["pCE", "1, 0.5", "0.650", "0.750", "0.550"]]


def test_energies_of_networks_stand_beside_the_algorithms():
    def energies(cut):
        return {"name": ["a", "b"], "normalized_cut": [cut, cut], "kmeans": [100.0, 200.0],
                "normalized_cut_algorithm": [0.1, 0.1],
                "kmeans_algorithm": [90.0, 90.0]}  # fmt: skip

    rows = [{"model": "unet-only-nc", "summary": {"iou": c}, "clustering": energies(c)}
            for c in (0.2, 0.4)]  # fmt: skip
    table = show.clustering_table({"rows": rows}, names={"unet-only-nc": "NC", "other": "x"})
    assert table.rows == [
        ["NC", "0.300", "150", "0.300", "2", "2"],
        ["the algorithm, image by image", "0.100", "90", "-", "-", "2"],
    ]
