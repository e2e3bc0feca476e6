"""Street experiments from the command line, on generated streets; frames through windows."""

import json
from dataclasses import replace

import pytest
import torch

import softcut_lib as sc
from softcut_lib import cli
from softcut_lib.train import experiments
from softcut_lib.train.decoding import retested
from softcut_lib.train.evaluation import cut_to_windows, evaluate, through_windows
from softcut_lib.train.experiments import EXPERIMENTS, Data, Model
from softcut_lib.train.objectives import Dice, FocalDice
from softcut_lib.train.results import read_results
from softcut_lib.train.table_streets import frames, unets

pytest.importorskip("lightning")
pytest.importorskip("monai")

STREETS = [name for name, e in EXPERIMENTS.items() if e.number and e.number > 1]


def slim(labels, channels=3):
    """The rows of an experiment with a network that trains in seconds."""

    def net(edges):
        return sc.TwoDecoderUNet(channels, labels, encoder="resnet10", edges=edges, width=1 / 8)

    return {
        "base": Model("slim", lambda log=None: sc.CutNet(net(None))),
        "softcut-published": Model(
            "slim, cut",
            lambda log=None: sc.CutNet(
                net("transposed"), sc.SoftCut(solver=sc.PUBLISHED_CG, log=log)
            ),
        ),
    }


def fast(name, model, tmp_path, capsys):
    out = tmp_path / f"{name}.json"
    words = ["reproduce", name, "--models", model, "--profile", "fast", "--threads", "1"]
    assert cli.main([*words, "--runs", str(tmp_path / "runs"), "--out", str(out)]) == 0
    assert f"{model}, seed 0: iou" in capsys.readouterr().out
    (row,) = read_results(out)["rows"]
    return row


@pytest.mark.parametrize(
    "name, labels, channels", [("sign", 1, 3), ("object", 1, 4), ("classes", 3, 3)]
)
def test_a_fast_profile_runs(name, labels, channels, tmp_path, capsys, monkeypatch):
    """Binary, specific object, many classes: the command, the data, the record; a slim network."""
    small = replace(EXPERIMENTS[name], models=slim(labels, channels))
    monkeypatch.setitem(experiments.EXPERIMENTS, name, small)
    row = fast(name, "softcut-published", tmp_path, capsys)
    assert row["options"]["batch"] == 4 and row["history"]["step"] == [3]
    assert row["counts"]["test"] == len(row["test"]["iou"]) > 0
    assert all(0 <= value <= 1 for value in row["test"]["iou"])
    assert row["options"]["objective"] == "Dice(pooled=True)"
    load = EXPERIMENTS[name].data["synthetic"].load
    targets = [item["target"] for item in map(load("test", count=2).__getitem__, range(2))]
    for target, constant in zip(targets, row["test"]["constant"]):
        known = target != 255
        share = ((target > 0) & known).sum() / known.sum()
        expected = (
            share if labels == 1 else (1 - share + (labels - len(target[known].unique()))) / labels
        )
        assert constant == pytest.approx(float(expected), abs=1e-5)
    (folder,) = (tmp_path / "runs" / name).iterdir()
    assert folder.name.startswith("synthetic-softcut-published-adam-lr0.001-e1x3-batch4-count2")
    again = ["evaluate", str(folder), "--split", "val", "--out", str(tmp_path / "again.json")]
    for decode in ([], ["--decode", "min_cut"]):  # several labels: by expansion
        assert cli.main([*again, *decode]) == 0
        kept = json.loads((tmp_path / "again.json").read_text())
        assert kept["config"]["options"] == row["options"]
        assert len(kept["test"]["iou"]) == len(load("val", count=2)), "as the run was tested"


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, model",
    [
        (name, model)
        for name in STREETS
        for model in ("base", "two-decoders", "submodular-isotonic", "softcut-published")
        if model in EXPERIMENTS[name].models
    ],
)
def test_every_fast_profile_runs(name, model, tmp_path, capsys):
    """A trial: few steps of few images, so that it ends in two minutes."""
    row = fast(name, model, tmp_path, capsys)
    assert row["experiment"] == name and max(row["history"]["step"]) * row["options"]["batch"] <= 12
    frames = row["options"]["count"]
    few = EXPERIMENTS[name].data["synthetic"].load("test", count=frames)
    assert frames <= 2 and row["counts"]["test"] == len(few)


@pytest.mark.slow
@pytest.mark.parametrize("model", EXPERIMENTS["sign"].models)
def test_every_arm_of_the_open_question_runs(model, tmp_path, capsys):
    history = fast("sign", model, tmp_path, capsys)["history"]
    assert 0 < history["train_loss"][0] < 1 and 0 < history["val_loss"][0] < 1
    if "one-step" in model:
        assert history["adjoint_steps_max"] == [1]
    elif model in ("softcut", "softcut-multigrid"):
        assert history["adjoint_steps_max"][0] > 1


def street(count=1):
    found = frames("synthetic", "test", ("sign", "car", "person"), count=count)
    return [found[k] for k in range(count)]


@pytest.mark.parametrize("objective", [Dice(), Dice(pooled=False), FocalDice()])
def test_objectives_are_losses_of_each_image_when_testing(objective):
    logits = torch.linspace(-2, 2, 3 * 2 * 5 * 6).reshape(3, 2, 5, 6)
    target = (torch.arange(90).reshape(3, 5, 6) % 2).long()
    prediction = sc.CutNet(torch.nn.Identity())(logits)
    values = objective.evaluation(prediction, target)
    single = torch.cat(
        [
            objective.evaluation(sc.CutNet(torch.nn.Identity())(logits[k : k + 1]), target[k][None])
            for k in range(3)
        ]
    )
    torch.testing.assert_close(values, single)
    assert bool(((values > 0) & (values < 1)).all())


