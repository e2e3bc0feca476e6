"""Synthetic streets: the tree they write is what they are, and they hold what they promise."""

import pickle

import numpy as np
import pytest
import torch

from softcut_lib import Cityscapes, SyntheticStreets, write_synthetic_streets
from softcut_lib.data import street_scene
from softcut_lib.data.cityscapes_labels import IDS, TRAIN_CLASSES
from softcut_lib.data.street_canvas import Canvas
from softcut_lib.data.synthetic_streets import COUNTS, render

SIZE = (64, 128)


@pytest.fixture(scope="module")
def scenes():
    return [render("train", k, size=SIZE) for k in range(10)]


@pytest.mark.parametrize("classes", [None, ("traffic sign", "car")])
def test_the_real_loader_reads_the_tree_as_the_data_set_is(tmp_path, classes):
    options = {"classes": classes, "instances": True}
    root = write_synthetic_streets(tmp_path, counts={"val": 2}, size=SIZE, seed=3)
    read = Cityscapes(root, "val", **options)
    made = SyntheticStreets("val", count=2, size=SIZE, seed=3, **options)
    assert read.classes == made.classes and read.names == made.names
    for first, second in zip(read, made):
        assert first["name"] == second["name"]
        for part in ("image", "target", "instances"):
            assert torch.equal(first[part], second[part]), part


def test_the_tree_has_the_official_names(tmp_path):
    write_synthetic_streets(tmp_path, counts={"train": 1}, size=SIZE)
    files = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.png")}
    stem = "gtFine/train/synthetictrain/synthetictrain_000000_000000_gtFine"
    assert files == {
        "leftImg8bit/train/synthetictrain/synthetictrain_000000_000000_leftImg8bit.png",
        *(f"{stem}_{part}.png" for part in ("labelIds", "instanceIds", "color")),
    }


def test_an_interrupted_writing_goes_on(tmp_path):
    write_synthetic_streets(tmp_path, counts={"train": 2}, size=SIZE)
    photographs = sorted((tmp_path / "leftImg8bit").rglob("*.png"))
    times = [path.stat().st_mtime_ns for path in photographs]
    photographs[1].unlink()
    write_synthetic_streets(tmp_path, counts={"train": 2}, size=SIZE)
    assert photographs[0].stat().st_mtime_ns == times[0] and photographs[1].is_file()
    with pytest.raises(ValueError, match="has size .64, 128., not the wanted .32, 128."):
        write_synthetic_streets(tmp_path, counts={"train": 1}, size=(32, 128))


def test_every_promised_thing_appears(scenes):
    seen = set(np.unique(np.concatenate([ids.ravel() for _, ids, _ in scenes])).tolist())
    promised = "sky building road sidewalk car person pole vegetation".split() + ["traffic sign"]
    assert {IDS[name] for name in promised} <= seen
    assert {IDS["ego vehicle"], IDS["out of roi"]} <= seen
    share = np.mean([(ids == IDS["traffic sign"]).mean() for _, ids, _ in scenes])
    assert 0.002 < share < 0.05


def test_instance_numbers_agree_with_labels(scenes):
    for _, ids, numbers in scenes:
        objects = numbers >= 1000
        assert np.array_equal(numbers[objects] // 1000, ids[objects])
        assert np.array_equal(objects, np.isin(ids, [IDS["car"], IDS["person"]]))
        assert np.array_equal(numbers[~objects], ids[~objects])


def test_things_hide_each_other(scenes):
    """Somewhere a car is cut by what stands before it: a piece of it lies apart."""
    from scipy.ndimage import label

    parts = [
        label(numbers == number, np.ones((3, 3)))[1]
        for _, _, numbers in scenes
        for number in np.unique(numbers[numbers >= 1000])
    ]
    assert max(parts) > 1


def test_labels_explain_colors(scenes):
    """The mean color of the labels tells more than the picture's mean color, though not all."""
    for picture, ids, _ in scenes[:4]:
        colors = picture.reshape(-1, 3).astype(float)
        rest = colors.copy()
        for number in np.unique(ids):
            rest[ids.ravel() == number] -= colors[ids.ravel() == number].mean(0)
        explained = 1 - rest.var() / colors.var()
        assert 0.2 < explained < 0.95


def painted_otherwise(monkeypatch, scenes, owner, name, otherwise):
    """The same scenes with a part of the painter replaced; what is where stays the same."""
    original = getattr(owner, name)
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, lambda *arguments: otherwise(original, *arguments))
        others = [render("train", k, size=SIZE) for k in range(len(scenes))]
    for (_, ids, numbers), (_, other_ids, other_numbers) in zip(scenes, others, strict=True):
        assert np.array_equal(ids, other_ids) and np.array_equal(numbers, other_numbers)
    return np.stack([picture for picture, _, _ in others]).astype(float)


