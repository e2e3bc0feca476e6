"""The control for a second decoder: the same parameters, no cut."""

import pytest
import torch

import softcut_lib as sc

pytest.importorskip("monai")


def unet(**options):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return sc.TwoDecoderUNet(encoder="resnet10", width=1 / 16, **options).eval()


def image(seed=0):
    return torch.rand(1, 3, 40, 48, generator=torch.Generator().manual_seed(seed))


def test_it_has_the_parameters_of_the_network_with_a_cut():
    count = lambda net: sum(p.numel() for p in net.parameters())  # noqa: E731
    assert count(sc.SumOfDecoders(unet())) == count(sc.CutNet(unet(), sc.SoftCut()))
    assert count(sc.SumOfDecoders(unet())) > count(unet(edges=None))


def test_all_parameters_learn():
    net = sc.SumOfDecoders(unet())
    net(image()).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


def test_without_the_second_decoder_it_is_the_base():
    net = unet()
    for p in net.edge_decoder.parameters():
        torch.nn.init.zeros_(p)
    scores, _ = net(image())
    torch.testing.assert_close(sc.SumOfDecoders(net)(image()), scores)


def test_the_added_map_turns_with_the_features():
    """It is the sum of both directions' maps, which transposed features exchange and transpose."""
    net, square = unet(), image()[..., :32, :32]
    scores, column, row = net.maps(square)
    torch.testing.assert_close(sc.SumOfDecoders(net)(square), scores + column + row)
    features = net.encoder((square - net.mean) / net.std)
    turned = sum(net.edge_maps([f.mT for f in features]))
    torch.testing.assert_close(turned, (column + row).mT, rtol=1e-4, atol=1e-5)
    assert (turned - turned.mT).abs().max() > 1e-3  # else turning would not show


def test_several_labels_need_maps_of_their_own():
    shown = sc.SumOfDecoders(unet(out_channels=3, shared_edges=False))(image())
    assert shown.shape == (1, 3, 40, 48)
    with pytest.raises(ValueError, match="shared_edges=False"):
        sc.SumOfDecoders(unet(out_channels=3))(image())
    with pytest.raises(ValueError, match="two decoders"):
        sc.SumOfDecoders(unet(edges=None))
