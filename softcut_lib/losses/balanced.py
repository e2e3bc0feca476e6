"""Normalized cut of soft sets: what each set cuts off, relative to its own weight (chapter 13).

    NC(S) = sum_k S_k'W (1 - S_k) / d'S_k = K - sum_k S_k'W S_k / d'S_k,       d = W 1.

Tang et al. (2018), eqs. 6-8. Numerator and denominator belong to one class of one image: pooling
either over classes or images is another loss, whose denominator is a constant.
"""

import torch

from softcut_lib import _checks as check
from softcut_lib.losses.association import association, check_affinity
from softcut_lib.losses.pairwise import cut_share
from softcut_lib.losses.softsets import region, soft_sets


def normalized_cut_loss(prob, affinity, *, seeds=None, roi=None, classes="all", check_values=True):
    """Normalized cut of class probabilities, averaged over the images.

    NC = sum_k S_k'W (1 - S_k) / d'S_k,    S the probabilities, clamped at seeds.

    Its gradient is eq. 8, d (S'W S) / (d'S)^2 - 2 W S / d'S for each class; the one product W S
    of the forward pass serves it too. A class that holds nothing counts 1, the limit of a
    vanishing class, with zero gradient.

    Value: 0 (nothing is cut) to K - 1 for a positive semidefinite W (K for any W >= 0), and K - 1
    exactly where all pixels say the same: that is its *largest* value and stationary, so begin
    with partial cross-entropy. Sign: to be minimized. Reduction: sum over classes, mean over
    images; no division by pixels or classes. Beside a *mean* partial cross-entropy a factor
    lambda of 0.3 to 1.6 is right.

    Args:
        prob: (B, L, *grid) probabilities that sum to 1 at every pixel, L = K classes; L = 1 is one
            sigmoid channel p and stands for the K = 2 sets 1 - p and p.
        affinity: the W of these very images: `DenseAffinity`, `NystromAffinity`,
            `LatticeAffinity`, or any object with `matmul`, `degree`, `symmetric`; a constant.
        seeds: (B, *grid) long scribbles, 255 where free. There S is the label's one-hot vector and
            the gradient exactly 0.
        roi: (B, *grid) bool, the pixels that exist (padding and void out); in S and in d.
        classes: "all", or "present": only the classes that the seeds of an image name. An image
            without a labelled pixel then counts 0.
        check_values: False skips the looks at values (not at shapes), for hot loops.

    Returns:
        A scalar, float32 or wider, under autocast too (S'W S overflows half precision).

    Raises:
        TypeError: if prob is not floating point, seeds not long or roi not bool.
        ValueError: if shapes or devices differ, prob does not sum to 1, a label is out of range,
            an option is unknown, or classes="present" comes without seeds.

    Source: Tang et al. (2018), eqs. 6-8 and section 4.2; Shi and Malik (2000).

    Example:
        >>> import torch, softcut_lib as sc
        >>> W = sc.DenseAffinity(torch.tensor([[[[0.0, 0.0, 255.0, 255.0]]]]), sigma_color=15,
        ...                      sigma_space=100)
        >>> good = torch.tensor([[[[0.0, 0.0, 1.0, 1.0]]]])
        >>> sc.normalized_cut_loss(good, W).item() < 1e-6
        True
        >>> sc.normalized_cut_loss(torch.full_like(good, 0.5), W).item()
        1.0
    """
    check.one_of("classes", classes, ("all", "present"))
    if classes == "present" and seeds is None:
        raise ValueError('classes="present" needs seeds: they say which classes an image has')
    sets, seen = soft_sets(prob, seeds=seeds, roi=roi, check_values=check_values)
    degree = region_degree(affinity, sets, roi)
    terms = 1 - _share(association(sets, affinity), (degree * sets).flatten(2).sum(2))
    if classes == "present":
        terms = torch.where(seen, terms, 0)
    return terms.sum(1).mean()


