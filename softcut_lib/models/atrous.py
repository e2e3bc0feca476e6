"""Networks that see far without losing resolution: dilated ("atrous") convolutions (chapter 15).

    (f *_r k)(p) = sum_t k(t) f(p + r t),      t in {-1, 0, 1}^2,      r the dilation.

A kernel of 9 weights spans 2 r + 1 pixels. `AtrousNet` has the form of DeepLab-largeFOV, the
network of the normalized cut paper: five groups of convolutions, each closed by a pooling layer of
which the last two do not shrink, dilation 2 in the fifth group and 12 in the layer after it.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import interpolate

from softcut_lib import _checks as check

DEPTHS = (2, 2, 3, 3, 3)  # convolutions of the five groups, as in VGG-16


class AtrousNet(nn.Module):
    """DeepLab-largeFOV in form: image -> scores of the image's size.

    ``scores = sum over branches of upsample(1 x 1 classifier(features))``: the main branch ends at
    an eighth of the resolution; with ``multiscale`` five more start at the image and behind the
    first four pooling layers, two convolutions each. (A classifier on features that are upsampled
    and stacked, as published, is this same sum.)

    Args:
        in_channels: channels C of the image (B, C, h, w).
        out_channels: labels L of the scores.
        width: channels of the first group; the five have 1, 2, 4, 8 and 8 times as many, the last
            layers 16. The published net has 64 (20.5 million parameters), whose weights came from
            ImageNet; 16 trains from nothing on a CPU.
        multiscale: whether the five branches (``2 * width`` channels each) are there.
        strides: of the five pooling layers. (2, 2, 2, 1, 1) as published; small images keep more
            with (2, 2, 1, 1, 1).
        dilations: of the fifth group and of the layer after it.
        norm: normalize groups of 8 channels within each image (GroupNorm) after each 3 x 3
            convolution, which a start from nothing needs; False as published.
        dropout: probability in [0, 1) of dropping a channel of the two last layers; 0.5 as
            published. It draws from torch's global state.

    Returns (when called):
        scores (B, L, h, w), for any h, w >= 1.

    Attributes:
        receptive_field: width of the square window of the image that a pixel's score depends on
            through convolutions, pooling and upsampling, 427 as published (GroupNorm's mean and
            spread see the whole image besides).

    Raises:
        ValueError: an option of the wrong kind.

    Source: Chen et al. 2015 and 2016 (DeepLab-largeFOV, and -MSc with branches); Tang et al. 2018,
    section 4 trains it.

    Example:
        >>> import torch
        >>> net = AtrousNet(out_channels=2, width=8, multiscale=True)
        >>> net(torch.zeros(1, 3, 33, 50)).shape
        torch.Size([1, 2, 33, 50])
    """

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 1,
        *,
        width: int = 16,
        multiscale: bool = False,
        strides: tuple[int, ...] = (2, 2, 2, 1, 1),
        dilations: tuple[int, int] = (2, 12),
        norm: bool = True,
        dropout: float = 0.0,
    ):
        super().__init__()
        for name, value in (("in_channels", in_channels), ("out_channels", out_channels)):
            check.positive_integer(name, value)
        _check_options(width, strides, dilations, norm, dropout)
        widths = [width * factor for factor in (1, 2, 4, 8, 8)]
        self.groups, self.pools = nn.ModuleList(), nn.ModuleList()
        before, rates = in_channels, (1, 1, 1, 1, dilations[0])
        for after, depth, rate, stride in zip(widths, DEPTHS, rates, strides):
            ins = (before,) + (after,) * (depth - 1)
            self.groups.append(nn.Sequential(*(_convolve(i, after, rate, norm) for i in ins)))
            self.pools.append(nn.MaxPool2d(3, stride, padding=1))
            before = after
        self.top = nn.Sequential(
            _convolve(before, 16 * width, dilations[1], norm),
            nn.Dropout2d(dropout),
            nn.Conv2d(16 * width, 16 * width, 1),
            nn.ReLU(),
            nn.Dropout2d(dropout),
            nn.Conv2d(16 * width, out_channels, 1),
        )
        self.branches = nn.ModuleList()
        for channels in [in_channels, *widths[:4]] if multiscale else []:
            self.branches.append(
                nn.Sequential(
                    _convolve(channels, 2 * width, 1, norm),
                    nn.Conv2d(2 * width, 2 * width, 1),
                    nn.ReLU(),
                    nn.Conv2d(2 * width, out_channels, 1),
                )
            )
        self.receptive_field = _window(strides, dilations)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        size = image.shape[2:]
        sources, x = [image], image
        for group, pool in zip(self.groups, self.pools):
            x = pool(group(x))
            sources.append(x)
        scores = _upsample(self.top(x), size)
        for branch, source in zip(self.branches, sources):
            scores = scores + _upsample(branch(source), size)
        return scores


def _convolve(before, after, dilation, norm):
    layers = [nn.Conv2d(before, after, 3, padding=dilation, dilation=dilation)]
    if norm:
        layers.append(nn.GroupNorm(after // 8, after))
    return nn.Sequential(*layers, nn.ReLU())


def _upsample(scores, size):
    return interpolate(scores, size=size, mode="bilinear", align_corners=False)


def _window(strides, dilations):
    """Width of the window: each 3 x 3 layer adds 2 dilation steps of its input's spacing."""
    width, spacing = 1, 1
    for depth, rate, stride in zip(DEPTHS, (1, 1, 1, 1, dilations[0]), strides):
        width += 2 * spacing * (rate * depth + 1)  # the pooling layer is 3 x 3 as well
        spacing *= stride
    width += 2 * spacing * dilations[1]
    return width + (spacing if spacing > 1 else 0)  # bilinear: two cells side by side


