"""From an image's contrast to conductances: w_pq = scale exp(-|I_p - I_q|^2 / 2 sigma^2) / |o|.

A large w joins two pixels, a small one lets them differ. Chapters 1 and 2 use these weights;
from chapter 10 on a network learns them.
"""

import math

import torch

from softcut_lib import _checks as check
from softcut_lib.grid.edges import axis_offsets, jump


def image_weights(image, *, offsets=None, sigma=0.1, scale=1.0):
    """Edge weights from the contrast of an image: high inside regions, low across edges.

    w_pq = scale * exp(-|I_p - I_q|^2 / (2 sigma^2)) / |q - p|

    Args:
        image: float tensor (B, C, *grid), usually in [0, 1]; channels share the distance.
        offsets: edge directions; the unit offsets if None. Longer offsets (diagonals) get
            smaller weights, in proportion to 1 / length.
        sigma: contrast at which the weight has fallen to exp(-1/2), in the image's units, > 0.
        scale: weight across zero contrast (a conductance beside the ground's 1), > 0.

    Returns:
        A list of tensors (B, *edge_shape(grid, offset)), values in [0, scale].

    Raises:
        ValueError: wrong shape, non-finite image, sigma or scale not above 0.
        TypeError: an integer image (divide by 255 first).

    Source: Boykov and Jolly 2001, their boundary term; it stands for w in thesis eq. 1.

    Example:
        >>> import torch
        >>> C, R = image_weights(torch.tensor([[[[0.0, 0.0, 1.0]]]]), sigma=0.1)
        >>> R
        tensor([[[1.0000e+00, 1.9287e-22]]])
    """
    check.grid_axes("image", image, 3)
    check.floating("image", image)
    check.finite("image", image)
    check.positive_number("sigma", sigma)
    check.positive_number("scale", scale)
    offsets = axis_offsets(image.dim() - 2) if offsets is None else offsets
    weights = []
    for offset in offsets:
        check.offset(offset, image.dim() - 2)
        distance = jump(image, offset).square().sum(1)
        weights.append(scale / math.hypot(*offset) * torch.exp(-distance / (2 * sigma**2)))
    return weights


def length_weights(offsets):
    """Weights with which the cost of a cut is the Euclidean length of its boundary, nearly.

    By Cauchy and Crofton, a curve's length is an average over all lines of how often each crosses
    it. The edges of one offset are parallel lines at distance 1 / |o|; with dphi the share of all
    directions that they stand for,

        w_o = dphi_o / (2 |o|),     sum over offsets of dphi_o = pi.

    Args:
        offsets: 2-D edge directions along different lines. With 4 neighbors a straight boundary
            measures up to sqrt(2) times as long in one direction as in another, with 8 (axes and
            diagonals) 1.09 times, with 16 (knight's moves too) 1.04 times.

    Returns:
        A list of numbers, one per offset. To join them with contrast, multiply by those of
        `image_weights` and by |o|, by which the latter have been divided already.

    Raises:
        ValueError: not 2-D, or two offsets along one line.

    Source: Boykov and Kolmogorov 2003, eq. 3.

    Example:
        >>> [round(w, 4) for w in length_weights([(1, 0), (0, 1)])]
        [0.7854, 0.7854]
    """
    for offset in offsets:
        check.offset(offset, 2)
    lines = [_line(*offset) for offset in offsets]
    if len(set(lines)) < len(lines):
        raise ValueError(f"offsets must point along different lines, got {tuple(offsets)}")
    angles, weights = [math.atan2(*line) for line in lines], []
    for offset, angle in zip(offsets, angles, strict=True):
        # half the gap to the next line on either side; lines repeat after pi
        gaps = sorted((other - angle) % math.pi for other in angles if other != angle)
        share = (gaps[0] + math.pi - gaps[-1]) / 2 if gaps else math.pi
        weights.append(share / (2 * math.hypot(*offset)))
    return weights


def _line(a, b):
    """The shortest offset along this one's line, its first nonzero entry positive."""
    divisor = math.gcd(a, b) * (1 if (a, b) > (0, 0) else -1)
    return a // divisor, b // divisor
