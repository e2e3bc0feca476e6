"""Full masks from scribbles by normalized cut, without a network (chapter 15).

    NC(T) <= NC(S) + sum_k g_k(S)'(T_k - S_k),        g_k of eq. 8, W positive semidefinite.

NC is concave in each class, so its tangent lies above it. The labeling of least tangent, with the
scribbles held, therefore never has a larger NC: "every pixel to the class of least g" repeated is
weighted kernel k-means. `kernel_cut` adds the length of the boundary, and the step is a graph cut.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from softcut_lib import _checks as check
from softcut_lib.losses.balanced import normalized_cut_gradient
from softcut_lib.losses.pairwise import cut_share
from softcut_lib.weak.graphcut import FREE, check_scribbles, least_energy, named


class Proposal(NamedTuple):
    """Labels long (B, *grid), and the energies (steps + 1, B) from the start to the end."""

    labels: torch.Tensor
    energies: torch.Tensor


def seeded_normalized_cut(affinity, seeds, *, start=None, max_iter=50):
    """A labeling of small normalized cut that agrees with scribbles.

    T_p <- argmin_k g_k(S)_p, seeds held, until nothing changes. A local minimum, not the least.

    Args:
        affinity: of these images; `DenseAffinity`, `NystromAffinity` and LatticeAffinity(...,
            mode="psd") are positive semidefinite. With another one the bound may fail; an image
            then stops before its energy would rise.
        seeds: long (B, *grid): labels, 255 free; at least one label in every image. Only the
            labels that an image's scribbles name compete in it.
        start: long (B, *grid), a labeling to start from, such as a network's. None gives each
            pixel the label whose scribbles it resembles most on average, and so does a start that
            holds a label which no scribble names, at those pixels.
        max_iter: steps at most; one product W S each.

    Returns:
        `Proposal(labels, energies)`: the energy is sum_k 1 - S_k'W S_k / d'S_k over the labels
        named, `normalized_cut_loss(..., classes="present")`; it never rises.

    Raises:
        ValueError, TypeError: arguments that do not fit, an image without a scribble.

    Source: Tang et al. 2016 (linear bounds of normalized cut) and 2018, Table 2.

    Example:
        >>> import torch
        >>> from softcut_lib import DenseAffinity
        >>> W = DenseAffinity(torch.tensor([[[0.0, 9.0, 90.0, 99.0]]]), sigma_color=15,
        ...                   sigma_space=100)
        >>> seeds = torch.tensor([[0, 255, 255, 1]])
        >>> seeded_normalized_cut(W, seeds).labels
        tensor([[0, 0, 1, 1]])
    """
    return _descend(affinity, seeds, start, max_iter, None, None, 0.0)


def kernel_cut(affinity, seeds, weights, *, smoothness=1.0, offsets=None, start=None, max_iter=50):
    """Normalized cut plus the length of the boundary: few pixels left alone.

    NC(T) + smoothness * sum_pq w_pq [T_p != T_q] / sum_pq w_pq: the energy of `kernel_cut_loss`.

    Args:
        affinity, seeds, start, max_iter: as in `seeded_normalized_cut`.
        weights: one tensor (B, *edge_shape) >= 0 per offset, e.g. of `image_weights`.
        smoothness: weight of the boundary, above 0.
        offsets: edge directions; the unit offsets if None.

    Returns:
        `Proposal(labels, energies)`; the energies never rise. Each step is a minimum cut (two
        labels) or alpha-expansion, on the CPU.

    Raises:
        ValueError, TypeError: as `seeded_normalized_cut`, and of the weights.

    Source: Tang et al. 2016, Normalized cut meets MRF (KernelCut); 2018, Table 2.

    Example:
        >>> import torch
        >>> from softcut_lib import DenseAffinity, image_weights
        >>> image = torch.tensor([[[0.0, 9.0, 90.0, 99.0]]])
        >>> W = DenseAffinity(image, sigma_color=15, sigma_space=100)
        >>> kernel_cut(W, torch.tensor([[0, 255, 255, 1]]), image_weights(image / 255)).labels
        tensor([[0, 0, 1, 1]])
    """
    check.positive_number("smoothness", smoothness)
    return _descend(affinity, seeds, start, max_iter, weights, offsets, smoothness)


def _descend(affinity, seeds, start, max_iter, weights, offsets, smoothness):
    check.positive_integer("max_iter", max_iter)
    degree = affinity.degree
    shape = (degree.shape[0], *degree.shape[2:])
    check_scribbles(seeds, shape)
    count = max(named(seeds)) + 1
    present = torch.stack([(seeds == k).flatten(1).any(1) for k in range(count)], 1)
    absent = ~present[(...,) + (None,) * (seeds.dim() - 1)]
    edges = None
    if weights is not None:
        total = sum(w.flatten(1).sum(1) for w in weights).clamp_min(1e-30)
        # both parts of the bound times the number of pixels: numbers near 1 for the graph cut
        scale = smoothness * seeds[0].numel() / total
        edges = [w * scale.view(-1, *(1 for _ in w.shape[1:])) for w in weights]

    def measure(labels):
        sets = torch.stack([labels == k for k in range(count)], 1).to(degree.dtype)
        slope = normalized_cut_gradient(sets, affinity)
        # g_k'S_k is minus the share S_k'W S_k / d'S_k that the class keeps
        energy = ((slope * sets).flatten(2).sum(2) + 1).mul(present).sum(1)
        if weights is not None:
            energy = energy + smoothness * cut_share(sets, weights, offsets, None)
        return slope, energy

    with torch.no_grad():
        labels = _nearest(affinity, seeds, count, absent)
        if start is not None:
            check_scribbles(start, shape)
            known = torch.stack([(start == k) & ~absent[:, k] for k in range(count)]).any(0)
            labels = torch.where(known, start, labels)
        labels = torch.where(seeds != FREE, seeds, labels)
        slope, energy = measure(labels)
        energies = [energy]
        for _ in range(max_iter):
            if edges is None:
                moved = slope.masked_fill(absent, float("inf")).argmin(1)
                moved = torch.where(seeds != FREE, seeds, moved)
            else:
                moved = least_energy(-slope * seeds[0].numel(), edges, seeds, offsets=offsets)
            new_slope, new_energy = measure(moved)
            lower = new_energy < energy
            if not bool(lower.any()):
                break
            pick = lower.view(-1, *(1 for _ in shape[1:]))
            labels = torch.where(pick, moved, labels)
            slope = torch.where(pick[:, None], new_slope, slope)
            energy = torch.where(lower, new_energy, energy)
            energies.append(energy)
    return Proposal(labels, torch.stack(energies))


def _nearest(affinity, seeds, count, absent):
    """Each pixel to the label whose scribbles it resembles most on average."""
    sets = torch.stack([seeds == k for k in range(count)], 1).to(affinity.degree.dtype)
    size = sets.flatten(2).sum(2).clamp_min(1)
    alike = affinity.matmul(sets) / size[(...,) + (None,) * (seeds.dim() - 1)]
    return alike.masked_fill(absent, -float("inf")).argmax(1)
