"""Losses on what the sets contain: K-means (colours), absent labels (sizes) (chapter 13).

    K-means:  (1/N) sum_p sum_k S_p^k |I_p - mu_k|^2,    mu_k = sum_p S_p^k I_p / sum_p S_p^k
    NEL:      (1/N) sum over labels k absent from the image of <S^k, 1>

Tang et al. (2018), sections 5.1 and 5.2.1. The paper does not write its K-means loss out; the
means above are those that make it least, and so, by the envelope theorem, its gradient is that
for fixed means: |I_p - mu_k|^2 / N.
"""

import torch

from softcut_lib import _checks as check
from softcut_lib.losses.softsets import image_like, region, soft_sets


def kmeans_loss(prob, image, *, seeds=None, roi=None, check_values=True):
    """Mean squared distance of each pixel's colour to the mean colour of its soft class.

    (1/N) sum_p sum_k S_p^k |I_p - mu_k|^2,    gradient |I_p - mu_k|^2 / N.

    Value: 0 to the variance of the image's colours, which it takes where all pixels say the same;
    in the image's units squared. Concave in S. Sign: to be minimized. Reduction: mean over the
    pixels of the region, then over images. A class that holds nothing adds 0, with zero gradient.

    Args:
        prob: (B, L, *grid) probabilities that sum to 1 at every pixel; L = 1 is one sigmoid
            channel p and stands for the two sets 1 - p and p.
        image: (B, C, *grid) colours, or any features, in 0..255 for values as in the paper;
            float32 or float64, constant.
        seeds: (B, *grid) long scribbles, 255 where free; S is clamped there, with zero gradient.
        roi: (B, *grid) bool, the pixels that exist; N counts them.
        check_values: False skips the looks at values (not at shapes), for hot loops.

    Returns:
        A scalar, float32 or wider, under autocast too.

    Raises:
        TypeError, ValueError: dtypes, shapes, devices or values that do not fit.

    Source: Tang et al. (2018), section 5.1.

    Example:
        >>> import torch, softcut_lib as sc
        >>> image = torch.tensor([[[[10.0, 30.0, 100.0, 120.0]]]])
        >>> sc.kmeans_loss(torch.tensor([[[[0.0, 0.0, 1.0, 1.0]]]]), image)
        tensor(100.)
        >>> sc.kmeans_loss(torch.full((1, 1, 1, 4), 0.5), image)
        tensor(2125.)
    """
    sets, _ = soft_sets(prob, seeds=seeds, roi=roi, check_values=check_values)
    inside = region(roi, sets)
    check.floating("image", image)
    colors = image_like(image, sets, finite=check_values).to(sets.dtype)
    pixels = inside.flatten(1).sum(1)
    # Distances do not change when all colours move, and about their mean they cancel least.
    colors = torch.where(inside > 0, colors, 0)
    middle = colors.flatten(2).sum(2) / pixels.clamp_min(1)[:, None]
    colors = (colors.flatten(2) - middle[..., None]) * inside.flatten(2)
    sets = sets.flatten(2)
    size = sets.sum(2)
    full = size > torch.finfo(size.dtype).tiny
    # autocast would take these products in half precision, which overflows and cancels
    with torch.autocast(sets.device.type, enabled=False):
        mean = torch.einsum("bkn,bcn->bkc", sets, colors) / torch.where(full, size, 1)[..., None]
        distance = (
            colors.square().sum(1, keepdim=True)
            - 2 * torch.einsum("bkc,bcn->bkn", mean, colors)
            + mean.square().sum(2, keepdim=True)
        ).clamp_min(0)
    distance = torch.where(full[..., None], distance, 0)
    # The means stay in the graph: their part of the gradient is zero, of the Hessian it is not.
    return ((sets * distance).flatten(1).sum(1) / pixels.clamp_min(1)).mean()


def absent_label_loss(prob, seeds, *, roi=None, check_values=True):
    """The share of an image that is given to labels which none of its scribbles names.

    (1/N) sum over k absent of sum_p S_p^k:  the paper's <S^k, 1>, divided by the pixels.

    Value: 0 to 1. Sign: to be minimized. Reduction: mean over the pixels of the region, then over
    images. An image without a labelled pixel names nothing and excludes nothing: 0.

    Args:
        prob, roi, check_values: as in `kmeans_loss`.
        seeds: (B, *grid) long scribbles, 255 where free. S itself is not clamped here: a
            scribbled pixel's probability of an absent label counts like any other's.

    Returns:
        A scalar, float32 or wider.

    Raises:
        TypeError, ValueError: dtypes, shapes, devices or values that do not fit.

    Source: Tang et al. (2018), section 5.2.1, "non-exist label" (NEL).

    Example:
        >>> import torch, softcut_lib as sc
        >>> prob = torch.tensor([[[0.8, 0.1], [0.1, 0.9], [0.1, 0.0]]])     # 3 labels, 2 pixels
        >>> sc.absent_label_loss(prob, torch.tensor([[0, 1]])).item()       # label 2 is absent
        0.05...
    """
    _, seen = soft_sets(prob, seeds=seeds, roi=roi, check_values=check_values)
    sets, _ = soft_sets(prob, roi=roi, check_values=False)
    absent = ~seen & seen.any(1, keepdim=True)
    mass = torch.where(absent, sets.flatten(2).sum(2), 0).sum(1)
    return (mass / region(roi, sets).flatten(1).sum(1).clamp_min(1)).mean()
