"""The small U-Net: sizes, independence of a batch's images, and that it learns to see far."""

import pytest
import torch

from softcut_lib import SmallUNet


@pytest.mark.parametrize("size", [(8, 8), (9, 31), (30, 45)])
def test_scores_have_the_image_size(size):
    net = SmallUNet(4, 3, width=8)
    image = torch.rand(2, 4, *size, generator=torch.Generator().manual_seed(0))
    assert net(image).shape == (2, 3, *size)


def test_images_of_a_batch_do_not_touch_each_other():
    net = SmallUNet(width=8).double()
    image = torch.rand(
        2, 3, 16, 24, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    torch.testing.assert_close(net(image)[1:], net(image[1:]))


def test_every_weight_learns():
    net = SmallUNet(width=8)
    net(
        torch.rand(1, 3, 24, 32, generator=torch.Generator().manual_seed(0))
    ).square().sum().backward()
    assert all(bool(p.grad.abs().max() > 0) for p in net.parameters())


@pytest.mark.parametrize(
    ("options", "message"), [({"width": 12}, "multiple of 8"), ({"levels": 0}, "levels")]
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        SmallUNet(**options)


def test_an_image_without_room_is_named():
    with pytest.raises(ValueError, match="at least 8 x 8"):
        SmallUNet()(torch.zeros(1, 3, 7, 30))
