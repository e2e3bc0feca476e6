"""Losses that look at one pixel at a time: partial cross-entropy and Focal loss (chapter 9).

Both average over the labelled pixels U (those that are not void):

    (1 / |U|) sum over i in U of (1 - p_i)^gamma (-log p_i),

where p_i is the probability given to the true label of pixel i. gamma = 0 is the
cross-entropy, eq. 4; gamma > 0 is the Focal loss, eq. 26.
"""

import torch
from torch.nn.functional import logsigmoid

from softcut_lib import _checks as check
from softcut_lib.losses.targets import in_unit_interval, is_finite, maps_and_labels, reduce


def partial_cross_entropy(
    logits,
    target,
    *,
    ignore_index=255,
    from_logits=True,
    eps=1e-7,
    reduction="mean",
    check_values=True,
):
    """Cross-entropy averaged over the labelled pixels only.

    With every pixel labelled it is the usual cross-entropy (eq. 4 for L = 1). With a random
    part revealed its mean over the draws is the full one. No labelled pixel at all: zero,
    with zero gradient.

    Value: 0 (right and sure of it) upwards without bound; log L where all labels are held equally
    likely, log 2 for L = 1. Sign: to be minimized. Reduction: mean over the labelled pixels of the
    batch, so that an image with more of them weighs more.

    Args:
        logits: (B, L, *grid) scores (any real), or probabilities if not `from_logits`; L = 1
            is one sigmoid channel (the foreground's), else softmax over the L labels.
        target: (B, *grid) long: 0 or 1 for L = 1, else 0 .. L-1; void where `ignore_index`.
        ignore_index: the label of pixels without an answer; they add nothing, to value or
            gradient.
        from_logits: whether sigmoid or softmax is still to come.
        eps: for probabilities only: p is replaced by (p + eps) / (1 + eps) inside the log.
        reduction: "mean" over all labelled pixels of the batch, "sum", or "none".
        check_values: False skips the looks at values (not at shapes), for hot loops.

    Returns:
        A scalar, or with "none" (B, *grid) with zeros at unlabelled pixels. At least float32.

    Raises:
        TypeError: if logits is not floating point or target not long.
        ValueError: if shapes or devices differ, or values or options are out of range.

    Source: thesis, eq. 4 and section 3, Experiment 1; Tang et al. (2018), section 4.1.

    Example:
        >>> import torch, softcut_lib as sc
        >>> logits = torch.tensor([[[2.0, -1.0, 5.0]]])
        >>> sc.partial_cross_entropy(logits, torch.tensor([[1, 255, 255]])).item()
        0.1269...
    """
    options = {"from_logits": from_logits, "eps": eps, "check_values": check_values}
    right, _, known = _log_probabilities(logits, target, ignore_index, **options)
    return _over_labelled(-right, known, reduction)


def focal_loss(
    logits,
    target,
    *,
    gamma=2.0,
    from_logits=True,
    ignore_index=255,
    eps=1e-7,
    reduction="mean",
    check_values=True,
):
    """Cross-entropy in which pixels that are already right weigh little.

    (1 - p)^gamma (-log p), p the probability of the true label: eq. 26 for L = 1, the same
    with softmax probabilities for more labels.

    Args:
        logits: (B, L, *grid) scores, or probabilities if not `from_logits`; L = 1 is one
            sigmoid channel, else softmax over the L labels.
        target: (B, *grid) long: 0 or 1 for L = 1, else 0 .. L-1; void where `ignore_index`.
        gamma: at least 0; 0 gives the cross-entropy.
        from_logits, ignore_index, eps, reduction, check_values: as in `partial_cross_entropy`.

    Returns:
        A scalar, or with "none" (B, *grid) with zeros at unlabelled pixels. At least float32.

    Raises:
        TypeError: if logits is not floating point or target not long.
        ValueError: if shapes or devices differ, or values or options are out of range.

    Source: thesis, appendix B, eq. 26; Lin et al. (2017).

    Example:
        >>> import torch, softcut_lib as sc
        >>> logits, target = torch.tensor([[[2.0, -1.0]]]), torch.tensor([[1, 1]])
        >>> sc.focal_loss(logits, target, reduction="none")
        tensor([[0.0018, 0.7019]])
    """
    if gamma != 0:
        check.positive_number("gamma", gamma)
    options = {"from_logits": from_logits, "eps": eps, "check_values": check_values}
    right, wrong, known = _log_probabilities(logits, target, ignore_index, **options)
    return _over_labelled(-right * (gamma * wrong).exp(), known, reduction)


def _log_probabilities(maps, target, ignore_index, *, from_logits, eps, check_values):
    """log p and log(1 - p) of each pixel's true label, both finite, and the known pixels."""
    check.positive_number("eps", eps)
    name = "logits" if from_logits else "prob"
    maps, labels, known = maps_and_labels(name, maps, target, ignore_index, values=check_values)
    if check_values:
        (is_finite if from_logits else in_unit_interval)(name, maps)
    if maps.shape[1] == 1:
        sign = (2 * labels - 1).to(maps.dtype)
        if from_logits:
            margin = sign * maps[:, 0]
            return logsigmoid(margin), logsigmoid(-margin), known
        right = torch.where(labels == 1, maps[:, 0], 1 - maps[:, 0])
        return _safe_log(right, eps), _safe_log(1 - right, eps), known
    chosen = labels[:, None]
    if not from_logits:
        right = maps.gather(1, chosen)[:, 0]
        return _safe_log(right, eps), _safe_log(1 - right, eps), known
    total = maps.logsumexp(1)
    # log(1 - p) from the other labels' scores: 1 - p itself rounds to zero where p is near 1.
    others = maps.scatter(1, chosen, float("-inf")).logsumexp(1)
    return maps.gather(1, chosen)[:, 0] - total, others - total, known


def _safe_log(p, eps):
    # Maps 0 to eps and 1 to 1, so that a right answer costs nothing and a wrong one has a slope.
    return ((p.clamp(0, 1) + eps) / (1 + eps)).log()


def _over_labelled(values, known, reduction):
    values = torch.where(known, values, 0)
    if reduction == "mean":
        return values.sum() / known.sum().clamp_min(1)
    return reduce(values, reduction)
