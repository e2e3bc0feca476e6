"""Soft sets: how the losses of chapter 13 read class probabilities, scribbles and regions.

S (B, K, *grid) holds one soft set per class, and every pixel shares itself out: S_p^k >= 0 and
sum_k S_p^k = 1. A scribbled pixel (a seed) belongs to its label wholly, whatever the network says
of it, and so has no gradient. A pixel outside the region of interest belongs to no set.
"""

import torch
from torch._C._functorch import is_batchedtensor as _is_batched

from softcut_lib import _checks as check
from softcut_lib.losses.targets import (
    in_unit_interval,
    known_labels,
    membership,
    pixel_shape,
    wide_maps,
)


def soft_sets(prob, *, seeds=None, roi=None, check_values=True):
    """The sets that a loss compares: probabilities, clamped at seeds, zero outside the region.

    S_p = one-hot(y_p) where seeds give y_p, prob_p elsewhere, 0 outside the region.

    Args:
        prob: (B, L, *grid) class probabilities, each pixel's summing to 1; L = 1 is one sigmoid
            channel p and stands for the two sets (1 - p, p).
        seeds: (B, *grid) long labels, 255 where nothing is known; 0 and 1 for L = 1.
        roi: (B, *grid) bool, true for the pixels that take part; all if None.
        check_values: False skips the looks at values (not at shapes), for hot loops.

    Returns:
        S (B, max(L, 2), *grid), float32 or wider, and seen (B, max(L, 2)), true for the classes
        that the seeds of an image name (None without seeds).

    Raises:
        TypeError: a wrong dtype.
        ValueError: shapes or devices that differ, labels out of range, pixels that do not sum to 1.
    """
    if check_values and isinstance(prob, torch.Tensor) and _is_batched(prob):
        raise ValueError(
            "check_values must be False under torch.func.vmap, which cannot look at values; check "
            "one sample without it first"
        )
    half = isinstance(prob, torch.Tensor) and prob.dtype in (torch.float16, torch.bfloat16)
    sets = wide_maps("prob", prob)
    inside = None if roi is None else _region(roi, sets)
    if inside is not None:
        # replaced, not multiplied by zero: padding may hold anything
        sets = torch.where(inside, sets, 0)
    if check_values:
        in_unit_interval("prob", sets)
    if sets.shape[1] == 1:
        sets = torch.cat([1 - sets, sets], 1)
        sets = sets if inside is None else torch.where(inside, sets, 0)
    elif check_values:
        _sums_to_one(sets, inside, 2e-2 if half else 1e-3)
    if seeds is None:
        return sets, None
    labels, known = known_labels("seeds", seeds, "prob", prob, values=check_values)
    known = known if inside is None else known & inside[:, 0]
    hot = membership(labels, known, sets)
    return torch.where(known[:, None], hot, sets), hot.flatten(2).amax(2) > 0


def region(roi, like):
    """The region of interest as 0/1 maps (B, 1, *grid) of the dtype of `like`; ones if None."""
    if roi is None:
        return like.new_ones((like.shape[0], 1, *like.shape[2:]))
    return _region(roi, like).to(like.dtype)


def image_like(image, sets, *, finite=True):
    """Refuse an image without the batch, the grid or the device of the sets; a constant."""
    check.grid_axes("image", image, sets.dim())
    expected = (sets.shape[0], image.shape[1], *sets.shape[2:])
    if tuple(image.shape) != expected:
        raise ValueError(
            f"image must have the batch and the grid of prob, {(expected[0], 'C', *expected[2:])}, "
            f"got {tuple(image.shape)}"
        )
    if image.device != sets.device:
        raise ValueError(
            f"image must be on the device of prob, {sets.device}, got {image.device}; "
            "move one of them with .to(...)"
        )
    if finite:
        check.finite("image", image)
    return image.detach()


def _region(roi, maps):
    check.is_tensor("roi", roi)
    if roi.dtype != torch.bool:
        raise TypeError(f"roi must be bool, true inside, got {roi.dtype}; compare it: roi > 0")
    pixel_shape("roi", roi, "prob", maps)
    return roi[:, None]


def _sums_to_one(sets, inside, tolerance):
    total = sets.detach().sum(1, keepdim=True)
    gap = (total - 1).abs()
    gap = gap if inside is None else torch.where(inside, gap, 0)
    if not float(gap.max()) <= tolerance:
        worst = float(total.flatten()[gap.argmax()])
        raise ValueError(
            f"prob must sum to 1 over its {sets.shape[1]} labels at every pixel, got a sum of "
            f"{worst:g}; pass the scores through softmax over dim 1 (not sigmoid), and mark "
            "padding by roi"
        )
