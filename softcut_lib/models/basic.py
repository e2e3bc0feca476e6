"""The small convolutional networks of the thesis: one for the scores, one for each edge direction.

A score net maps an image to scores, an edge net maps it to conductances

    w_k = activation(crop_k(f_k(image))) > 0,        one net f_k for each edge direction k.

Chapter 10.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from softcut_lib.grid.edges import axis_offsets, crop_edges

_CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
_ACTIVATIONS = {"exp": torch.exp, "softplus": nn.functional.softplus}


class BasicNet(nn.Sequential):
    """Plain stack of convolutions with ReLU between them that keeps the image's size.

    ``scores = conv_n(relu(... relu(conv_1(image))))``, zero padding, no normalization. The defaults
    are the thesis' score net (19,969 parameters, receptive field 7 x 7); ``dilations`` widen the
    receptive field, ``1 + (kernel_size - 1) * sum(dilations)``, at the same cost.

    Args:
        in_channels: channels C of the image (B, C, *grid).
        channels: output channels of the hidden convolutions, in order.
        out_channels: labels L of the scores (B, L, *grid).
        kernel_size: odd width of every kernel.
        dilations: one dilation for each of the ``len(channels) + 1`` convolutions; default all 1.
        dim: 1, 2 or 3, the dimension of the grid.

    Returns (when called):
        scores (B, L, *grid).

    Raises:
        ValueError: an even kernel, a wrong number of dilations, an unknown dimension.

    Source: SoftCut thesis, section 4.1 and Fig. 13.

    >>> import torch
    >>> from softcut_lib import BasicNet
    >>> net = BasicNet()
    >>> net(torch.zeros(1, 3, 8, 10)).shape
    torch.Size([1, 1, 8, 10])
    >>> sum(p.numel() for p in net.parameters()), net.receptive_field
    (19969, 7)
    """

    def __init__(
        self,
        in_channels: int = 3,
        channels: tuple[int, ...] = (32, 64),
        out_channels: int = 1,
        *,
        kernel_size: int = 3,
        dilations: tuple[int, ...] | None = None,
        dim: int = 2,
    ):
        convolution = _convolution(dim)
        widths = (in_channels, *channels, out_channels)
        count = len(widths) - 1
        dilations = (1,) * count if dilations is None else tuple(dilations)
        if kernel_size % 2 != 1:
            raise ValueError(
                f"kernel_size: expected an odd width, so that the size is kept; got {kernel_size}"
            )
        if len(dilations) != count or min(dilations) < 1:
            raise ValueError(
                f"dilations: expected {count} positive numbers, one for each convolution "
                f"(len(channels) + 1); got {dilations}"
            )
        layers: list[nn.Module] = []
        for before, after, dilation in zip(widths, widths[1:], dilations, strict=False):
            padding = dilation * (kernel_size // 2)
            layers += [
                convolution(before, after, kernel_size, padding=padding, dilation=dilation),
                nn.ReLU(),
            ]
        super().__init__(*layers[:-1])
        self.receptive_field = 1 + (kernel_size - 1) * sum(dilations)


class EdgeNet(nn.Module):
    """One independent small network for each edge direction; its output are conductances.

    ``weights[k] = activation(crop(f_k(image), offsets[k]))``: the map is cropped at the edges' tail
    pixels (in 2-D the last row of the column map, the last column of the row map), then made
    positive. Nothing is clamped.

    Args:
        in_channels: channels C of the image (B, C, *grid).
        channels: hidden channels of each net.
        offsets: edge directions; default the axis offsets of ``dim`` dimensions.
        activation: "exp" (the thesis' basic net) or "softplus" (its U-Nets).
        initial: conductance wanted at the start. The last bias is set to it and the last kernel
            shrunk tenfold, so that all edges begin near this value; None keeps PyTorch's start
            (with "exp": about 1).
        kernel_size: odd width of every kernel.
        dim: 1, 2 or 3, the dimension of the grid.

    Returns (when called):
        weights, a list of len(offsets) tensors (B, *edge_shape(grid, offset)).

    Raises:
        ValueError: an unknown activation, a non-positive ``initial``, an even kernel.

    Source: SoftCut thesis, section 4.1 and Fig. 13; the crop before the exponential as in the
    published code.

    >>> import torch
    >>> from softcut_lib import EdgeNet
    >>> [tuple(w.shape) for w in EdgeNet()(torch.zeros(2, 3, 5, 7))]
    [(2, 4, 7), (2, 5, 6)]
    """

    def __init__(
        self,
        in_channels: int = 3,
        channels: int = 32,
        *,
        offsets: tuple[tuple[int, ...], ...] | None = None,
        activation: str = "exp",
        initial: float | None = None,
        kernel_size: int = 3,
        dim: int = 2,
    ):
        super().__init__()
        if activation not in _ACTIVATIONS:
            raise ValueError(
                f"activation: expected one of {sorted(_ACTIVATIONS)}, got {activation!r}"
            )
        self.offsets = tuple(axis_offsets(dim) if offsets is None else offsets)
        self.activation = activation
        self.nets = nn.ModuleList(
            BasicNet(in_channels, (channels,), kernel_size=kernel_size, dim=dim)
            for _ in self.offsets
        )
        if initial is not None:
            self._start_near(initial)

    def _start_near(self, initial: float) -> None:
        if not 0 < initial < float("inf"):
            raise ValueError(
                f"initial: expected a positive, finite conductance or None, got {initial}"
            )
        inverse = math.log if self.activation == "exp" else lambda w: w + math.log(-math.expm1(-w))
        with torch.no_grad():
            for net in self.nets:
                net[-1].weight.mul_(0.1)
                net[-1].bias.fill_(inverse(initial))

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        maps = torch.cat([net(image) for net in self.nets], dim=1)
        return [_ACTIVATIONS[self.activation](m) for m in crop_edges(maps, self.offsets)]


def _convolution(dim: int) -> type[nn.Module]:
    if dim not in _CONVOLUTIONS:
        raise ValueError(f"dim: expected 1, 2 or 3, the dimension of the grid; got {dim}")
    return _CONVOLUTIONS[dim]
