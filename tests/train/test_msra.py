"""Clustering networks on MSRA10K's layout: who is trained on, and a run from end to end."""

import json
import os
from dataclasses import replace

import pytest
import torch
from PIL import Image

import softcut_lib as sc
from softcut_lib.cli import main
from softcut_lib.data.msra import COUNT
from softcut_lib.train.clustering import held_out_energies
from softcut_lib.train.experiments import EXPERIMENTS, load_model
from softcut_lib.train.regularizers import SIGMAS
from softcut_lib.train.results import read_results
from softcut_lib.train.scribbled import unpack
from softcut_lib.train.table_msra import PLAIN, SIDE
from softcut_lib.train.table_scribbles import rows

NAME, MODELS = "clustering-msra", ("masks", "only-nc", "only-kmeans")
SIZE = (36, 48)


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """A folder with msra10k/: as many pairs as the whole has, eight toy scenes by many names."""
    root = tmp_path_factory.mktemp("data")
    folder = root / "msra10k" / "Imgs"
    folder.mkdir(parents=True)
    for k in range(COUNT):
        for end in ("jpg", "png"):
            path = folder / f"{k}.{end}"
            if k >= 8:
                os.link(folder / f"{k % 8}.{end}", path)
                continue
            generator = torch.Generator().manual_seed(k)
            image, mask = sc.toy_scene("disc", size=SIZE, generator=generator)
            part = image.permute(1, 2, 0) if end == "jpg" else mask
            Image.fromarray((255 * part).byte().numpy()).save(path)
    return root


@pytest.fixture
def load(database, tmp_path, monkeypatch):
    monkeypatch.setenv("SOFTCUT_DATA", str(database))
    monkeypatch.setenv("SOFTCUT_RUNS", str(tmp_path / "runs"))
    return EXPERIMENTS[NAME].data["msra"].load


def test_nothing_is_trained_on_that_chooses_or_is_measured(load):
    train, val, test = (load(split) for split in ("train", "val", "test"))
    names = [set(data.names) for data in (train.items, val, test)]
    assert [len(part) for part in names] == [8000, 500, 1500] and len(set.union(*names)) == COUNT
    mask, seeds = unpack(train[0]["target"])
    assert mask.shape == (SIDE, SIDE) and set(mask.unique().tolist()) <= {0, 1}
    assert (seeds == 255).all(), "nobody scribbled on it"
    assert test[0]["image"].shape == (3, *SIZE)
    assert load("train", scale=0.1)[0]["image"].shape == (3, 29, 29)
    few = [load(split, count=4) for split in ("train", "val", "test")]
    assert [len(data) for data in few] == [16, 4, 4]
    assert few[0][5]["name"] == train.items.names[1] and few[2][3]["name"] == test.names[3]


def test_kernel_network_and_supervision_are_the_papers():
    nets = {name: EXPERIMENTS[NAME].models[f"atrous-plain-{name}"].build() for name in MODELS}
    told = {name: net.supervision for name, net in nets.items()}
    assert {**SIGMAS, **told["only-nc"].options} == {"sigma_color": 15.0, "sigma_space": 40.0}
    assert told["only-kmeans"].regularizer == "k-means" and not told["only-kmeans"].options
    assert all(x.shown == "masks" and x.alone == (x.regularizer is not None) for x in told.values())
    net = nets["only-nc"].net
    assert net.receptive_field == 427 and not len(net.branches)
    assert sum(p.numel() for p in net.parameters()) > 20_000_000


def small(monkeypatch):
    """The same experiment with networks of an eighth of the width, for a clock's sake."""
    net = lambda sc, labels: (sc.AtrousNet(out_channels=labels, width=8), None)  # noqa: E731
    models = rows(1, {"atrous-plain": ("small", net, PLAIN["atrous-plain"][2])})
    monkeypatch.setitem(EXPERIMENTS, NAME, replace(EXPERIMENTS[NAME], models=models))


def reproduce(path, *words):
    given = f"reproduce {NAME} --data msra --scale 0.5 --profile fast --threads 1 --out".split()
    return main([*given, str(path), *words])


def test_all_rows_run_and_are_measured_once(load, tmp_path, monkeypatch):
    small(monkeypatch)
    assert reproduce(tmp_path / "a.json", "--models", "all") == 0
    content = read_results(tmp_path / "a.json")
    found = {row["model"].removeprefix("atrous-plain-"): row for row in content["rows"]}
    assert set(found) == set(MODELS)
    names = [load(split).names[:4] for split in ("val", "test")]
    for row in found.values():
        assert row["counts"] == {"train": 16, "val": 4, "test": 4} and row["best_epoch"] == 1
        energies = row["clustering"]
        assert energies["name"] == names[0] + names[1] and energies["split"][3:5] == ["val", "test"]
        for kind in ("kmeans", "normalized_cut"):
            best = energies[f"{kind}_algorithm"]
            assert best == found["masks"]["clustering"][f"{kind}_algorithm"]
    (folder,) = (tmp_path / "runs" / NAME).glob("*only-nc*")
    model, _ = load_model(folder)
    sets = {split: load(split, scale=0.5) for split in ("val", "test")}
    again = held_out_energies(model, sets, count=1)
    kept = json.loads((folder / "result.json").read_text())["clustering"]
    assert again["clustering"]["name"] == [names[0][0], names[1][0]]
    assert again["clustering"]["kmeans"] == pytest.approx([kept["kmeans"][k] for k in (0, 4)])

    def refuse(*rest, **options):
        raise AssertionError("a finished run is read")

    twice = replace(EXPERIMENTS[NAME], measure=refuse)
    monkeypatch.setitem(EXPERIMENTS, NAME, twice)
    assert reproduce(tmp_path / "b.json", "--models", "all") == 0
    assert read_results(tmp_path / "b.json")["rows"] == content["rows"]


def test_missing_data_say_how_to_get_them(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SOFTCUT_RUNS", str(tmp_path / "runs"))
    monkeypatch.delenv("SOFTCUT_DATA", raising=False)
    words = ["train", NAME, "--data", "msra", "--model", "atrous-plain-only-nc"]
    assert main(words) == 2
    error = capsys.readouterr().err
    assert "MSRA10K_Imgs_GT.zip" in error and len(error.splitlines()) == 1


@pytest.mark.slow
def test_the_network_of_full_width_runs(load, tmp_path):
    path = tmp_path / "a.json"
    assert reproduce(path, "--models", "atrous-plain-only-kmeans") == 0
    assert read_results(path)["rows"][-1]["parameters"] > 20_000_000
