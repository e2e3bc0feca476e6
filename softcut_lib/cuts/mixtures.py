"""GrabCut: color models and a minimum cut, each made from the other's answer (chapter 1).

Two Gaussian mixtures, one of the foreground's colors and one of the background's, give the scores;
the minimum cut with weights from the image's contrast gives new foreground; and so on:

    s_p = log P(color_p | foreground) - log P(color_p | background),
    w_pq = gamma exp(-beta |I_p - I_q|^2) / |p - q|,      beta = 1 / (2 mean |I_p - I_q|^2).
"""

import math

import numpy as np
import torch

from softcut_lib import _checks as check
from softcut_lib.cuts.flow import check_seeds, min_cut
from softcut_lib.grid.edges import axis_offsets, diagonal_offsets, jump
from softcut_lib.grid.weights import image_weights

BACKGROUND, FOREGROUND, FREE = 0, 1, 255


def box_seeds(shape, box):
    """Seeds of GrabCut from a rectangle: outside is background, inside is free.

    Args:
        shape: (h, w) of the image.
        box: (top, left, bottom, right) in pixels; bottom and right are exclusive.

    Returns:
        long (1, h, w): 0 outside, 255 inside.

    Raises:
        ValueError: a box that is empty, covers everything, or leaves the image.

    Example:
        >>> box_seeds((2, 4), (0, 1, 2, 3))
        tensor([[[  0, 255, 255,   0],
                 [  0, 255, 255,   0]]])
    """
    h, w = shape
    top, left, bottom, right = box
    inside = 0 <= top < bottom <= h and 0 <= left < right <= w
    if not inside or (bottom - top) * (right - left) == h * w:
        raise ValueError(
            f"box must be (top, left, bottom, right) within the image (0, 0, {h}, {w}) and leave "
            f"some background, got {tuple(box)}"
        )
    seeds = torch.full((1, h, w), BACKGROUND)
    seeds[:, top:bottom, left:right] = FREE
    return seeds


def grabcut(image, seeds, *, components=5, gamma=50.0, offsets=None, max_iter=10, seed=0):
    """Foreground mask of an image from a rectangle or from scribbles.

    Args:
        image: float32 or float64 (B, C, *grid) in [0, 1].
        seeds: long (B, *grid): 0 certain background, 1 certain foreground, 255 free; see
            `box_seeds`. Without foreground seeds, everything that is free starts as foreground.
        components: Gaussians of each mixture; full covariances.
        gamma: weight of the boundary beside the colors (50 in the paper).
        offsets: edge directions; in 2-D the 8 neighbors if None, else the axes.
        max_iter: rounds of color models and cut; it ends when a cut changes nothing.
        seed: of the mixtures' start.

    Returns:
        bool (B, 1, *grid). From a rectangle alone the foreground may shrink to nothing where its
        colors are also those of the background; then mark some of it.

    Raises:
        ValueError, TypeError: arguments that do not fit; an image without background seeds; fewer
            free or foreground pixels than components.
        ModuleNotFoundError: scikit-learn is not installed.

    Source: Rother, Kolmogorov and Blake 2004. The mixtures are scikit-learn's, fitted with soft
    assignments, where the paper assigns each pixel to one Gaussian.

    Example:
        >>> import torch
        >>> image = torch.zeros(1, 1, 8, 8)
        >>> image[..., 2:6, 2:6] = 1
        >>> mask = grabcut(image, box_seeds((8, 8), (1, 1, 7, 7)), components=1)
        >>> bool((mask == (image > 0.5)).all())
        True
    """
    check.on_cpu("image", image, "grabcut")
    check.grid_axes("image", image, 3)
    check.positive_integer("components", components)
    check.positive_number("gamma", gamma)
    check.positive_integer("max_iter", max_iter)
    check_seeds(seeds, (image.shape[0], *image.shape[2:]), labels=2)
    _check_start(seeds, components)
    if offsets is None:
        offsets = axis_offsets(image.dim() - 2)
        offsets = (*offsets, *diagonal_offsets(2)) if image.dim() == 4 else offsets
    masks = [
        _one(image[k : k + 1], seeds[k : k + 1], components, gamma, tuple(offsets), max_iter, seed)
        for k in range(image.shape[0])
    ]
    return torch.cat(masks)


def _one(image, seeds, components, gamma, offsets, max_iter, seed):
    weights = contrast_weights(image, offsets, gamma=gamma)
    color = image[0].flatten(1).T.double().numpy()
    mask = (seeds != BACKGROUND).unsqueeze(1)
    if bool((seeds == FOREGROUND).any()):
        mask = (seeds == FOREGROUND).unsqueeze(1)
    back = (seeds == BACKGROUND).unsqueeze(1)
    models = None
    for _ in range(max_iter):
        models = [
            fit_mixture(color[part.flatten().numpy()], components, seed, previous)
            for part, previous in zip((mask, back), models or (None, None), strict=True)
        ]
        score = models[0].score_samples(color) - models[1].score_samples(color)
        scores = torch.from_numpy(score).to(image.dtype).view_as(mask)
        before, mask = mask, min_cut(scores, weights, offsets=offsets, seeds=seeds)
        back = ~mask
        if torch.equal(mask, before) or int(mask.sum()) < components:
            break
    return mask


def contrast_weights(image, offsets, *, gamma=50.0):
    """Edge weights gamma exp(-beta |dI|^2) / |offset| of one image, beta from its own contrast."""
    contrast = torch.cat([jump(image, o).square().sum(1).flatten() for o in offsets]).mean()
    # an image of one color has no contrast to measure against; any sigma gives the same weights
    sigma = math.sqrt(float(contrast)) or 1.0
    return image_weights(image, offsets=offsets, sigma=sigma, scale=gamma)


def fit_mixture(color, components, seed=0, previous=None):
    """A Gaussian mixture of these colors (n, C), continued from the previous round's."""
    try:
        from sklearn.mixture import GaussianMixture
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "grabcut fits its color models with scikit-learn: pip install scikit-learn"
        ) from error
    few = len(np.unique(color, axis=0))
    count = min(components, few)
    start = {}
    if previous is not None and previous.n_components == count:
        start = {"weights_init": previous.weights_, "means_init": previous.means_,
                 "precisions_init": previous.precisions_}  # fmt: skip
    # colors of 8 bits: a spread below half a step of them means nothing
    mixture = GaussianMixture(
        count, reg_covar=(0.5 / 255) ** 2, max_iter=20, tol=1e-2, random_state=seed, **start
    )
    return _quiet(mixture.fit, color)


def _quiet(fit, color):
    """One round need not converge: the rounds of GrabCut continue it."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return fit(color)


def _check_start(seeds, components):
    for k, seed in enumerate(seeds):
        background = int((seed == BACKGROUND).sum())
        foreground = int((seed == FOREGROUND).sum()) or int((seed == FREE).sum())
        if min(background, foreground) < components:
            raise ValueError(
                f"seeds must leave each color model at least {components} pixels, got "
                f"{background} of background and {foreground} of foreground (or free) in image {k}"
            )