def _check_options(width, strides, dilations, norm, dropout):
    check.positive_integer("width", width)
    if norm and width % 8:
        raise ValueError(f"width must be a multiple of 8 with norm=True, got {width}")
    for name, value, count in (("strides", strides, 5), ("dilations", dilations, 2)):
        if len(value) != count:
            raise ValueError(f"{name} must be {count} integers of at least 1, got {value!r}")
        for entry in value:
            check.positive_integer(f"an entry of {name}", entry)
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout must be a probability in [0, 1), got {dropout!r}")


class _ImageNetNet(nn.Module):
    """A torchvision segmentation net as a score net: images in [0, 1], scores of their size."""

    def __init__(self, net):
        super().__init__()
        self.net = net
        for name, value in (("mean", (0.485, 0.456, 0.406)), ("spread", (0.229, 0.224, 0.225))):
            self.register_buffer(name, torch.tensor(value).view(3, 1, 1), persistent=False)

    def forward(self, image):
        return self.net((image - self.mean) / self.spread)["out"]


def deeplab_resnet(out_channels: int = 21, *, depth: int = 101, weights=None):
    """DeepLab on a residual network, from torchvision where that is installed.

    image in [0, 1] -> (image - mean) / spread of ImageNet -> DeepLabv3 -> scores.

    Torchvision must match the installed torch, else it cannot be imported; it is no dependency of
    this package. Its net is the later DeepLabv3 (Chen et al. 2017), not the version 2 with which
    the normalized cut paper's Table 3 was made.

    Args:
        out_channels: labels L of the scores.
        depth: 50 or 101, layers of the ResNet.
        weights: torchvision's ``weights_backbone``, e.g. "DEFAULT", which downloads; None starts
            from nothing.

    Returns:
        Module, image (B, 3, h, w) -> scores (B, L, h, w). Its batch normalization needs B >= 2
        in training mode.

    Raises:
        ImportError: torchvision is missing or does not fit the installed torch.
        ValueError: another depth.

    Source: Tang et al. 2018, Table 3 (ResNet-101).

    Example:
        >>> net = deeplab_resnet(2, depth=50)  # doctest: +SKIP
    """
    check.one_of("depth", depth, (50, 101))
    check.positive_integer("out_channels", out_channels)
    try:
        from torchvision.models import segmentation
    except (ImportError, RuntimeError, OSError) as error:
        # a torchvision built for another torch fails with RuntimeError or OSError while it loads
        raise ImportError(
            f"deeplab_resnet needs a torchvision that fits torch {torch.__version__} ({error}): "
            "pip install torchvision from the same source as torch; AtrousNet needs nothing"
        ) from error
    build = getattr(segmentation, f"deeplabv3_resnet{depth}")
    return _ImageNetNet(build(weights=None, weights_backbone=weights, num_classes=out_channels))
