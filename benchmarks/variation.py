"""Time total variation beside prox-tv: `python -m benchmarks.variation --help`.

Forward and backward on one sample of 200 x 250, one thread, float64. The peer is prox-tv's
Douglas-Rachford iteration in C++ with the gradient in Python as the thesis' experiments had it:
scikit-learn's isotonic regression in the order of the answer, scikit-image's labels of equal
regions, block means. Ours is the same iteration (`method="published"`), and the exact layer, which
has no steps. Both iterations run with the thesis' 35 steps, and with as many as the peer needs for
a relative error of 1e-5; how many these are neither can know without the exact answer. The results
go to book/results/variation-cpu.json, which chapter 7 reads.

Needs prox-tv and scikit-learn: `pip install prox-tv scikit-learn` (on Debian and Ubuntu with
liblapacke-dev).
"""

import argparse
import shlex
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from skimage.measure import label
from tqdm.auto import tqdm

import softcut_lib as sc
from softcut_lib.layers.variation import PUBLISHED_STEPS
from softcut_lib.train.provenance import describe_machine, describe_session
from softcut_lib.train.runs import write_json

from .measure import spread

OUTPUT = Path(__file__).parents[1] / "book" / "results" / "variation-cpu.json"
GRID = (200, 250)
TARGET = 1e-5
KINDS = {"noise": "noise", "scene": "smooth regions with noise"}
SCALES = (0.1, 1.0, 3.0, 20.0)


def problem(kind, scale, seed=0):
    """Scores and weights (C, R): noise, or noise on a scene of smooth regions."""
    random = np.random.default_rng(seed)
    scores = random.standard_normal(GRID)
    if kind == "scene":
        scores += 3 * np.sign(gaussian_filter(scores, 15))
    shapes = (GRID[0] - 1, GRID[1]), (GRID[0], GRID[1] - 1)
    weights = [scale * np.log1p(np.exp(random.standard_normal(s))) for s in shapes]
    return scores, weights, random.standard_normal(GRID)


def layer(scores, weights, gradient, **options):
    """The library: answer and gradients."""
    leaves = [torch.tensor(t)[None].requires_grad_() for t in (scores[None], *weights)]
    x = sc.total_variation(leaves[0], leaves[1:], **options)
    x.backward(torch.tensor(gradient)[None, None])
    return [x.detach().numpy()[0, 0], leaves[0].grad.numpy()[0, 0]] + [
        t.grad.numpy()[0] for t in leaves[1:]
    ]


def peer(scores, weights, gradient, steps):
    """prox-tv, isotonic refinement, and the gradient in Python."""
    import prox_tv

    x = prox_tv.tv1w_2d(scores, *weights, max_iters=steps, n_threads=1)
    x = refine(x, scores, weights)
    _, values = np.unique(x, return_inverse=True)
    region = label(values.reshape(GRID) + 1, connectivity=1).ravel() - 1
    mean = (np.bincount(region, gradient.ravel()) / np.bincount(region))[region].reshape(GRID)
    edges = [-np.sign(np.diff(x, axis=a)) * np.diff(mean, axis=a) for a in (0, 1)]
    return [x, mean, *edges]


def refine(x, scores, weights):
    from sklearn.isotonic import isotonic_regression

    order = np.argsort(x, axis=None)
    rank = np.empty(x.size)
    rank[order] = np.arange(x.size)
    rank, target = rank.reshape(GRID), scores.copy()
    for axis, w in enumerate(weights):
        pull = w * np.sign(np.diff(rank, axis=axis))
        upper, lower = (slice(1, None), slice(None)), (slice(None, -1), slice(None))
        target[upper if axis == 0 else upper[::-1]] -= pull
        target[lower if axis == 0 else lower[::-1]] += pull
    refined = np.empty(x.size)
    refined[order] = isotonic_regression(target.ravel()[order])
    return refined.reshape(GRID)


def in_turns(calls, repeats):
    """Processor seconds of each call, taken in turns so that all meet the same noise."""
    for call in calls:
        call()
    seconds = [[] for _ in calls]
    for _ in range(repeats):
        for call, times in zip(calls, seconds, strict=True):
            start = time.process_time()
            call()
            times.append(time.process_time() - start)
    return seconds


def needed(case, exact):
    """The steps after which the peer's refined answer is as accurate as asked for."""
    steps = PUBLISHED_STEPS
    while error_of(peer(*case, steps), exact) > TARGET and steps < 10_000:
        steps = int(1.2 * steps)
    return steps


def error_of(answer, exact):
    return float(np.linalg.norm(answer[0] - exact[0]) / np.linalg.norm(exact[0]))


def measure(kind, scale, repeats):
    """The rows of one problem."""
    case = problem(kind, scale)
    exact = layer(*case)
    enough = needed(case, exact)
    runs = {("ours, exact", None): lambda: layer(*case)}
    for steps in sorted({PUBLISHED_STEPS, enough}):
        runs["ours", steps] = lambda n=steps: layer(*case, method="published", max_iter=n)
        runs["prox-tv", steps] = lambda n=steps: peer(*case, n)
    times = in_turns(list(runs.values()), repeats)
    return [
        {
            "scores": kind, "scale": scale, "method": method, "steps": steps,
            "enough": steps in (None, enough), "error": error_of(run(), exact),
            "seconds": spread(values),
        }
        for ((method, steps), run), values in zip(runs.items(), times, strict=True)
    ]  # fmt: skip


def parse(argv):
    parser = argparse.ArgumentParser(
        "python -m benchmarks.variation", description=__doc__.split("\n")[0]
    )
    add = parser.add_argument
    add("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    add("--scales", nargs="+", type=float, default=list(SCALES), help="of the weights")
    add("--repeats", type=int, default=9, help="of each call (default 9)")
    add("--output", type=Path, default=OUTPUT)
    return parser.parse_args(argv)


def main(argv=None):
    argv = sys.argv[1:] if argv is None else argv
    options = parse(argv)
    try:
        import prox_tv  # noqa: F401
        import sklearn  # noqa: F401
    except ModuleNotFoundError as error:
        sys.exit(f"{error.name} is not installed: pip install prox-tv scikit-learn")
    torch.set_num_threads(1)
    started, rows = time.monotonic(), []
    problems = [(kind, scale) for kind in options.kinds for scale in options.scales]
    for kind, scale in tqdm(problems, unit="problem"):
        rows += measure(kind, scale, options.repeats)
    content = {
        "schema": 1,
        "about": "total variation, forward and backward, on one sample: processor time, one thread",
        "grid": list(GRID),
        "target": TARGET,
        "kinds": KINDS,
        "peers": {"prox-tv": {"version": version("prox-tv")}},
        "machine": describe_machine(),
        "sessions": [describe_session(shlex.join(["python", "-m", "benchmarks.variation", *argv]))],
        "wall_time_s": round(time.monotonic() - started, 1),
        "rows": rows,
    }
    write_json(options.output, content)
    print(f"wrote {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
