"""CamVid: labels, void, pieces as objects, and messages about a wrong folder."""

import os

import numpy as np
import pytest
import torch
from PIL import Image

from softcut_lib import CamVid, Tiles

real_data = pytest.mark.skipif(
    not os.environ.get("SOFTCUT_DATA"), reason="SOFTCUT_DATA is not set: no real photographs here"
)
LABELS = np.array([[3, 8, 8, 11], [3, 3, 3, 8], [6, 9, 9, 8]], np.uint8)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "camvid"
    for split in ("train", "val", "test"):
        for part in (split, f"{split}annot"):
            (folder / part).mkdir(parents=True)
        for name, ending in (("a", "png"), ("b", "jpg")):
            Image.new("RGB", (4, 3), (250, 100, 0)).save(folder / split / f"{name}.{ending}")
            Image.fromarray(LABELS).save(folder / f"{split}annot" / f"{name}.png")
    return folder


def test_items_have_the_common_form_with_either_suffix(folder):
    data = CamVid(folder, "val")
    assert data.names == ["a", "b"] and len(data.classes) == 11
    item = data[0]
    assert item["image"].shape == (3, 3, 4) and item["image"].dtype == torch.float32
    assert item["image"][:, 0, 0].tolist() == pytest.approx([250 / 255, 100 / 255, 0])
    assert item["target"].tolist() == np.where(LABELS == 11, 255, LABELS).tolist()
    assert data[1]["image"].shape == (3, 3, 4) and "instances" not in item


def test_chosen_classes_leave_the_rest_as_background_and_void_as_void(folder):
    data = CamVid(folder, classes=("Car", "Pedestrian"))
    assert data[0]["target"].tolist() == [[0, 1, 1, 255], [0, 0, 0, 1], [0, 2, 2, 1]]


def test_objects_are_connected_pieces(folder):
    for classes in (("Car", "SignSymbol"), None):
        objects = CamVid(folder, classes=classes, instances=True)[0]["instances"]
        person = 9001 if classes is None else 0
        assert objects.tolist() == [
            [0, 8001, 8001, 0],
            [0, 0, 0, 8001],
            [6001, person, person, 8001],
        ]


def test_root_may_be_the_parent_or_come_from_the_environment(folder, monkeypatch):
    monkeypatch.setenv("SOFTCUT_DATA", str(folder.parent))
    assert CamVid(folder.parent).names == CamVid().names == ["a", "b"]


def test_a_missing_folder_is_explained(tmp_path, monkeypatch):
    monkeypatch.delenv("SOFTCUT_DATA", raising=False)
    with pytest.raises(FileNotFoundError, match="SOFTCUT_DATA.*published"):
        CamVid()
    with pytest.raises(FileNotFoundError, match="val/ and valannot/.*published"):
        CamVid(tmp_path, "val")


@pytest.mark.parametrize("part", ["train", "trainannot"])
def test_half_a_pair_is_refused(folder, part):
    next((folder / part).glob("b.*")).unlink()
    with pytest.raises(ValueError, match=f"1 pictures lack their file in .*{part}': b"):
        CamVid(folder)


def test_an_empty_split_is_refused(folder):
    for path in (folder / "train").iterdir():
        path.unlink()
    with pytest.raises(ValueError, match="holds no"):
        CamVid(folder)


@pytest.mark.parametrize("path", ["train/a.png", "trainannot/a.png"])
def test_an_unreadable_picture_names_its_file(folder, path):
    (folder / path).write_bytes(b"no picture")
    with pytest.raises(ValueError, match=f"cannot decode .*{path}"):
        CamVid(folder)[0]


def test_a_label_outside_the_table_is_named(folder):
    Image.new("L", (4, 3), 12).save(folder / "trainannot" / "a.png")
    with pytest.raises(ValueError, match=r"a.png.*outside the table: 12 \(12 pixels\).*0 to 11"):
        CamVid(folder)[0]


@pytest.mark.parametrize(
    ("error", "options"),
    [
        (ValueError, {"split": "all"}),
        (ValueError, {"classes": ("Horse",)}),
        (TypeError, {"instances": 1}),
        (TypeError, {"root": 3}),
    ],
)
def test_unknown_options_are_refused(folder, error, options):
    (name,) = options
    with pytest.raises(error, match=f"{name} must be"):
        CamVid(**{"root": folder, **options})


@real_data
def test_the_real_splits_have_the_published_sizes():
    counts = [len(CamVid(split=split)) for split in ("train", "val", "test")]
    assert counts == [367, 101, 233]
    item = CamVid(split="val")[0]
    assert item["image"].shape == (3, 360, 480) and int((item["target"] == 255).sum()) > 0


# Counts from the project's reference measurements: tiles of 128 x 128 in a grid of 3 x 4, at least
# 0.5 % of the class.
KNOWN = {"SignSymbol": (1332, 379, 794), "Car": (1531, 211, 665), "Pedestrian": (777, 156, 512)}


@real_data
@pytest.mark.parametrize(
    ("name", "split"),
    [("Car", "val")]
    + [
        pytest.param(name, split, marks=pytest.mark.slow)
        for name in KNOWN
        for split in ("train", "val", "test")
        if (name, split) != ("Car", "val")
    ],
)
def test_tiles_of_the_real_data_are_as_many_as_known(name, split):
    tiles = Tiles(CamVid(split=split), classes=(name,), tile=128, grid=(3, 4), min_share=0.005)
    assert len(tiles) == KNOWN[name][("train", "val", "test").index(split)]
