"""AtrousNet: the published form, its window, its branches; DeepLab-ResNet where it can be had."""

import importlib.util
import sys
import types

import pytest
import torch
from torch import nn

from softcut_lib import AtrousNet, CutNet, EdgeNet, ScoreAndEdges, SoftCut, deeplab_resnet


def parameters(net):
    return sum(p.numel() for p in net.parameters())


def conv(before, after, kernel=3):
    return before * after * kernel**2 + after


def test_the_published_net_has_the_published_size():
    # DeepLab-largeFOV has 20.5 million parameters: Chen et al. 2015
    net = AtrousNet(out_channels=21, width=64, norm=False)
    widths = [3, 64, 64, 128, 128, 256, 256, 256] + [512] * 6
    vgg = sum(conv(a, b) for a, b in zip(widths, widths[1:]))
    assert parameters(net) == vgg + conv(512, 1024) + conv(1024, 1024, 1) + conv(1024, 21, 1)
    assert round(parameters(net) / 1e6, 1) == 20.5 and net.receptive_field == 427


@pytest.mark.parametrize("size", [(1, 1), (7, 30), (33, 50)])
@pytest.mark.parametrize("multiscale", [False, True])
def test_scores_have_the_image_size(size, multiscale):
    net = AtrousNet(4, 3, width=8, multiscale=multiscale)
    assert net(torch.rand(2, 4, *size, generator=torch.Generator().manual_seed(0))).shape == (
        2, 3, *size,
    )  # fmt: skip


def linear_and_positive(net):
    """The same connections with positive weights and averages: no influence can cancel."""
    for module in net.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.ReLU):
                setattr(module, name, nn.Identity())
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 1 / module.weight[0].numel())
    for k, pool in enumerate(net.pools):
        net.pools[k] = nn.AvgPool2d(3, pool.stride, padding=1)
    return net.double()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"strides": (2, 2, 1, 1, 1), "dilations": (2, 6)},
        {"strides": (1, 1, 1, 1, 1), "dilations": (3, 5), "multiscale": True},
    ],
)
def test_a_pixel_sees_the_stated_window(options):
    net = linear_and_positive(AtrousNet(1, 1, width=1, norm=False, **options))
    n = 2 * net.receptive_field + 16
    spans = []
    for place in range(8):  # within a cell of the coarse grid, the window varies by a cell
        image = torch.zeros(1, 1, 1, n, dtype=torch.float64, requires_grad=True)
        net(image)[..., n // 2 + place].sum().backward()
        seen = torch.nonzero(image.grad.flatten()).flatten()
        spans.append(int(seen[-1] - seen[0]) + 1)
    assert max(spans) == net.receptive_field


def test_the_branches_are_a_classifier_on_stacked_features():
    net = AtrousNet(3, 2, width=8, multiscale=True).double()
    image = torch.rand(
        1, 3, 21, 26, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    sources, features, x = [image], [], image
    for group, pool in zip(net.groups, net.pools):
        sources.append(x := pool(group(x)))
    parts = [(net.top, x), *zip(net.branches, sources)]
    for part, source in parts:
        features.append(nn.functional.interpolate(part[:-1](source), (21, 26), mode="bilinear"))
    weight = torch.cat([part[-1].weight for part, _ in parts], 1)
    bias = sum(part[-1].bias for part, _ in parts)
    stacked = nn.functional.conv2d(torch.cat(features, 1), weight, bias)
    torch.testing.assert_close(net(image), stacked)


def test_images_of_a_batch_do_not_touch_each_other():
    net = AtrousNet(width=8, multiscale=True).double()
    images = torch.rand(
        2, 3, 18, 22, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    torch.testing.assert_close(net(images)[1:], net(images[1:]))


def test_it_fits_a_cut_and_every_weight_learns():
    net = CutNet(ScoreAndEdges(AtrousNet(width=8, multiscale=True), EdgeNet()), SoftCut())
    image = torch.rand(1, 3, 24, 32, generator=torch.Generator().manual_seed(0))
    net(image).output.square().sum().backward()
    assert all(p.grad is not None and bool(p.grad.abs().max() > 0) for p in net.parameters())


def test_dropout_is_off_in_evaluation():
    net = AtrousNet(width=8, dropout=0.5).eval()
    image = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    assert torch.equal(net(image), net(image))
    torch.manual_seed(0)
    assert not torch.equal(net.train()(image), net(image))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 12}, "multiple of 8"),
        ({"width": 0}, "width"),
        ({"strides": (2, 2)}, "strides must be 5"),
        ({"dilations": (2, 0)}, "dilations"),
        ({"dropout": 1.0}, "dropout"),
        ({"out_channels": 0}, "out_channels"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        AtrousNet(**options)


def test_deeplab_of_another_depth_is_refused():
    with pytest.raises(ValueError, match="depth must be 50 or 101, got 34"):
        deeplab_resnet(2, depth=34)


def test_deeplab_names_its_install_line_without_torchvision(monkeypatch):
    for name in ("torchvision", "torchvision.models"):  # the second may have been loaded before
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match="pip install torchvision"):
        deeplab_resnet(2)


@pytest.mark.parametrize("failure", [RuntimeError, OSError])
def test_a_torchvision_for_another_torch_is_named_too(monkeypatch, failure):
    # both happen: an operator that does not exist, a CUDA library that cannot be loaded
    class Broken(types.ModuleType):
        def __getattr__(self, name):
            raise failure("operator torchvision::nms does not exist")

    monkeypatch.setitem(sys.modules, "torchvision", types.ModuleType("torchvision"))
    monkeypatch.setitem(sys.modules, "torchvision.models", Broken("torchvision.models"))
    with pytest.raises(ImportError, match="nms does not exist.*pip install torchvision"):
        deeplab_resnet(2)


def test_deeplab_passes_its_options_and_normalized_images(monkeypatch):
    seen = {}

    class Echo(nn.Module):
        def forward(self, image):
            return {"out": image}

    def build(**options):
        seen.update(options)
        return Echo()

    segmentation = types.SimpleNamespace(deeplabv3_resnet50=build)
    models = types.ModuleType("torchvision.models")
    models.segmentation = segmentation
    monkeypatch.setitem(sys.modules, "torchvision", types.ModuleType("torchvision"))
    monkeypatch.setitem(sys.modules, "torchvision.models", models)
    net = deeplab_resnet(5, depth=50, weights="DEFAULT")
    assert seen == {"weights": None, "weights_backbone": "DEFAULT", "num_classes": 5}
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1).expand(1, 3, 4, 4)
    assert torch.equal(net(mean), torch.zeros(1, 3, 4, 4))


@pytest.mark.skipif(not importlib.util.find_spec("torchvision"), reason="no torchvision here")
def test_deeplab_maps_images_to_scores_of_their_size():
    net = deeplab_resnet(3, depth=50).eval()
    assert net(torch.rand(1, 3, 40, 56)).shape == (1, 3, 40, 56)
