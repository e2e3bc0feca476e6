"""Time Gaussian filtering beside its peers: `python -m benchmarks.filtering --help`.

A photograph, sigma 15 in colour and 100 pixels in space, filtered for 2 and for 21 labels: how long
the affinity takes to build and to apply, with one thread and with all, and how far it is from the
exact kernel, whose rows are computed at some hundred pixels of the same image. The peer is
pydensecrf2's C++ lattice, whose step is the filter, a compatibility and a softmax; it is applied to
all labels at once and label by label, as the published loss does. Then a whole loss as a share of a
network's training step (`loss_step`). The results go to book/results/filtering-cpu.json, which
chapter 14 reads.

Peer: `pip install pydensecrf2` (it imports as pydensecrf, and is compiled when it is installed).
KeOps, which sums the exact kernel on a GPU, is timed where it is installed and there is one.
"""

import argparse
import importlib.util
import os
import shlex
import sys
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import interpolate, one_hot

import softcut_lib as sc
from softcut_lib.affinity.dense import kernel
from softcut_lib.affinity.features import pixel_features
from softcut_lib.theorems.affinity import accuracy_of
from softcut_lib.train.provenance import describe_machine, describe_session
from softcut_lib.train.runs import runs_folder, write_json

from .measure import interleaved, observed, spread
from .options import grid_size
from .store import Store

OUTPUT = Path(__file__).parents[1] / "book" / "results" / "filtering-cpu.json"
SIGMAS = {"sigma_color": 15, "sigma_space": 100}
LABELS = (2, 21)
EXACT_UP_TO = 40_000
"""The exact product is timed on images of at most so many pixels."""
PEER = "pydensecrf2"
ONE_BY_ONE = f"{PEER}, label by label"


def photograph(size):
    """scikit-image's coffee cup at this size, (1, 3, h, w) in 0..255."""
    from skimage import data

    image = torch.from_numpy(data.coffee()).permute(2, 0, 1)[None].float()
    return interpolate(image, size, mode="area")


def segmentation(image, labels):
    """Hard maps (1, L, h, w): the image's brightness cut at its quantiles."""
    bright = image.mean(1)
    steps = torch.linspace(0, 1, labels + 1)[1:-1]
    cuts = torch.quantile(bright.flatten()[::7], steps)
    return one_hot(torch.bucketize(bright, cuts), labels).movedim(-1, 1).float().contiguous()


def exact_rows(image, maps, rows):
    """(W S, W 1) at these pixels, exactly: (1, L, n) and (1, 1, n)."""
    points = pixel_features(image, **SIGMAS).flatten(1, -2)[0]
    values = torch.cat([maps, torch.ones_like(maps[:, :1])], 1).flatten(2)[0].T
    product = torch.cat([kernel(points[part], points) @ values for part in rows.split(32)]).T[None]
    return product[:, :-1], product[:, -1:]


class Peer:
    """pydensecrf2 as an affinity: W S is read from one mean-field step's probabilities.

    With probabilities Q of some labels and of one more, whose Q is nearly 0, a step without
    normalization gives log Q'_l - log Q'_blank = log Q_l - log Q_blank + c (W Q)_l.
    """

    def __init__(self, image):
        self.image, self.shape = image, (1, *image.shape[2:])

    @staticmethod
    def model(image, prob):
        """A dense CRF with the bilateral kernel, ready to step; building it builds the lattice."""
        import pydensecrf.densecrf as dcrf

        labels, (height, width) = prob.shape[1], image.shape[2:]
        crf = dcrf.DenseCRF2D(width, height, labels)
        crf.setUnaryEnergy(-prob[0].flatten(1).log().numpy().copy(order="C"))
        crf.addPairwiseBilateral(
            sxy=SIGMAS["sigma_space"], srgb=SIGMAS["sigma_color"], compat=20 / (height * width),
            rgbim=image[0].permute(1, 2, 0).round().byte().numpy().copy(order="C"),
            normalization=dcrf.NO_NORMALIZATION,
        )  # fmt: skip
        return crf, *crf.startInference()

    @staticmethod
    def step(crf, prob, *room):
        crf.stepInference(prob, *room)

    def matmul(self, maps):
        blank = torch.full_like(maps[:, :1], 1e-20)
        prob = torch.cat([maps.clamp_min(1e-20), blank], 1)
        model = self.model(self.image, prob)
        before = np.array(model[1]).copy()
        self.step(*model)
        change = np.log(np.array(model[1]).astype(float)) - np.log(before.astype(float))
        product = (change[:-1] - change[-1]) * maps[0, 0].numel() / 20
        return torch.from_numpy(product).reshape(maps.shape)

    @property
    def degree(self):
        return self.matmul(torch.ones(1, 1, *self.shape[1:]))


