"""Traffic signs in small pictures by small networks: what chapter 11 trains while it is read.

The same question as the thesis' experiment 2, on generated streets of 128 x 256 in tiles of
64 x 64, by U-Nets of an eighth of the width. Networks of these rows come with the library.
"""

from __future__ import annotations

from dataclasses import replace

from softcut_lib.train.arms import with_cuts
from softcut_lib.train.forms import Data, Model
from softcut_lib.train.table_streets import SIGN

CUTS = ("submodular-isotonic", "softcut-published", "softcut", "softcut-exact")
_SIZE, _TILE, _COUNTS = (128, 256), 64, {"train": 60, "val": 12, "test": 40}


def small_net(in_channels=3, *, edges="transposed"):
    """The U-Net of this table, 162,354 parameters with two decoders."""
    from softcut_lib import TwoDecoderUNet

    return TwoDecoderUNet(in_channels, encoder="resnet10", edges=edges, width=1 / 8)


def _load(split, scale=1.0, count=None):
    import softcut_lib as sc

    if scale != 1.0:
        raise ValueError("scale: streets come in tiles of one size; leave it at 1")
    count = min(count or _COUNTS[split], _COUNTS[split])
    streets = sc.SyntheticStreets(split, count=count, size=_SIZE, classes=("traffic sign",))
    return sc.Tiles(streets, tile=_TILE)


def _base(log=None):
    from softcut_lib import CutNet

    return CutNet(small_net(edges=None))


def _rows():
    rows = {"base": Model("small U-Net", _base)}
    rows |= with_cuts(small_net, "small U-Net, two decoders", CUTS)
    return {name: replace(row, printed=None) for name, row in rows.items()}


SMALL = {
    "sign-small": replace(
        SIGN,
        title="Traffic signs in small tiles, small networks",
        source="this book, chapter 11",
        number=None,
        data={"synthetic": Data("generated streets: tiles of 64 x 64, sign", _load)},
        models=_rows(),
        lr=3e-3,
        epochs=6,
        steps_per_epoch=100,
        batch=8,
        profiles={
            "full": {},
            "fast": {"epochs": 1, "steps_per_epoch": 3, "batch": 4, "count": 2},
        },
    )
}
