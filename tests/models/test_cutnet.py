"""CutNet: any net, any cut, any decoder."""

import pickle
from copy import deepcopy
from functools import partial

import pytest
import torch

import softcut_lib as sc
from softcut_lib import BasicNet, CutNet, EdgeNet, ScoreAndEdges, SoftCut, Windowed
from tests.grids import random


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
    stored = partial(partial(Half()))  # options of a cut are stored like this
    assert (CutNet(both(), stored)(image).prob == 0.25).all()


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


@pytest.mark.parametrize("decode", [None, "min_cut", lambda scores, weights: scores > 0])
@pytest.mark.parametrize("labels", [1, 3])
def test_a_prediction_is_decided_without_the_network(image, decode, labels, monkeypatch):
    calls, nets = [], both(labels)
    net = CutNet(nets, SoftCut(), decode=decode)
    for whole in (net, Windowed(net, window=8, stride=4)):
        expected, prediction = whole.predict(image), whole(image)
        with monkeypatch.context() as patch:
            patch.setattr(nets, "forward", calls.append)
            assert torch.equal(whole.decide(prediction), expected) and not calls


def test_one_label_is_decoded_by_one_minimum_cut(image, monkeypatch):
    from softcut_lib.cuts import expansion

    monkeypatch.setattr(expansion, "_expand", None)  # expansion would fail
    scores, weights = random(2, 1, 4, 5), [random(2, 3, 5).abs(), random(2, 4, 4).abs()]
    net = CutNet(lambda image: (scores, weights), SoftCut(), decode="min_cut")
    assert torch.equal(net.predict(image), sc.min_cut(scores, weights)[:, 0].long())


@pytest.mark.parametrize("labels", [2, 4])
def test_several_labels_are_decoded_by_expansion(image, labels):
    """Neither one label everywhere nor the network's own mask has less energy."""
    scores, weights = (
        3 * random(2, labels, 9, 11),
        [random(2, *s).exp() for s in ((8, 11), (9, 10))],
    )
    net = CutNet(lambda image: (scores, weights), SoftCut(), decode="min_cut")
    mask = net.predict(image)
    assert mask.shape == (2, 9, 11) and mask.dtype == torch.long and len(mask.unique()) > 1
    assert torch.equal(mask, sc.alpha_expansion(scores, weights))
    net.decode = None
    others = [net.predict(image), *(torch.full_like(mask, label) for label in range(labels))]
    for other in others:
        gain = sc.cut_energy(other, scores, weights) - sc.cut_energy(mask, scores, weights)
        assert bool((gain > 0).all())


def test_two_labels_are_one_minimum_cut_of_their_difference(image):
    """Expansion with two labels is exact, so both forms of a binary problem decode alike."""
    scores, weights = random(2, 2, 6, 7), [random(2, 5, 7).abs(), random(2, 6, 6).abs()]
    two = CutNet(lambda image: (scores, weights), decode="min_cut")
    one = CutNet(lambda image: (scores[:, 1:] - scores[:, :1], weights), decode="min_cut")
    assert torch.equal(two.predict(image), one.predict(image))


@pytest.mark.parametrize("labels", [1, 3])
def test_the_minimum_cut_has_the_cut_s_offsets(image, labels):
    offsets = (*sc.axis_offsets(2), *sc.diagonal_offsets(2))
    net = ScoreAndEdges(BasicNet(out_channels=labels), EdgeNet(offsets=offsets))
    net = CutNet(net, SoftCut(offsets=offsets), decode="min_cut")
    result = net(image)
    solve = sc.min_cut if labels == 1 else sc.alpha_expansion
    expected = solve(
        result.scores.detach(), [w.detach() for w in result.weights], offsets=offsets
    ).view(2, 9, 11)
    assert torch.equal(net.predict(image), expected.long())
    for cut in (partial(sc.soft_cut, offsets=offsets), partial(SoftCut(offsets=offsets))):
        stored = CutNet(net.net, cut, decode="min_cut")
        assert torch.equal(stored.predict(image), expected.long())


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
