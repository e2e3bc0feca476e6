"""A small U-Net: what a laptop trains in a minute or two (chapter 15).

    down:  x_0 = f_0(image),  x_k = f_k(pool x_{k-1});      up:  y_n = x_n,
    y_k = g_k([x_k, upsample y_{k+1}]),      scores = conv_1x1(y_0).

The pooled maps see far, the skipped ones keep the outline sharp.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import interpolate, max_pool2d

from softcut_lib import _checks as check


class SmallUNet(nn.Module):
    """Image -> scores of its size, by one encoder and one decoder.

    Args:
        in_channels: channels C of the image (B, C, h, w).
        out_channels: labels L of the scores.
        width: channels at full resolution, a multiple of 8; twice as many at each level below, at
            most four times as many.
        levels: poolings by 2. A pixel sees all of an image up to about 2^(levels + 3) pixels wide.

    Returns (when called):
        scores (B, L, h, w), for any h, w of at least 2^levels.

    Raises:
        ValueError: an option of the wrong kind, an image that is too small.

    Source: Ronneberger et al. 2015, with group normalization (groups of 8 channels) in place of
    none, so that images of a batch do not touch.

    Example:
        >>> import torch
        >>> net = SmallUNet(out_channels=2)
        >>> net(torch.zeros(1, 3, 30, 45)).shape, sum(p.numel() for p in net.parameters())
        (torch.Size([1, 2, 30, 45]), 304018)
    """

    def __init__(
        self, in_channels: int = 3, out_channels: int = 1, *, width: int = 16, levels: int = 3
    ):
        super().__init__()
        for name, value in (
            ("in_channels", in_channels),
            ("out_channels", out_channels),
            ("levels", levels),
        ):
            check.positive_integer(name, value)
        check.positive_integer("width", width)
        if width % 8:
            raise ValueError(f"width must be a multiple of 8, got {width}")
        widths = [width * min(2**k, 4) for k in range(levels + 1)]
        self.levels = levels
        self.down = nn.ModuleList(
            _block(before, after) for before, after in zip([in_channels, *widths], widths)
        )
        self.up = nn.ModuleList(
            _block(here + below, here) for here, below in zip(widths, widths[1:])
        )
        self.head = nn.Conv2d(width, out_channels, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        least = 2**self.levels
        if min(image.shape[2:]) < least:
            raise ValueError(
                f"image must be at least {least} x {least} pixels for {self.levels} levels, got "
                f"{tuple(image.shape[2:])}"
            )
        kept, x = [], image
        for level, block in enumerate(self.down):
            x = block(max_pool2d(x, 2) if level else x)
            kept.append(x)
        for level in reversed(range(self.levels)):
            raised = interpolate(
                x, size=kept[level].shape[2:], mode="bilinear", align_corners=False
            )
            x = self.up[level](torch.cat([kept[level], raised], 1))
        return self.head(x)


def _block(before, after):
    layers = []
    for ins in (before, after):
        layers += [nn.Conv2d(ins, after, 3, padding=1), nn.GroupNorm(after // 8, after), nn.ReLU()]
    return nn.Sequential(*layers)
