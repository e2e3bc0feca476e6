"""TwoDecoderUNet: shapes, the transposed second decoder, and its life inside CutNet."""

import pytest
import torch

import softcut_lib as sc
from softcut_lib import CutNet, SoftCut, TotalVariation, TwoDecoderUNet
from softcut_lib.theorems.streets import one_decoder_serves_both

SMALL = {"encoder": "resnet10", "width": 1 / 16}


def make(**options):
    torch.manual_seed(0)
    return TwoDecoderUNet(**{**SMALL, **options})


@pytest.fixture
def image():
    return torch.rand(2, 3, 40, 33, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("edges", ["transposed", "channels"])
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("activation", ["softplus", "exp"])
def test_shapes_and_signs(image, edges, shared, activation):
    net = make(out_channels=3, edges=edges, shared_edges=shared, activation=activation)
    scores, weights = net(image)
    labels = () if shared else (3,)
    assert scores.shape == (2, 3, 40, 33)
    assert [tuple(w.shape) for w in weights] == [(2, *labels, 39, 33), (2, *labels, 40, 32)]
    assert all((w > 0).all() for w in weights)


def test_without_edges_it_is_a_plain_score_net(image):
    net = make(edges=None)
    scores, weights = net(image)
    assert weights is None and scores.shape == (2, 1, 40, 33)
    assert CutNet(net)(image).weights is None


@pytest.mark.parametrize("training", [False, True])
def test_transposed_features_exchange_row_and_column_weights(image, training):
    net = make().train(training)
    one_decoder_serves_both(net.edge_maps, net.encoder(torch.rand(2, 3, 64, 32)))


def test_one_pass_with_two_channels_promises_no_such_thing(image):
    with pytest.raises(AssertionError):
        net = make(edges="channels").eval()
        one_decoder_serves_both(net.edge_maps, net.encoder(torch.rand(1, 3, 64, 32)))


@pytest.mark.parametrize("edges", ["transposed", "channels"])
def test_gradients_reach_encoder_and_both_decoders(image, edges):
    net = CutNet(make(edges=edges), SoftCut())
    net(image).prob.square().mean().backward()
    for part in (net.net.encoder, net.net.decoder, net.net.edge_decoder):
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in part.parameters()
                   if p.dim() > 1)  # fmt: skip


def test_both_directions_train_the_second_decoder(image):
    """Either direction alone gives it a gradient."""
    for k in (0, 1):
        net = make()
        net(image)[1][k].mean().backward()
        assert net.edge_decoder.head[0].weight.grad.abs().sum() > 0
        assert net.decoder.head[0].weight.grad is None


@pytest.mark.parametrize("cut", [SoftCut(), TotalVariation(), None], ids=["soft", "tv", "none"])
@pytest.mark.parametrize("shared", [True, False])
def test_any_cut_and_the_min_cut_decoder(image, cut, shared):
    net = CutNet(make(shared_edges=shared), cut, decode="min_cut").eval()
    result = net(image)
    assert result.prob.shape == (2, 1, 40, 33)
    mask = net.predict(image)
    weights = [w if shared else w[:, 0] for w in result.weights]
    assert torch.equal(mask, sc.min_cut(result.scores, weights)[:, 0].long())


def test_several_labels_share_or_own_their_edges(image):
    for shared in (True, False):
        result = CutNet(make(out_channels=3, shared_edges=shared), SoftCut())(image)
        torch.testing.assert_close(result.prob.sum(1), torch.ones(2, 40, 33))


def test_sizes_are_padded_by_zeros_of_the_normalized_image():
    net = make().eval()
    image = torch.rand(1, 3, 50, 70, generator=torch.Generator().manual_seed(1))
    gray = net.mean.expand(1, 3, 64, 96).clone()
    gray[..., :50, :70] = image
    scores, weights = net(image)
    padded, wide = net(gray)
    torch.testing.assert_close(scores, padded[..., :50, :70])
    torch.testing.assert_close(weights[0], wide[0][..., :49, :70])
    torch.testing.assert_close(weights[1], wide[1][..., :50, :69])


def test_the_colors_are_normalized_inside_and_the_mark_is_not():
    net = make(in_channels=4)
    net.encoder = torch.nn.Identity()
    net.decoder = torch.nn.Identity()
    net.edges = None
    image = torch.cat([net.mean[:, :3].expand(1, 3, 32, 32), torch.ones(1, 1, 32, 32)], 1)
    seen, _ = net(image)
    assert seen[:, :3].abs().max() < 1e-6 and (seen[:, 3] == 1).all()
    assert "mean" not in net.state_dict()


def test_sizes_of_the_networks():
    """The thesis: encoders of 11 and 21 million parameters, decoders of 3 million."""
    for encoder, millions in (("resnet18", 11), ("resnet34", 21)):
        net = TwoDecoderUNet(encoder=encoder)
        count = {
            name: sum(p.numel() for p in getattr(net, name).parameters()) / 1e6
            for name in ("encoder", "decoder", "edge_decoder")
        }
        assert int(count["encoder"]) == millions
        assert 2 < count["decoder"] < 3 and count["decoder"] == count["edge_decoder"]
    base = sum(p.numel() for p in TwoDecoderUNet(edges=None).parameters())
    assert 13e6 < base < 14e6


def test_the_start_depends_on_the_seed_alone(image):
    first, second = make().eval(), make().eval()
    assert torch.equal(first(image)[0], second(image)[0])


@pytest.mark.parametrize(
    "options",
    [
        {"encoder": "resnet50"},
        {"edges": "rows"},
        {"activation": "relu"},
        {"in_channels": 1},
        {"out_channels": 0},
        {"width": 0},
    ],
)
def test_unknown_options_are_refused(options):
    (name,) = options
    with pytest.raises(ValueError, match=f"{name} must be"):
        make(**options)


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 4, 32, 32), (1, 3, 0, 32)])
def test_images_of_another_form_are_refused(shape):
    with pytest.raises(ValueError, match="image must have shape"):
        make()(torch.zeros(shape))


def test_without_monai_the_install_line_is_named(monkeypatch):
    import importlib

    real = importlib.import_module

    def missing(name, *rest):
        if name.startswith("monai"):
            raise ImportError("no monai")
        return real(name, *rest)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ImportError, match=r"MONAI: pip install .softcut-lib\[train\]"):
        make()
