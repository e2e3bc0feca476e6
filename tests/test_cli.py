"""The `softcut` command: what it prints, what it refuses, the scribble tool on a photograph."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from skimage import data, io

import softcut_lib as sc
from softcut_lib import cli
from softcut_lib.cli.segment import read_seeds
from softcut_lib.cuts.interactive import METHODS, interactive_cut
from softcut_lib.train import experiments
from tests.train.test_training import TINY


@pytest.fixture
def photograph(tmp_path):
    """A crop of a portrait and scribbles on it."""
    image = data.astronaut()[:256:2, 100:356:2]
    io.imsave(tmp_path / "photo.png", image)
    scribbles = image.copy()
    scribbles[20:110, 58:62] = (255, 0, 0)
    scribbles[5:40, 4:8] = scribbles[5:60, 110:116] = (0, 0, 255)
    io.imsave(tmp_path / "scribbles.png", scribbles)
    return tmp_path


def call(capsys, *words):
    status = cli.main([str(word) for word in words])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.mark.parametrize("method", METHODS)
def test_segment_follows_the_scribbles(capsys, photograph, method):
    out = photograph / "mask.png"
    status, text, _ = call(
        capsys, "segment", photograph / "photo.png", "--seeds", photograph / "scribbles.png",
        "-o", out, "--method", method,
    )  # fmt: skip
    mask = io.imread(out) > 127
    seeds = read_seeds(photograph / "scribbles.png")
    assert status == 0 and method in text and mask.shape == seeds.shape
    assert mask[seeds == 1].all() and not mask[seeds == 0].any()
    assert 0.15 < mask.mean() < 0.7


def test_segment_says_what_to_mark_next(capsys, photograph):
    words = [photograph / "photo.png", "--seeds", photograph / "scribbles.png"]
    words += ["-o", photograph / "asked.png"]
    _, quiet, _ = call(capsys, "segment", *words)
    _, text, _ = call(capsys, "segment", *words, "--ask")
    assert "to mark next" not in quiet
    x, y, followers = map(int, re.search(r"column (\d+), row (\d+); about (\d+)", text).groups())
    seeds = read_seeds(photograph / "scribbles.png")
    assert seeds[y, x] == 255 and 1 <= followers < seeds.size


def test_label_image_and_colors_say_the_same(photograph):
    seeds = read_seeds(photograph / "scribbles.png")
    io.imsave(photograph / "labels.png", seeds.astype(np.uint8), check_contrast=False)
    assert np.array_equal(read_seeds(photograph / "labels.png"), seeds)


def test_without_colors_soft_cut_and_random_walker_are_the_same_harmonic_function():
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(1, 3, 12, 15, generator=generator, dtype=torch.float64)
    seeds = torch.full((1, 12, 15), 255)
    seeds[0, 2, 2], seeds[0, 9, 12] = 1, 0
    masks = [
        interactive_cut(image, seeds, method=method, color=0, sigma=0.5)
        for method in ("soft-cut", "random-walker")
    ]
    assert torch.equal(*masks)


def test_segment_errors_are_one_line(capsys, photograph):
    photo, scribbles = photograph / "photo.png", photograph / "scribbles.png"
    io.imsave(photograph / "small.png", io.imread(scribbles)[:50])
    only_red = io.imread(scribbles)
    only_red[:, :20] = only_red[:, 100:] = 0
    io.imsave(photograph / "red.png", only_red)
    (photograph / "broken.png").write_bytes(photo.read_bytes()[:300])
    gray = np.full((128, 128), 7, dtype=np.uint8)
    io.imsave(photograph / "gray.png", gray, check_contrast=False)
    for image, seeds, message in [
        (photo, photograph / "small.png", "same size"),
        (photo, photograph / "red.png", "no background (blue) pixel"),
        (photo, photograph / "gray.png", "values must be 0"),
        (photo, photograph / "none.png", "none.png: there is no such image"),
        (photograph / "broken.png", scribbles, "broken.png: this file cannot be read"),
    ]:
        status, _, error = call(capsys, "segment", image, "--seeds", seeds)
        assert status == 2 and message in error and len(error.splitlines()) == 1, error


def test_segment_looks_at_its_output_before_it_works(capsys, photograph):
    photo, scribbles = photograph / "photo.png", photograph / "scribbles.png"
    before = photo.read_bytes(), scribbles.read_bytes()
    for out, message in [
        (photo, "is the image itself"),
        (scribbles, "is --seeds itself"),
        (photograph / "mask.jpg", "ends in .png"),
        (photograph, "ends in .png"),
        (photograph / "none" / "mask.png", "there is no folder"),
    ]:
        status, _, error = call(capsys, "segment", photo, "--seeds", scribbles, "-o", out)
        assert status == 2 and message in error and len(error.splitlines()) == 1, error
    assert before == (photo.read_bytes(), scribbles.read_bytes())
    words = ["segment", photo, "--seeds", scribbles, "--strength", "-1"]
    assert "strength must be a finite number above 0" in call(capsys, *words)[2]


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    monkeypatch.setitem(experiments.EXPERIMENTS, "tiny", TINY)
    monkeypatch.setenv("SOFTCUT_RUNS", str(tmp_path / "runs"))


def test_train_evaluate_reproduce(capsys, tiny, tmp_path):
    pytest.importorskip("lightning")
    out = tmp_path / "r.json"
    common = ["tiny", "--data", "squares", "--epochs", "1"]
    status, text, _ = call(capsys, "train", *common, "--model", "plain", "--threads", "1")
    assert status == 0 and text.startswith("plain, seed 0: iou")

    folder = next((tmp_path / "runs").rglob("best.ckpt")).parent
    status, again, _ = call(capsys, "evaluate", folder, "--out", tmp_path / "e.json")
    assert status == 0 and again.split(": ")[1] == text.split(": ")[1]
    assert len(json.loads((tmp_path / "e.json").read_text())["test"]["iou"]) == 3
    assert call(capsys, "evaluate", folder, "--decode", "min_cut")[0] == 2

    status, text, error = call(capsys, "reproduce", *common, "--collect", "--out", out)
    assert status == 0 and "soft, seed 0: no finished run" in error
    assert [row["model"] for row in json.loads(out.read_text())["rows"]] == ["plain"]
    assert call(capsys, "reproduce", *common, "--seeds", "0", "1", "--out", out)[0] == 0
    file = json.loads(out.read_text())
    assert [(row["model"], row["seed"]) for row in file["rows"]] == [
        (model, seed) for model in ("plain", "soft") for seed in (0, 1)
    ]
    assert str(tmp_path) not in out.read_text()


def test_a_row_that_breaks_down_does_not_keep_the_others_from_running(
    capsys, tiny, tmp_path, monkeypatch
):
    pytest.importorskip("lightning")
    plain = TINY.models["plain"].build

    def broken(log=None):
        network = plain(log)
        network.net.register_forward_hook(lambda net, given, scores: scores * float("nan"))
        return network

    monkeypatch.setitem(TINY.models, "soft", experiments.Model("gives NaN", broken))
    words = ["tiny", "--data", "squares", "--epochs", "1", "--models", "soft", "plain"]
    status, text, error = call(capsys, "reproduce", *words, "--out", tmp_path / "r.json")
    assert status == 2 and "softcut: soft, seed 0: training stopped at step 0 on" in error
    assert [row["model"] for row in json.loads((tmp_path / "r.json").read_text())["rows"]] == [
        "plain"
    ]
    assert "1 rows written to" in text


def test_several_labels_are_decoded_by_expansion(capsys, tiny, tmp_path, monkeypatch):
    """`evaluate` and `reproduce` with --decode min_cut, on three labels."""
    pytest.importorskip("lightning")

    def build(log=None):
        net = sc.ScoreAndEdges(sc.BasicNet(channels=(4,), out_channels=3), sc.EdgeNet(channels=4))
        return sc.CutNet(net, sc.SoftCut(log=log))

    monkeypatch.setitem(TINY.models, "soft", experiments.Model("three labels", build))
    calls, expand = [], sc.alpha_expansion
    monkeypatch.setattr(sc, "alpha_expansion", lambda *a, **o: calls.append(1) or expand(*a, **o))
    common = ["tiny", "--data", "squares", "--epochs", "1"]
    assert call(capsys, "train", *common, "--model", "soft")[0] == 0
    folder = next((tmp_path / "runs").rglob("best.ckpt")).parent
    out = tmp_path / "e.json"
    status, text, _ = call(capsys, "evaluate", folder, "--decode", "min_cut", "--out", out)
    figures = json.loads(out.read_text())["test"]["figures"]
    assert status == 0 and "over 3 images" in text and len(calls) == 3 and min(figures) >= 1
    decode = ["--models", "soft", "--collect", "--decode", "min_cut", "--out", tmp_path / "r.json"]
    assert call(capsys, "reproduce", *common, *decode)[0] == 0 and len(calls) == 6
    (row,) = json.loads((tmp_path / "r.json").read_text())["rows"]
    assert row["options"]["decode"] == "min_cut" and row["test"]["figures"] == figures


def test_errors_name_what_to_do(capsys, tiny, tmp_path, monkeypatch):
    assert "expected one of horses" in call(capsys, "train", "cows")[2]
    assert "expected one of base" in call(capsys, "train", "horses", "--model", "big")[2]
    assert "no such checkpoint" in call(capsys, "evaluate", tmp_path)[2]
    (tmp_path / "x.ckpt").write_bytes(b"nothing")
    assert "damaged" in call(capsys, "evaluate", tmp_path / "x.ckpt")[2]
    monkeypatch.setenv("SOFTCUT_DATA", str(tmp_path / "nowhere"))
    status, _, error = call(capsys, "train", "horses", "--data", "weizmann")
    assert status == 2 and "nowhere" in error and "SOFTCUT_DATA" in error


def test_what_could_not_be_written_is_refused_before_the_training(capsys, tiny, tmp_path):
    pytest.importorskip("lightning")
    (tmp_path / "file").write_text("")
    common = ["reproduce", "tiny", "--data", "squares", "--epochs", "1", "--out"]
    for out, message in ((tmp_path, "is a folder"), (tmp_path / "file" / "r.json", "is no folder")):
        status, _, error = call(capsys, *common, out)
        assert status == 2 and "--out" in error and message in error and not made_runs(tmp_path)
        assert call(capsys, "evaluate", tmp_path, "--out", out)[2].startswith("softcut: --out")


def made_runs(tmp_path):
    return list((tmp_path / "runs").rglob("*")) if (tmp_path / "runs").exists() else []


def test_numbers_out_of_range_are_refused_before_anything_is_written(capsys, tiny, tmp_path):
    common = ["train", "tiny", "--data", "squares", "--model", "plain"]
    for option, value in (("threads", 0), ("threads", -2), ("seed", -1), ("workers", -1)):
        status, _, error = call(capsys, *common, f"--{option}", value)
        assert status == 2 and f"{option} must be an integer of at least" in error
    assert "threads must be" in call(capsys, "evaluate", tmp_path, "--threads", "0")[2]
    assert not made_runs(tmp_path)


def test_a_name_said_twice_counts_once(capsys, tiny, tmp_path):
    pytest.importorskip("lightning")
    common = ["reproduce", "tiny", "--data", "squares", "--collect", "--out", tmp_path / "r.json"]
    for words, rows in (
        (["--seeds", 0, 0, 1], 4),
        (["--models", "plain", "plain"], 1),
        (["--models", "all", "plain"], 2),
    ):
        status, text, error = call(capsys, *common, *words)
        assert status == 1 and error.count("no finished run") == rows
        assert text.startswith("no row found") and not (tmp_path / "r.json").exists()


def test_a_file_that_is_no_network_is_said_to_be_none(capsys, tmp_path):
    import pickle

    (tmp_path / "x.ckpt").write_bytes(pickle.dumps(print, protocol=2))
    error = call(capsys, "evaluate", tmp_path / "x.ckpt")[2]
    assert "no checkpoint" in error and "weights_only" not in error
    assert "there is no such file" in call(capsys, "evaluate", tmp_path / "x.safetensors")[2]


def test_a_stopped_command_says_how_it_goes_on(capsys, monkeypatch, tmp_path):
    """`reproduce` has no --resume: it always goes on; the others have nothing to go on with."""

    def interrupted(arguments):
        raise KeyboardInterrupt

    from softcut_lib.cli import training

    monkeypatch.setattr(training, "reproduce", interrupted)
    monkeypatch.setattr(training, "evaluate_run", interrupted)
    status, _, error = call(capsys, "reproduce", "horses")
    assert status == 130 and error == "softcut: stopped; the same command continues\n"
    status, _, error = call(capsys, "evaluate", tmp_path)
    assert status == 130 and error == "softcut: stopped\n"


def test_help_and_list(capsys):
    for words in ([], ["train"], ["evaluate"], ["reproduce"], ["segment"]):
        with pytest.raises(SystemExit) as stop:
            cli.main([*words, "--help"])
        assert stop.value.code == 0
    text = capsys.readouterr().out
    assert "softcut train horses" in text and "red (255, 0, 0)" in text
    assert "--accumulate" in text and "goes on from there with --resume" in text


def test_the_table_of_experiments(capsys):
    """One line each with the thesis' numbers; by name, models, data and settings."""
    status, text, _ = call(capsys, "experiments")
    lines = {line.split()[0]: line.split() for line in text.splitlines() if line}
    assert status == 0 and set(experiments.EXPERIMENTS) <= set(lines)
    assert lines["sign"][1:4] == ["2", "0.4324", "0.4790"]
    assert lines["sign-maxflow"][1:4] == ["8", "-", "0.4875"]
    for name in experiments.EXPERIMENTS:
        assert call(capsys, "experiments", name)[0] == 0
    text = call(capsys, "experiments", "sign")[1]
    for words in ("--model softcut-published", "--data camvid", "thesis miou 0.479", "--profile"):
        assert words in text
    assert "networks of sign, by min_cut" in call(capsys, "experiments", "sign-maxflow")[1]
    assert "networks of scribbles; those" in call(capsys, "experiments", "scribbles-lambda")[1]
    assert "expected one of horses" in call(capsys, "experiments", "cows")[2]


