"""The drawing of the network says what it draws and refuses what it cannot."""

import pytest
import torch

import softcut_lib as sc
from softcut_lib import show


def test_data_flow_describes_the_network():
    net = sc.CutNet(sc.ScoreAndEdges(sc.BasicNet(), sc.EdgeNet()), sc.SoftCut())
    drawn = show.data_flow(
        net, torch.rand(1, 3, 20, 24, generator=torch.Generator().manual_seed(0))
    )
    assert "22,339 parameters" in drawn.alt and "SoftCut" in drawn.alt
    assert len(drawn.data) > 10_000


def test_data_flow_needs_edge_nets_and_a_cut():
    for net in (sc.CutNet(sc.BasicNet()), sc.CutNet(sc.ScoreAndEdges(sc.BasicNet(), sc.EdgeNet()))):
        with pytest.raises(ValueError, match="ScoreAndEdges.*with a cut"):
            show.data_flow(net, torch.zeros(1, 3, 8, 8))


def test_two_decoders_describes_the_network():
    unet = sc.TwoDecoderUNet(encoder="resnet10", width=1 / 8)
    net = sc.CutNet(unet, sc.SoftCut()).eval()
    image = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    drawn = show.two_decoders(net, image)
    assert "162,354 parameters" in drawn.alt and "SoftCut" in drawn.alt
    assert len(drawn.data) > 10_000


def test_two_decoders_needs_the_transposed_decoder_and_a_cut():
    unet = {e: sc.TwoDecoderUNet(encoder="resnet10", width=1 / 8, edges=e)
            for e in ("transposed", "channels")}  # fmt: skip
    nets = [sc.CutNet(unet["transposed"]), sc.CutNet(unet["channels"], sc.SoftCut())]
    for net in [*nets, sc.CutNet(sc.BasicNet())]:
        with pytest.raises(ValueError, match="edges='transposed'.*with a cut"):
            show.two_decoders(net, torch.zeros(1, 3, 32, 32))
