"""The experiment on PASCAL VOC 2012 with its scribbles, for whoever has the data (chapter 15).

    train: crops of 321 pixels of train_aug (10,582 images; every fiftieth is kept for validation)
    test:  the 1,449 images of val, whole, pooled mean IoU as in the paper's tables

in the layout of `PascalVOC`, scribbles in `scribbles/`. The kernels are the paper's (15, 100), for
ResNet-101 (12, 60), its weight of the normalized cut is 1.6. What differs: `AtrousNet` starts from
nothing, Adam with a constant rate, and no setting was tuned here. A GPU is needed for the full one.
"""

from __future__ import annotations

from dataclasses import replace

from softcut_lib.train.forms import Data, Experiment
from softcut_lib.train.metrics import labeling_iou
from softcut_lib.train.scribbles import FromScribbles
from softcut_lib.train.table_scribbles import COMPARED, EVERY, SUPERVISIONS, rows, then_crf

SIDE = 321
EVERY_NTH = 50
KERNELS = ("normalized-cut", "dense-crf", "kernel-cut")
TRIAL = {
    "epochs": 2,
    "steps_per_epoch": 2,
    "batch": 2,
    "count": 4,
    "objective": FromScribbles(2),
}
PROPOSED = ("seeded-nc", "kernel-cut")


def _at_full_size(sigma_color, sigma_space):
    """All supervisions with kernels for images 500 pixels wide."""
    sigmas = {"sigma_color": sigma_color, "sigma_space": sigma_space}
    found = {}
    for name, (words, told) in EVERY.items():
        if told.regularizer in KERNELS or name in PROPOSED:
            told = replace(told, made={}, options={**told.options, **sigmas})
        if name in ("nc", "nc-nel", "nc-joint", "nc-free"):
            told = replace(told, made={}, weight=1.6)
        found[name] = words, told
    return found


def _largefov(sc, labels, multiscale=True):
    return sc.AtrousNet(out_channels=labels, width=64, multiscale=multiscale, dropout=0.5), None


def _plain(sc, labels):
    return _largefov(sc, labels, multiscale=False)


def _resnet101(sc, labels):
    return sc.deeplab_resnet(labels, depth=101, weights="DEFAULT"), None


LARGEFOV = {
    "atrous": ("DeepLab-largeFOV in form, branches", _largefov, tuple(SUPERVISIONS)),
    "atrous-plain": ("DeepLab-largeFOV in form", _plain, (*COMPARED, "nel", "nc-nel")),
}
RESNET = {"resnet101": ("DeepLabv3, ResNet-101 from ImageNet", _resnet101, COMPARED)}


def _voc(listed):
    """``load(split, scale, count)`` of the training images of one list and the official val."""

    def load(split, scale=1.0, count=None):
        from torch.utils.data import Subset

        from softcut_lib import PascalVOC
        from softcut_lib.train.scribbled import Crops

        if split == "test":
            items = PascalVOC(split="val", scale=scale)
            return Subset(items, range(len(items))[:count])
        items = PascalVOC(split=listed, scale=scale, scribbles=True)
        chosen = [k for k in range(len(items)) if (k % EVERY_NTH == 0) == (split == "val")]
        items = Subset(items, chosen[:count])
        return items if split == "val" else Crops(items, side=max(16, round(scale * SIDE)))

    return load


VOC = {
    "scribbles-voc": Experiment(
        title="PASCAL VOC 2012 from scribbles",
        source="Tang et al. 2018, section 5.2 (tables 1 to 3)",
        data={
            "voc": Data(
                "PASCAL VOC 2012, train_aug less 2 % for validation, val as test", _voc("train_aug")
            ),
            "voc-train": Data(
                "PASCAL VOC 2012, train (1,464) less 2 % for validation, val as test", _voc("train")
            ),
        },
        models=rows(21, LARGEFOV, _at_full_size(15.0, 100.0), crf={})
        | rows(21, RESNET, _at_full_size(12.0, 60.0), crf={}),
        objective=FromScribbles(20_000),
        lr=1e-4,
        epochs=60,
        steps_per_epoch=500,
        batch=10,
        shuffle=True,
        counts=True,
        metric=labeling_iou,
        profiles={"full": {}, "fast": TRIAL},
    )
}
VOC["scribbles-voc-crf"] = then_crf("scribbles-voc", VOC["scribbles-voc"])