@pytest.mark.parametrize(
    "owner, name, lit",
    [
        (street_scene, "_house_shadow", lambda shade, *a: np.ones_like(shade(*a))),
        (Canvas, "darken", lambda *_: None),
    ],
    ids=["houses", "things"],
)
def test_shadows_darken_the_ground_and_nothing_in_the_air(scenes, monkeypatch, owner, name, lit):
    pictures, ids = (np.stack([scene[k] for scene in scenes]) for k in (0, 1))
    gain = (painted_otherwise(monkeypatch, scenes, owner, name, lit) - pictures).mean(-1)
    assert gain.min() >= 0 and (gain > 10).mean() > 0.03
    for label in ("sky", "traffic sign"):
        assert gain[ids == IDS[label]].max() == 0, label
    assert gain[ids == IDS["sidewalk"]].mean() > 5


def test_surfaces_have_texture(scenes, monkeypatch):
    """Without the painter's noise asphalt, clouds and walls are flatter, in the same colors."""
    flat = painted_otherwise(monkeypatch, scenes, Canvas, "noise", lambda noise, *a: 0 * noise(*a))
    rough, ids = (np.stack([scene[k] for scene in scenes]) for k in (0, 1))
    for label in ("road", "sky", "building"):
        here = ids == IDS[label]
        texture = rough[here].astype(float) - flat[here]
        assert texture.std() > 1.5 and abs(texture.mean()) < 0.1 * texture.std(), label


def test_item_k_depends_on_seed_split_and_k_only():
    options = {"size": (48, 96)}
    data = SyntheticStreets("val", **options)
    later = data[5]["image"]
    torch.manual_seed(5)
    state = torch.random.get_rng_state()
    other = SyntheticStreets("val", count=6, **options)
    assert torch.equal(other[5]["image"], later) and torch.equal(other[-1]["image"], later)
    assert torch.equal(state, torch.random.get_rng_state())
    assert torch.equal(pickle.loads(pickle.dumps(data))[5]["target"], data[5]["target"])
    for changed in (
        data[4],
        SyntheticStreets("test", **options)[5],
        SyntheticStreets("val", seed=1, **options)[5],
    ):
        assert not torch.equal(changed["image"], later)


def test_counts_and_the_common_form():
    assert {split: len(SyntheticStreets(split)) for split in COUNTS} == COUNTS
    data = SyntheticStreets(count=1, size=(40, 56))
    (item,) = list(data)
    assert item["image"].shape == (3, 40, 56) and item["image"].dtype == torch.float32
    assert 0 <= item["image"].min() and item["image"].max() <= 1 and "instances" not in item
    assert item["target"].dtype == torch.int64 and data.classes == TRAIN_CLASSES
    with pytest.raises(IndexError):
        data[1]


@pytest.mark.parametrize(
    ("error", "options"),
    [
        (ValueError, {"split": "all"}),
        (ValueError, {"count": 0}),
        (ValueError, {"size": (16, 128)}),
        (ValueError, {"seed": -1}),
        (ValueError, {"classes": ("horse",)}),
        (TypeError, {"instances": None}),
    ],
)
def test_bad_options_are_refused(error, options):
    (name,) = options
    with pytest.raises(error, match=f"{name} must be"):
        SyntheticStreets(**options)


@pytest.mark.parametrize("counts", [{"all": 1}, {"train": 0}, [3], {}])
def test_bad_counts_are_refused(tmp_path, counts):
    with pytest.raises((ValueError, TypeError), match="counts"):
        write_synthetic_streets(tmp_path, counts=counts)
