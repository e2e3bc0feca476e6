"""A U-Net with two decoders on one encoder: one for the scores, one for the conductances.

    f = encoder(image),   scores = head(dec(f)),
    row weights = a(crop(head'(dec'(f)))),   column weights = a(crop(head'(dec'(f^T))^T)),

where T exchanges the two axes of every feature map and a is softplus or exp. One decoder gives both
directions, because an edge between columns is an edge between rows of the transposed image.
Chapter 11.
"""

from __future__ import annotations

import torch
from torch import nn

from softcut_lib import _checks
from softcut_lib.models.windows import IMAGENET_MEAN

_ENCODERS = {"resnet10": (1, 1, 1, 1), "resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3)}
_ENCODER_CHANNELS = (64, 64, 128, 256, 512)
_DECODER_CHANNELS = (256, 128, 64, 32, 16)
_ACTIVATIONS = {"softplus": nn.functional.softplus, "exp": torch.exp}
_STD = (0.229, 0.224, 0.225)
_STRIDE, _LEAST = 32, 8


class TwoDecoderUNet(nn.Module):
    """Scores and conductances from one residual encoder and two decoders, for 2-D images.

    The image's first three channels are normalized with the mean and standard deviation of ImageNet
    here, inside, so that images in [0, 1] are what goes in; further channels, like the mark of a
    chosen object, pass unchanged. Sides that are no multiple of 32 are padded below and on the
    right by zeros, after the normalization, and the maps are cropped back. Nothing is pre-trained.

    Args:
        in_channels: channels C >= 3 of the image (B, C, h, w), colors first.
        out_channels: labels L of the scores (B, L, h, w).
        encoder: "resnet18" or "resnet34" as in the thesis, or the smaller "resnet10".
        edges: "transposed", the thesis' second decoder, used twice; "channels", the second decoder
            used once, its two output channels being column and row; None for scores alone.
        activation: "softplus" or "exp", what makes the conductances positive.
        shared_edges: one set of conductances for all labels (the thesis); False gives one for each
            label, weights (B, L, ...).
        width: factor on the channels of encoder and decoders, of which at least 8 stay; 1 is the
            thesis' size, 1/8 a network that learns in a minute.

    Returns (when called):
        scores (B, L, h, w), and the list [column (B, h-1, w), row (B, h, w-1)] of conductances,
        with an axis L after B where they are not shared; None for ``edges=None``.

    Raises:
        ValueError: an unknown option, fewer than three channels.
        ImportError: MONAI is missing; ``pip install "softcut-lib[train]"``.

    Source: SoftCut thesis, section 3 and Fig. 14; the blocks are MONAI's. The thesis' decoder
    up-samples without the 1 x 1 convolution that MONAI's has.

    >>> import torch
    >>> from softcut_lib import TwoDecoderUNet
    >>> net = TwoDecoderUNet(encoder="resnet10", width=1 / 16)
    >>> scores, weights = net(torch.rand(1, 3, 40, 48))
    >>> tuple(scores.shape), [tuple(w.shape) for w in weights]
    ((1, 1, 40, 48), [(1, 39, 48), (1, 40, 47)])
    """

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 1,
        *,
        encoder: str = "resnet18",
        edges: str | None = "transposed",
        activation: str = "softplus",
        shared_edges: bool = True,
        width: float = 1.0,
    ):
        super().__init__()
        _checks.one_of("encoder", encoder, tuple(_ENCODERS))
        _checks.one_of("edges", edges, ("transposed", "channels", None))
        _checks.one_of("activation", activation, tuple(_ACTIVATIONS))
        _checks.positive_integer("out_channels", out_channels)
        _checks.positive_number("width", width)
        if not isinstance(in_channels, int) or in_channels < 3:
            raise ValueError(
                f"in_channels must be an integer of at least 3, colors first; got {in_channels!r}"
            )
        self.in_channels, self.edges, self.activation = in_channels, edges, activation
        self.shared_edges = shared_edges
        self.encoder = Encoder(in_channels, encoder, width)
        self.decoder = Decoder(in_channels, out_channels, width)
        if edges is not None:
            count = (1 if edges == "transposed" else 2) * (1 if shared_edges else out_channels)
            self.edge_decoder = Decoder(in_channels, count, width)
        extra = in_channels - 3
        self.register_buffer("mean", _column([*IMAGENET_MEAN, *[0.0] * extra]), persistent=False)
        self.register_buffer("std", _column([*_STD, *[1.0] * extra]), persistent=False)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor] | None]:
        scores, column, row = self.maps(image)
        if column is None:
            return scores, None
        weights = [column[..., :-1, :], row[..., :-1]]
        if self.shared_edges:
            weights = [map[:, 0] for map in weights]
        return scores, [_ACTIVATIONS[self.activation](map) for map in weights]

    def maps(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Scores, column map and row map of an image, of its size, before crop and activation.

        The last two are None for ``edges=None``.
        """
        h, w = self._size(image)
        padding = (0, -w % _STRIDE, 0, -h % _STRIDE)
        features = self.encoder(nn.functional.pad((image - self.mean) / self.std, padding))
        scores = self.decoder(features)[..., :h, :w]
        if self.edges is None:
            return scores, None, None
        column, row = self.edge_maps(features)
        return scores, column[..., :h, :w], row[..., :h, :w]

    def edge_maps(self, features: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Raw maps (B, 1 or L, h, w) of the column and the row direction, before the activation.

        With ``edges="transposed"`` transposed features give the two maps transposed and exchanged.
        """
        if self.edges == "channels":
            column, row = self.edge_decoder(features).chunk(2, dim=1)
            return column, row
        column = self.edge_decoder([f.mT for f in features]).mT
        return column, self.edge_decoder(features)

    def _size(self, image):
        if image.dim() != 4 or image.shape[1] != self.in_channels or min(image.shape[2:]) < 1:
            raise ValueError(
                f"image must have shape (B, {self.in_channels}, h, w), got {tuple(image.shape)}"
            )
        return image.shape[2:]


class Encoder(nn.Module):
    """The feature maps of a residual network, with strides 2, 4, 8, 16 and 32.

    Args:
        in_channels: channels of the image.
        name: "resnet10", "resnet18" or "resnet34".
        width: factor on all channels.
    """

    def __init__(self, in_channels: int, name: str, width: float = 1.0):
        super().__init__()
        self.net = _monai("nets.resnet").ResNet(
            "basic",
            list(_ENCODERS[name]),
            _scaled(_ENCODER_CHANNELS[1:], width),
            spatial_dims=2,
            n_input_channels=in_channels,
            conv1_t_stride=2,
            feed_forward=False,
            bias_downsample=False,
        )

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        net = self.net
        first = net.act(net.bn1(net.conv1(image)))
        features = [first, net.layer1(net.maxpool(first))]
        for layer in (net.layer2, net.layer3, net.layer4):
            features.append(layer(features[-1]))
        return features


class Decoder(nn.Module):
    """Five steps of twofold enlargement, four of them with the encoder's features, and a head."""

    def __init__(self, in_channels, out_channels, width):
        super().__init__()
        unet = _monai("nets.flexible_unet")
        channels = _scaled(_DECODER_CHANNELS, width)
        self.blocks = unet.UNetDecoder(
            spatial_dims=2,
            encoder_channels=[in_channels, *_scaled(_ENCODER_CHANNELS, width)],
            decoder_channels=channels,
            act=("relu", {"inplace": True}),
            norm=("batch", {"eps": 1e-3, "momentum": 0.1}),
            dropout=0.0,
            bias=False,
            upsample="nontrainable",
            pre_conv="default",
            interp_mode="nearest",
            align_corners=None,
            is_pad=False,
        )
        self.head = unet.SegmentationHead(
            spatial_dims=2, in_channels=channels[-1], out_channels=out_channels
        )

    def forward(self, features):
        return self.head(self.blocks(features))


def _scaled(channels, width):
    return [max(_LEAST, round(width * n)) for n in channels]


def _column(values):
    return torch.tensor(values).view(1, -1, 1, 1)


def _monai(module):
    from importlib import import_module

    try:
        return import_module(f"monai.networks.{module}")
    except ImportError as error:
        raise ImportError(
            'TwoDecoderUNet is built on MONAI: pip install "softcut-lib[train]"'
        ) from error