def test_a_pooled_loss_of_one_image_is_that_images():
    logits, target = torch.randn(1, 1, 6, 7, generator=torch.Generator().manual_seed(0)), None
    target = (logits[:, 0] > 0.3).long()
    prediction = sc.CutNet(torch.nn.Identity())(logits)
    for objective in (Dice(), FocalDice()):
        pooled = objective.training(prediction, target)
        torch.testing.assert_close(pooled, objective.evaluation(prediction, target)[0])


def test_windows_of_a_pointwise_network_are_the_whole_frame():
    """Also its loss and every metric; the margins of the windows see void outside the frame."""
    (item,) = street()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = sc.CutNet(sc.BasicNet(channels=(4,), out_channels=4, kernel_size=1))
    one, other = (
        evaluate(through_windows(net, windows), [item], Dice()) for windows in (None, (160, 128))
    )
    assert one["iou"] == pytest.approx(other["iou"]) and one["loss"] == pytest.approx(other["loss"])
    assert one["figures"] == other["figures"]
    image, target = cut_to_windows(item["image"][None], item["target"][None], (160, 128))
    assert image.shape == (8, 3, 160, 160) and target.shape == (8, 160, 160)
    assert bool((target[0, :16] == 255).all()) and not bool(
        (target[:, 16:-16, 16:-16] == 255).all()
    )


def test_frames_are_trained_and_tested_by_windows_or_whole(tmp_path, capsys, monkeypatch):
    """Experiment 11 in form: the loss is one over a frame's windows; both tests, both recorded."""
    items = {split: street(2) for split in ("train", "val", "test")}
    tiny = replace(EXPERIMENTS["frames"], **{
        "data": {"synthetic": Data("two frames", lambda split, scale=1.0, count=None: items[split],
                                   EXPERIMENTS["frames"].data["synthetic"].settings)},
        "models": {"softcut-published": Model("two small nets", lambda log=None: sc.CutNet(
            sc.ScoreAndEdges(sc.BasicNet(channels=(4,), out_channels=4), sc.EdgeNet()),
            sc.SoftCut(solver=sc.PUBLISHED_CG, log=log)))},
    })  # fmt: skip
    monkeypatch.setitem(experiments.EXPERIMENTS, "frames", tiny)
    by_windows = fast("frames", "softcut-published", tmp_path, capsys)
    assert by_windows["options"]["windows"] == "160 every 128"
    out = tmp_path / "whole.json"
    words = ["reproduce", "frames", "--models", "softcut-published", "--profile", "fast", "--whole"]
    assert cli.main([*words, "--runs", str(tmp_path / "runs"), "--out", str(out)]) == 0
    (whole,) = read_results(out)["rows"]
    assert whole["options"]["tested"] == "whole frames"
    settings, runs = tiny.with_options("synthetic", "fast"), tmp_path / "runs"
    again = [
        retested(by_windows, settings, whole=way, runs=runs)["test"]["loss"]
        for way in (True, False)
    ]
    for row, losses in zip((whole, by_windows), again, strict=True):
        assert row["test"]["loss"] == pytest.approx(losses, rel=1e-4), "a file's are rounded"
    gaps = [a - b for a, b in zip(*again, strict=True)]
    assert all(0 < abs(gap) < 0.1 for gap in gaps)  # a cut sees beyond its window
    assert whole["history"]["val_loss"] == by_windows["history"]["val_loss"]


@pytest.mark.parametrize("name", ["sign-resnet34", "object", "classes", "frames"])
def test_labels_and_channels_fit_the_data(name):
    """Each street experiment's network takes its images and gives its target's labels."""
    experiment = EXPERIMENTS[name]
    labels = {"sign": 1, "object": 1, "classes": 3, "frames": 4}[name.split("-")[0]]
    items = experiment.data["synthetic"].load("train", count=2)
    item, targets = items[0], [items[k]["target"] for k in range(len(items))]
    seen = {int(value) for target in targets for value in target.unique()} - {255}
    assert seen == set(range(max(labels, 2))), "these scenes have every class"
    encoder = "resnet34" if "resnet34" in name else "resnet18"
    expected = unets(labels=labels, channels=len(item["image"]), encoder=encoder)
    for model in ("base", "softcut-published"):
        assert experiment.models[model].about == expected[model].about
        net = experiment.models[model].build().net
        assert net.in_channels == len(item["image"])
        assert net.decoder.head[0].out_channels == labels


@pytest.mark.parametrize(
    "name",
    ["sign", *(pytest.param(name, marks=pytest.mark.slow) for name in STREETS if name != "sign")],
)
def test_experiments_read_a_tree_in_the_layout_of_cityscapes(name, tmp_path, monkeypatch):
    """All splits of the real data set's loader, as `--data cityscapes` calls it."""
    sc.write_synthetic_streets(tmp_path / "cityscapes", counts={"train": 5, "val": 2})
    monkeypatch.setenv("SOFTCUT_DATA", str(tmp_path))
    for split in ("train", "val", "test"):
        items = EXPERIMENTS[name].data["cityscapes"].load(split)
        assert items[0]["image"].shape[-2:] == items[0]["target"].shape[-2:]
        targets = (items[k]["target"] for k in range(len(items)))
        assert any(((target > 0) & (target != 255)).any() for target in targets), "all background"


def test_a_missing_cityscapes_says_how_to_obtain_it(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("SOFTCUT_DATA", str(tmp_path))
    words = ["train", "sign", "--data", "cityscapes", "--model", "base", "--runs", str(tmp_path)]
    assert cli.main(words) == 2
    message = capsys.readouterr().err
    assert "cityscapes" in message and "write_synthetic_streets" in message
    assert "Traceback" not in message
