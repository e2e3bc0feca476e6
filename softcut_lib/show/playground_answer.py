"""What the playground shows, computed by the library: scribbles and sliders to a field of voltages.

With w = max(exp(-|dI|^2 / 2 sigma^2), 1e-4), the vote t_p = 2 P(foreground | color) - 1 of a color
and sign +1 and -1 on the seeds (0 elsewhere), the soft cut and the minimum cut take

    score_p = g t_p + s sign_p,      ground_p = g + s |sign_p|,

and the random walker holds the seeds and has no ground (chapters 1 to 3).
"""

import numpy as np
import torch

from softcut_lib import _checks as check
from softcut_lib.cuts.flow import min_cut
from softcut_lib.cuts.interactive import BACKGROUND, FOREGROUND, METHODS, seed_colors
from softcut_lib.cuts.walker import random_walker
from softcut_lib.grid.weights import image_weights
from softcut_lib.layers.softcut import soft_cut
from softcut_lib.solvers.superlu import SuperLU

__all__ = ["playground_answer"]

LEAST = 1e-4  # conductance: a walk must be able to leave every pixel


def playground_answer(
    image, seeds, *, method="soft-cut", sigma=0.08, ground=1e-3, strength=10.0, colors=True
):
    """The voltages of a scribbled picture, as the playground defines them.

    (ground + strength [seed]) x_p + sum_q w_pq (x_p - x_q) = ground t_p + strength sign_p

    Args:
        image: uint8 array (h, w, 3).
        seeds: uint8 array (h, w): 0 background, 1 foreground, 255 free; both kinds are needed.
        method: "soft-cut", "min-cut" (-1 and 1), or "random-walker" (2 P(foreground first) - 1,
            without ground and votes).
        sigma: contrast at which a conductance has lost 39 % of its value, in units of white.
        ground: conductance g of the wire from every pixel to its color's vote, > 0.
        strength: conductance s of the wire from a seed to its battery of 1 or -1 volt, > 0.
        colors: whether colors vote; without, t is 0 and the wire g leads to the ground.

    Returns:
        float64 array (h, w) in [-1, 1], positive in the foreground.

    Raises:
        ValueError: sizes or values that do not fit, or seeds of one kind only.

    Source: Boykov and Jolly 2001 for scribbles and votes, thesis eqs. 14-16 for the system, Grady
    2006 for the walker.

    Example:
        >>> import numpy as np
        >>> image = np.zeros((1, 3, 3), np.uint8)
        >>> x = playground_answer(image, np.array([[1, 255, 0]], np.uint8), method="random-walker")
        >>> bool(np.allclose(x, [[1, 0, -1]]))
        True
    """
    check.one_of("method", method, METHODS)
    check.positive_number("ground", ground)
    check.positive_number("strength", strength)
    pixels, marks = _checked(image, seeds)
    weights = [w.clamp_min(LEAST) for w in image_weights(pixels, sigma=sigma)]
    if method == "random-walker":
        chances = random_walker(marks, weights, labels=2, solver=SuperLU())
        return (chances[:, FOREGROUND] - chances[:, BACKGROUND])[0].numpy()
    sign = (marks == FOREGROUND).double() - (marks == BACKGROUND).double()
    votes = 2 * seed_colors(pixels, marks)[:, 0] - 1 if colors else torch.zeros_like(sign)
    scores = (ground * votes + strength * sign).unsqueeze(1)
    if method == "min-cut":
        return min_cut(scores, weights)[0, 0].numpy() * 2.0 - 1.0
    leak = ground + strength * sign.abs()
    return soft_cut(scores, weights, ground=leak, solver=SuperLU())[0, 0].numpy()


def _checked(image, seeds):
    """Image (1, 3, h, w) in [0, 1] and seeds (1, h, w) long, as the library takes them."""
    image, seeds = np.asarray(image), np.asarray(seeds)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise ValueError(
            f"image must be uint8 of shape (h, w, 3), got {image.dtype} {image.shape}; "
            "show.playground takes other kinds of pictures"
        )
    if seeds.shape != image.shape[:2]:
        raise ValueError(f"seeds must have the image's size {image.shape[:2]}, got {seeds.shape}")
    wrong = set(np.unique(seeds).tolist()) - {BACKGROUND, FOREGROUND, 255}
    if wrong:
        raise ValueError(f"seeds must be 0, 1 or 255 (free), got also {sorted(wrong)[:5]}")
    for label, name in ((FOREGROUND, "foreground"), (BACKGROUND, "background")):
        if not (seeds == label).any():
            raise ValueError(f"seeds mark no {name} pixel: both kinds are needed")
    pixels = torch.from_numpy(image.copy()).permute(2, 0, 1).unsqueeze(0).double() / 255
    return pixels, torch.from_numpy(seeds.astype(np.int64)).unsqueeze(0)
