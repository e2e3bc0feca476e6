"""The stages of trained networks side by side."""

import pytest
import torch

import softcut_lib as sc
from softcut_lib import show

IMAGE = torch.rand(1, 3, 16, 20, generator=torch.Generator().manual_seed(0))


def test_a_row_for_each_network_and_room_for_what_is_missing():
    parts = sc.ScoreAndEdges(sc.BasicNet(), sc.EdgeNet())
    nets = {"base": sc.CutNet(sc.BasicNet()), "cut": sc.CutNet(parts, sc.SoftCut())}
    alt = "Two rows of maps, one for each network."
    one, two = show.stages({"cut": nets["cut"]}, IMAGE, alt=alt), show.stages(nets, IMAGE, alt=alt)
    assert two.alt == alt and two.width == one.width
    assert len(two.data) > len(one.data) > 3000


def test_weights_of_a_label_of_its_own_are_drawn_too():
    net = sc.TwoDecoderUNet(encoder="resnet10", width=1 / 8, shared_edges=False)
    nets = {"own": sc.CutNet(net, sc.SoftCut()).eval()}
    assert len(show.stages(nets, IMAGE, alt="One row of maps of one network.").data) > 3000


def test_nothing_to_show_is_refused():
    with pytest.raises(ValueError, match="networks must hold"):
        show.stages({}, IMAGE, alt="Nothing at all is shown here.")
    with pytest.raises(ValueError, match="alt must say"):
        show.stages({"base": sc.CutNet(sc.BasicNet())}, IMAGE, alt="")
