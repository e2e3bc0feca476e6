"""The properties of chapters 11 and 12 hold, and can fail."""

import pytest
import torch

import softcut_lib as sc
from softcut_lib.theorems import streets as theorem


@pytest.fixture(scope="module")
def pairs():
    """Pairs of marked objects in tiles of generated streets, as the shipped network knows them."""
    options = {"classes": ("traffic sign", "car"), "instances": True, "size": (128, 256)}
    streets = sc.SyntheticStreets("test", count=6, **options)
    return theorem.pairs_of_objects(sc.Tiles(streets, task="object", tile=64, min_share=0.02))


def test_pairs_are_two_objects_of_one_tile(pairs):
    assert len(pairs) >= 10
    for a, b in pairs:
        assert torch.equal(a["image"][:3], b["image"][:3])
        assert not torch.equal(a["image"][3], b["image"][3])
        assert not ((a["target"] == 1) & (b["target"] == 1)).any()


def test_the_mark_selects_the_object_for_a_trained_network(pairs):
    network, _ = sc.trained_model("object-small-softcut-published")
    marked, other = theorem.mark_selects(network, pairs)
    assert marked.mean() > other.mean() + 0.2


def test_the_mark_reaches_an_untrained_network_but_selects_nothing(pairs):
    torch.manual_seed(0)
    net = sc.CutNet(sc.TwoDecoderUNet(4, encoder="resnet10", width=1 / 8), sc.SoftCut()).eval()
    a, b = pairs[0]
    prob = net(torch.stack([a["image"], b["image"]])).prob
    assert not torch.equal(prob[0], prob[1])
    marked, other = theorem.mark_selects(net, pairs, least=0)
    assert abs(float(marked.mean() - other.mean())) < 0.02, "the trained one: above 0.2"
    with pytest.raises(AssertionError, match="marked object must be ahead"):
        theorem.mark_selects(net, pairs)


def test_blind_networks_are_found_out(pairs):
    """A network that answers the same whatever the mark is never ahead for both."""

    class Blind(torch.nn.Module):
        net = torch.nn.Conv2d(3, 1, 1)

        def forward(self, image):
            return sc.CutNet(self.net)(image[:, :3])

    torch.manual_seed(0)
    with pytest.raises(AssertionError, match="marked object must be ahead"):
        theorem.mark_selects(Blind(), pairs)


def test_decoders_of_their_own_for_each_direction_break_the_promise():
    first, second = torch.nn.Conv2d(1, 1, 3, padding=1), torch.nn.Conv2d(1, 1, 3, padding=1)
    features = [torch.rand(1, 1, 5, 7, generator=torch.Generator().manual_seed(0))]
    theorem.one_decoder_serves_both(lambda f: (first(f[0].mT).mT, first(f[0])), features)
    with pytest.raises(AssertionError, match="same weights"):
        theorem.one_decoder_serves_both(lambda f: (second(f[0].mT).mT, first(f[0])), features)
    with pytest.raises(AssertionError, match="transposed back"):
        theorem.one_decoder_serves_both(lambda f: (first(f[0].mT), first(f[0])), features)


def test_softmax_of_cuts(generator):
    theorem.softmax_ignores_a_common_map(sc.soft_cut, generator=generator)

    def own_systems(scores, weights):
        """Conductances that differ from label to label."""
        each = torch.arange(1.0, scores.shape[1] + 1, dtype=scores.dtype)
        return sc.soft_cut(scores, [w[:, None] * each[:, None, None] for w in weights])

    with pytest.raises(AssertionError, match="change no probability"):
        theorem.softmax_ignores_a_common_map(own_systems, generator=generator)


@pytest.mark.parametrize("contrast", [0.3, 3.0])
@pytest.mark.parametrize("margin", [1, 3, 6])
def test_seams_decay(generator, margin, contrast):
    draw = {"generator": generator, "dtype": torch.float64}
    scores = torch.randn(1, 1, 30, 34, **draw)
    weights = [contrast * torch.rand(1, 29, 34, **draw), contrast * torch.rand(1, 30, 33, **draw)]
    exact = lambda s, w: sc.soft_cut(s, w, solver=sc.SuperLU())  # noqa: E731
    for corner in ((0, 0), (5, 9), (14, 18)):
        error, bound = theorem.seams_are_bounded(
            exact, scores, weights, corner=corner, window=16, margin=margin
        )
        assert 0 < error < bound
    broken = lambda s, w: exact(s, w) + s.shape[-1]  # noqa: E731
    with pytest.raises(AssertionError, match="it errs by"):
        theorem.seams_are_bounded(broken, scores, weights, corner=(0, 0), window=16, margin=margin)


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def test_fewer_solves(generator):
    def all_but_one(scores, weights):
        rest = sc.soft_cut(scores[:, 1:] - scores[:, :1], weights)
        return torch.cat([torch.zeros_like(scores[:, :1]), rest], 1)

    theorem.fewer_solves_suffice(all_but_one, generator=generator)
    with pytest.raises(AssertionError, match="which map may be subtracted"):
        theorem.fewer_solves_suffice(lambda s, w: s - s[:, :1], generator=generator)
