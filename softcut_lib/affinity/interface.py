"""What every affinity is: an operator W on maps, W_pq = exp(-|f_p - f_q|^2 / 2) (chapter 14).

f_p stacks a pixel's colour over sigma_color and its place over sigma_space. W has N^2 entries for
N pixels, so an affinity never holds it: it multiplies. `DenseAffinity` does so exactly (and
`KeOpsAffinity`, an extra), `NystromAffinity` through landmarks, `LatticeAffinity` by splatting,
blurring and slicing; a loss takes any of them. `TreeAffinity` has another W, of the same protocol.
"""

import torch

from softcut_lib import _checks as check
from softcut_lib.affinity.features import check_features, pixel_features
from softcut_lib.solvers.precision import full_precision


class Affinity:
    """The protocol: `matmul`, `degree`, `symmetric`, `psd`; see `DenseAffinity` for the arguments.

    A kind of affinity adds `_prepare(**options)`, called once the features stand, and
    `_multiply(maps, transpose)` for maps (B, L, N); W is constant for autograd, so that
    the backward pass of W S is W^T G, by the same operator.
    """

    symmetric = True
    psd = True

    def __init__(self, image, *, sigma_color, sigma_space, check_range=True, **options):
        features = pixel_features(
            image, sigma_color=sigma_color, sigma_space=sigma_space, check_range=check_range
        )
        self._begin(features, options)

    @classmethod
    def from_features(cls, features, **options):
        """The same operator for given features f (B, *grid, D), already divided by their sigmas.

        Args:
            features: float tensor (B, *grid, D) with any D >= 1, constant for autograd.
            options: those of the class, without image, sigma_color, sigma_space, check_range.

        Returns:
            An affinity of this class.

        Raises:
            TypeError, ValueError: as for the class itself.

        Example:
            >>> import torch, softcut_lib as sc
            >>> line = torch.tensor([[[0.0], [1.0], [5.0]]])
            >>> sc.DenseAffinity.from_features(line).degree
            tensor([[[1.6065, 1.6069, 1.0003]]])
        """
        self = cls.__new__(cls)
        self._begin(check_features(features), options)
        return self

    def _begin(self, features, options):
        self.shape = tuple(features.shape[:-1])  # (B, *grid)
        self.features = features.flatten(1, -2).contiguous()  # (B, N, D)
        self._degree = None
        with torch.no_grad(), full_precision(features.device):
            self._prepare(**options)

    def matmul(self, maps, *, transpose=False):
        """W S for every map of every image.

        Args:
            maps: S, (B, L, *grid), floating, on the device of the image; float16 and bfloat16
                are multiplied in float32, also under autocast: sums over an image overflow
                half precision.
            transpose: W^T S instead, the same unless not `symmetric`.

        Returns:
            (B, L, *grid), float32 or wider; differentiable in S any number of times.

        Raises:
            TypeError: if S is no floating tensor.
            ValueError: if its shape or device does not fit the image's.

        Example:
            >>> import torch, softcut_lib as sc
            >>> W = sc.DenseAffinity.from_features(torch.tensor([[[0.0], [1.0]]]))
            >>> W.matmul(torch.tensor([[[1.0, 0.0]]]))
            tensor([[[1.0000, 0.6065]]])
        """
        self._fits(maps)
        if maps.dtype in (torch.float16, torch.bfloat16):
            maps = maps.float()
        return _Multiply.apply(maps, self, bool(transpose))

    @property
    def degree(self):
        """d = W 1, (B, 1, *grid), computed once."""
        if self._degree is None:
            ones = self.features.new_ones((self.shape[0], 1, *self.shape[1:]))
            with torch.no_grad():
                self._degree = self.matmul(ones)
        return self._degree

    def _fits(self, maps):
        check.is_tensor("maps", maps)
        if not maps.is_floating_point():
            raise TypeError(f"maps must be floating point, got {maps.dtype}; call .float()")
        batch, *grid = self.shape
        if maps.dim() != len(grid) + 2 or maps.shape[0] != batch or list(maps.shape[2:]) != grid:
            raise ValueError(
                f"maps must have shape (B, L, *grid) = ({batch}, L, {', '.join(map(str, grid))}), "
                f"as the affinity's image, got {tuple(maps.shape)}; build the affinity from the "
                "images of this very batch, at the size of the maps"
            )
        if maps.device != self.features.device:
            raise ValueError(
                f"maps must be on the affinity's device, {self.features.device}, got "
                f"{maps.device}; build the affinity from an image on that device"
            )


class _Multiply(torch.autograd.Function):
    """S -> W S, linear, so that its derivative is W^T and calls this very function again."""

    @staticmethod
    def forward(maps, affinity, transpose):
        with full_precision(maps.device):
            return affinity._multiply(maps.flatten(2), transpose).reshape(maps.shape)

    @staticmethod
    def setup_context(ctx, inputs, output):
        _, ctx.affinity, ctx.transpose = inputs

    @staticmethod
    def backward(ctx, grad):
        back = _Multiply.apply(grad, ctx.affinity, not ctx.transpose)
        return back, None, None

    @staticmethod
    def vmap(info, axes, maps, affinity, transpose):
        # one affinity for all: what is mapped over is so many labels more
        maps = maps.movedim(axes[0], 1)
        product = _Multiply.apply(maps.flatten(1, 2), affinity, transpose)
        return product.unflatten(1, maps.shape[1:3]), 1
