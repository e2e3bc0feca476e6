"""The Gaussian kernel itself, summed by KeOps: exact, for GPUs, and an extra (chapter 14).

    (W S)_p = sum_q exp(-|f_p - f_q|^2 / 2) S_q

as in `dense`, but the entries of W are never stored, not even block by block: KeOps compiles one
kernel for this formula, which computes an entry in a register and adds it up. Still N^2 D
operations.
"""

import torch

from softcut_lib.affinity.interface import Affinity

_LABELS = 16
"""Labels summed at once: a thread holds so many numbers, and every number of labels is compiled."""


class KeOpsAffinity(Affinity):
    """The exact Gaussian affinity of an image, summed by KeOps (an extra).

    W_pq = exp(-|I_p - I_q|^2 / (2 sigma_color^2) - |p - q|^2 / (2 sigma_space^2)), W_pp = 1.

    The numbers of `DenseAffinity`, to rounding, in O(N) memory. It is made for GPUs and works on a
    CPU too, where O(N^2) is no match for `LatticeAffinity`. KeOps compiles for every dtype, number
    of features and number of labels when they first occur, which takes seconds (g++ for the CPU,
    NVRTC for a GPU), and keeps the result in its cache folder.

    Args:
        image: (B, C, *grid) in 0..255, floating or uint8; any C, any number of grid axes.
        sigma_color, sigma_space, check_range: as in `DenseAffinity`.

    Attributes:
        shape, degree, symmetric, psd: as in `DenseAffinity`; both last are True.

    Raises:
        ImportError: KeOps is missing or cannot be loaded; ``pip install "softcut-lib[keops]"``.
        TypeError, ValueError: as `DenseAffinity`.

    Source: Charlier et al. (2021), Kernel operations on the GPU, with autodiff, without memory
    overflows; the kernel is eq. 4 of Tang et al. (2018).

    Example:
        >>> import torch, softcut_lib as sc
        >>> image = torch.tensor([[[[0.0, 0.0, 30.0]]]])
        >>> W = sc.KeOpsAffinity(image, sigma_color=15, sigma_space=100)    # doctest: +SKIP
        >>> W.matmul(torch.tensor([[[[1.0, 0.0, 0.0]]]]))                   # doctest: +SKIP
        tensor([[[[1.0000, 0.9999, 0.1353]]]])
    """

    def _prepare(self):
        _formulas()

    def _multiply(self, maps, transpose):
        points = self.features.to(maps.dtype)
        product = [
            _row_sums(points.shape[2], part.shape[1])(points, points, part.mT.contiguous())
            for part in maps.split(_LABELS, 1)
        ]
        return torch.cat(product, 2).mT


def _row_sums(dim, labels):
    """(x (B, N, dim), y (B, N, dim), s (B, N, labels)) -> sum over j of k(x_i, y_j) s_j."""
    variables = [f"x = Vi({dim})", f"y = Vj({dim})", f"s = Vj({labels})"]
    return _formulas()("Exp(-SqDist(x, y) / IntCst(2)) * s", variables, axis=1)


def _formulas():
    """KeOps' maker of sums from formulas; KeOps is loaded here, by whoever uses it."""
    try:
        from pykeops.torch import Genred
    except (ImportError, OSError, RuntimeError) as error:
        # without a compiler, or with one it cannot use, KeOps fails while it is loaded
        raise ImportError(
            f'KeOpsAffinity is summed by KeOps ({error}): pip install "softcut-lib[keops]"; '
            "DenseAffinity gives the same numbers and needs nothing"
        ) from error
    return Genred
