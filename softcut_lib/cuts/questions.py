"""Which pixel should one ask about next? Scribbles that choose their own places (chapter 16).

Hold the seeds of a circuit and let C be the inverse of what is left. One more seed at j, which
turns out to have label l, changes the random walker's answer by (C_ij / C_jj) (1 - q_lj) at i, and
C_ij / C_jj is the probability that a walk from i comes to j before any seed. Hence

    gain_j = F_j^2 sum_l q_lj (1 - q_lj),        F_j = sum_i C_ij / C_jj = (C 1)_j / C_jj:

the square of how many pixels would follow, times the doubt about j.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from softcut_lib import _checks as check
from softcut_lib.cuts.walker import walk_circuit
from softcut_lib.grid.edges import axis_offsets
from softcut_lib.solvers.dissection import Direct


class Question(NamedTuple):
    """The pixel to ask about in each image, and what speaks for every pixel.

    Attributes:
        pixel: long (B, 2), row and column.
        gain: (B, *grid), expected squared change; 0 at seeds.
        followers: (B, *grid), F_j >= 1, in pixels; 0 at seeds.
        variance: (B, *grid), C_jj, the resistance to the seeds; 0 at seeds.
        prob: (B, L, *grid), the random walker's answer so far.
    """

    pixel: torch.Tensor
    gain: torch.Tensor
    followers: torch.Tensor
    variance: torch.Tensor
    prob: torch.Tensor


def best_question(seeds, weights, *, offsets=None, labels=2):
    """The pixel whose label is expected to change the random walker's answer most.

    gain_j = F_j^2 sum_l q_lj (1 - q_lj): if j has label l with the walker's probability q_lj, the
    expected square of the change of sum_i q_li, summed over the labels.

    One factorization, a solve for each label and one more, and the diagonal of the inverse.

    Args:
        seeds: long (B, h, w): a label 0..L-1, or 255 where the pixel is free; at least one seed in
            every connected part of every image.
        weights: [C (B, h-1, w), R (B, h, w-1)] > 0, float32 or float64, e.g. of `image_weights`.
            Where some are tiny beside others, add a least one (1e-4): a pixel that hardly hangs on
            anything else has no followers, but its rounding error may.
        offsets: None, or the unit offsets: the exact inverse is that of `Direct`.
        labels: their number L, at least 2.

    Returns:
        A `Question`; no gradient.

    Raises:
        ValueError, TypeError: arguments that do not fit, an image without a seed, no free pixel.

    Source: ours. The nearest relatives: Zhu, Lafferty and Ghahramani 2003 (active learning on
    harmonic functions), Ma, Garnett and Schneider 2013 (the sum of covariances).

    Example:
        >>> import torch
        >>> seeds = torch.full((1, 1, 5), 255)
        >>> seeds[0, 0, 0], seeds[0, 0, 4] = 0, 1
        >>> best_question(seeds, [torch.ones(1, 0, 5), torch.ones(1, 1, 4)]).pixel
        tensor([[0, 2]])
    """
    check.is_tensor("seeds", seeds)
    check.positive_integer("labels", labels)
    if labels < 2:
        raise ValueError(f"labels must be at least 2, so that there is a doubt, got {labels}")
    free = seeds == 255
    if not bool(free.flatten(1).any(1).all()):
        raise ValueError(
            "seeds must leave a pixel free (255) in every image, else there is nothing to ask"
        )
    with torch.no_grad():
        system, rhs = walk_circuit(seeds, weights, offsets=offsets, labels=labels)
        if system.offsets != axis_offsets(2):
            raise ValueError(
                "weights must be [C, R] of images with 4 neighbors, whose exact inverse `Direct` "
                f"completes, got offsets {system.offsets}; estimate other grids by "
                "`sample_soft_cut`"
            )
        factor = Direct().factor(system)
        answer, _ = factor(system, torch.cat([rhs, free.unsqueeze(1).to(rhs)], 1))
        prob, reached = answer[:, :labels].clamp(0, 1), answer[:, labels]
        prob = prob / prob.sum(1, keepdim=True)
        variance = factor.variances()[:, 0] * free
        # C_jj <= (C 1)_j, since C >= 0: rounding must not leave fewer followers than the pixel
        followers = torch.where(free, (reached / variance).clamp(min=1), 0)
        gain = followers.square() * (prob * (1 - prob)).sum(1)
    # where nothing is in doubt any free pixel will do, a seed will not
    place = torch.where(free, gain, -1).flatten(1).argmax(1)
    pixel = torch.stack(torch.unravel_index(place, free.shape[1:]), 1)
    return Question(pixel, gain, followers, variance, prob)
