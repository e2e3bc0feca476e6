"""Cityscapes' official layout: what is read from a tree, and what is said about a wrong one."""

import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from softcut_lib import Cityscapes, write_synthetic_streets
from softcut_lib.data.cityscapes_labels import (
    IDS,
    IGNORED,
    LABELS,
    TRAIN_CLASSES,
    colors_to_ids,
    ids_to_colors,
)

COUNTS = {"train": 3, "val": 2, "test": 1}


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return write_synthetic_streets(tmp_path_factory.mktemp("tree"), counts=COUNTS, size=(64, 128))


@pytest.fixture
def own(tree, tmp_path):
    """A copy of the tree that a test may damage."""
    return shutil.copytree(tree, tmp_path / "cityscapes")


def hand_made(root, ids, numbers=None, *, split="val", city="aachen", colors=None):
    """A tree of one frame with these label numbers, written with nothing of the library."""
    ids = np.asarray(ids, np.uint8)
    name = f"{city}_000000_000019"
    for part in ("leftImg8bit", "gtFine"):
        (root / part / split / city).mkdir(parents=True, exist_ok=True)
    picture = np.arange(3 * ids.size, dtype=np.uint8).reshape(*ids.shape, 3)
    Image.fromarray(picture).save(root / "leftImg8bit" / split / city / f"{name}_leftImg8bit.png")
    stem = root / "gtFine" / split / city / name
    Image.fromarray(ids).save(f"{stem}_gtFine_labelIds.png")
    numbers = ids if numbers is None else np.asarray(numbers)
    Image.fromarray(numbers.astype(np.uint16)).save(f"{stem}_gtFine_instanceIds.png")
    if colors is not None:
        Image.fromarray(np.asarray(colors, np.uint8)).save(f"{stem}_gtFine_color.png")
    return picture


def test_the_table_has_the_official_classes():
    assert (
        len(TRAIN_CLASSES) == 19 and TRAIN_CLASSES[0] == "road" and TRAIN_CLASSES[-1] == "bicycle"
    )
    assert sorted(label.id for label in LABELS) == list(range(-1, 34))
    assert IGNORED == (0, 1, 2, 3, 4, 5, 6, 9, 10, 14, 15, 16, 18, 29, 30)
    assert [label.name for label in LABELS if label.thing] == (
        ["person", "rider", "car", "truck", "bus", "caravan", "trailer", "train", "motorcycle"]
        + ["bicycle"]
    )


def test_colors_name_the_labels_up_to_what_is_void_anyway():
    ids = np.arange(34, dtype=np.uint8)[None]
    back = colors_to_ids(ids_to_colors(ids))
    doubled = {1: 0, 2: 0, 3: 0, 4: 0, IDS["polegroup"]: IDS["pole"]}
    assert back[0].tolist() == [doubled.get(k, k) for k in range(34)]


def test_a_tree_written_by_hand_is_read_by_the_letter(tmp_path):
    ids = [[7, 7, 20, 0], [26, 26, 20, 3], [24, 26, 11, 9]]
    numbers = [[7, 7, 20, 0], [26000, 26000, 20, 3], [24004, 26001, 11, 9]]
    picture = hand_made(tmp_path, ids, numbers)
    item = Cityscapes(tmp_path, "val", instances=True)[0]
    assert item["name"] == "aachen_000000_000019"
    assert torch.equal(item["image"], torch.from_numpy(picture).permute(2, 0, 1) / 255)
    assert item["image"].dtype == torch.float32 and item["target"].dtype == torch.int64
    assert item["target"].tolist() == [[0, 0, 7, 255], [13, 13, 7, 255], [11, 13, 2, 255]]
    assert item["instances"].tolist() == [
        [0, 0, 20000, 0],
        [26000, 26000, 20000, 0],
        [24004, 26001, 0, 0],
    ]


def test_chosen_classes_get_numbers_in_order_and_the_rest_is_background(tmp_path):
    hand_made(tmp_path, [[7, 20, 26, 0, 9]])
    data = Cityscapes(tmp_path, "val", classes=("car", "traffic sign"))
    assert data.classes == ("background", "car", "traffic sign")
    assert data[0]["target"].tolist() == [[0, 2, 1, 255, 255]]


def test_a_group_of_cars_is_a_car_but_no_object(tmp_path):
    hand_made(tmp_path, [[26, 26, 26]], [[26, 26000, 26]])
    item = Cityscapes(tmp_path, "val", classes=("car",), instances=True)[0]
    assert item["target"].tolist() == [[1, 1, 1]]
    assert item["instances"].tolist() == [[0, 26000, 0]]


def test_signs_are_separated_into_connected_pieces(tmp_path):
    hand_made(tmp_path, [[20, 7, 20], [20, 7, 7], [7, 7, 20]])
    item = Cityscapes(tmp_path, "val", classes=("traffic sign",), instances=True)[0]
    assert item["instances"].tolist() == [[20000, 0, 20001], [20000, 0, 0], [0, 0, 20002]]


def test_labels_by_color_equal_labels_by_id(tree):
    for split in COUNTS:
        by_id, by_color = (
            Cityscapes(tree, split, labels=labels, instances=True) for labels in ("ids", "colors")
        )
        for k in range(len(by_id)):
            first, second = by_id[k], by_color[k]
            assert torch.equal(first["target"], second["target"])
            assert torch.equal(first["instances"], second["instances"])


