"""PASCAL VOC 2012 by its development kit's layout: masks, lists, SBD, scribbles, and what is wrong.

The fixtures are made here, from the specification of the formats.
"""

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat

from softcut_lib import PascalVOC, draw_scribbles, write_train_aug
from softcut_lib.data.voc import CLASSES, LABELS, voc_colors

NAMES = ["2007_000032", "2007_000039", "2008_000002", "2009_000001"]


def labels_of(k, size=(12, 16)):
    labels = np.zeros(size, np.uint8)
    labels[2:9, 3:11] = k + 1
    labels[2, 3:11] = 255
    return labels


def save_mask(path, labels, *, palette=True):
    picture = Image.fromarray(labels)
    if palette:
        picture.putpalette(voc_colors().flatten().tolist())  # makes it a picture of mode P
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)


@pytest.fixture
def voc(tmp_path):
    root = tmp_path / "VOCdevkit" / "VOC2012"
    for k, name in enumerate(NAMES):
        save_mask(root / "SegmentationClass" / f"{name}.png", labels_of(k))
        (root / "JPEGImages").mkdir(exist_ok=True)
        pixels = np.full((12, 16, 3), 40 * k, np.uint8)
        Image.fromarray(pixels).save(root / "JPEGImages" / f"{name}.jpg", quality=100)
    lists = root / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("\n".join(NAMES[:2]) + "\n")
    (lists / "val.txt").write_text(NAMES[2] + "\n")
    (lists / "trainval.txt").write_text("\n".join(NAMES[:3]) + "\n")
    return root


def test_the_palette_is_that_of_the_development_kit():
    colors = voc_colors().tolist()
    # the table of the kit: aeroplane, bicycle, ..., tvmonitor, void
    assert colors[0] == [0, 0, 0] and colors[1] == [128, 0, 0] and colors[2] == [0, 128, 0]
    assert colors[4] == [0, 0, 128] and colors[8] == [64, 0, 0] and colors[15] == [192, 128, 128]
    assert colors[20] == [0, 64, 128] and colors[255] == [224, 224, 192]
    assert len({tuple(c) for c in colors}) == 256


def test_items_have_the_common_form(voc):
    data = PascalVOC(voc)
    item = data[1]
    assert len(data) == 2 and item["name"] == NAMES[1]
    assert item["image"].shape == (3, 12, 16) and item["image"].dtype == torch.float32
    assert torch.equal(item["target"], torch.from_numpy(labels_of(1)).long())
    assert len(CLASSES) == 21 and data.classes[13] == "horse"


@pytest.mark.parametrize("below", [".", "VOCdevkit", "VOCdevkit/VOC2012"])
def test_the_folder_is_found(voc, below, monkeypatch):
    top = voc.parents[1]
    if below == "VOCdevkit":
        monkeypatch.setenv("SOFTCUT_DATA", str(top / below))
        assert len(PascalVOC(split="val")) == 1
    else:
        assert len(PascalVOC(top / below, "trainval")) == 3


def test_masks_as_palette_gray_values_and_colors_are_one(voc):
    path = voc / "SegmentationClass" / f"{NAMES[0]}.png"
    expected = PascalVOC(voc)[0]["target"]
    save_mask(path, labels_of(0), palette=False)
    assert torch.equal(PascalVOC(voc)[0]["target"], expected)
    Image.fromarray(voc_colors()[labels_of(0)]).save(path)
    assert torch.equal(PascalVOC(voc)[0]["target"], expected)


def test_scale_shrinks_all_parts(voc):
    item = PascalVOC(voc, scale=0.5)[0]
    assert item["image"].shape == (3, 6, 8) and item["target"].shape == (6, 8)
    assert set(item["target"].unique().tolist()) <= {0, 1, 255}


def test_sbd_completes_the_training_set(voc, tmp_path):
    sbd = tmp_path / "benchmark_RELEASE" / "dataset"
    (sbd / "cls").mkdir(parents=True)
    for k, name in enumerate(NAMES):
        content = {"GTcls": {"Segmentation": labels_of(k + 5), "CategoriesPresent": [k + 6]}}
        savemat(sbd / "cls" / f"{name}.mat", content)
    (sbd / "train.txt").write_text(f"{NAMES[0]}\n{NAMES[3]}\n")
    (sbd / "val.txt").write_text(f"{NAMES[2]}\n")
    with pytest.raises(FileNotFoundError, match="write_train_aug"):
        PascalVOC(voc, "train_aug")
    (voc / "SegmentationClass" / f"{NAMES[3]}.png").unlink()
    assert write_train_aug(tmp_path, voc) == 3
    data = PascalVOC(voc, "train_aug")
    assert data.names == [NAMES[0], NAMES[1], NAMES[3]]  # VOC's val stays out
    assert torch.equal(data[0]["target"], torch.from_numpy(labels_of(0)).long())  # VOC's own mask
    assert torch.equal(data[2]["target"], torch.from_numpy(labels_of(8)).long())  # SBD's


