"""Training on PASCAL VOC's layout: who is trained on, what is cropped, a run from end to end."""

import numpy as np
import pytest
import torch
from PIL import Image

import softcut_lib as sc
from softcut_lib.cli import main
from softcut_lib.data.voc import VOID, voc_colors
from softcut_lib.train.experiments import EXPERIMENTS
from softcut_lib.train.metrics import label_counts, pooled_iou
from softcut_lib.train.results import read_results
from softcut_lib.train.scribbled import unpack
from softcut_lib.train.table_scribbles import STRENGTHS
from softcut_lib.train.table_voc import EVERY_NTH, LARGEFOV

TRAIN = EVERY_NTH + 4
SIZE = (36, 44)


def write_tree(root, count):
    """Toy scenes as VOC: `count` training images with XML scribbles, three test images."""
    names = [f"2008_{k:06d}" for k in range(count + 3)]
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation", "scribbles"):
        (root / folder).mkdir(parents=True)
    for k, name in enumerate(names):
        generator = torch.Generator().manual_seed(k % 7)
        image, mask = sc.toy_scene("disc", size=SIZE, generator=generator)
        pixels = (255 * image).byte().permute(1, 2, 0).numpy()
        Image.fromarray(pixels).save(root / "JPEGImages" / f"{name}.jpg", quality=95)
        labels = np.where(mask.numpy() == 1, 12, 0).astype(np.uint8)  # dogs
        labels[0, :5] = VOID
        picture = Image.fromarray(labels)
        picture.putpalette(voc_colors().flatten().tolist())
        picture.save(root / "SegmentationClass" / f"{name}.png")
        strokes = (("dog", (20, 18), (24, 18)), ("background", (4, 32), (40, 32)))
        polygons = "".join(
            f"<polygon><tag>{tag}</tag>"
            + "".join(f"<point><X>{x}</X><Y>{y}</Y></point>" for x, y in points)
            + "</polygon>"
            for tag, *points in strokes
        )
        h, w = SIZE
        (root / "scribbles" / f"{name}.xml").write_text(
            f"<annotation><size><width>{w}</width><height>{h}</height></size>{polygons}</annotation>"
        )
    lists = root / "ImageSets" / "Segmentation"
    (lists / "train.txt").write_text("\n".join(names[:count]))
    (lists / "val.txt").write_text("\n".join(names[count:]))
    return names


@pytest.fixture
def tree(tmp_path, monkeypatch):
    names = write_tree(tmp_path / "voc2012", TRAIN)
    monkeypatch.setenv("SOFTCUT_DATA", str(tmp_path))
    monkeypatch.setenv("SOFTCUT_RUNS", str(tmp_path / "runs"))
    return names


def test_nothing_is_trained_on_that_chooses_or_tests(tree):
    load = EXPERIMENTS["scribbles-voc"].data["voc-train"].load
    train, val, test = (load(split) for split in ("train", "val", "test"))
    names = [{data[k]["name"] for k in range(len(data))} for data in (train, val, test)]
    assert names[0] | names[1] == set(tree[:TRAIN]) and names[2] == set(tree[TRAIN:])
    assert names[0].isdisjoint(names[1]) and names[1] == {tree[0], tree[EVERY_NTH]}
    few = [len(load(split, count=1)) for split in ("train", "val", "test")]
    assert few == [4, 1, 1]  # four crops of one image
    assert "seeds" not in test[0] and test[0]["image"].shape == (3, *SIZE)
    item = train[0]
    mask, seeds = unpack(item["target"])
    assert mask.shape == seeds.shape == (321, 321) and set(mask.unique().tolist()) <= {0, 12, 255}
    marked = seeds != 255
    assert {0, 12} & set(seeds.unique().tolist()) and 0 < marked.float().mean() < 0.2
    assert load("train", scale=0.1)[0]["image"].shape == (3, 32, 32)
    with pytest.raises(FileNotFoundError, match="write_train_aug"):
        EXPERIMENTS["scribbles-voc"].data["voc"].load("train")


