"""Networks answer for the same pixels, seen in growing windows, with statistics of each."""

import json

import pytest
import torch

from benchmarks import windows
from softcut_lib import CutNet
from softcut_lib.train.fitting import run_name

OPTIONS = {"optimizer": "adam", "lr": 1e-3, "epochs": 6, "batch": 1, "scale": 1.0}
BASE = {"experiment": "frames", "model": "base", "data": "camvid", "seed": 0, "options": OPTIONS}


def frame(seed, size=(300, 330), classes=4):
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(3, *size, generator=generator, dtype=torch.float64)
    target = torch.randint(classes, size, generator=generator)
    return {"image": image, "target": target, "name": f"frame {seed}"}


def pointwise():
    """A network of single pixels with batch statistics, at first those of nothing."""
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.BatchNorm2d(3), torch.nn.Conv2d(3, 4, 1)).double().eval()


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """Two recorded rows, the checkpoint of the first, five test and two training frames."""
    sets = {"test": [frame(k) for k in range(5)], "train": [frame(9), frame(8)]}
    results = {"rows": [BASE, {**BASE, "model": "cut"}]}
    monkeypatch.setattr(windows, "recorded", lambda *a, models: (results, []))
    monkeypatch.setattr(windows, "split_of", lambda settings, record, split: sets[split])
    monkeypatch.setattr(windows, "load_model", lambda path: (CutNet(pointwise()), {}))
    folder = tmp_path / "frames" / run_name(BASE)
    folder.mkdir(parents=True)
    (folder / "best.ckpt").write_text("")
    return tmp_path


def test_a_network_of_single_pixels_sees_no_windows(trained, capsys):
    out = trained / "windows.json"
    words = ["--models", "base", "--frames", "3", "--runs", str(trained), "--output", str(out)]
    assert windows.main(words) == 0
    found = json.loads(out.read_text())
    assert found["images"] == ["frame 0", "frame 2", "frame 4"], "from all over the set"
    assert found["statistics_frames"] == 2 and found["wall_time_s"] >= 0
    own, larger, whole, *again = found["rows"]
    assert [row["seen"] for row in (own, larger, whole)] == [
        "4 windows of 160", "1 window of 288", "the whole frame"
    ]  # fmt: skip
    assert own["iou"] == larger["iou"] == whole["iou"] and len(own["iou"]) == 3
    assert {row["statistics"] for row in again} == {"counted again"}
    assert again[2]["iou"] != whole["iou"], "its statistics were of nothing"
    assert "base, seed 0, the whole frame, statistics of the training: IoU" in (
        capsys.readouterr().out
    )


@pytest.mark.parametrize(
    "way, shape",
    [((160, 128), (4, 3, 160, 160)), ((288, 256), (1, 3, 288, 288)), (None, (1, 3, 300, 330))],
)
def test_the_kept_pixels_are_the_middle(way, shape):
    """The image itself as an answer: joined windows are the middle of the frame."""
    item = frame(0, classes=3)
    image = item["image"][None]
    assert windows.seen(image, 256, way).shape == shape
    (iou,) = windows.answers(CutNet(torch.nn.Identity()), [item], 256, way)
    target = windows.middle(item["target"][None], 256)
    prob = windows.middle(image.softmax(1), 256)
    assert iou == float(windows.mean_iou(prob, target))


def test_a_small_frame_is_refused():
    with pytest.raises(ValueError, match="at least 288 x 288"):
        windows.seen(torch.zeros(1, 3, 200, 300), 256, (160, 128))


def test_what_is_missing_is_named(trained):
    with pytest.raises(SystemExit, match="no best.ckpt of camvid-cut-adam"):
        windows.main(["--models", "base", "cut", "--runs", str(trained)])


def test_a_row_that_nobody_recorded_is_refused():
    with pytest.raises(SystemExit, match="not recorded for frames: dream"):
        windows.main(["--models", "base", "dream"])
