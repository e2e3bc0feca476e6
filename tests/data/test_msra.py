"""MSRA10K by its published layout: photographs and masks in one folder, and what is wrong."""

import numpy as np
import pytest
import torch
from PIL import Image

from softcut_lib import MSRA10K
from softcut_lib.data import msra


def write_pair(folder, name, *, size=(20, 16)):
    folder.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (200, 30, 30)).save(folder / f"{name}.jpg", quality=100)
    mask = np.zeros(size[::-1], np.uint8)
    mask[4:12, 5:15] = 255
    Image.fromarray(mask).save(folder / f"{name}.png")


@pytest.fixture
def few(tmp_path):
    for name in ("95", "200008", "7"):
        write_pair(tmp_path / "MSRA10K_Imgs_GT" / "Imgs", name)
    return tmp_path / "MSRA10K_Imgs_GT"


def test_items_have_the_common_form(few):
    data = MSRA10K(few)
    item = data[2]
    assert data.names == ["200008", "7", "95"] and item["name"] == "95"
    assert item["image"].shape == (3, 16, 20) and item["image"].dtype == torch.float32
    assert item["target"].dtype == torch.int64 and int(item["target"].sum()) == 80
    assert item["target"].unique().tolist() == [0, 1]


def test_the_folder_is_found(few, monkeypatch):
    monkeypatch.setenv("SOFTCUT_DATA", str(few.parent))
    assert len(MSRA10K()) == 3
    few.rename(few.with_name("msra10k"))
    assert len(MSRA10K(few.parent)) == 3


def test_scale_shrinks_both(few):
    item = MSRA10K(few, scale=0.5)[0]
    assert item["image"].shape == (3, 8, 10) and item["target"].shape == (8, 10)
    assert int(item["target"].sum()) == 20


def test_the_parts_are_disjoint_and_need_the_whole(few, monkeypatch):
    with pytest.raises(ValueError, match="needs all 10000 pairs, got 3"):
        MSRA10K(few, "train")
    names = sorted(str(k) for k in range(msra.COUNT))
    monkeypatch.setattr(msra, "paired_names", lambda folder: names)
    parts = [MSRA10K(few, part).names for part in ("train", "val", "test")]
    assert [len(part) for part in parts] == [8000, 500, 1500]
    assert sorted(sum(parts, [])) == names
    assert MSRA10K(few, "train").names == parts[0]


def test_missing_and_partial_data_are_named(few, tmp_path, monkeypatch):
    monkeypatch.delenv("SOFTCUT_DATA", raising=False)
    with pytest.raises(FileNotFoundError, match="MSRA10K_Imgs_GT.zip"):
        MSRA10K()
    with pytest.raises(FileNotFoundError, match="expected the folders Imgs/"):
        MSRA10K(tmp_path / "elsewhere")
    (few / "Imgs" / "7.png").unlink()
    with pytest.raises(ValueError, match="1 names .* lack their mask .*: 7"):
        MSRA10K(few)
    (few / "Imgs" / "7.jpg").unlink()
    (few / "Imgs" / "95.jpg").unlink()
    with pytest.raises(ValueError, match="lack their photo: 95"):
        MSRA10K(few)
    for path in (few / "Imgs").iterdir():
        path.unlink()
    with pytest.raises(ValueError, match=r"holds no \*.jpg"):
        MSRA10K(few)


def test_damaged_files_are_named(few):
    Image.new("L", (3, 3)).save(few / "Imgs" / "7.png")
    with pytest.raises(ValueError, match="size of its photograph"):
        MSRA10K(few)[1]
    (few / "Imgs" / "7.jpg").write_bytes(b"cut")
    with pytest.raises(ValueError, match="cannot decode"):
        MSRA10K(few)[1]
    with pytest.raises(ValueError, match="scale"):
        MSRA10K(few, scale=0.0)
