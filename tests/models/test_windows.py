"""Windows: nothing is lost or doubled, and a network notices them only if it looks far."""

import numpy as np
import pytest
import torch
from torch import nn

import softcut_lib as sc
from softcut_lib import (
    BasicNet,
    CutNet,
    EdgeNet,
    ScoreAndEdges,
    SoftCut,
    Windowed,
    join_windows,
    split_windows,
)

SIZES = [(10, 7, 4, 2), (9, 13, 8, 4), (5, 5, 3, 3), (3, 2, 10, 6), (12, 8, 8, 8)]


def picture(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("h", "w", "window", "stride"), SIZES)
def test_split_and_join_are_inverse_and_pointwise_functions_pass(h, w, window, stride):
    x, options = picture(2, 3, h, w), {"window": window, "stride": stride}
    pieces = split_windows(x, fill=(1.0, 2.0, 3.0), **options)
    assert torch.equal(join_windows(pieces, (h, w), **options), x)
    assert torch.equal(join_windows(pieces.exp(), (h, w), **options), x.exp())


def test_the_published_windows_of_a_frame():
    assert split_windows(torch.zeros(1, 1, 1024, 2048)).shape == (32, 1, 320, 320)
    assert split_windows(torch.zeros(1, 1, 1024, 2048), window=288).shape == (32, 1, 288, 288)
    x = picture(1, 1, 1024, 2048)
    pieces = split_windows(x, fill=7.0)
    assert (pieces[0, 0, :32] == 7).all() and (pieces[0, 0, :, :32] == 7).all()
    assert torch.equal(pieces[9, 0], x[0, 0, 224:544, 224:544])


def test_targets_are_split_like_images_and_filled_with_void():
    target = torch.randint(0, 3, (2, 6, 9), generator=torch.Generator().manual_seed(0))
    pieces = split_windows(target, window=6, stride=4, fill=255)
    same = split_windows(target[:, None].float(), window=6, stride=4, fill=255.0)
    assert pieces.dtype == torch.int64 and torch.equal(pieces.float(), same[:, 0])


def test_a_pointwise_network_does_not_notice_the_windows():
    torch.manual_seed(0)
    network = CutNet(BasicNet(channels=(8,), kernel_size=1, out_channels=2)).eval()
    image = picture(2, 3, 21, 34)
    whole = network(image)
    for window, stride in ((12, 8), (8, 8), (40, 32)):
        joined = Windowed(network, window=window, stride=stride)(image)
        for name in ("scores", "output", "prob"):
            torch.testing.assert_close(getattr(joined, name), getattr(whole, name))


def test_a_network_that_looks_as_far_as_the_margin_does_not_notice_either():
    torch.manual_seed(0)
    network = CutNet(nn.Conv2d(3, 1, 5, padding=2))
    image = picture(1, 3, 20, 27)
    joined = Windowed(network, window=12, stride=8, fill=0.0)(image)
    torch.testing.assert_close(joined.scores, network(image).scores)
    short = Windowed(network, window=10, stride=8, fill=0.0)(image)
    assert (short.scores - network(image).scores).abs().max() > 1e-3


@pytest.mark.parametrize("shared", [True, False])
def test_conductances_are_joined_edge_by_edge(shared):
    torch.manual_seed(0)
    edges = EdgeNet(kernel_size=1)

    class Net(nn.Module):
        def forward(self, image):
            weights = edges(image)
            return image[:, :2], weights if shared else [w[:, None].expand(-1, 2, -1, -1)
                                                         for w in weights]  # fmt: skip

    image = picture(2, 3, 13, 18)
    whole = CutNet(Net())(image)
    joined = Windowed(CutNet(Net()), window=8, stride=4)(image)
    for first, second in zip(joined.weights, whole.weights):
        torch.testing.assert_close(first, second)


