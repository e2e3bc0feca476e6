"""Small pictures and small networks: what chapter 11 trains while it is read, and what it shows.

The questions of the thesis' experiments 2 and 5, on generated streets of 128 x 256 in tiles of
64 x 64, by U-Nets of an eighth of the width. Networks of these rows come with the library.
"""

from __future__ import annotations

from dataclasses import replace

from softcut_lib.train.arms import with_cuts
from softcut_lib.train.forms import Data, Model
from softcut_lib.train.table_streets import SIGN

_SIZE, _TILE, _COUNTS = (128, 256), 64, {"train": 60, "val": 12, "test": 40}


def small_net(in_channels=3, *, edges="transposed"):
    """The U-Net of this table, 162,354 parameters with two decoders."""
    from softcut_lib import TwoDecoderUNet

    return TwoDecoderUNet(in_channels, encoder="resnet10", edges=edges, width=1 / 8)


def _loader(task, classes, min_share):
    def load(split, scale=1.0, count=None):
        import softcut_lib as sc

        if scale != 1.0:
            raise ValueError("scale: streets come in tiles of one size; leave it at 1")
        count = min(count or _COUNTS[split], _COUNTS[split])
        streets = sc.SyntheticStreets(
            split, count=count, size=_SIZE, classes=classes, instances=task == "object"
        )
        return sc.Tiles(streets, task=task, tile=_TILE, min_share=min_share)

    return load


def _rows(channels, cuts):
    def base(log=None):
        from softcut_lib import CutNet

        return CutNet(small_net(channels, edges=None))

    cut = with_cuts(lambda: small_net(channels), "small U-Net, two decoders", cuts)
    unprinted = {name: replace(row, printed=None) for name, row in cut.items()}
    return {"base": Model("small U-Net", base), **unprinted}


SIGN_SMALL = replace(
    SIGN,
    title="Traffic signs in small tiles, small networks",
    source="this book, chapter 11",
    number=None,
    data={
        "synthetic": Data(
            "generated streets: tiles of 64 x 64, sign",
            _loader("binary", ("traffic sign",), 0.005),
        )
    },
    models=_rows(3, ("submodular-isotonic", "softcut-published", "softcut", "softcut-exact")),
    lr=3e-3,
    epochs=6,
    steps_per_epoch=100,
    batch=8,
    profiles={"full": {}, "fast": {"epochs": 1, "steps_per_epoch": 3, "batch": 4, "count": 2}},
)
OBJECT_SMALL = replace(
    SIGN_SMALL,
    title="One sign or car, marked by a pixel, small networks",
    data={
        "synthetic": Data(
            "generated streets: tiles of 64 x 64, an object of 2 % at least",
            _loader("object", ("traffic sign", "car"), 0.02),
        )
    },
    models=_rows(4, ("softcut-published",)),
    epochs=12,
)
SMALL = {"sign-small": SIGN_SMALL, "object-small": OBJECT_SMALL}
