"""The energy of a hard segmentation, which a minimum cut makes as small as it can be (chapter 1).

    E(F) = sum_{p in F} b_p + sum_{p not in F} f_p + sum_{pq cut} w_pq,

with f = max(score, 0) and b = max(-score, 0): a pixel pays for the label that its score speaks
against, an edge pays where its two ends differ.
"""

import torch

from softcut_lib import _checks as check
from softcut_lib.grid.edges import jump
from softcut_lib.grid.system import GridSystem


def cut_energy(labels, scores, weights, *, offsets=None):
    """Energy of a labeling: what its labels cost plus the weights of the edges it cuts.

    Two labels (L = 1):  sum_F max(-score, 0) + sum_B max(score, 0) + sum_{cut} w.
    Several labels:      sum_p (max_l score_l - score_label) + sum_{cut} w  (Potts).

    Args:
        labels: bool (B, 1, *grid), true for the foreground F, or long (B, *grid) with values in
            0..L-1 (0 and 1 where L = 1).
        scores: float32 or float64 (B, L, *grid); large for the label. Differentiable.
        weights: one tensor (B, *edge_shape) >= 0 per offset, shared by all labels. Differentiable.
        offsets: edge directions; the unit offsets if None.

    Returns:
        Tensor (B,) of the scores' dtype.

    Raises:
        ValueError, TypeError: shapes, dtypes or values that do not fit.

    Source: thesis, eq. 1 (its condition reads |F n {i, j}| = 1), with the terminal capacities that
    the published code most likely used; Boykov and Jolly 2001.

    Example:
        >>> import torch
        >>> scores, w = torch.tensor([[[[3.0, -1.0]]]]), [torch.zeros(1, 0, 2), torch.ones(1, 1, 1)]
        >>> cut_energy(torch.tensor([[[[True, True]]]]), scores, w)     # pays b = 1 on the right
        tensor([1.])
    """
    system = cut_system(scores, weights, offsets)
    chosen = _chosen(labels, scores)
    if scores.shape[1] == 1:
        unary = torch.where(chosen == 1, (-scores[:, 0]).clamp(min=0), scores[:, 0].clamp(min=0))
    else:
        unary = scores.amax(1) - scores.gather(1, chosen.unsqueeze(1)).squeeze(1)
    energy = unary.flatten(1).sum(1)
    for w, offset in zip(system.weights, system.offsets):
        w = w.squeeze(1) if w.dim() == scores.dim() else w
        energy = energy + (w * (jump(chosen, offset) != 0)).flatten(1).sum(1)
    return energy


def cut_system(scores, weights, offsets):
    """The checked weights and offsets of a cut, as a `GridSystem`."""
    check.grid_axes("scores", scores, 3)
    check.floating("scores", scores)
    check.finite("scores", scores)
    check.not_empty("scores", scores)
    system = GridSystem(weights, offsets=offsets, grid=scores.shape[2:])
    check.same_kind("weights[0]", system.weights[0], "scores", scores)
    if system.batch != scores.shape[0]:
        raise ValueError(
            f"weights must have the batch size of scores, {scores.shape[0]}, got {system.batch}"
        )
    if system.labels not in (None, 1):
        raise ValueError(
            f"weights must be shared by all labels, got {system.labels} label channels; "
            "the price of cutting an edge between two labels would depend on which one is asked"
        )
    return system


def _chosen(labels, scores):
    """Labels as long (B, *grid), checked."""
    check.is_tensor("labels", labels)
    batch, count, *grid = scores.shape
    if labels.dtype == torch.bool and count == 1 and tuple(labels.shape) == (batch, 1, *grid):
        return labels[:, 0].long()
    if labels.dtype != torch.long or tuple(labels.shape) != (batch, *grid):
        raise ValueError(
            f"labels must be long {(batch, *grid)}"
            f"{f' or bool {(batch, 1, *grid)}' * (count == 1)}, "
            f"got {labels.dtype} {tuple(labels.shape)}"
        )
    top = max(count, 2) - 1
    if labels.numel() and not 0 <= int(labels.min()) <= int(labels.max()) <= top:
        raise ValueError(
            f"labels must lie in 0..{top}, got {int(labels.min())}..{int(labels.max())}; every "
            "pixel needs a label, 255 (free, void) has no energy"
        )
    return labels
