"""How good a segmentation is: accuracy, mean IoU, number of figures (chapter 9).

Thesis, eqs. 8-9 and section 3. A metric takes the probabilities (B, L, *grid) of a network,
or a hard mask, and gives one number per image or their mean.
"""

import numpy as np
import torch
from scipy import ndimage

from softcut_lib import _checks as check
from softcut_lib.losses.targets import in_unit_interval, maps_and_labels, membership


def accuracy(prob, target, *, threshold=0.5, per_image=False, ignore_index=255):
    """Share of the labelled pixels with the right label: (TP + TN) / all, eq. 8.

    With few foreground pixels it is high for a prediction that finds nothing.

    Args:
        prob: (B, L, *grid) probabilities, or a bool mask; L = 1 is the foreground's, decided
            at the threshold, else the label of the largest map is taken.
        target: (B, *grid) long: 0 or 1 for L = 1, else 0 .. L-1; void where `ignore_index`.
        threshold: a probability above it is foreground (L = 1 only).
        per_image: one value per image (B,) instead of their mean.
        ignore_index: the label of void pixels, which are left out.

    Returns:
        A scalar or (B,), between 0 and 1.

    Raises:
        TypeError: if prob is neither floating point nor bool, or target not long.
        ValueError: if shapes or values do not fit, or an image has no labelled pixel.

    Source: thesis, eq. 8.

    Example:
        >>> import torch, softcut_lib as sc
        >>> sc.accuracy(torch.zeros(1, 1, 100), (torch.arange(100) == 0).long()[None])
        tensor(0.9900)
    """
    prob, labels, known = _prediction(prob, target, threshold, ignore_index)
    found = (prob[:, 0] > threshold).long() if prob.shape[1] == 1 else prob.argmax(1)
    total = known.flatten(1).sum(1)
    if int(total.min()) == 0:
        raise ValueError(
            f"target must have a labelled pixel in every image, got only {ignore_index} in image "
            f"{int(total.argmin())}; the share of none is undefined, leave that image out"
        )
    right = ((found == labels) & known).flatten(1).sum(1)
    return _per_image(right.to(prob.dtype) / total, per_image)


def mean_iou(prob, target, *, threshold=0.5, per_image=False, ignore_index=255):
    """Intersection over union of predicted and true sets, averaged over images.

    IoU = (|X n Y| + 1e-7) / (|X u Y| + 1e-7), so empty against empty is 1. For L = 1 the
    foreground's; for more labels first the mean over the labels, background included, each
    map cut at the threshold by itself.

    Args:
        prob: (B, L, *grid) probabilities, or a bool mask.
        target: (B, *grid) long: 0 or 1 for L = 1, else 0 .. L-1; void where `ignore_index`.
        threshold: a probability above it belongs to the set.
        per_image: one value per image (B,) instead of their mean.
        ignore_index: the label of void pixels, which are left out.

    Returns:
        A scalar or (B,), between 0 and 1.

    Raises:
        TypeError: if prob is neither floating point nor bool, or target not long.
        ValueError: if shapes or values do not fit.

    Source: thesis, eq. 9 and section 3; Jaccard (1912).

    Example:
        >>> import torch, softcut_lib as sc
        >>> prob, target = torch.tensor([[[0.9, 0.8, 0.1]]]), torch.tensor([[1, 0, 0]])
        >>> sc.mean_iou(prob, target)
        tensor(0.5000)
    """
    prob, labels, known = _prediction(prob, target, threshold, ignore_index)
    true = membership(labels, known, prob).bool()
    found = prob > threshold  # void pixels hold 0
    both, either = (found & true).flatten(2).sum(2), (found | true).flatten(2).sum(2)
    iou = (both.to(prob.dtype) + 1e-7) / (either.to(prob.dtype) + 1e-7)
    return _per_image(iou.mean(1), per_image)


def labeling_iou(prob, target, *, per_image=False, ignore_index=255):
    """`mean_iou` of the labeling: a pixel belongs to its largest map alone.

    `mean_iou` cuts each map at 1/2 by itself, so that a pixel whose probabilities are all below
    belongs to no set. What is decided by the largest map, like a mean field's answer, is not
    comparable with that.

    Args:
        prob: (B, L, *grid) probabilities or a bool mask; L = 1 is decided at 1/2.
        target, per_image, ignore_index: as in `mean_iou`.

    Returns:
        A scalar or (B,), between 0 and 1.

    Raises:
        TypeError, ValueError: as `mean_iou`.

    Source: the convention of the normalized cut paper, image by image.

    Example:
        >>> import torch
        >>> prob = torch.tensor([[[0.4, 0.4], [0.3, 0.5], [0.3, 0.1]]])
        >>> target = torch.tensor([[0, 1]])
        >>> float(mean_iou(prob, target)) < float(labeling_iou(prob, target)) == 1
        True
    """
    check.is_tensor("prob", prob)
    if prob.dim() > 1 and prob.shape[1] > 1:
        largest = prob.byte().argmax(1, True) if prob.dtype == torch.bool else prob.argmax(1, True)
        prob = torch.zeros_like(prob).scatter(1, largest, 1)
    return mean_iou(prob, target, per_image=per_image, ignore_index=ignore_index)


