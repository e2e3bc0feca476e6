"""Total variation beside prox-tv, forward and backward: `python -m benchmarks.variation`.

One sample of 200 x 250, one thread, float64. The peer is prox-tv's Douglas-Rachford iteration in
C++ with the gradient in Python as the thesis' experiments had it: scikit-learn's isotonic
regression in the order of the answer, scikit-image's labels of equal regions, block means. Two
comparisons: both with 35 steps, and the exact layer against as many steps as the peer needs for
a relative error of 1e-5, which it cannot know by itself.

Needs prox-tv and scikit-learn: `pip install prox-tv scikit-learn` (on Debian and Ubuntu with
liblapacke-dev).
"""

import argparse
import sys
import time

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from skimage.measure import label

import softcut_lib as sc

GRID = (200, 250)
TARGET = 1e-5


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


def milliseconds(calls, repeats):
    """The least processor time of each call, taken in turns so that both meet the same noise."""
    least = [np.inf] * len(calls)
    for call in calls:
        call()
    for _ in range(repeats):
        for k, call in enumerate(calls):
            start = time.process_time()
            call()
            least[k] = min(least[k], time.process_time() - start)
    return [1e3 * t for t in least]


def needed(case, exact):
    """The steps after which the peer's refined answer is as accurate as asked for."""
    steps = 35
    while _error(peer(*case, steps), exact) > TARGET and steps < 10_000:
        steps = int(1.2 * steps)
    return steps


def _error(answer, exact):
    return np.linalg.norm(answer[0] - exact[0]) / np.linalg.norm(exact[0])


def main(argv=None):
    parser = argparse.ArgumentParser("python -m benchmarks.variation", description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args(argv)
    try:
        import prox_tv  # noqa: F401
        import sklearn  # noqa: F401
    except ModuleNotFoundError as error:
        sys.exit(f"{error.name} is not installed: pip install prox-tv scikit-learn")
    torch.set_num_threads(1)
    print("processor time in ms, forward and backward; error relative to the exact answer")
    print("scores weights |  35 steps: ours   peer | exact: ours   peer to 1e-5 (steps, error)")
    for kind in ("noise", "scene"):
        for scale in (0.1, 1.0, 3.0, 20.0):
            case = problem(kind, scale)
            exact = layer(*case)
            steps = needed(case, exact)
            calls = [
                lambda case=case: layer(*case, method="published"),
                lambda case=case: peer(*case, 35),
                lambda case=case: layer(*case),
                lambda case=case, steps=steps: peer(*case, steps),
            ]
            times = milliseconds(calls, options.repeats)
            error = _error(peer(*case, steps), exact)
            print(
                f"{kind:6s} {scale:7g} | {times[0]:15.0f} {times[1]:6.0f} | {times[2]:11.0f} "
                f"{times[3]:6.0f} ({steps}, {error:.0e})",
                flush=True,
            )


if __name__ == "__main__":
    main()