def test_a_decoding_experiment_trains_the_other_and_decodes(capsys, tiny, tmp_path, monkeypatch):
    pytest.importorskip("lightning")
    cut = replace(TINY, title="Squares, cut", decodes="tiny", decode="min_cut")
    monkeypatch.setitem(experiments.EXPERIMENTS, "tiny-cut", cut)
    common = ["--data", "squares", "--epochs", "1"]
    out = tmp_path / "cut.json"
    words = ["reproduce", "tiny-cut", *common, "--models", "soft", "--out", out]
    assert call(capsys, *words)[0] == 0
    (row,) = json.loads(out.read_text())["rows"]
    assert row["experiment"] == "tiny-cut" and row["options"]["decode"] == "min_cut"
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["tiny"]
    other = tmp_path / "other.json"
    call(capsys, "reproduce", "tiny", *common, "--models", "soft", "--collect", "--decode",
         "min_cut", "--out", other)  # fmt: skip
    assert json.loads(other.read_text())["rows"][0]["test"] == row["test"]
    status, _, error = call(capsys, "train", "tiny-cut", *common, "--model", "plain")
    assert status == 2 and "plain has no conductances" in error
    for flags, words in (
        (["tiny-cut", "--decode", "min_cut"], "--decode: tiny-cut has a test of its own"),
        (["tiny", "--whole"], "--whole: tiny takes no windows"),
    ):
        status, _, error = call(capsys, "reproduce", *flags, *common, "--models", "soft")
        assert status == 2 and words in error


def test_rows_of_the_paper_are_the_default(capsys, tiny, tmp_path, monkeypatch):
    rows = {name: replace(m, printed="Base" if name == "plain" else None)
            for name, m in TINY.models.items()}  # fmt: skip
    monkeypatch.setitem(experiments.EXPERIMENTS, "tiny", replace(TINY, models=rows))
    common = ["reproduce", "tiny", "--data", "squares", "--epochs", "1", "--collect"]
    assert call(capsys, *common)[2].splitlines() == ["plain, seed 0: no finished run"]
    assert len(call(capsys, *common, "--models", "all")[2].splitlines()) == 2
    assert call(capsys, *common, "--models", "soft")[2].startswith("soft, seed 0")
