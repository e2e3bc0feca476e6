"""The Gaussian kernel itself: every pair of pixels, block by block (chapter 14).

    (W S)_p = sum_q exp(-|f_p - f_q|^2 / 2) S_q,     N^2 D operations, no approximation.

The oracle that the fast affinities are measured against, and good for small images.
"""

import torch

from softcut_lib.affinity.interface import Affinity

_ENTRIES = {"cpu": 2**20, "other": 2**26}
"""Entries of W that exist at a time: on the CPU 4 MB in float32, so that a block stays in the
cache; elsewhere enough to keep the device busy."""


class DenseAffinity(Affinity):
    """The exact Gaussian affinity of an image, multiplied block by block.

    W_pq = exp(-|I_p - I_q|^2 / (2 sigma_color^2) - |p - q|^2 / (2 sigma_space^2)), W_pp = 1.

    Memory is O(N); time is O(N^2), seconds at 100 x 100 and minutes at 320 x 480. Only S is
    differentiated: the image is a constant of the loss, and one that requires a gradient is
    refused.

    Args:
        image: (B, C, *grid) in 0..255, floating or uint8; any C, any number of grid axes.
        sigma_color: the colour distance, in the image's units, at which W fell to exp(-1/2).
        sigma_space: the same for the distance in pixels.
        check_range: False accepts an image in other units than 0..255, with sigma_color in
            those units.

    Attributes:
        shape: (B, *grid).
        degree: W 1, (B, 1, *grid), computed when first asked for.
        symmetric, psd: True: the Gaussian is a positive definite function (Bochner).

    Raises:
        TypeError: if the image is no tensor, or integer but not uint8.
        ValueError: if it requires a gradient, is empty, not finite or not in 0..255 (one in
            [0, 1] must be multiplied by 255), or if a sigma is below 0.3.

    Source: Tang et al. (2018), eq. 4 and section 4.

    Example:
        >>> import torch, softcut_lib as sc
        >>> image = torch.tensor([[[[0.0, 0.0, 30.0]]]])
        >>> W = sc.DenseAffinity(image, sigma_color=15, sigma_space=100)
        >>> W.matmul(torch.tensor([[[[1.0, 0.0, 0.0]]]]))
        tensor([[[[1.0000, 0.9999, 0.1353]]]])
        >>> W.degree
        tensor([[[[2.1353, 2.1353, 1.2706]]]])
    """

    def _prepare(self):
        pass

    def _multiply(self, maps, transpose):
        points = self.features.to(maps.dtype)
        entries = _ENTRIES["cpu" if points.device.type == "cpu" else "other"]
        rows = max(entries // points.shape[1], 1)
        product = [
            torch.cat([m @ kernel(f, block) for block in f.split(rows)], 1)
            for f, m in zip(points, maps, strict=True)
        ]
        return torch.stack(product)


def kernel(a, b):
    """exp(-|a_i - b_j|^2 / 2) for points a (n, D) and b (m, D).

    Distances from differences, not from |a|^2 + |b|^2 - 2 a.b, which cancels in float32.
    """
    distance = torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")
    # exp(-80) is nothing beside W_pp = 1, and below it float32 slows down on subnormal numbers
    return distance.square_().mul_(-0.5).clamp_min_(-80).exp_()