class OnGPU:
    """An affinity of a GPU as one of the CPU: maps are copied there and back."""

    def __init__(self, image):
        self.inner = sc.KeOpsAffinity(image.cuda(), **SIGMAS)

    def matmul(self, maps):
        return self.inner.matmul(maps.cuda()).cpu()

    @property
    def degree(self):
        return self.inner.degree.cpu()


@dataclass(frozen=True)
class Method:
    """One way to filter; `build(image)` gives an affinity, `missing()` why there is none here."""

    name: str
    note: str
    build: callable
    ours: bool = True
    missing: callable = lambda: None


def _lattice(**options):
    return lambda image: sc.LatticeAffinity(image, **SIGMAS, **options)


def missing_peer():
    """Why the peer is left out, or None."""
    if importlib.util.find_spec("pydensecrf") is None:
        return f"{PEER} is not installed: pip install {PEER}"
    return None


def missing_keops():
    """Why KeOps is left out, or None."""
    if importlib.util.find_spec("pykeops") is None:
        return 'KeOps is not installed: pip install "softcut-lib[keops]"'
    return None if torch.cuda.is_available() else "KeOps is timed on a GPU, and there is none"


METHODS = [
    Method("lattice, sym", "hashing kernels, the default", _lattice()),
    Method("lattice, plain", "one order of blurs", _lattice(mode="plain")),
    Method("lattice, psd", "palindrome of blurs", _lattice(mode="psd")),
    Method("lattice, sym, torch", "plain tensor operations", _lattice(kernel="torch")),
    Method(
        "Nystrom, 256 landmarks", "a matrix of 256 columns",
        lambda image: sc.NystromAffinity(image, **SIGMAS),
    ),
    Method("dense", "every pair", lambda image: sc.DenseAffinity(image, **SIGMAS)),
    Method(
        "KeOps, GPU", "every pair, on the GPU, copies of the maps included",
        OnGPU, missing=missing_keops,
    ),
    Method(
        PEER, "C++ lattice; apply is a whole mean-field step, build includes the degree",
        Peer, ours=False, missing=missing_peer,
    ),
    Method(
        ONE_BY_ONE, "the same, one step for each label beside the rest",
        Peer, ours=False, missing=missing_peer,
    ),
]  # fmt: skip


def parts(method, image, maps):
    """(build, apply): two functions to time; apply uses what one build has made."""
    if method.ours:
        affinity = method.build(image)
        return lambda: method.build(image), lambda: affinity.matmul(maps)
    rounds = maps.shape[1] if method.name == ONE_BY_ONE else 1
    if rounds > 1:
        maps = torch.stack([maps[:, 0], 1 - maps[:, 0]], 1)
    prob = maps.clamp_min(1e-6)
    model = Peer.model(image, prob)
    return lambda: Peer.model(image, prob), lambda: [Peer.step(*model) for _ in range(rounds)]