def count_figures(prob, *, threshold=0.5, background=True, per_image=False):
    """Number of connected pieces of the predicted mask: how noisy is it?

    Pixels that touch, by a side or a corner (8 neighbors in 2-D, 26 in 3-D), are one piece;
    no piece is too small to count, and nothing predicted counts 0. For L > 1 the image is
    divided by the largest map and the pieces of all labels are summed. The papers do not say
    whether those of the background count; here they do unless `background` is False.

    Args:
        prob: (B, L, *grid) probabilities, or a bool mask.
        threshold: a probability above it is foreground (L = 1 only).
        background: whether the pieces of label 0 count (L > 1 only).
        per_image: one count per image, long (B,), instead of their mean.

    Returns:
        A scalar (float) or (B,) (long).

    Raises:
        TypeError: if prob is neither floating point nor bool.
        ValueError: if prob has the wrong shape or values.

    Source: thesis, section 3 ("# distinct figures").

    Example:
        >>> import torch, softcut_lib as sc
        >>> mask = torch.tensor([[1, 0, 0, 1], [0, 1, 0, 0], [0, 0, 0, 1]]).bool()
        >>> sc.count_figures(mask[None, None], per_image=True)
        tensor([3])
    """
    check.is_tensor("prob", prob)
    blank = torch.zeros(prob.shape[:1] + prob.shape[2:], dtype=torch.long, device=prob.device)
    prob, _, _ = _prediction(prob, blank, threshold, 255)
    if prob.shape[1] == 1:
        masks = (prob > threshold).cpu().numpy()
    else:
        labels = np.arange(0 if background else 1, prob.shape[1])
        found = prob.argmax(1).cpu().numpy()
        masks = found[:, None] == labels.reshape(-1, *(1 for _ in found.shape[1:]))
    touching = np.ones((3,) * (prob.dim() - 2))
    counts = [sum(ndimage.label(m, touching)[1] for m in image) for image in masks]
    counts = torch.tensor(counts, device=prob.device)
    return counts if per_image else counts.to(prob.dtype).mean()


def label_counts(prob, target, *, ignore_index=255):
    """Pixels of one image that were given a label rightly, and that have it or were given it.

    Args:
        prob: (1, L, *grid) probabilities or a bool mask; the largest map decides, L = 1 at 1/2.
        target: (1, *grid) long, void where `ignore_index`.

    Returns:
        Two lists of a whole number for each label (both labels for L = 1): intersection and union.

    Example:
        >>> import torch
        >>> prob = torch.tensor([[[0.9, 0.8, 0.1, 0.9]]])
        >>> label_counts(prob, torch.tensor([[1, 0, 0, 255]]))
        ([1, 1], [2, 2])
    """
    prob, labels, known = _prediction(prob, target, 0.5, ignore_index)
    single = prob.shape[1] == 1
    found = (prob[:, 0] > 0.5).long() if single else prob.argmax(1)
    names = torch.arange(2 if single else prob.shape[1], device=prob.device).view(-1, 1)
    given, true = (maps[known][None] == names for maps in (found, labels))
    return tuple(maps.sum(1).tolist() for maps in (given & true, given | true))


def pooled_iou(both, either):
    """Mean over the labels of sum_i both_i / sum_i either_i: the pixels of all images in one pot.

    The convention of PASCAL VOC and CamVid. Labels that neither occur nor are given count nowhere.

    Args:
        both, either: per image a list of counts, see `label_counts`.

    Returns:
        (mean, list of every label's, None where it does not occur).

    Source: Everingham et al. 2010, section 4.4.

    Example:
        >>> pooled_iou([[1, 0, 0], [2, 0, 0]], [[2, 1, 0], [2, 3, 0]])
        (0.375, [0.75, 0.0, None])
    """
    totals = [[sum(column) for column in zip(*counts, strict=True)] for counts in (both, either)]
    each = [right / all_ if all_ else None for right, all_ in zip(*totals, strict=True)]
    there = [value for value in each if value is not None]
    return sum(there) / len(there), each


def _prediction(prob, target, threshold, ignore_index):
    check.is_tensor("prob", prob)
    if isinstance(threshold, bool) or not isinstance(threshold, int | float):
        raise TypeError(f"threshold must be a number, got {threshold!r}")
    if not 0 <= threshold < 1:
        raise ValueError(f"threshold must be at least 0 and below 1, got {threshold!r}")
    prob = prob.detach()
    prob = prob.float() if prob.dtype == torch.bool else prob
    maps, labels, known = maps_and_labels("prob", prob, target, ignore_index)
    in_unit_interval("prob", maps)
    return maps, labels, known


def _per_image(values, per_image):
    return values if per_image else values.mean()
