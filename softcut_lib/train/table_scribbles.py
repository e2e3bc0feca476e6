"""Experiments from scribbles: ways of supervision, and networks (chapter 15).

A row is a network and what it is shown and told; the tables 1 to 3 of Tang et al. 2018 in small,
on synthetic horses, on the photographs at 80 x 104, and on CamVid with its eleven classes. Those
that end in "-crf", "-lambda" and "-clustering" train what "scribbles" does, and no more: networks
followed by a dense CRF, its strength or a weight chosen on validation images, energies of
clusterings.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from softcut_lib.train.clustering import held_out_energies
from softcut_lib.train.forms import Data, Experiment, Model
from softcut_lib.train.metrics import labeling_iou
from softcut_lib.train.scribbles import (
    ALTERNATE,
    MEAN_FIELD,
    FromScribbles,
    ScribbleNet,
    Supervision,
)
from softcut_lib.train.sweep import chosen_weights

SIZE = (80, 104)
CRF = {"bilateral": 1.0, "spatial": 0.5, "sigma_space": 20.0, "sigma_near": 1.0}
# times those of CRF, or of DeepLab on VOC: behind networks that saw scribbles only, validation
# images want far more than is usual behind full supervision
STRENGTHS = (0.25, 1.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)
LENGTHS = {"spots": 0.0, "quarter": 0.25, "half": 0.5, "whole": 1.0}
WEIGHTS = (0.1, 0.3, 3.0, 10.0)


def _ways(kind, words, **options):
    """A regularizer at its usual weight and at those of the sweep."""
    rows = {kind: (f"+ {words}", Supervision(**options))}
    for weight in WEIGHTS:
        rows[f"{kind}-{weight:g}"] = (
            f"+ {words}, weight {weight:g}",
            Supervision(**options, weight=weight),
        )
    return rows


# name: words, what a network is shown and told
SUPERVISIONS = {
    "masks": ("full masks", Supervision("masks")),
    "pce": ("scribbles, partial cross-entropy", Supervision()),
    "nel": ("+ absent labels (NEL)", Supervision(absent=1.0)),
    **_ways("nc", "normalized cut", regularizer="normalized-cut"),
    "nc-nel": ("+ NEL + normalized cut", Supervision(regularizer="normalized-cut", absent=1.0)),
    "nc-joint": (
        "+ normalized cut from the first step on",
        Supervision(regularizer="normalized-cut", joint=True),
    ),
    "nc-free": (
        "+ normalized cut, scribbles not held in it",
        Supervision(regularizer="normalized-cut", clamp=False),
    ),
    **_ways("crf", "dense CRF loss", regularizer="dense-crf"),
    "gated": ("+ gated CRF loss", Supervision(regularizer="gated-crf", weight=0.1)),
    "tree": ("+ tree energy loss", Supervision(regularizer="tree-energy", weight=0.4)),
    "kernel": ("+ kernel cut loss", Supervision(regularizer="kernel-cut")),
    "grabcut": ("GrabCut proposals", Supervision("grabcut")),
    "seeded-nc": ("seeded normalized cut proposals", Supervision("seeded-normalized-cut")),
    "kernel-cut": ("kernel cut proposals", Supervision("kernel-cut")),
    "alternating": ("graph cuts of its own scores, in turn", Supervision("alternating")),
}
CLUSTERING = {
    "only-nc": (
        "masks, then normalized cut alone",
        Supervision("masks", "normalized-cut", alone=True, options={"sigma_space": 40.0}),
    ),
    "only-kmeans": ("masks, then k-means alone", Supervision("masks", "k-means", alone=True)),
}
SWEPT = [f"{kind}{tail}" for kind in ("nc", "crf") for tail in ("", *(f"-{w:g}" for w in WEIGHTS))]
EVERY = {**SUPERVISIONS, **CLUSTERING}
COMPARED = ("masks", "pce", "nc", "crf")


def _unet(sc, labels):
    return sc.SmallUNet(out_channels=labels), None


def _atrous(sc, labels, multiscale=True):
    # pooled by 4 in all: at 80 x 104 the published 8 leaves 10 x 13 cells
    form = {"strides": (2, 2, 1, 1, 1), "dilations": (2, 6), "width": 8}
    return sc.AtrousNet(out_channels=labels, multiscale=multiscale, **form), None


def _atrous_plain(sc, labels):
    return _atrous(sc, labels, multiscale=False)


def _soft(sc, labels):
    net = sc.ScoreAndEdges(sc.SmallUNet(out_channels=labels), sc.EdgeNet(initial=1.0))
    return net, sc.SoftCut(solver=sc.CG())


# name: words, make(softcut_lib, labels) -> (net, cut), the supervisions that are run with it
NETS = {
    "unet": ("small U-Net", _unet, tuple(EVERY)),
    "atrous": ("dilated net with branches", _atrous, (*COMPARED, "nc-nel")),
    "atrous-plain": ("dilated net without branches", _atrous_plain, (*COMPARED, "nel", "nc-nel")),
    "softcut": ("small U-Net and edge net, soft cut", _soft, COMPARED),
}
# what is asked of two rows: the second's mIoU minus the first's
PAIRS = [("unet-pce", f"unet-{name}") for name in (
    "masks", "nel", "nc", "crf", "gated", "tree", "kernel", "grabcut", "seeded-nc", "kernel-cut",
    "alternating",
)]  # fmt: skip
PAIRS += [("unet-crf", "unet-nc"), ("unet-nc", "unet-nc-joint"), ("unet-nc", "unet-nc-free")]
PAIRS += [(f"{net}-pce", f"{net}-nc") for net in ("atrous", "atrous-plain", "softcut")]
PAIRS += [("atrous-plain-nc-nel", "atrous-nc-nel")]


def rows(labels: int, nets=NETS, known=EVERY, crf=CRF) -> dict[str, Model]:
    """All networks with their supervisions, e.g. "unet-pce".

    Args:
        labels: L of the scores.
        nets: as `NETS`.
        known: name -> (words, `Supervision`) of all that a net may name.
        crf: options of the dense CRF that may follow; its strengths are those of the factor 1.
    """
    return {
        f"{net}-{name}": Model(
            f"{words}, {known[name][0]}",
            _builder(make, labels, known[name][1], crf),
            begins=_begins(net, name, names, known),
        )
        for net, (words, make, names) in nets.items()
        for name in names
    }


def _begins(net, name, names, known):
    """The row that is nothing but the first part of this one."""
    told = known[name][1]
    if told.joint or told.alone:  # a regularizer from the start; another measure in validation
        return None
    first = Supervision("scribbles" if told.shown == ALTERNATE else told.shown)
    found = [other for other in names if known[other][1] == first and told != first]
    return f"{net}-{found[0]}" if found else None


def _builder(make, labels, supervision, crf):
    def build(log=None):
        import softcut_lib as sc

        net, cut = make(sc, labels)
        if cut is not None and log is not None:
            cut.log = log
        return ScribbleNet(net, cut, supervision=supervision, crf_options=crf)

    return build


def _loader(photographs, size, **options):
    """``load(split, scale)``: training images with scribbles, the others with masks."""

    def load(split, scale=1.0):
        from softcut_lib.train.scribbled import Resized, Scribbled

        small = None if scale == 1.0 and size is None else _scaled(size or (96, 128), scale)
        items = photographs(split)
        if split == "train":
            return Scribbled(items, size=small, **options)
        return items if small is None else Resized(items, small)

    return load


def _scaled(size, scale):
    return tuple(max(16, round(scale * side)) for side in size)


def _synthetic(split):
    from softcut_lib import SyntheticHorses

    drawn = SyntheticHorses(split, count={"train": 160, "val": 30, "test": 98}[split])
    return [drawn[index] for index in range(len(drawn))]


def _weizmann(split):
    from softcut_lib import WeizmannHorses

    return WeizmannHorses(split=split)


def _camvid(split):
    from softcut_lib import CamVid

    return CamVid(split=split)


HORSES = {
    "synthetic": ("generated horses, 160/30/98, 96 x 128", _synthetic, None, 2.0),
    "weizmann": ("photographs of horses, 180/50/98, at 80 x 104", _weizmann, SIZE, 1.0),
}
SHORT = {"epochs": 3, "steps_per_epoch": 20, "batch": 4, "objective": FromScribbles(20)}

SCRIBBLES = {
    "scribbles": Experiment(
        title="Horses from scribbles",
        source="Tang et al. 2018, section 5.2 (tables 1 to 3), on other data",
        data={
            name + (f"-{length}" if length else ""): Data(
                words + (f", {length} of the scribbles' length" if length else ""),
                _loader(load, size, width=width, **({"keep": LENGTHS[length]} if length else {})),
            )
            for name, (words, load, size, width) in HORSES.items()
            for length in ("", *LENGTHS)
        },
        models=rows(1),
        objective=FromScribbles(600),
        lr=2e-3,
        epochs=18,
        steps_per_epoch=50,
        batch=8,
        shuffle=True,
        profiles={"full": {}, "fast": SHORT},
    ),
    "scribbles-camvid": Experiment(
        title="Street scenes from scribbles, eleven classes",
        source="Tang et al. 2018, section 5.2 (tables 1 and 2), on other data",
        data={
            "camvid": Data(
                "CamVid, 367/101/233, at 90 x 120", _loader(_camvid, (90, 120), width=1.0)
            )
        },
        models=rows(11),
        objective=FromScribbles(1000),
        lr=2e-3,
        epochs=30,
        steps_per_epoch=50,
        batch=8,
        shuffle=True,
        counts=True,
        metric=labeling_iou,
        profiles={"full": {}, "fast": SHORT},
    ),
}


def then_crf(name, experiment):
    """The same networks, tested with a dense CRF behind them, as strong as validation likes it."""
    title = f"{experiment.title}, then a dense CRF"
    return replace(experiment, title=title, decodes=name, decode=MEAN_FIELD, strengths=STRENGTHS)


def only(experiment, names, **changes):
    """Some rows of an experiment, which trains or reads the same runs."""
    return replace(experiment, models={name: experiment.models[name] for name in names}, **changes)


SCRIBBLES |= {f"{name}-crf": then_crf(name, experiment) for name, experiment in SCRIBBLES.items()}
SCRIBBLES["scribbles-lambda"] = only(
    SCRIBBLES["scribbles"],
    [f"unet-{name}" for name in SWEPT],
    title="Weights of the regularizers, chosen on validation images",
    source="Tang et al. 2018, figure 6, on other data",
    decodes="scribbles",
    conclude=partial(chosen_weights, weights={f"unet-{n}": EVERY[n][1] for n in SWEPT}),
)
SCRIBBLES["scribbles-clustering"] = only(
    SCRIBBLES["scribbles"],
    [f"unet-{name}" for name in ("masks", *CLUSTERING)],
    title="Networks that only cluster, beside the algorithms",
    source="Tang et al. 2018, section 5.1 and figure 5, on other data",
    decodes="scribbles",
    measure=held_out_energies,
)
