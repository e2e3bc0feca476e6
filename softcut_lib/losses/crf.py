"""Losses that compare all pairs of pixels, near and far: dense and gated CRF (chapter 13).

    sum_k S_k'W (1 - S_k) = 1'W 1 - sum_k S_k'W S_k = sum_pq W_pq (1 - S_p'S_q)

is eq. 3 of Tang et al. (2018) with the Gaussian kernel of normalized cut, or with one that ends
after a few pixels. What it lacks beside normalized cut is the denominator, so nothing stops it
from preferring one large class.
"""

import torch

from softcut_lib import _checks as check
from softcut_lib.affinity.features import pixel_features
from softcut_lib.grid.edges import head, jump, tail
from softcut_lib.losses.association import association, check_affinity
from softcut_lib.losses.pairwise import FORMS
from softcut_lib.losses.softsets import image_like, region, soft_sets


def dense_crf_loss(prob, affinity, *, seeds=None, roi=None, form="scale-free", check_values=True):
    """The share of all pairwise affinity that soft labels cut, averaged over the images.

    scale-free:  1 - sum_k S_k'W S_k / 1'W 1
    published:   1'W 1 - sum_k S_k'W S_k = sum_k S_k'W (1 - S_k)       (eq. 3)

    Value: scale-free 0 (all pixels in one class) to 1, to 1 - 1/K for a positive semidefinite W,
    reached where every pixel says 1/K; published 0 to 1'W 1, which grows with the square of the
    number of pixels. (The authors' code leaves the constant 1'W 1 out, so its value is negative;
    the gradient is that of "published".) W_pp = 1 is in it: an undecided pixel pays for itself.
    Sign: to be minimized. Reduction: mean over images.

    Args:
        prob: (B, L, *grid) probabilities that sum to 1 at every pixel; L = 1 is one sigmoid
            channel p and stands for the two sets 1 - p and p.
        affinity: the W of these very images, as in `normalized_cut_loss`. The published form feels
            its scale: calibrate an approximate one.
        seeds: (B, *grid) long scribbles, 255 where free; S is clamped there, with zero gradient.
        roi: (B, *grid) bool, the pixels that exist.
        form: "scale-free" or "published".
        check_values: False skips the looks at values (not at shapes), for hot loops.

    Returns:
        A scalar, float32 or wider, under autocast too.

    Raises:
        TypeError, ValueError: dtypes, shapes, devices, values or options that do not fit.

    Source: Tang et al. (2018), eq. 3, and (2018b), On regularized losses; Kraehenbuehl and Koltun
    (2011).

    Example:
        >>> import torch, softcut_lib as sc
        >>> W = sc.DenseAffinity(torch.tensor([[[[0.0, 0.0, 255.0, 255.0]]]]), sigma_color=15,
        ...                      sigma_space=100)
        >>> sc.dense_crf_loss(torch.full((1, 1, 1, 4), 0.5), W).item()
        0.5
        >>> cut = sc.dense_crf_loss(torch.tensor([[[[0.0, 1.0, 1.0, 1.0]]]]), W)   # 2 of 8 pairs
        >>> round(cut.item(), 3)
        0.25
    """
    check.one_of("form", form, FORMS)
    sets, _ = soft_sets(prob, seeds=seeds, roi=roi, check_values=check_values)
    total, within = _pairs(sets, affinity, roi)
    cut = total - within
    return (cut if form == "published" else cut / total.clamp_min(1e-30)).mean()


