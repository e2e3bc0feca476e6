"""CutNet: any net, any cut, any decoder."""

import pickle
from copy import deepcopy

import pytest
import torch

import softcut_lib as sc
from softcut_lib import BasicNet, CutNet, EdgeNet, ScoreAndEdges, SoftCut


@pytest.fixture
def image():
    return torch.rand(2, 3, 9, 11, generator=torch.Generator().manual_seed(0))


def both(labels=1):
    return ScoreAndEdges(BasicNet(out_channels=labels), EdgeNet())


def test_stages_fit_together(image):
    net = CutNet(both(), SoftCut())
    result = net(image)
    assert result._fields == ("scores", "weights", "output", "prob")
    torch.testing.assert_close(result.output, sc.soft_cut(result.scores, result.weights))
    torch.testing.assert_close(result.prob, result.output.sigmoid())
    result.output.square().mean().backward()
    assert all(p.grad.abs().sum() > 0 for p in net.parameters())


def test_without_a_cut_the_output_is_the_scores(image):
    for net in (CutNet(BasicNet()), CutNet(both())):
        result = net(image)
        assert result.output is result.scores
    assert CutNet(BasicNet())(image).weights is None


def test_several_labels_use_softmax_and_the_largest(image):
    net = CutNet(both(3), SoftCut())
    prob = net(image).prob
    torch.testing.assert_close(prob.sum(1), torch.ones(2, 9, 11))
    assert torch.equal(net.predict(image), prob.argmax(1))


def test_probability_cuts_are_taken_as_they_are(image):
    class Half:
        output = "probabilities"

        def __call__(self, scores, weights):
            return torch.full_like(scores, 0.25)

    assert (CutNet(both(), Half())(image).prob == 0.25).all()


def test_one_network_with_two_outputs_plugs_in(image):
    class Encoder(torch.nn.Module):
        def forward(self, image):
            gray = image.mean(1, keepdim=True) - 0.5
            return gray, sc.image_weights(image, sigma=0.2)

    assert CutNet(Encoder(), SoftCut())(image).output.shape == (2, 1, 9, 11)


def test_decoders(image):
    net = CutNet(both(), SoftCut(), decode="min_cut")
    scores, weights = net.net(image)
    expected = sc.min_cut(scores.detach(), [w.detach() for w in weights])[:, 0].long()
    assert torch.equal(net.predict(image), expected)
    net.decode = lambda scores, weights: scores > 1e9
    assert net.predict(image).shape == (2, 9, 11) and not net.predict(image).any()
    net.decode = None
    assert torch.equal(net.predict(image), (net(image).prob[:, 0] > 0.5).long())


def test_copies_and_pickles_give_the_same(image):
    net = CutNet(both(), SoftCut(solver=sc.PUBLISHED_CG), decode="min_cut")
    for other in (deepcopy(net), pickle.loads(pickle.dumps(net))):
        torch.testing.assert_close(other(image).output, net(image).output)


def test_refusals(image):
    with pytest.raises(ValueError, match="cut: it needs conductances.*EdgeNet"):
        CutNet(BasicNet(), SoftCut())(image)
    with pytest.raises(ValueError, match="decode: it needs conductances"):
        CutNet(BasicNet(), decode="min_cut").predict(image)
    with pytest.raises(ValueError, match="min_cut has no gradient"):
        CutNet(both(), "min_cut")
    with pytest.raises(TypeError, match="cut: expected a callable"):
        CutNet(both(), 3)
    with pytest.raises(TypeError, match="net: expected it to return scores"):
        CutNet(_Wrong())(image)

    class Odd:
        output = "labels"

        def __call__(self, scores, weights):
            return scores

    with pytest.raises(ValueError, match="'scores' or 'probabilities'"):
        CutNet(both(), Odd())


class _Wrong(torch.nn.Module):
    def forward(self, image):
        return [image]
