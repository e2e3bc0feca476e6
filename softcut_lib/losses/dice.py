"""Dice loss, 1 - 2 |X n Y| / (|X| + |Y|) for soft sets, and Focal Dice (chapter 9).

Thesis, eqs. 5-7 and appendix B, eqs. 27-28, with the sign of eq. 27 corrected. Both speak of
one label at a time: a label's predicted set (probabilities) against its true set (0 or 1).
"""

import torch

from softcut_lib import _checks as check
from softcut_lib.losses.targets import in_unit_interval, maps_and_labels, membership, reduce


def dice_loss(
    prob,
    target,
    *,
    squared=False,
    pooled=False,
    smooth=0.0,
    eps=1e-7,
    absent="zero",
    reduction="mean",
    ignore_index=255,
    check_values=True,
):
    """One minus the overlap of the predicted and the true set, relative to their sizes.

    D = (2 sum p y + smooth) / max(sum p + sum y + smooth, eps), loss = 1 - D; with
    ``squared`` the sizes are sum p^2 + sum y^2 (eq. 7). The defaults are the published code's
    (linear sizes), which also gives a label that the target lacks no loss at all.

    Args:
        prob: (B, L, *grid) probabilities; L = 1 is the foreground's, else one map per label.
        target: (B, *grid) long: 0 or 1 for L = 1, else 0 .. L-1; void where `ignore_index`.
        squared: squares in the sizes, as in eq. 7.
        pooled: one set over the whole batch (as the published code) instead of one per image.
        smooth: added above and below, at least 0; it makes empty against empty a perfect match.
        eps: the least denominator, above 0.
        absent: what a label gets that no labelled pixel of its set has: "zero" (no loss, no
            gradient) or "count" (the formula, so every predicted pixel is a mistake).
        reduction: "mean" over images and labels, "sum", or "none".
        ignore_index: the label of void pixels; they add nothing, to value or gradient.
        check_values: False skips the looks at values (not at shapes), for hot loops.

    Returns:
        A scalar; with "none" (B, L), or (L,) when pooled. At least float32.

    Raises:
        TypeError: if prob is not floating point or target not long.
        ValueError: if shapes or devices differ, or values or options are out of range.

    Source: thesis, eqs. 5-7; Dice (1945).

    Example:
        >>> import torch, softcut_lib as sc
        >>> prob = torch.tensor([[[0.9, 0.6, 0.0, 0.0]]])
        >>> sc.dice_loss(prob, torch.tensor([[1, 1, 0, 255]])).item()  # 1 - 2 * 1.5 / 3.5
        0.1428...
    """
    prob, labels, known = maps_and_labels("prob", prob, target, ignore_index, values=check_values)
    if check_values:
        in_unit_interval("prob", prob)
    options = {"squared": squared, "pooled": pooled, "smooth": smooth, "eps": eps}
    options |= {"absent": absent, "reduction": reduction}
    return _one_minus_dice(prob, membership(labels, known, prob), **options)


