"""What a second decoder gives without a cut: its maps are added to the scores (chapter 11).

    s = head(dec(f)) + head'(dec'(f)) + head'(dec'(f^T))^T,

the parameters and the work of a U-Net with a cut, without the cut. The thesis says that a second
decoder gives no unfair advantage; a network of this form tells.
"""

from __future__ import annotations

import torch
from torch import nn


class SumOfDecoders(nn.Module):
    """Scores from both decoders of a `TwoDecoderUNet`, and no conductances.

    Args:
        net: `TwoDecoderUNet` with two decoders; for several labels its edges must not be shared,
            since the same map added to all labels changes no decision.

    Returns (when called):
        scores (B, L, h, w).

    Raises:
        ValueError: a network of one decoder, or one map for several labels.

    Source: our control for the SoftCut thesis, section 3 (Fig. 14).

    >>> import torch
    >>> from softcut_lib import SumOfDecoders, TwoDecoderUNet
    >>> net = SumOfDecoders(TwoDecoderUNet(encoder="resnet10", width=1 / 16))
    >>> tuple(net(torch.rand(1, 3, 40, 48)).shape)
    (1, 1, 40, 48)
    """

    def __init__(self, net: nn.Module):
        super().__init__()
        if net.edges is None:
            raise ValueError('net must have two decoders, got edges=None; take edges="transposed"')
        self.net = net

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        scores, column, row = self.net.maps(image)
        if column.shape[1] != scores.shape[1]:
            raise ValueError(
                f"net must give every one of its {scores.shape[1]} labels maps of its own, "
                "got shared edges; take shared_edges=False"
            )
        return scores + column + row