def kernel_cut_loss(
    prob,
    affinity,
    weights,
    *,
    smoothness=1.0,
    offsets=None,
    seeds=None,
    roi=None,
    classes="all",
    check_values=True,
):
    """Normalized cut plus the length of the boundary: balanced colours and a short outline.

    NC(S) + smoothness * sum_k S_k'V (1 - S_k) / 1'V 1,    V the sparse grid weights (Potts).

    Value: 0 to K - 1 + smoothness for a positive semidefinite W. Sign: to be minimized.
    Reduction: that of `normalized_cut_loss` and of `potts_loss` in its scale-free form.

    Args:
        prob, affinity, seeds, roi, classes, check_values: as in `normalized_cut_loss`.
        weights, offsets: V as in `potts_loss`: one tensor (B, *edge_shape) >= 0 per offset.
        smoothness: weight of the boundary, above 0.

    Returns:
        A scalar, float32 or wider.

    Raises:
        TypeError, ValueError: as for its two parts, or a smoothness that is not above 0.

    Source: Tang et al. (2016), Normalized cut meets MRF; as a loss, Tang et al. (2018b).

    Example:
        >>> import torch, softcut_lib as sc
        >>> image = torch.tensor([[[[0.0, 0.0, 255.0, 255.0]]]])
        >>> W = sc.DenseAffinity(image, sigma_color=15, sigma_space=100)
        >>> edges = sc.image_weights(image / 255)
        >>> prob = torch.tensor([[[[0.0, 0.0, 1.0, 1.0]]]])
        >>> sc.kernel_cut_loss(prob, W, edges).item() < 1e-6
        True
    """
    check.positive_number("smoothness", smoothness)
    options = {"seeds": seeds, "roi": roi, "check_values": check_values}
    balanced = normalized_cut_loss(prob, affinity, classes=classes, **options)
    sets, _ = soft_sets(prob, seeds=seeds, roi=roi, check_values=False)
    return balanced + smoothness * cut_share(sets, weights, offsets, roi).mean()


def normalized_cut_gradient(sets, affinity, *, roi=None):
    """Eq. 8: the gradient of one image's normalized cut by every entry of its soft sets.

    g_k = d (S_k'W S_k) / (d'S_k)^2 - 2 W S_k / d'S_k

    For a positive semidefinite W, NC(T) <= NC(S) + sum_k g_k'(T_k - S_k): NC is concave in each
    class, so its tangent lies above it. That makes "give every pixel to the class with the least
    g" a step that never raises NC: weighted kernel k-means.

    Args:
        sets: S, (B, K, *grid); each image's own gradient is returned, not that of the mean.
        affinity: as in `normalized_cut_loss`, symmetric.
        roi: (B, *grid) bool; d = W roi, and S must be 0 outside.

    Returns:
        (B, K, *grid); 0 for a class that holds nothing.

    Source: Tang et al. (2018), eq. 8; Dhillon et al. (2004).

    Example:
        >>> import torch, softcut_lib as sc
        >>> W = sc.DenseAffinity(torch.zeros(1, 3, 1, 4), sigma_color=15, sigma_space=1000)
        >>> normalized_cut_gradient(torch.full((1, 2, 1, 4), 0.5), W)[0, 0]     # -d / sum of d
        tensor([[-0.2500, -0.2500, -0.2500, -0.2500]])
    """
    degree, product = region_degree(affinity, sets, roi), affinity.matmul(sets)
    volume = (degree * sets).flatten(2).sum(2)
    share = _share((sets * product).flatten(2).sum(2), volume)
    scale = _share(torch.ones_like(volume), volume)
    share, scale = (x[(...,) + (None,) * (sets.dim() - 2)] for x in (share, scale))
    return scale * (degree * share - 2 * product)


def _share(within, volume):
    """S'W S / d'S, and 0 where the volume is."""
    # A volume below the least normal number is a class that softmax rounded away. Both branches
    # of `where` are finite, or its gradient would be NaN.
    full = volume > torch.finfo(volume.dtype).tiny
    return torch.where(full, within / torch.where(full, volume, 1), 0)


def region_degree(affinity, sets, roi):
    """d = W roi, the degree within a region of interest; that of the image if None."""
    check_affinity(affinity)
    if roi is None:
        return affinity.degree.to(sets.dtype)
    with torch.no_grad(), torch.autocast(sets.device.type, enabled=False):
        return affinity.matmul(region(roi, sets))