def focal_dice_loss(
    prob,
    target,
    *,
    threshold=0.5,
    gamma=2.0,
    squared=False,
    pooled=False,
    smooth=1e-7,
    eps=1e-7,
    absent="count",
    reduction="mean",
    ignore_index=255,
    check_values=True,
):
    """Dice loss of probabilities first pushed away from a threshold by an S-curve.

    q = S(p), loss = 1 - (2 sum q y + smooth) / max(sum q + sum y + smooth, eps), with S the
    corrected curve of `s_curve`. For threshold 1/2 and gamma 2, q = sigmoid(2 logit p): Focal
    Dice is the Dice loss of doubled logits. The defaults of smooth and absent are the
    published code's, which differ from those of its Dice loss.

    Args:
        prob: (B, L, *grid) probabilities; L = 1 is the foreground's, else one map per label.
        target: (B, *grid) long: 0 or 1 for L = 1, else 0 .. L-1; void where `ignore_index`.
        threshold: the fixed point 0 < t < 1 of the decision; S(t) = 1/2.
        gamma: the steepness, at least 1; 1 with threshold 1/2 leaves the Dice loss.
        squared, pooled, smooth, eps, absent, reduction, ignore_index, check_values: as in
            `dice_loss`.

    Returns:
        A scalar; with "none" (B, L), or (L,) when pooled. At least float32.

    Raises:
        TypeError: if prob is not floating point or target not long.
        ValueError: if shapes or devices differ, or values or options are out of range.

    Source: thesis, appendix B, eqs. 27-28 (printed with a minus in the denominator).

    Example:
        >>> import torch, softcut_lib as sc
        >>> logits, target = torch.tensor([[[2.0, -0.5, -1.0]]]), torch.tensor([[1, 1, 0]])
        >>> focal = sc.focal_dice_loss(logits.sigmoid(), target, smooth=0.0)
        >>> doubled = sc.dice_loss((2 * logits).sigmoid(), target)
        >>> torch.allclose(focal, doubled)
        True
    """
    prob, labels, known = maps_and_labels("prob", prob, target, ignore_index, values=check_values)
    if check_values:
        in_unit_interval("prob", prob)
    hot = membership(labels, known, prob)
    curved = s_curve(prob, threshold=threshold, gamma=gamma)  # void stays 0
    options = {"squared": squared, "pooled": pooled, "smooth": smooth, "eps": eps}
    options |= {"absent": absent, "reduction": reduction}
    return _one_minus_dice(curved, hot, **options)


def s_curve(x, *, threshold=0.5, gamma=2.0):
    """Push probabilities away from a threshold: S(0) = 0, S(t) = 1/2, S(1) = 1.

    S(x) = (x(1-t))^g / ((x(1-t))^g + ((1-x)t)^g), which is sigmoid(g (logit x - logit t)).
    For t = 1/2 this is the corrected eq. 27; for other t eq. 27 shifts x out of [0, 1].

    Args:
        x: probabilities of any shape; values beyond [0, 1] are clipped.
        threshold: t, between 0 and 1.
        gamma: g, at least 1.

    Returns:
        A tensor like x, in [0, 1].

    Raises:
        ValueError: if threshold or gamma is out of range.

    Source: thesis, appendix B, eq. 27, corrected.

    Example:
        >>> import torch
        >>> s_curve(torch.tensor([0.0, 0.25, 0.5, 1.0]))
        tensor([0.0000, 0.1000, 0.5000, 1.0000])
    """
    check.positive_number("threshold", threshold)
    check.positive_number("gamma", gamma)
    if threshold >= 1:
        raise ValueError(f"threshold must lie between 0 and 1, got {threshold!r}")
    if gamma < 1:
        raise ValueError(
            f"gamma must be at least 1, got {gamma!r}; below 1 the curve pulls probabilities "
            "towards the threshold and its slope at 0 and 1 is infinite"
        )
    x = x.clamp(0, 1)
    up, down = x * (1 - threshold), (1 - x) * threshold
    # S does not change when both are divided by a constant, and the larger becomes 1, so
    # that no power underflows to 0 / 0.
    scale = torch.maximum(up, down).detach()
    up, down = (up / scale) ** gamma, (down / scale) ** gamma
    return up / (up + down)


def _one_minus_dice(soft, hot, *, squared, pooled, smooth, eps, absent, reduction):
    check.positive_number("eps", eps)
    check.one_of("absent", absent, ("zero", "count"))
    if smooth != 0:
        check.positive_number("smooth", smooth)
    axes = tuple(a for a in range(soft.dim()) if a != 1 and (pooled or a > 0))
    overlap, true = (soft * hot).sum(axes), hot.sum(axes)
    size = (soft.square() if squared else soft).sum(axes) + true  # y^2 = y for 0 and 1
    loss = 1 - (2 * overlap + smooth) / (size + smooth).clamp_min(eps)
    if absent == "zero":
        loss = torch.where(true > 0, loss, 0)
    return reduce(loss, reduction)
