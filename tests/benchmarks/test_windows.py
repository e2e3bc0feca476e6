"""Networks are tested on growing windows, with and without their statistics counted again."""

import json

import pytest
import torch

from benchmarks import windows
from softcut_lib import CutNet, split_windows
from softcut_lib.models.windows import IMAGENET_MEAN

ROW = {"experiment": "frames", "model": "base", "data": "camvid", "seed": 0}
OPTIONS = {"optimizer": "adam", "lr": 1e-3, "epochs": 6, "batch": 1, "scale": 1.0}


def frame(seed, size=(200, 330)):
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(3, *size, generator=generator)
    target = torch.randint(4, size, generator=generator)
    return {"image": image, "target": target, "name": f"frame {seed}"}


def pointwise():
    """A network of single pixels with batch statistics, at first those of nothing."""
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.BatchNorm2d(3), torch.nn.Conv2d(3, 4, 1))


def test_a_network_of_single_pixels_sees_no_windows(tmp_path, monkeypatch, capsys):
    asked, sets = [], {"test": [frame(k) for k in range(5)], "train": [frame(9), frame(8)]}
    content = {"rows": [{**ROW, "options": OPTIONS}, {**ROW, "model": "cut", "options": OPTIONS}]}
    monkeypatch.setattr(windows, "recorded", lambda *a, models: (content, []))
    monkeypatch.setattr(windows, "split_of", lambda settings, record, split: sets[split])
    monkeypatch.setattr(
        windows, "load_model", lambda path: asked.append(path.name) or (CutNet(pointwise()), {})
    )
    out = tmp_path / "windows.json"
    assert windows.main(["--models", "base", "--frames", "3", "--output", str(out)]) == 0
    found = json.loads(out.read_text())
    assert found["images"] == ["frame 0", "frame 2", "frame 4"], "from all over the set"
    assert found["statistics_frames"] == 2 and found["wall_time_s"] >= 0
    assert asked and all(name.startswith("camvid-base-adam") for name in asked), "of this row only"
    own, larger, whole, *again = found["rows"]
    assert [r["way"] for r in (own, larger, whole)] == [
        "windows of 160 every 128", "windows of 288 every 256", "whole frame"
    ]  # fmt: skip
    assert own["iou"] == larger["iou"] == whole["iou"] and len(own["iou"]) == 3
    assert {r["statistics"] for r in again} == {"counted again"}
    assert again[2]["iou"] != whole["iou"], "its statistics were of nothing"
    assert "base, seed 0, whole frame, statistics of the training: IoU" in capsys.readouterr().out


def test_statistics_are_means_over_images_as_they_are_seen():
    net, items = pointwise().double(), [frame(0), frame(1)]
    for item in items:  # sums of single floats are not exact enough
        item["image"] = item["image"].double()
    net[0].running_mean += 7
    windows.count_again(net, items, None)
    expected = torch.stack([item["image"].mean((1, 2)) for item in items]).mean(0)
    torch.testing.assert_close(net[0].running_mean, expected)
    windows.count_again(net, items, (160, 128))
    how = {"window": 160, "stride": 128, "fill": [*IMAGENET_MEAN]}
    seen = [split_windows(item["image"][None], **how).mean((0, 2, 3)) for item in items]
    torch.testing.assert_close(net[0].running_mean, torch.stack(seen).mean(0))
    assert net[0].momentum == 0.1, "further training goes on as before"


def test_a_row_that_nobody_recorded_is_refused():
    with pytest.raises(SystemExit, match="not recorded for frames: dream"):
        windows.main(["--models", "base", "dream"])