def measure(size, threads, chosen, *, seconds, rows=500):
    """The rows of one size with so many threads: times and accuracy of every method."""
    torch.set_num_threads(threads)
    image = photograph(size)
    pixels = size[0] * size[1]
    some = torch.randperm(pixels, generator=torch.Generator().manual_seed(0))[:rows]
    methods = [m for m in chosen if m.name != "dense" or pixels <= EXACT_UP_TO]
    two = segmentation(image, 2)
    true = exact_rows(image, two, some)
    accuracies = {}
    for method in methods:
        affinity = method.build(image)
        found = [t.flatten(2)[..., some] for t in (affinity.matmul(two), affinity.degree)]
        accuracies[method.name] = accuracy_of(found, true, two.flatten(2)[..., some])._asdict()
    for labels in LABELS:
        maps = segmentation(image, labels)
        runs = {m.name: parts(m, image, maps) for m in methods}
        for k, part in enumerate(("build", "apply")):
            once = {name: run[k] for name, run in runs.items()}
            firsts = {name: observed(run)[1] for name, run in once.items()}
            times = interleaved(once, firsts, seconds=seconds)
            for name, values in times.items():
                yield {
                    "method": name, "size": list(size), "threads": threads, "labels": labels,
                    "part": part, "seconds": spread(values), **accuracies[name],
                }  # fmt: skip


def parse(argv):
    parser = argparse.ArgumentParser(
        "python -m benchmarks.filtering", description=__doc__.split("\n")[0]
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="one small size, half a minute")
    add("--sizes", nargs="+", type=grid_size, metavar="HxW", help="default: 160x240 320x480")
    add("--threads", nargs="+", type=int, help="default: 1 and all")
    add("--methods", nargs="+", choices=[m.name for m in METHODS], metavar="NAME")
    add("--no-loss", dest="loss", action="store_false", help="leave the training steps out")
    add("--seconds", type=float, default=3.0, help="for the repeats of one row (default 3)")
    add("--output", type=Path, default=OUTPUT)
    add("--fresh", action="store_true", help="forget what an interrupted run has measured")
    options = parser.parse_args(argv)
    default = [(80, 120)] if options.quick else [(160, 240), (320, 480)]
    options.sizes = options.sizes or default
    options.threads = options.threads or sorted({1, os.cpu_count()})
    options.methods = options.methods or [m.name for m in METHODS]
    if options.quick:
        options.seconds = min(options.seconds, 0.2)
    return options


def main(argv=None):
    from .loss_step import shares

    options = parse(sys.argv[1:] if argv is None else argv)
    wanted = [m for m in METHODS if m.name in options.methods]
    chosen = [m for m in wanted if not m.missing()]
    for why in dict.fromkeys(m.missing() for m in wanted if m.missing()):
        print(f"left out: {why}")
    command = shlex.join(["python", "-m", "benchmarks.filtering", *(argv or sys.argv[1:])])
    session = describe_session(command)
    store = Store(runs_folder() / "benchmarks", session, vars(options), fresh=options.fresh)
    start = time.monotonic()
    for size in options.sizes:
        for threads in options.threads:
            unit = f"{size[0]}x{size[1]}, {threads} threads"
            if unit not in store.units:
                store.add(
                    unit, "rows", list(measure(size, threads, chosen, seconds=options.seconds))
                )
            unit = f"{unit}, loss"
            if options.loss and size == max(options.sizes) and unit not in store.units:
                found = shares(size, threads, seconds=options.seconds, peer=not missing_peer())
                store.add(unit, "loss", list(found))
            print(unit, "done", flush=True)
    write_json(options.output, contents(options, store, chosen, time.monotonic() - start))
    store.close()
    print(f"wrote {options.output}")
    return 0


def contents(options, store, chosen, wall):
    """The results file."""
    lacking = missing_peer()
    return {
        "schema": 1,
        "about": "Gaussian filtering of a photograph: time to build and apply, and accuracy",
        "quick": options.quick,
        "image": "scikit-image's coffee cup, resized",
        "sigmas": SIGMAS,
        "methods": [{"name": m.name, "note": m.note, "ours": m.ours} for m in chosen],
        "peers": {PEER: {"missing": lacking, "version": None if lacking else version(PEER)}},
        "machine": describe_machine() | {"cores": os.cpu_count()},
        "sessions": store.sessions,
        "wall_time_s": round(wall, 1),
        "rows": store.rows("rows"),
        "loss": store.rows("loss"),
    }


if __name__ == "__main__":
    sys.exit(main())