def test_the_list_with_paths_is_read_too(voc):
    for k in (0, 1):
        save_mask(voc / "SegmentationClassAug" / f"{NAMES[k]}.png", labels_of(k), palette=False)
    lines = [f"/JPEGImages/{n}.jpg /SegmentationClassAug/{n}.png" for n in NAMES[:2]]
    (voc / "ImageSets" / "Segmentation" / "trainaug.txt").write_text("\n".join(lines))
    assert PascalVOC(voc, "train_aug").names == NAMES[:2]


def write_scribbles(folder, name):
    folder.mkdir(exist_ok=True)
    polygons = "".join(
        f"<polygon><tag>{tag}</tag><point><X>{x}</X><Y>{y}</Y></point>"
        f"<point><X>{x + 3}</X><Y>{y}</Y></point></polygon>"
        for tag, x, y in (("background", 1, 10), ("plane", 5, 5))
    )
    (folder / f"{name}.xml").write_text(
        "<annotation><size><width>16</width><height>12</height><depth>3</depth></size>"
        f"<segmented>1</segmented>{polygons}</annotation>"
    )


def test_scribbles_are_attached(voc, tmp_path):
    for name in NAMES[:2]:
        write_scribbles(tmp_path / "pascal_2012", name)
    item = PascalVOC(voc, scribbles=tmp_path / "pascal_2012", width=1)[0]
    lines = [(0, [(1, 10), (4, 10)]), (LABELS["aeroplane"], [(5, 5), (8, 5)])]
    assert torch.equal(item["seeds"], draw_scribbles(lines, (12, 16), width=1))
    assert PascalVOC(voc, scribbles=tmp_path / "pascal_2012", scale=0.5)[0]["seeds"].shape == (6, 8)
    assert "seeds" not in PascalVOC(voc)[0]
    with pytest.raises(ValueError, match="1 of 1 listed images lack their file"):
        PascalVOC(voc, "val", scribbles=tmp_path / "pascal_2012")


def test_scribbles_as_label_images_lie_beside_the_photographs(voc):
    (voc / "scribbles").mkdir()
    marks = np.full((12, 16), 255, np.uint8)
    marks[3, 3:6] = 1
    for name in NAMES[:2]:
        Image.fromarray(marks).save(voc / "scribbles" / f"{name}.png")
    assert torch.equal(PascalVOC(voc, scribbles=True)[0]["seeds"], torch.from_numpy(marks).long())


def test_missing_and_partial_data_are_named(voc, monkeypatch):
    monkeypatch.delenv("SOFTCUT_DATA", raising=False)
    with pytest.raises(FileNotFoundError, match="VOCtrainval_11-May-2012.tar"):
        PascalVOC()
    (voc / "JPEGImages" / f"{NAMES[1]}.jpg").unlink()
    with pytest.raises(ValueError, match=f"1 of 2 listed images lack .*JPEGImages.*{NAMES[1]}"):
        PascalVOC(voc)
    (voc / "ImageSets" / "Segmentation" / "val.txt").write_text("")
    with pytest.raises(ValueError, match="names no image"):
        PascalVOC(voc, "val")


def test_damaged_files_are_named(voc):
    path = voc / "SegmentationClass" / f"{NAMES[0]}.png"
    save_mask(path, np.full((12, 16), 40, np.uint8))
    with pytest.raises(ValueError, match=r"labels 0..20 and 255 \(void\), got \[40\]"):
        PascalVOC(voc)[0]
    save_mask(path, np.zeros((5, 5), np.uint8))
    with pytest.raises(ValueError, match="size of its photograph"):
        PascalVOC(voc)[0]
    Image.new("RGB", (16, 12), (1, 2, 3)).save(path)
    with pytest.raises(ValueError, match="not in VOC's palette"):
        PascalVOC(voc)[0]
    path.write_bytes(b"no picture")
    with pytest.raises(ValueError, match="cannot decode"):
        PascalVOC(voc)[0]


@pytest.mark.parametrize(
    ("options", "message"), [({"split": "test"}, "split"), ({"scale": 2.0}, "scale")]
)
def test_wrong_options_are_named(voc, options, message):
    with pytest.raises(ValueError, match=message):
        PascalVOC(voc, **options)


def test_a_damaged_mat_file_is_named(voc, tmp_path):
    sbd = tmp_path / "dataset"
    (sbd / "cls").mkdir(parents=True)
    savemat(sbd / "cls" / f"{NAMES[3]}.mat", {"other": 1})
    (voc / "SegmentationClass" / f"{NAMES[3]}.png").unlink()
    (sbd / "train.txt").write_text(NAMES[3])
    with pytest.raises(FileNotFoundError, match="no val.txt"):
        write_train_aug(sbd, voc)
    (sbd / "val.txt").write_text("")
    with pytest.raises(ValueError, match="cannot read .*2009_000001.mat"):
        write_train_aug(sbd, voc)
