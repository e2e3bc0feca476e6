"""A whole frame through overlapping windows, or how a large image is cut up and put together again.

With windows of side n every s pixels, each keeps its middle s x s and gives away a margin

    m = (n - s) / 2

on each side, which is context only. The frame is padded by m, so that the kept squares tile it. A
network that looks at most m pixels far, away from the frame's border, does not notice the windows;
a cut, whose pixels look at all others, does. Chapter 12.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from softcut_lib import _checks
from softcut_lib.grid.edges import at_tail, axis_offsets, tail
from softcut_lib.models.cutnet import CutNet, CutOutput, offsets_of

IMAGENET_MEAN = (0.485, 0.456, 0.406)


def split_windows(x, *, window: int = 320, stride: int = 256, fill=0.0) -> torch.Tensor:
    """Cut images into overlapping windows, row by row.

    Args:
        x: (B, C, h, w), or a target (B, h, w) of any dtype.
        window: side n of a window in pixels; ``window - stride`` is even. The thesis' code has 320,
            its text 288.
        stride: distance s of the windows, at most n.
        fill: value outside the frame, one number or one for each channel.

    Returns:
        (B * rows * columns, C, n, n), the windows of the first image first; without C for a
        target.

    Raises:
        ValueError: a stride above the window, an odd margin, a fill of another length.

    Source: SoftCut thesis, section 3 ("Cityscapes Full Resolution"), and its code.

    >>> import torch
    >>> from softcut_lib import split_windows
    >>> split_windows(torch.zeros(1, 3, 1024, 2048)).shape
    torch.Size([32, 3, 320, 320])
    """
    margin = _margin(window, stride)
    if x.dim() not in (3, 4):
        raise ValueError(f"x must have shape (B, C, h, w) or (B, h, w), got {tuple(x.shape)}")
    rows, columns = _counts(x.shape[-2:], stride)
    height, width = rows * stride + 2 * margin, columns * stride + 2 * margin
    fill = torch.as_tensor(fill, dtype=x.dtype, device=x.device)
    if fill.dim() and (x.dim() == 3 or fill.shape != x.shape[1:2]):
        raise ValueError(
            f"fill must be a number or one for each of the {x.shape[1]} channels, got shape "
            f"{tuple(fill.shape)}"
        )
    frame = fill.view(-1, 1, 1).expand(*x.shape[1:-2], height, width) if x.dim() == 4 else fill
    frame = frame.expand(*x.shape[:-2], height, width).clone()
    frame[..., margin : margin + x.shape[-2], margin : margin + x.shape[-1]] = x
    return inner_windows(frame, window, stride)


def inner_windows(frame, window, stride):
    """The windows of `split_windows` that fit into images (B, C, h, w) or targets (B, h, w)."""
    windows = frame.unfold(-2, window, stride).unfold(-2, window, stride)
    if frame.dim() == 4:
        windows = windows.permute(0, 2, 3, 1, 4, 5)
    return windows.reshape(-1, *frame.shape[1:-2], window, window)


def join_windows(maps, size, *, window: int = 320, stride: int = 256) -> torch.Tensor:
    """Put maps of windows together: the margins are dropped, the middles tile the frame.

    ``join_windows(split_windows(x), x.shape[-2:]) == x``, and the same with any function of single
    pixels between the two.

    Args:
        maps: (B * rows * columns, L, n, n) in the order of `split_windows`.
        size: (h, w) of the frame.
        window, stride: as in `split_windows`.

    Returns:
        (B, L, h, w).

    Raises:
        ValueError: maps of another number or size.

    >>> import torch
    >>> from softcut_lib import join_windows, split_windows
    >>> x = torch.arange(30.0).view(1, 1, 5, 6)
    >>> windows = split_windows(x, window=4, stride=2)
    >>> torch.equal(join_windows(windows, (5, 6), window=4, stride=2), x)
    True
    """
    margin = _margin(window, stride)
    rows, columns = _counts(size, stride)
    count = rows * columns
    if maps.dim() != 4 or maps.shape[-2:] != (window, window) or maps.shape[0] % count:
        raise ValueError(
            f"maps must have shape (B * {count}, L, {window}, {window}) for a frame of "
            f"{tuple(size)}, got {tuple(maps.shape)}"
        )
    middles = maps[..., margin : margin + stride, margin : margin + stride]
    middles = middles.view(-1, rows, columns, maps.shape[1], stride, stride)
    frame = middles.permute(0, 3, 1, 4, 2, 5).reshape(
        -1, maps.shape[1], rows * stride, columns * stride
    )
    return frame[..., : size[0], : size[1]]


class Windowed(nn.Module):
    """A `CutNet` that sees a frame through windows, network and cut alike, and joins the results.

    scores, output, prob = join(net(split(image))); a window's conductances are joined too, an edge
    belonging to the window that keeps its tail.

    Args:
        network: a `CutNet`; its decoder, if any, is run on the joined frame. Its conductances
            belong to the offsets of its cut, to the axes where it has none.
        window, stride: as in `split_windows`; window > stride where there are conductances.
        fill: color outside the frame; the default, the mean of ImageNet and 0 in further channels,
            is 0 after the normalization of `TwoDecoderUNet`, as in the thesis' code.
        at_once: windows that pass together; it changes memory and time, in evaluation mode nothing
            else.

    Returns (when called):
        `CutOutput` of the whole frame, as `network` itself would give it.

    Raises:
        TypeError: the network is no `CutNet`.
        ValueError: as `split_windows`; conductances with no margin to hold the edges between
            windows, or of another number than the cut's offsets.

    Source: SoftCut thesis, section 3; experiment 11.

    >>> import torch
    >>> from softcut_lib import BasicNet, CutNet, Windowed
    >>> network = Windowed(CutNet(BasicNet()), window=24, stride=16)
    >>> network(torch.rand(1, 3, 40, 56)).prob.shape
    torch.Size([1, 1, 40, 56])
    """

    def __init__(
        self, network: CutNet, *, window: int = 320, stride: int = 256, fill=None, at_once: int = 8
    ):
        super().__init__()
        if not isinstance(network, CutNet):
            raise TypeError(f"network must be a CutNet, got {type(network).__name__}")
        _margin(window, stride)
        _checks.positive_integer("at_once", at_once)
        self.network, self.window, self.stride = network, window, stride
        self.fill, self.at_once = fill, at_once

    @property
    def decode(self):
        return self.network.decode

    def forward(self, image: torch.Tensor) -> CutOutput:
        windows = split_windows(
            image, window=self.window, stride=self.stride, fill=self._fill(image.shape[1])
        )
        parts = [self.network(some) for some in windows.split(self.at_once)]
        size = tuple(image.shape[-2:])
        scores, output, prob = (
            self._join(torch.cat([getattr(part, name) for part in parts]), size)
            for name in ("scores", "output", "prob")
        )
        weights = None
        if parts[0].weights is not None:
            weights = [
                self._join_edges(torch.cat([part.weights[k] for part in parts]), offset, size)
                for k, offset in enumerate(self._offsets(len(parts[0].weights)))
            ]
        return CutOutput(scores, weights, output, prob)

    @torch.no_grad()
    def predict(self, image: torch.Tensor) -> torch.Tensor:
        """Hard mask, long (B, h, w): 0 or 1 for one label, the label's number for several."""
        return self.decide(self(image))

    def decide(self, prediction: CutOutput) -> torch.Tensor:
        """The mask of the joined frame, by the network's decoder."""
        return self.network.decide(prediction)

    def _join(self, maps, size):
        return join_windows(maps, size, window=self.window, stride=self.stride)

    def _offsets(self, count):
        """The edge directions of the network's conductances, as many as it gives."""
        offsets = offsets_of(self.network.cut) or axis_offsets(2)
        if len(offsets) != count:
            raise ValueError(
                f"network must give one map of conductances for each offset of its cut, {offsets}, "
                f"got {count}; give the cut the edge net's offsets"
            )
        return offsets

    def _join_edges(self, edges, offset, size):
        if _margin(self.window, self.stride) < max(map(abs, offset)):
            raise ValueError(
                "window must be larger than stride where the network gives conductances: the edges "
                f"between windows lie in the margin, {max(map(abs, offset))} pixels wide for "
                f"offset {tuple(offset)}; got window {self.window} and stride {self.stride}"
            )
        shared = edges.dim() == 3
        maps = at_tail(edges[:, None] if shared else edges, offset, (self.window, self.window))
        joined = tail(self._join(maps, size), offset)
        return joined[:, 0] if shared else joined

    def _fill(self, channels):
        if self.fill is not None:
            return self.fill
        return [*IMAGENET_MEAN[:channels], *[0.0] * (channels - 3)]


def _margin(window, stride):
    _checks.positive_integer("window", window)
    _checks.positive_integer("stride", stride)
    if stride > window or (window - stride) % 2:
        raise ValueError(
            f"window - stride must be even and at least 0, half of it on each side; got window "
            f"{window} and stride {stride}"
        )
    return (window - stride) // 2


def _counts(size, stride):
    return tuple(math.ceil(side / stride) for side in size)
