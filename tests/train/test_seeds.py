"""Seeds and images: brackets, pairing, the choice by validation."""

import pytest
import torch

from softcut_lib.train.evaluation import paired_difference, summarize
from softcut_lib.train.seeds import by_validation, difference, is_clear, over_seeds, runs_of


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


def test_a_difference_forgets_what_both_share(runs):
    """Images and seeds vary by far more than 0.1, the differences not at all."""
    better = difference(runs, shifted(runs, {0: 0.1, 1: 0.1, 2: 0.1}))
    assert better.mean == pytest.approx(0.1) and max(better.images, better.seeds) < 1e-9
    assert is_clear(better)
    mixed = difference(runs, shifted(runs, {0: 0.3, 1: -0.2, 2: 0.1}))
    assert mixed.seeds == pytest.approx(torch.tensor([0.3, -0.2, 0.1]).std().item() / 3**0.5)
    assert mixed.images < 1e-9 and not is_clear(mixed)


def test_a_difference_of_one_seed_is_the_paired_one(runs):
    other = {0: row("cut", 5)} | {0: {**row("cut", 5), "seed": 0}}
    spread = difference({0: runs[0]}, other)
    mean, bracket = paired_difference(runs[0]["test"], other[0]["test"], "iou")
    assert (spread.mean, spread.images) == pytest.approx((mean, bracket), rel=1e-5)


@pytest.mark.parametrize(("count", "clear"), [(1, False), (2, False), (3, True)])
def test_fewer_than_three_seeds_are_never_clear(runs, count, clear):
    better = difference(runs, shifted(runs, {seed: 0.3 for seed in range(count)}))
    assert better.count == count and is_clear(better) == clear


def test_seeds_are_paired_where_both_have_them(runs):
    spread = difference(runs, shifted(runs, {1: 0.2, 2: 0.2}))
    assert spread.count == 2 and spread.mean == pytest.approx(0.2)
    with pytest.raises(ValueError, match="at least one seed that all have"):
        difference(runs, {7: row(seed=7)})
    with pytest.raises(ValueError, match="names differ"):
        difference(runs, {0: row("cut", 0, [0.5, 0.6])})


def test_rows_of_other_settings_are_not_seeds():
    rows = [row(seed=2), row(seed=0), row(seed=0, lr=1e-2), row(optimizer="adagrad"), row("cut")]
    assert list(runs_of({"rows": rows}, "base")) == [0, 2]
    assert runs_of({"rows": rows}, "base", optimizer="adagrad", lr=1e-3) == {0: rows[3]}
    assert runs_of(None, "base") == {} and runs_of({"rows": rows}, "other") == {}


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
