"""Losses that compare neighbours along the edges of a grid (chapter 13).

    Laplacian (eq. 1):  sum_pq W_pq |S_p - S_q|^2
    Potts (eqs. 2-3):   sum_k S_k'W (1 - S_k) = sum_pq W_pq (1 - S_p'S_q)

Tang et al. (2018). Both sums run over ordered pairs, so they count every edge twice. On hard
labels the first is twice the second, and the second twice the cut of chapter 1; between them lies
the price of being undecided,

    sum_pq W_pq (1 - S_p'S_q) - 1/2 sum_pq W_pq |S_p - S_q|^2 = sum_p d_p (1 - |S_p|^2) >= 0.
"""

from softcut_lib import _checks as check
from softcut_lib.grid.edges import head, jump, tail
from softcut_lib.grid.system import GridSystem
from softcut_lib.losses.softsets import region, soft_sets

FORMS = ("scale-free", "published")


def potts_loss(
    prob, weights, *, offsets=None, seeds=None, roi=None, form="scale-free", check_values=True
):
    """The share of the edges' weight that soft labels cut, averaged over the images.

    scale-free:  sum_k S_k'W (1 - S_k) / 1'W 1 = sum_edges w (1 - S_p'S_q) / sum_edges w
    published:   sum_k S_k'W (1 - S_k)         = 2 sum_edges w (1 - S_p'S_q)

    Value: scale-free 0 to 1; published 0 to twice the sum of the weights, and for hard labels
    twice the Potts term of `cut_energy`. Sign: to be minimized. Reduction: mean over images.

    Args:
        prob: (B, L, *grid) probabilities that sum to 1 at every pixel; L = 1 is one sigmoid
            channel p and stands for the two sets 1 - p and p.
        weights: one tensor (B, *edge_shape) >= 0 per offset, as in the cuts. Differentiable.
        offsets: edge directions; the unit offsets if None.
        seeds: (B, *grid) long scribbles, 255 where free; S is clamped there, with zero gradient.
        roi: (B, *grid) bool; an edge with an end outside does not count.
        form: "scale-free" or "published" (eq. 3 as printed).
        check_values: False skips the looks at values (not at shapes), for hot loops.

    Returns:
        A scalar, float32 or wider; without any weight 0.

    Raises:
        TypeError, ValueError: dtypes, shapes, devices, values or options that do not fit.

    Source: Tang et al. (2018), eqs. 2 and 3; Boykov and Jolly (2001).

    Example:
        >>> import torch, softcut_lib as sc
        >>> prob = torch.tensor([[[[0.0, 1.0, 1.0]]]])
        >>> sc.potts_loss(prob, [torch.zeros(1, 0, 3), torch.tensor([[[1.0, 3.0]]])])
        tensor(0.2500)
    """
    check.one_of("form", form, FORMS)
    sets, _ = soft_sets(prob, seeds=seeds, roi=roi, check_values=check_values)
    return cut_share(sets, weights, offsets, roi, form=form).mean()


def laplacian_loss(
    prob, weights, *, offsets=None, seeds=None, roi=None, form="scale-free", check_values=True
):
    """Squared differences of the soft labels along the edges, averaged over the images.

    scale-free:  sum_pq W_pq |S_p - S_q|^2 / (2 1'W 1) = sum_edges w |S_p - S_q|^2 / (2 sum w)
    published:   sum_pq W_pq |S_p - S_q|^2             = 2 sum_edges w |S_p - S_q|^2

    The half makes the scale-free value that of `potts_loss` on hard labels; on soft ones it is
    smaller, and 0 wherever neighbours agree, decided or not. It is convex.

    Value: scale-free 0 to 1, published 0 to four times the sum of the weights. Sign: to be
    minimized. Reduction: mean over images.

    Args:
        prob, weights, offsets, seeds, roi, form, check_values: as in `potts_loss`.

    Returns:
        A scalar, float32 or wider; without any weight 0.

    Raises:
        TypeError, ValueError: dtypes, shapes, devices, values or options that do not fit.

    Source: Tang et al. (2018), eq. 1; Weston et al. (2012).

    Example:
        >>> import torch, softcut_lib as sc
        >>> edges = [torch.zeros(1, 0, 3), torch.tensor([[[1.0, 3.0]]])]
        >>> sc.laplacian_loss(torch.tensor([[[[0.0, 1.0, 1.0]]]]), edges)
        tensor(0.2500)
        >>> sc.laplacian_loss(torch.full((1, 1, 1, 3), 0.5), edges)
        tensor(0.)
    """
    check.one_of("form", form, FORMS)
    sets, _ = soft_sets(prob, seeds=seeds, roi=roi, check_values=check_values)
    total, weight = _sum_edges(sets, weights, offsets, roi, _square)
    return (2 * total if form == "published" else _relative(total / 2, weight)).mean()


def cut_share(sets, weights, offsets, roi, *, form="scale-free"):
    """The Potts term of each image's soft sets (B, K, *grid), as `potts_loss` but not averaged."""
    total, weight = _sum_edges(sets, weights, offsets, roi, _differ)
    return 2 * total if form == "published" else _relative(total, weight)


def _differ(sets, offset):
    """1 - S_p'S_q: the probability that p and q differ, if they draw their labels by themselves."""
    return 1 - (tail(sets, offset) * head(sets, offset)).sum(1)


def _square(sets, offset):
    return jump(sets, offset).square().sum(1)


def _sum_edges(sets, weights, offsets, roi, apart):
    """Per image, the weighted sum over edges of `apart`, and the sum of the weights."""
    system = GridSystem(weights, offsets=offsets, grid=tuple(sets.shape[2:]))
    check.same_kind("weights[0]", system.weights[0], "prob", sets)
    if system.batch != sets.shape[0] or system.labels is not None:
        raise ValueError(
            f"weights must be shared by all labels and have the batch size of prob, "
            f"{sets.shape[0]}, got {tuple(system.weights[0].shape)}"
        )
    inside = None if roi is None else region(roi, sets)[:, 0]
    total = weight = sets.new_zeros(sets.shape[0])
    for w, offset in zip(system.weights, system.offsets, strict=True):
        if inside is not None:
            w = w * tail(inside, offset) * head(inside, offset)
        total = total + (w * apart(sets, offset)).flatten(1).sum(1)
        weight = weight + w.flatten(1).sum(1)
    return total, weight


def _relative(total, weight):
    return total / weight.clamp_min(1e-30)