def test_every_offset_of_the_cut_is_joined():
    """Diagonals too, for the joined frame and for its decoder; an unknown offset is refused."""
    torch.manual_seed(0)
    offsets = (*sc.axis_offsets(2), *sc.diagonal_offsets(2))
    net = ScoreAndEdges(
        BasicNet(channels=(4,), kernel_size=1), EdgeNet(kernel_size=1, offsets=offsets)
    )
    network = CutNet(net, SoftCut(offsets=offsets, solver=sc.SuperLU()), decode="min_cut")
    image, windowed = picture(1, 3, 13, 18), Windowed(network, window=8, stride=4)
    joined, whole = windowed(image), network(image)
    for first, second in zip(joined.weights, whole.weights, strict=True):
        torch.testing.assert_close(first, second)
    assert torch.equal(windowed.predict(image), network.predict(image))
    with pytest.raises(ValueError, match="one map of conductances for each offset of its cut"):
        Windowed(CutNet(net), window=8, stride=4)(image)


def test_a_cut_notices_the_windows_less_and_less():
    """In the middle of the frame; along its border the pixels outside keep pulling."""
    torch.manual_seed(0)
    network = CutNet(
        ScoreAndEdges(BasicNet(channels=(4,), kernel_size=1), EdgeNet(kernel_size=1)), SoftCut()
    )
    image, middle = picture(1, 3, 40, 40), np.s_[..., 16:24, 16:24]
    whole = network(image)
    gaps = []
    for window in (12, 16, 24):
        joined = Windowed(network, window=window, stride=8)(image)
        torch.testing.assert_close(joined.scores, whole.scores)
        gaps.append(float((joined.output - whole.output).detach()[middle].abs().max()))
    assert gaps[0] > gaps[1] > gaps[2] > 0


def test_the_decoder_runs_on_the_joined_frame():
    torch.manual_seed(0)
    net = ScoreAndEdges(BasicNet(channels=(4,), kernel_size=1), EdgeNet(kernel_size=1))
    network = CutNet(net, SoftCut(), decode="min_cut")
    image = picture(1, 3, 14, 19)
    windowed = Windowed(network, window=8, stride=4)
    assert windowed.decode == "min_cut"
    assert torch.equal(windowed.predict(image), network.predict(image))
    plain = Windowed(CutNet(net), window=8, stride=4)
    assert torch.equal(plain.predict(image), (plain(image).prob[:, 0] > 0.5).long())


def test_how_many_pass_at_once_changes_nothing_in_evaluation():
    torch.manual_seed(0)
    network = CutNet(sc.TwoDecoderUNet(encoder="resnet10", width=1 / 16), SoftCut()).eval()
    image = picture(1, 3, 60, 100)
    few, many = (Windowed(network, window=64, stride=32, at_once=n)(image).prob for n in (1, 8))
    torch.testing.assert_close(few, many, atol=1e-4, rtol=1e-4)


def test_outside_the_frame_there_is_nothing_after_normalization():
    net = sc.TwoDecoderUNet(in_channels=4, encoder="resnet10", width=1 / 16)
    windowed = Windowed(CutNet(net), window=64, stride=32)
    outside = torch.tensor(windowed._fill(4)).view(1, 4, 1, 1)
    assert ((outside - net.mean) / net.std).abs().max() < 1e-7


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("window - stride must be even", {"window": 7, "stride": 4}),
        ("window - stride must be even", {"window": 4, "stride": 8}),
        ("window must be", {"window": 0}),
        ("stride must be", {"stride": 2.0}),
        ("fill must be", {"fill": (1.0, 2.0)}),
    ],
)
def test_bad_options_are_refused(text, options):
    with pytest.raises(ValueError, match=text):
        split_windows(torch.zeros(1, 3, 8, 8), **options)


def test_other_misuse_is_refused():
    with pytest.raises(ValueError, match="x must have shape"):
        split_windows(torch.zeros(8, 8))
    with pytest.raises(ValueError, match="fill must be a number"):
        split_windows(torch.zeros(1, 8, 8), fill=(1.0,))
    with pytest.raises(ValueError, match=r"maps must have shape \(B \* 4, L, 8, 8\)"):
        join_windows(torch.zeros(3, 1, 8, 8), (8, 8), window=8, stride=4)
    with pytest.raises(TypeError, match="network must be a CutNet"):
        Windowed(BasicNet())
    with pytest.raises(ValueError, match="at_once must be"):
        Windowed(CutNet(BasicNet()), at_once=0)
    with pytest.raises(ValueError, match="edges between windows lie in the margin"):
        Windowed(CutNet(ScoreAndEdges(BasicNet(), EdgeNet())), window=8, stride=8)(
            torch.rand(1, 3, 8, 8)
        )
