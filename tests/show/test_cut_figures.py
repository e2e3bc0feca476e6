"""Networks before and after their cuts: what the figure says is what they compute."""

import re

import pytest
import torch

import softcut_lib as sc
from softcut_lib import show


@pytest.fixture
def problem():
    generator = torch.Generator().manual_seed(0)
    image, target = torch.rand(1, 3, 12, 16, generator=generator), torch.zeros(12, 16)
    target[3:9, 4:12] = 1
    torch.manual_seed(1)
    cut = sc.CutNet(sc.ScoreAndEdges(sc.BasicNet(), sc.EdgeNet()), sc.SoftCut())
    return {"Base": sc.CutNet(sc.BasicNet()), "soft\ncut": cut}, image, target


def iou(mask, target):
    return float((mask & (target > 0)).sum() / (mask | (target > 0)).sum())


def test_the_text_has_the_numbers_of_each_network(problem):
    networks, image, target = problem
    drawn = show.before_after(*problem)
    with torch.no_grad():
        base, cut = (net(image) for net in networks.values())
    said = [float(number) for number in re.findall(r"\d\.\d\d", drawn.alt)]
    masks = base.prob[0, 0] > 0.5, cut.scores[0, 0] > 0, cut.output[0, 0] > 0
    assert said == [round(iou(mask, target), 2) for mask in masks]
    assert "soft cut" in drawn.alt and len(drawn.data) > 10_000


def test_shapes_that_differ_are_refused(problem):
    networks, image, target = problem
    with pytest.raises(ValueError, match=r"target must have the image's size \(12, 16\)"):
        show.before_after(networks, image, target[:5])