def gated_crf_loss(
    prob,
    image,
    *,
    radius=5,
    sigma_color=25.5,
    sigma_space=6.0,
    seeds=None,
    roi=None,
    check_range=True,
    check_values=True,
):
    """Pairs within a window that look alike should be labelled alike; averaged over pixels.

    (1/N) sum_p sum_{q != p in the window} W_pq (1 - S_p'S_q),   W as in `DenseAffinity`.

    Value: 0 to the mean weight of a pixel's window, at most about 70 with the defaults. Sign: to
    be minimized. Reduction: mean over the pixels of the region, then over images. Published
    beside a mean partial cross-entropy with the factor 0.1. A window is local: its zero diagonal
    makes W indefinite, and it cannot stand in for the W of `normalized_cut_loss`.

    Args:
        prob: (B, L, *grid) probabilities that sum to 1 at every pixel, any L; L = 1 is one
            sigmoid channel p and stands for the two sets 1 - p and p.
        image: (B, C, *grid) in 0..255, constant.
        radius: of the window, in pixels: it holds (2 radius + 1)^d pixels.
        sigma_color: in the image's units; the published 0.1 of an image in [0, 1] is 25.5 here.
        sigma_space: in pixels.
        seeds: (B, *grid) long scribbles, 255 where free; S is clamped there, with zero gradient.
        roi: (B, *grid) bool, the pixels that exist; N counts them.
        check_range: False accepts an image in other units than 0..255.
        check_values: False skips the looks at values (not at shapes), for hot loops.

    Returns:
        A scalar, float32 or wider, under autocast too.

    Raises:
        TypeError, ValueError: dtypes, shapes, devices, values or options that do not fit.

    Source: Obukhov et al. (2019), Gated CRF loss.

    Example:
        >>> import torch, softcut_lib as sc
        >>> image = torch.tensor([[[[0.0, 0.0, 255.0]]]])
        >>> sc.gated_crf_loss(torch.tensor([[[[0.0, 0.0, 1.0]]]]), image).item() < 1e-6
        True
        >>> sc.gated_crf_loss(torch.tensor([[[[0.0, 1.0, 1.0]]]]), image)   # 2 exp(-1/72) / 3
        tensor(0.6575)
    """
    check.positive_integer("radius", radius)
    sets, _ = soft_sets(prob, seeds=seeds, roi=roi, check_values=check_values)
    features = pixel_features(
        image_like(image, sets, finite=False),  # pixel_features looks at the values
        sigma_color=sigma_color,
        sigma_space=sigma_space,
        check_range=check_range,
    )
    total, within = _pairs(sets, _Window(features.movedim(-1, 1).to(sets.dtype), radius), roi)
    return ((total - within) / region(roi, sets).flatten(1).sum(1).clamp_min(1)).mean()


def _pairs(sets, affinity, roi):
    """1'W 1 and sum_k S_k'W S_k of each image, (B,) each; 1 is the region's indicator."""
    check_affinity(affinity)
    if roi is None:
        total = affinity.degree.to(sets.dtype).flatten(1).sum(1)
    else:
        with torch.no_grad():
            total = association(region(roi, sets), affinity)[:, 0]
    return total, association(sets, affinity).sum(1)


class _Window:
    """The Gaussian kernel cut off at a distance in each axis, without its diagonal.

    An affinity for `association`: (W S)_p = sum over offsets o of the half window of
    w_o(p) S_{p+o} + w_o(p-o) S_{p-o}. One offset at a time, so that nothing the size of
    a window times the image is ever held, whatever the number of classes.
    """

    symmetric, psd = True, False

    def __init__(self, features, radius):
        self.ones = torch.ones_like(features[:, :1])
        self.edges = []
        for o in _half_window(features.dim() - 2, radius):
            if all(abs(a) < n for a, n in zip(o, features.shape[2:], strict=True)):
                w = torch.exp(-jump(features, o).square().sum(1, keepdim=True) / 2)
                self.edges.append((o, w))

    @property
    def degree(self):
        return self.matmul(self.ones)

    def matmul(self, maps):
        product = torch.zeros_like(maps)
        for offset, w in self.edges:
            tail(product, offset).add_(w * head(maps, offset))
            head(product, offset).add_(w * tail(maps, offset))
        return product


def _half_window(dim, radius):
    """The offsets of a window, each pair of opposite ones once."""
    steps = [()]
    for _ in range(dim):
        steps = [(*s, k) for s in steps for k in range(-radius, radius + 1)]
    return [o for o in steps if next((k for k in o if k), 0) > 0]
