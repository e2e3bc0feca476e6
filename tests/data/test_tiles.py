"""Tiles: which are taken, what they hold, and that a mark lies on its object."""

import numpy as np
import pytest
import torch

from softcut_lib import SyntheticStreets, Tiles
from softcut_lib.data.tiles import middle_of, tile_corners


class Few:
    """Two images of 6 x 8 with targets and objects given by hand; `Tiles` sees a data set."""

    classes = ("background", "sign", "car")

    def __init__(self, instances=True):
        self.instances = instances

    def __len__(self):
        return 2

    def __getitem__(self, index):
        index = range(2)[index]
        target = torch.zeros(6, 8).long()
        objects = torch.zeros(6, 8).long()
        if index == 0:
            target[0:2, 0:2], objects[0:2, 0:2] = 1, 5001
            target[3:6, 5:8], objects[3:6, 5:8] = 2, 6001
            target[3, 3:5], objects[3, 3:5] = 2, 6002
            target[0, 7] = 255
        image = torch.arange(144.0).view(3, 6, 8) / 255
        item = {"image": image, "target": target, "name": f"image{index}"}
        return item | {"instances": objects} if self.instances else item


def test_corners_are_spread_evenly_and_cover():
    assert tile_corners((6, 8), 3) == [(y, x) for y in (0, 3) for x in (0, 2, 5)]
    assert tile_corners((5, 5), 5) == [(0, 0)]
    assert tile_corners((360, 480), 128) == tile_corners((360, 480), 128, (3, 4))
    assert len(tile_corners((1024, 2048), 256)) == 32


def test_a_tile_is_taken_when_a_class_has_its_share():
    tiles = Tiles(Few(), tile=4, grid=(2, 2), classes=("sign",), min_share=4 / 16)
    assert [item["name"] for item in tiles] == ["image0-y0-x0"]
    with pytest.raises(ValueError, match="no tile holds at least 31.25%"):
        len(Tiles(Few(), tile=4, classes=("sign",), min_share=5 / 16))


def test_shares_of_two_classes_are_not_added():
    """Four pixels of one and five of another are not nine of one."""
    options = {"task": "multiclass", "tile": 6, "grid": (1, 2)}
    assert len(Tiles(Few(), min_share=4 / 36, **options)) == 2
    names = [item["name"] for item in Tiles(Few(), min_share=6 / 36, **options)]
    assert names == ["image0-y0-x2"]


def test_pixels_and_targets_are_the_windows():
    tiles = Tiles(Few(), task="multiclass", classes=("car", "sign"), tile=4, min_share=0.01)
    assert tiles.classes == ("background", "car", "sign")
    whole = Few()[0]
    seen = {item["name"]: item for item in tiles}
    assert len(seen) == len(tiles) == 4
    for y, x in tile_corners((6, 8), 4):
        item = seen[f"image0-y{y}-x{x}"]
        assert torch.equal(item["image"], whole["image"][:, y : y + 4, x : x + 4])
        renamed = torch.tensor([0, 2, 1])[whole["target"].clamp(max=2)]
        renamed[whole["target"] == 255] = 255
        assert torch.equal(item["target"], renamed[y : y + 4, x : x + 4])


def test_binary_joins_the_classes_and_keeps_void():
    tiles = Tiles(Few(), tile=6, grid=(1, 2))
    assert tiles.classes == ("background", "foreground")
    assert [item["target"].unique().tolist() for item in tiles] == [[0, 1], [0, 1, 255]]
    assert Tiles(Few(), classes=("car",)).classes == ("background", "car")


def test_an_object_is_an_item_with_its_own_mark_and_target():
    tiles = Tiles(Few(), task="object", tile=6, grid=(1, 2), min_share=2 / 36)
    names = [item["name"] for item in tiles]
    assert names == [f"image0-y0-x{x}-o{o}" for x, o in
                     [(0, 5001), (0, 6001), (0, 6002), (2, 6001), (2, 6002)]]  # fmt: skip
    whole = Few()[0]
    for item in tiles:
        mark = item["image"][3]
        assert mark.sum() == 1 and mark.max() == 1
        assert int(item["target"][mark == 1]) == 1
        x, number = (int(part[1:]) for part in item["name"].split("-")[2:])
        own = whole["instances"][:, x : x + 6] == number
        assert torch.equal(item["target"] == 1, own)


def test_the_mark_is_nearest_to_the_center_of_gravity():
    ring = np.ones((5, 7), bool)
    ring[1:4, 1:6] = False
    row, column = middle_of(ring)
    assert ring[row, column] and (row, column) in {(0, 3), (4, 3)}
    assert middle_of(np.ones((3, 5), bool)) == (1, 2)


def test_other_tiles_are_drawn_by_the_seed():
    options = {"tile": 4, "grid": (2, 2), "classes": ("sign",), "min_share": 0.25}
    names = [[t["name"] for t in Tiles(Few(), others=3, seed=s, **options)] for s in (0, 0, 1, 2)]
    assert names[0] == names[1] and len({tuple(n) for n in names}) > 1
    assert all(len(n) == 4 and n[0] == "image0-y0-x0" for n in names)
    assert len(Tiles(Few(), others=100, **options)) == 8


def test_streets_decode_once():
    class Counted(SyntheticStreets):
        decoded = 0

        def __getitem__(self, index):
            Counted.decoded += 1
            return super().__getitem__(index)

    streets = Counted("val", count=2, size=(64, 128), classes=("car", "traffic sign"),
                      instances=True)  # fmt: skip
    tiles = Tiles(streets, task="object", tile=64, min_share=0.002)
    assert Counted.decoded == 0
    first, again = tiles[0], tiles[0]
    assert Counted.decoded == 2 and len(tiles) > 0
    first["image"].zero_()
    assert again["image"].abs().sum() > 0 and torch.equal(tiles[0]["image"], again["image"])


@pytest.mark.parametrize(
    ("error", "text", "options"),
    [
        (ValueError, "task must be", {"task": "panoptic"}),
        (ValueError, "tile must be", {"tile": 0}),
        (ValueError, "grid.0. must be", {"grid": (0, 2)}),
        (ValueError, "min_share must be", {"min_share": 2}),
        (ValueError, "others must be", {"others": -1}),
        (ValueError, "others must be 0", {"others": 1, "task": "object"}),
        (ValueError, "classes must be", {"classes": ("horse",)}),
        (ValueError, "classes must be", {"classes": ("background",)}),
        (TypeError, "classes must be", {"classes": "car"}),
    ],
)
def test_bad_options_are_refused(error, text, options):
    with pytest.raises(error, match=text):
        Tiles(Few(), **options)


def test_misfits_between_data_and_options_are_named():
    with pytest.raises(ValueError, match="tile must be at most"):
        len(Tiles(Few(), tile=7))
    with pytest.raises(ValueError, match="grid must cover the image: 1 rows of 4"):
        len(Tiles(Few(), tile=4, grid=(1, 2)))
    with pytest.raises(ValueError, match="instances=True"):
        len(Tiles(Few(instances=False), task="object", tile=4))
    with pytest.raises(ValueError, match="classes must be given.*no background"):
        Tiles(SyntheticStreets("val", count=1))
