"""The Gaussian kernel through landmarks: W = C A^-1 C', of rank m (chapter 14).

C holds the kernel between all pixels and m of them, A that among the m; what the others say to
each other is inferred. O(N m) instead of O(N^2).
"""

import torch

from softcut_lib import _checks as check
from softcut_lib.affinity.dense import kernel
from softcut_lib.affinity.interface import Affinity

_JITTER = 1e-3
"""Added to the diagonal of A, whose smallest eigenvalues are rounding errors."""


class NystromAffinity(Affinity):
    """The Gaussian affinity of an image, approximated through randomly chosen landmark pixels.

    W ~ C (A + 0.001 I)^-1 C',  C_pj = k(f_p, f_zj),  A_ij = k(f_zi, f_zj),  k the Gaussian.

    Symmetric and positive semidefinite, and accurate where the kernel is smooth beside the image
    (large sigmas); a pixel far from every landmark is joined to nothing, itself included. The
    matrix C, N x landmarks numbers, is kept.

    Args:
        image: (B, C, *grid) in 0..255, floating or uint8; any C, any number of grid axes.
        sigma_color, sigma_space, check_range: as in `DenseAffinity`.
        landmarks: how many pixels speak for all, at least 1; all pixels if there are fewer.
        generator: draws the landmarks, the same places in every image of the batch; None
            draws the same ones at every call.

    Attributes:
        shape, degree, symmetric, psd: as in `DenseAffinity`; both last are True.

    Raises:
        TypeError, ValueError: as `DenseAffinity`, and if landmarks is no positive integer.

    Source: Williams and Seeger (2001); Fowlkes et al. (2004) for normalized cuts.

    Example:
        >>> import torch, softcut_lib as sc
        >>> image = torch.linspace(0, 255, 3000).reshape(1, 1, 50, 60)
        >>> sigmas = {"sigma_color": 30, "sigma_space": 30}
        >>> fast = sc.NystromAffinity(image, **sigmas, landmarks=200).degree
        >>> exact = sc.DenseAffinity(image, **sigmas).degree
        >>> bool(((fast - exact).abs() < 0.01 * exact).all())
        True
    """

    def _prepare(self, *, landmarks=256, generator=None):
        check.positive_integer("landmarks", landmarks)
        if generator is None:
            generator = torch.Generator().manual_seed(0)
        points = self.features
        order = torch.randperm(points.shape[1], generator=generator, device=generator.device)
        chosen = points[:, order[:landmarks].to(points.device)]
        self._to_landmarks = torch.stack(
            [kernel(f, z) for f, z in zip(points, chosen, strict=True)]
        )
        among = torch.stack([kernel(z, z) for z in chosen.double()])
        among.diagonal(dim1=1, dim2=2).add_(_JITTER)
        self._inverse = torch.cholesky_inverse(torch.linalg.cholesky(among))

    def _multiply(self, maps, transpose):
        C = self._to_landmarks.to(maps.dtype)
        # the inverse has entries of both signs up to 1000, which cancel: float64, for m columns
        return ((maps @ C).double() @ self._inverse).to(maps.dtype) @ C.mT
