"""How far a pixel sees: theorems of the appendix on the receptive field.

The influence of the score at q on the answer at p is dx_p / dscores_q = (A^-1)_pq. It is positive
exactly where p and q are joined by a path of positive conductances, and on a long chain it falls
by the same factor at every step.
"""

import math

import torch

from softcut_lib.grid.system import GridSystem


def influence_reaches_the_component(solve, *, generator, grid=(5, 6)):
    """A score moves every pixel of its own component, and no other.

    `solve(system, scores) -> x`. The grid is cut in two by edges of conductance 0.
    """
    h, w = grid
    down = 0.2 + torch.rand(1, h - 1, w, generator=generator, dtype=torch.float64)
    right = 0.2 + torch.rand(1, h, w - 1, generator=generator, dtype=torch.float64)
    wall = w // 2
    right[..., wall - 1] = 0
    impulse = torch.zeros(1, 1, h, w, dtype=torch.float64)
    impulse[..., h // 2, 0] = 1
    x = solve(GridSystem([down, right]), impulse)
    here, there = x[..., :wall], x[..., wall:]
    assert (here > 0).all(), (
        "a score must move every pixel that a path of positive conductances joins to it, but "
        f"{int((here <= 0).sum())} pixels of its component did not rise: does the current pass on?"
    )
    assert there.abs().max() < 1e-12, (
        "a wall of conductance 0 lets no current through, but pixels behind it moved by "
        f"{float(there.abs().max()):.3g}"
    )


def influence_falls_geometrically(solve, *, conductance=2.0, length=401):
    """On a chain the influence falls by rho at each step, rho + 1/rho = 2 + 1/conductance."""
    weights = [torch.full((1, length - 1), conductance, dtype=torch.float64)]
    impulse = torch.zeros(1, 1, length, dtype=torch.float64)
    impulse[..., length // 2] = 1
    x = solve(GridSystem(weights), impulse)[0, 0, length // 2 : length // 2 + 9]
    b = 1 + 1 / (2 * conductance)
    rho = b - math.sqrt(b * b - 1)
    gap = float((x[1:] / x[:-1] - rho).abs().max())
    assert gap < 1e-6, (
        f"with conductance {conductance} the influence must fall by {rho:.6f} at every step, "
        f"off by {gap:.2g}: away from the impulse, x_k (1 + 2 w) = w (x_k-1 + x_k+1)"
    )


def min_cut_sees_the_farthest_pixel(min_cut, *, grid=(4, 7)):
    """Theorem A.1: one score, as far away as can be, turns the label of a pixel over.

    `min_cut(scores, weights) -> labels`, bool (1, 1, *grid).
    """
    h, w = grid
    strong = float(4 * h * w)
    shapes = ((1, h - 1, w), (1, h, w - 1))
    weights = [torch.full(shape, strong, dtype=torch.float64) for shape in shapes]
    scores = torch.full((1, 1, h, w), 1.0, dtype=torch.float64)
    before = min_cut(scores, weights)[0, 0, 0, 0]
    scores[0, 0, -1, -1] = -2.0 * h * w
    after = min_cut(scores, weights)[0, 0, 0, 0]
    assert bool(before) and not bool(after), (
        "where all edges are too strong to cut, the sum of the scores decides for all pixels, so "
        f"one far pixel must be able to turn this one over; labels were {bool(before)} before and "
        f"{bool(after)} after"
    )


def network_sees_a_window(network, width, *, generator, channels=3):
    """A stack of convolutions sees a window of `width` pixels and nothing else."""
    n = 2 * width + 1
    image = torch.rand(1, channels, n, n, generator=generator, dtype=torch.float64)
    image.requires_grad_()
    scores = network.double()(image)
    scores[0, 0, n // 2, n // 2].backward()
    seen = image.grad.abs().sum((0, 1)) > 0
    half = width // 2
    window = torch.zeros_like(seen)
    window[n // 2 - half : n // 2 + half + 1, n // 2 - half : n // 2 + half + 1] = True
    outside = int((seen & ~window).sum())
    assert outside == 0, f"{outside} pixels outside the {width} x {width} window have a gradient"
    rows = torch.arange(n)[seen.any(1)]
    assert rows[-1] - rows[0] + 1 == width, (
        f"the window must be {width} pixels high, its farthest gradients span "
        f"{int(rows[-1] - rows[0] + 1)}"
    )