def test_kernels_and_weights_are_the_papers():
    models = EXPERIMENTS["scribbles-voc"].models
    told = models["atrous-nc"].build().supervision
    assert told.weight == 1.6 and told.options == {"sigma_color": 15.0, "sigma_space": 100.0}
    assert all(f"atrous-{name}" in models for name in LARGEFOV["atrous"][2])
    from softcut_lib.train.table_voc import _at_full_size

    assert _at_full_size(12.0, 60.0)["nc"][1].options == {"sigma_color": 12.0, "sigma_space": 60.0}
    proposals = _at_full_size(15.0, 100.0)["seeded-nc"][1]
    assert proposals.options["sigma_space"] == 100 and proposals.regularizer is None


def small(monkeypatch):
    """The same experiment with networks of an eighth of the width, for a clock's sake."""
    from dataclasses import replace

    from softcut_lib.train import table_voc
    from softcut_lib.train.table_scribbles import rows

    def net(sc, labels, multiscale=True):
        return sc.AtrousNet(out_channels=labels, width=8, multiscale=multiscale), None

    nets = {"atrous": ("small", net, LARGEFOV["atrous"][2])}
    models = rows(21, nets, table_voc._at_full_size(15.0, 100.0), crf={})
    for name in ("scribbles-voc", "scribbles-voc-crf"):
        monkeypatch.setitem(EXPERIMENTS, name, replace(EXPERIMENTS[name], models=models))


def reproduce(name, model, path):
    words = f"reproduce {name} --data voc-train --scale 0.1 --profile fast --threads 1 --models"
    assert main([*words.split(), model, "--out", str(path)]) == 0
    return read_results(path)["rows"][-1]


def test_a_short_run_and_its_dense_crf(tree, tmp_path, monkeypatch):
    small(monkeypatch)
    row = reproduce("scribbles-voc", "atrous-nc", tmp_path / "a.json")
    assert row["counts"] == {"train": 4 * 4, "val": 2, "test": 3}
    assert row["history"]["step"] == [2, 4] and row["best_epoch"] == 1
    both, either = row["test"]["both"], row["test"]["either"]
    assert np.shape(both) == np.shape(either) == (3, 21)
    assert 0 <= pooled_iou(both, either)[0] <= 1
    after = reproduce("scribbles-voc-crf", "atrous-nc", tmp_path / "b.json")
    assert after["options"]["decode"] == "mean_field" and after["sessions"] == row["sessions"]
    choice = after["strength"]
    assert choice["strengths"] == list(STRENGTHS) and len(choice["val"]) == len(STRENGTHS)
    assert choice["chosen"] == STRENGTHS[choice["val"].index(max(choice["val"]))]
    assert "strength" not in row


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGEFOV["atrous"][2])
def test_every_supervision_runs(tree, name, tmp_path, monkeypatch):
    small(monkeypatch)
    assert reproduce("scribbles-voc", f"atrous-{name}", tmp_path / "a.json")["seed"] == 0


@pytest.mark.slow
def test_the_networks_of_full_width_run(tree, tmp_path):
    assert reproduce("scribbles-voc", "atrous-nc", tmp_path / "a.json")["parameters"] > 20_000_000


def test_pooled_iou_is_that_of_all_pixels_in_one_image():
    draw = torch.Generator().manual_seed(0)
    prob = torch.rand(4, 3, 10, 12, generator=draw).softmax(1)
    target = torch.randint(0, 3, (4, 10, 12), generator=draw)
    target[:, 0] = 255
    counts = [label_counts(p[None], t[None]) for p, t in zip(prob, target)]
    together = label_counts(torch.cat(list(prob), 1)[None], torch.cat(list(target))[None])
    found, each = pooled_iou(*zip(*counts))
    assert found == pytest.approx(pooled_iou(*([c] for c in together))[0])
    known = target != 255
    labels = prob.argmax(1)
    for k in range(3):
        both = ((labels == k) & (target == k))[known].sum()
        assert each[k] == pytest.approx(float(both / ((labels == k) | (target == k))[known].sum()))
    absent = [(both + [0], either + [0]) for both, either in counts]
    assert pooled_iou(*zip(*absent))[0] == found, "a label that is nowhere does not count"
    single = label_counts((labels == 1)[:1, None], (target == 1).long()[:1])
    assert len(single[0]) == 2
