"""Full masks from scribbles by graph cuts: GrabCut, and a network's scores (chapter 15).

    min over labelings y with y = seeds there:   sum_p -s_p(y_p) + sum_pq w_pq [y_p != y_q],

where s is the log-likelihood of a color model for each label (GrabCut, whose models are fitted to
the labeling, and so on in turn), or a network's log-probability (ScribbleSup, which trains the
network on the labeling, and so on in turn). Only the labels that the scribbles name compete.
"""

from __future__ import annotations

import torch

from softcut_lib import _checks as check
from softcut_lib.cuts.expansion import alpha_expansion
from softcut_lib.cuts.flow import check_seeds, min_cut
from softcut_lib.cuts.mixtures import contrast_weights, fit_mixture
from softcut_lib.grid.edges import axis_offsets, diagonal_offsets
from softcut_lib.weak.inference import log_probabilities

FREE = 255


def grabcut_proposal(image, seeds, *, components=5, gamma=50.0, offsets=None, max_iter=10, seed=0):
    """GrabCut from scribbles, for any number of labels.

    A Gaussian mixture of the colors of each label, and the labeling of least energy under them,
    each made from the other. With two labels it is `grabcut`, which starts from a box as well.

    Args:
        image: float32 or float64 (B, C, *grid) in [0, 1].
        seeds: long (B, *grid): labels, 255 free; at least one label in every image.
        components: Gaussians of each mixture, fewer where a label has fewer pixels.
        gamma: weight of the boundary beside the colors.
        offsets: edge directions; in 2-D the 8 neighbors if None, else the axes.
        max_iter: rounds at most; it ends when a labeling repeats.
        seed: of the mixtures' start.

    Returns:
        long (B, *grid).

    Raises:
        ValueError, TypeError: arguments that do not fit, an image without a scribble.
        ModuleNotFoundError: scikit-learn is not installed.

    Source: Rother, Kolmogorov and Blake 2004; as proposals, Tang et al. 2018, Table 2.

    Example:
        >>> import torch
        >>> image = torch.tensor([0.1, 0.1, 0.5, 0.5, 0.9, 0.9]).repeat(4, 1)[None, None]
        >>> seeds = torch.tensor([0, 255, 4, 255, 2, 255]).repeat(4, 1)[None]
        >>> grabcut_proposal(image, seeds, components=1)[0, 0]
        tensor([0, 0, 4, 4, 2, 2])
    """
    check.on_cpu("image", image, "grabcut_proposal")
    check.grid_axes("image", image, 3)
    check.floating("image", image)
    for name, value in (("components", components), ("max_iter", max_iter)):
        check.positive_integer(name, value)
    check_scribbles(seeds, (image.shape[0], *image.shape[2:]))
    if offsets is None:
        offsets = axis_offsets(image.dim() - 2)
        offsets = (*offsets, *diagonal_offsets(2)) if image.dim() == 4 else offsets
    result = []
    for one, marks in zip(image.split(1), seeds.split(1), strict=True):
        names = named(marks)
        weights = contrast_weights(one, offsets, gamma=gamma)
        colors = one[0].flatten(1).T.double().numpy()
        labels, models = marks, [None] * len(names)
        for _ in range(max_iter):
            parts = [colors[(labels == name).flatten().numpy()] for name in names]
            count = min(components, *(len(part) for part in parts))
            models = [
                fit_mixture(part, count, seed, model)
                for part, model in zip(parts, models, strict=True)
            ]
            score = [torch.from_numpy(model.score_samples(colors)) for model in models]
            scores = torch.full((1, max(names) + 1, len(colors)), 0.0, dtype=torch.float64)
            scores[0, names] = torch.stack(score)
            scores = scores.view(1, -1, *one.shape[2:]).to(one.dtype)
            before, labels = labels, least_energy(scores, weights, marks, offsets=offsets)
            if torch.equal(labels, before):
                break
        result.append(labels)
    return torch.cat(result)


def graph_cut_proposal(prob, weights, seeds, *, offsets=None):
    """The labeling that a network's probabilities, the contrast and the scribbles agree on.

    s_p(l) = log P_p(l). Training on it, and asking again, is ScribbleSup's alternation.

    Args:
        prob: (B, L, *grid) probabilities; L = 1 is one sigmoid channel and stands for two labels.
        weights: one tensor (B, *edge_shape) >= 0 per offset, e.g. of `image_weights`.
        seeds: long (B, *grid): labels, 255 free; at least one label in every image.
        offsets: edge directions; the unit offsets if None.

    Returns:
        long (B, *grid), on the CPU.

    Raises:
        ValueError, TypeError: arguments that do not fit, an image without a scribble.

    Source: Lin et al. 2016, section 3, here on pixels where the paper has superpixels.

    Example:
        >>> import torch
        >>> prob = torch.tensor([[[0.9, 0.6, 0.4, 0.1]]])
        >>> graph_cut_proposal(prob, [torch.full((1, 3), 0.3)], torch.tensor([[1, 255, 255, 0]]))
        tensor([[1, 1, 0, 0]])
    """
    check.grid_axes("prob", prob, 3)
    scores = log_probabilities(prob.detach().cpu(), from_logits=False)
    check_scribbles(seeds, (prob.shape[0], *prob.shape[2:]), scores.shape[1])
    weights = [w.detach().cpu() for w in weights]
    return least_energy(scores, weights, seeds.cpu(), offsets=offsets)


def least_energy(scores, weights, seeds, *, offsets=None):
    """Labels of least Potts energy among those that each image's seeds name, seeds held.

    Two labels: exact, by a minimum cut. More: by `alpha_expansion`. One: nothing to choose.

    Args:
        scores: (B, L, *grid); weights: shared by the labels; seeds: long (B, *grid), 255 free.

    Returns:
        long (B, *grid).
    """
    result = []
    for k, marks in enumerate(seeds.split(1)):
        names = named(marks)
        place = torch.full((FREE + 1,), FREE)
        place[names] = torch.arange(len(names))
        chosen, held = scores[k : k + 1, names], place[marks]
        edges = [w[k : k + 1] for w in weights]
        if len(names) == 1:
            labels = torch.zeros_like(marks)
        elif len(names) == 2:
            labels = min_cut(chosen[:, 1:] - chosen[:, :1], edges, offsets=offsets, seeds=held)
            labels = labels[:, 0].long()
        else:
            labels = alpha_expansion(chosen, edges, offsets=offsets, seeds=held)
        result.append(torch.tensor(names)[labels])
    return torch.cat(result)


def named(seeds):
    """The labels that scribbles name, sorted, as a list."""
    return seeds[seeds != FREE].unique().tolist()


def check_scribbles(seeds, shape, labels=FREE):
    """Refuse what are no scribbles long (B, *grid), or an image without any."""
    check_seeds(seeds, shape, labels)
    empty = [k for k, marks in enumerate(seeds) if not bool((marks != FREE).any())]
    if empty:
        raise ValueError(
            f"seeds must mark a pixel in every image, got none in image {empty[0]}; leave it out"
        )