def test_colors_with_an_alpha_channel_are_read(tmp_path):
    colors = np.full((1, 2, 4), 255, np.uint8)
    colors[0, :, :3] = [(0, 0, 142), (220, 220, 0)]
    hand_made(tmp_path, [[26, 20]], colors=colors)
    item = Cityscapes(tmp_path, "val", labels="colors", classes=("car", "traffic sign"))[0]
    assert item["target"].tolist() == [[1, 2]]


def test_official_splits_are_the_folders(tree):
    assert {split: len(Cityscapes(tree, split)) for split in COUNTS} == COUNTS
    names = Cityscapes(tree, "train").names
    assert names == sorted(names) and names[0].startswith("synthetictrain_")


def test_the_thesis_cuts_the_training_set_and_tests_on_the_validation_set(tmp_path):
    for k in range(16):
        hand_made(tmp_path, [[7]], split="train", city=f"city{k:02d}")
    hand_made(tmp_path, [[7]], split="val", city="ulm")
    train, val, test = (
        Cityscapes(tmp_path, split, protocol="thesis").names for split in ("train", "val", "test")
    )
    assert [len(train), len(val), len(test)] == [14, 2, 1]
    assert sorted(train + val) == Cityscapes(tmp_path, "train").names
    assert test == Cityscapes(tmp_path, "val").names


def test_root_may_be_the_parent_or_come_from_the_environment(own, monkeypatch):
    monkeypatch.setenv("SOFTCUT_DATA", str(own.parent))
    names = Cityscapes(own, "val").names
    assert Cityscapes(own.parent, "val").names == names == Cityscapes(split="val").names


def test_a_missing_data_set_says_how_to_obtain_it(tmp_path, monkeypatch):
    monkeypatch.delenv("SOFTCUT_DATA", raising=False)
    with pytest.raises(FileNotFoundError, match="SOFTCUT_DATA.*register.*write_synthetic_streets"):
        Cityscapes()
    with pytest.raises(FileNotFoundError, match="nowhere.*leftImg8bit/ and gtFine/.*register"):
        Cityscapes(tmp_path / "nowhere")


def test_half_an_unpacked_data_set_is_named(own):
    shutil.rmtree(own / "gtFine")
    with pytest.raises(FileNotFoundError, match="holds leftImg8bit/ but not gtFine/"):
        Cityscapes(own)


def test_another_layout_is_refused(own):
    city = own / "leftImg8bit" / "val" / "syntheticval"
    for path in city.glob("*.png"):
        path.rename(city.parent / path.name)
    with pytest.raises(ValueError, match="holds no <city>/.*layout is another"):
        Cityscapes(own, "val")


@pytest.mark.parametrize(
    ("pattern", "lacking"),
    [
        ("gtFine/train/*/*000001_gtFine_labelIds.png", "gtFine/train.*labelIds"),
        ("leftImg8bit/train/*/*000001_leftImg8bit.png", "leftImg8bit/train"),
    ],
)
def test_a_partial_data_set_names_what_is_lacking(own, pattern, lacking):
    (path,) = own.glob(pattern)
    path.unlink()
    with pytest.raises(ValueError, match=f"1 frames of 'train' lack their {lacking}.*_000001"):
        Cityscapes(own)


@pytest.mark.parametrize("ending", ["leftImg8bit", "gtFine_labelIds", "gtFine_instanceIds"])
@pytest.mark.parametrize("keep", [0.5, 0.0])
def test_an_unreadable_picture_names_its_file(own, ending, keep):
    (path,) = own.glob(f"*/val/*/*000001_{ending}.png")
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    data = Cityscapes(own, "val", instances=True)
    data[0]
    with pytest.raises(
        ValueError, match=f"cannot decode .*000001_{ending}.png.*[Uu]npack it again"
    ):
        data[1]


def test_a_label_outside_the_table_names_file_and_number(tmp_path):
    hand_made(tmp_path, [[7, 34, 34]])
    with pytest.raises(ValueError, match=r"labelIds.png.*outside the table: 34 \(2 pixels\)"):
        Cityscapes(tmp_path, "val")[0]


def test_an_unknown_color_is_refused(tmp_path):
    hand_made(tmp_path, [[7, 7]], colors=[[(128, 64, 128), (1, 2, 3)]])
    with pytest.raises(ValueError, match="color.png.*outside the table.*1 pixels"):
        Cityscapes(tmp_path, "val", labels="colors")[0]


def test_maps_of_another_size_are_refused(own):
    (path,) = own.glob("gtFine/test/*/*_labelIds.png")
    Image.new("L", (128, 60), 7).save(path)
    with pytest.raises(ValueError, match=r"size of its photograph, \(64, 128\), got \(60, 128\)"):
        Cityscapes(own, "test")[0]


@pytest.mark.parametrize(
    ("error", "options"),
    [
        (ValueError, {"split": "all"}),
        (ValueError, {"protocol": "mine"}),
        (ValueError, {"labels": "names"}),
        (ValueError, {"classes": ("horse",)}),
        (ValueError, {"classes": ("license plate",)}),
        (TypeError, {"classes": "car"}),
        (TypeError, {"instances": 1}),
        (TypeError, {"root": 3}),
    ],
)
def test_unknown_options_are_refused(tree, error, options):
    (name,) = options
    with pytest.raises(error, match=f"{name} must be"):
        Cityscapes(**{"root": tree, **options})
