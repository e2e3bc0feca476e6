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
