"""Tree energy loss: unmarked pixels should say what their image's tree tells them (chapter 15).

    L = (1/|U|) sum over p in U of sum_k |S_p^k - Y_p^k|,     Y = D^-1 W S,     D = diag(W 1),

U the pixels without a label, W the affinity along a minimum spanning tree. Y are soft pseudo
labels, made anew from the network's own probabilities at every step. Liang et al. (2022).
"""

import torch

from softcut_lib import _checks as check
from softcut_lib.losses.association import check_affinity
from softcut_lib.losses.balanced import region_degree
from softcut_lib.losses.softsets import region, soft_sets
from softcut_lib.losses.targets import known_labels

FORMS = ("detached", "published")


def tree_energy_loss(prob, affinity, *, seeds=None, roi=None, form="detached", check_values=True):
    """Distance of each unlabelled pixel's probabilities to those that the tree averages for it.

    (1/|U|) sum_{p in U} sum_k |S_p^k - Y_p^k|,    Y_p = sum_q W_pq S_q / sum_q W_pq.

    Value: 0 (in particular where all pixels say the same) to 2. Sign: to be minimized. Reduction:
    mean over the unlabelled pixels, then over images (the authors' code averages over the whole
    batch); published beside a mean partial cross-entropy with the factor 0.4.

    detached:   Y is a constant, a target, and the gradient is sign(S_p - Y_p) / |U|.
    published:  the gradient flows through Y as well, as in the authors' code: all pixels of a
                region are then pulled, the labelled ones too. (Theirs also moves the features of
                the second tree, which here are constant.)

    Args:
        prob: (B, L, *grid) probabilities that sum to 1 at every pixel, any L; L = 1 is one
            sigmoid channel p and stands for the two sets 1 - p and p.
        affinity: the W of these very images, `TreeAffinity(image)`; or a sequence of affinities,
            whose averages are taken one after the other: the paper's second tree is that of a
            network's features, `TreeAffinity.from_features(features)`. Constants.
        seeds: (B, *grid) long scribbles, 255 where free. A labelled pixel is not in U; what it
            says is averaged like what the others say, not clamped.
        roi: (B, *grid) bool, the pixels that exist: only they are averaged and counted. The tree
            is that of the whole grid, so paths may cross what is outside.
        form: "detached" or "published".
        check_values: False skips the looks at values (not at shapes), for hot loops.

    Returns:
        A scalar, float32 or wider, under autocast too; an image without an unlabelled pixel adds 0.

    Raises:
        TypeError, ValueError: dtypes, shapes, devices, values or options that do not fit.

    Source: Liang et al. (2022), Tree energy loss: towards sparsely annotated semantic segmentation,
    eqs. 3-7 and the loss built on them; their code for what the gradient does.

    Example:
        >>> import torch, softcut_lib as sc
        >>> W = sc.TreeAffinity(torch.tensor([[[[0.0, 0.0, 255.0, 255.0]]]]))
        >>> sc.tree_energy_loss(torch.tensor([[[[0.0, 0.0, 1.0, 1.0]]]]), W).item() < 1e-6
        True
        >>> sc.tree_energy_loss(torch.tensor([[[[0.0, 1.0, 1.0, 1.0]]]]), W)  # two are torn
        tensor(0.5000)
    """
    check.one_of("form", form, FORMS)
    sets, _ = soft_sets(prob, roi=roi, check_values=check_values)
    counted = inside = region(roi, sets)
    if seeds is not None:
        _, known = known_labels("seeds", seeds, "prob", prob, values=check_values)
        counted = inside * ~known[:, None]
    labels = sets.detach() if form == "detached" else sets
    for each in affinity if isinstance(affinity, (list, tuple)) else [affinity]:
        check_affinity(each)
        with torch.autocast(sets.device.type, enabled=False):
            product = each.matmul(labels)
        # outside the region there is no average, and perhaps no degree either
        labels = inside * product / torch.where(inside > 0, region_degree(each, sets, roi), 1)
    apart = (counted * (sets - labels).abs()).flatten(1).sum(1)
    return (apart / counted.flatten(1).sum(1).clamp_min(1)).mean()
