"""Seeds and images: brackets, sets of options, the choice by validation."""

import pytest
import torch

from softcut_lib.train.evaluation import summarize
from softcut_lib.train.pairing import paired_differences
from softcut_lib.train.seeds import by_validation, curves_of, over_seeds, runs_of, with_options


def row(model="base", seed=0, iou=None, *, optimizer="adam", lr=1e-3, val=(0.5, 0.4, 0.6)):
    iou = torch.rand(20, generator=torch.Generator().manual_seed(seed)).tolist() if not iou else iou
    names = [f"image{k}" for k in range(len(iou))]
    test = {"name": names, "iou": iou, "loss": iou, "figures": [3] * len(iou)}
    return {
        "model": model, "seed": seed, "options": {"optimizer": optimizer, "lr": lr, "epochs": 100},
        "parameters": 10, "test": test, "history": {"val_loss": list(val)},
    }  # fmt: skip


def shifted(runs, offsets, model="cut"):
    """Runs whose IoU is higher by offsets[seed] on every image."""
    return {
        seed: row(model, seed, [value + offsets[seed] for value in runs[seed]["test"]["iou"]])
        for seed in offsets
    }


@pytest.fixture
def runs():
    return {seed: row(seed=seed) for seed in range(3)}


def test_one_seed_is_the_summary_of_its_run(runs):
    spread, summary = over_seeds({0: runs[0]}), summarize(runs[0]["test"])
    assert spread.mean == pytest.approx(summary["iou"])
    assert spread.images == pytest.approx(summary["iou_bracket"]) and spread.seeds is None


def test_brackets_of_seeds_and_of_images(runs):
    spread = over_seeds(runs)
    means = torch.tensor([summarize(run["test"])["iou"] for run in runs.values()])
    assert spread.count == 3 and spread.mean == pytest.approx(float(means.mean()))
    assert spread.seeds == pytest.approx(float(means.std()) / 3**0.5)
    values = torch.tensor([run["test"]["iou"] for run in runs.values()]).mean(0)
    assert spread.images == pytest.approx(float(values.std()) / 20**0.5)


def test_runs_over_other_images_have_no_mean(runs):
    with pytest.raises(ValueError, match="all over the same images"):
        over_seeds({**runs, 3: row("base", 3, [0.5, 0.6])})
    with pytest.raises(ValueError, match="at least one run"):
        over_seeds({})


def test_rows_of_other_settings_are_not_seeds():
    rows = [row(seed=2), row(seed=0), row(seed=0, lr=1e-2), row(optimizer="adagrad"), row("cut")]
    adam = with_options({"rows": rows, "data": "weizmann"}, optimizer="adam", lr=1e-3)
    assert adam["data"] == "weizmann" and list(runs_of(adam, "base")) == [0, 2]
    assert runs_of(with_options({"rows": rows}, optimizer="adagrad"), "base") == {0: rows[3]}
    assert runs_of(None, "base") == {} and runs_of({"rows": rows}, "other") == {}
    assert with_options(None, lr=1e-3) is None
    for read in (runs_of, lambda file, model: paired_differences(file, [(model, "cut")])):
        with pytest.raises(ValueError, match="several rows of base, seed 0.*with_options"):
            read({"rows": rows}, "base")


def test_validation_chooses_by_the_best_epoch():
    rows = [
        row(val=(0.9, 0.4, 0.7)),
        row(lr=1e-2, val=(0.5, 0.45, 0.44)),
        row(optimizer="adagrad", val=(0.8, 0.39, 0.9)),
        row(seed=1, lr=1e-2, val=(0.1,)),
        row("cut", val=(0.2,)),
    ]
    found = by_validation({"rows": rows}, "base")
    assert [(s["optimizer"], s["lr"]) for s in found] == [
        ("adagrad", 1e-3), ("adam", 1e-3), ("adam", 1e-2)
    ]  # fmt: skip
    assert found[0]["val_loss"] == 0.39 and found[0]["row"] is rows[2]
    assert by_validation(None, "base") == []


def test_curves_are_means_over_seeds_up_to_the_first_end():
    def run(model, seed, losses):
        history = {"step": [10 * (k + 1) for k in range(len(losses))], "val_loss": losses}
        return {"model": model, "seed": seed, "options": {}, "history": history}

    rows = [run("base", 0, [0.6, 0.4, 0.2]), run("base", 1, [0.8, 0.6]), run("cut", 0, [0.5])]
    found = curves_of({"rows": rows}, ["cut", "base", "other"])
    assert list(found) == ["cut", "base"] and found["cut"] == ([10], [0.5])
    steps, means = found["base"]
    assert steps == [10, 20] and means == pytest.approx([0.7, 0.5])
    assert curves_of(None, ["base"]) == {}
