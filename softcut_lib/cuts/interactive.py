"""Segment a photograph from scribbles: color model, contrast, hard seeds, one of three cuts.

    unary    s_p = color * (2 P(foreground | color of p) - 1)        from histograms of the seeds
    edges    w_pq = strength * exp(-|I_p - I_q|^2 / (2 sigma^2))
    soft cut (color I + L) x = s,   x = +1 and -1 on the seeds,   mask = x > 0

The min cut and the random walker (chapters 1 and 3) get the same unary, edges and seeds.
"""

import torch

from softcut_lib import _checks as check
from softcut_lib.cuts.flow import min_cut
from softcut_lib.cuts.walker import random_walker
from softcut_lib.grid.system import GridSystem
from softcut_lib.grid.weights import image_weights
from softcut_lib.solvers.conjugate import CG
from softcut_lib.solvers.dissection import Direct
from softcut_lib.solvers.interface import solve

METHODS = ("soft-cut", "min-cut", "random-walker")
BACKGROUND, FOREGROUND, FREE = 0, 1, 255
_BINS = 24


def interactive_cut(image, seeds, *, method="soft-cut", sigma=0.05, strength=50.0, color=0.001):
    """Foreground mask of an image on which a few pixels are marked.

    Args:
        image: float (B, C, *grid) in [0, 1].
        seeds: long (B, *grid): 0 background, 1 foreground, 255 free; both in every image.
        method: "soft-cut", "min-cut" or "random-walker".
        sigma: contrast at which an edge has lost 39 % of its weight, in the image's units.
        strength: weight of an edge without contrast, beside the unary's `color`.
        color: weight of the color model that is learned from the seeds. A pixel's colors often
            mislead, and every pixel has them: a thousandth goes a long way. 0 leaves it out, then
            only contrast decides (and the soft cut is the harmonic function of the random walker).

    Returns:
        bool (B, *grid).

    Raises:
        ValueError: an unknown method, sizes that differ, an image without seeds of both kinds,
            values out of range.

    Source: the seeds and the color model of Boykov and Jolly 2001; Grady 2006 for the walker.

    Example:
        >>> import torch
        >>> image = torch.tensor([[[[0.1, 0.1, 0.9, 0.9]]]])
        >>> interactive_cut(image, torch.tensor([[[0, 255, 255, 1]]]))
        tensor([[[False, False,  True,  True]]])
    """
    check.one_of("method", method, METHODS)
    check.grid_axes("image", image, 3)
    check.floating("image", image)
    if isinstance(color, bool) or not isinstance(color, int | float) or not 0 <= color < 1e6:
        raise ValueError(f"color must be a number of at least 0, got {color!r}")
    _check_marks(seeds, image)
    check.positive_number("strength", strength)
    weights = image_weights(image, sigma=sigma, scale=strength)
    # a walk must be able to leave every pixel, or parts without seeds have no answer
    weights = [w.clamp_min(1e-6 * strength) for w in weights]
    unary = color * (2 * seed_colors(image, seeds) - 1) if color else torch.zeros_like(image[:, :1])
    if method == "min-cut":
        return min_cut(unary, weights, seeds=seeds)[:, 0]
    # behind weak edges a residual is small long before the answer is right
    solver = Direct() if image.dim() == 4 else CG(tol=1e-6, max_iter=20_000)
    if method == "random-walker":
        prior = torch.cat([color - unary, color + unary], 1) / 2 if color else None
        walker = random_walker(seeds, weights, labels=2, prior=prior, solver=solver)
        return walker[:, FOREGROUND] > walker[:, BACKGROUND]
    ground = torch.full_like(image[:, 0], color)
    system = GridSystem(weights, ground=ground, grid=tuple(image.shape[2:]))
    held = seeds != FREE
    sign = torch.where(seeds == FOREGROUND, 1.0, -1.0).to(image.dtype)
    system, rhs = system.with_seeds(held, sign.unsqueeze(1))
    x, _ = solve(system, rhs + torch.where(held.unsqueeze(1), 0, unary), solver)
    return x[:, 0] > 0


def seed_colors(image, seeds):
    """P(foreground | color) by Bayes' rule from the smoothed color histograms of the seeds.

    Args:
        image: float (B, C, *grid) in [0, 1], C at most 3.
        seeds: long (B, *grid): 0 background, 1 foreground, 255 free.

    Returns:
        (B, 1, *grid) in (0, 1); 1/2 where neither kind of seed has a similar color.

    Raises:
        ValueError: more than three channels.

    Example:
        >>> import torch
        >>> image = torch.tensor([[[[0.1, 0.12, 0.9, 0.88]]]])
        >>> seed_colors(image, torch.tensor([[[0, 255, 255, 1]]]))[0, 0, 0] > 0.5
        tensor([False, False,  True,  True])
    """
    from scipy.ndimage import gaussian_filter

    channels = image.shape[1]
    if channels > 3:
        raise ValueError(f"image must have 1 to 3 channels for a color model, got {channels}")
    shape = (_BINS,) * channels
    bins = (image.clamp(0, 1) * (_BINS - 1e-3)).long()
    index = torch.zeros_like(bins[:, 0])
    for channel in range(channels):
        index = index * _BINS + bins[:, channel]
    result = []
    for cell, mark in zip(index, seeds, strict=True):
        density = []
        for label in (BACKGROUND, FOREGROUND):
            count = torch.bincount(cell[mark == label], minlength=_BINS**channels).double()
            smooth = gaussian_filter((count / count.sum()).view(shape).cpu().numpy(), 1.0)
            density.append(torch.from_numpy(smooth).flatten().to(cell.device)[cell] + 1e-6)
        result.append(density[FOREGROUND] / (density[FOREGROUND] + density[BACKGROUND]))
    return torch.stack(result).unsqueeze(1).to(image.dtype)


def _check_marks(seeds, image):
    check.is_tensor("seeds", seeds)
    if seeds.dtype != torch.long:
        raise TypeError(f"seeds must be long (torch.int64), got {seeds.dtype}")
    if seeds.shape != (image.shape[0], *image.shape[2:]):
        raise ValueError(
            f"seeds must have the image's size {(image.shape[0], *image.shape[2:])}, "
            f"got {tuple(seeds.shape)}"
        )
    wrong = set(seeds.unique().tolist()) - {BACKGROUND, FOREGROUND, FREE}
    if wrong:
        raise ValueError(
            "seeds must be 0 (background), 1 (foreground) or 255 (free), "
            f"got also {sorted(wrong)[:5]}"
        )
    for label, name in ((FOREGROUND, "foreground"), (BACKGROUND, "background")):
        if not bool((seeds == label).flatten(1).any(1).all()):
            raise ValueError(f"seeds mark no {name} pixel: both kinds are needed in every image")
