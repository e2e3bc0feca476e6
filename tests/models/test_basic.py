"""The thesis' basic networks: sizes, counts, receptive fields, positivity, independence."""

import pytest
import torch

from softcut_lib import BasicNet, EdgeNet, edge_shape
from softcut_lib.train.experiments import build_model


def count(module):
    return sum(p.numel() for p in module.parameters())


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def seen(net, size=41, dim=2):
    """Width of the square of inputs on which the output's middle pixel depends."""
    with torch.no_grad():  # every weight positive, so that no path is cut off by a ReLU
        for p in net.parameters():
            p.abs_()
    image = torch.ones(1, 3, *(size,) * dim, requires_grad=True)
    net(image)[(0, 0, *(size // 2,) * dim)].backward()
    touched = image.grad.abs().sum(1)[0].nonzero()
    return (touched.max(0).values - touched.min(0).values + 1).tolist()


def test_parameters_are_those_of_the_thesis():
    assert count(BasicNet()) == 19_969
    assert count(EdgeNet()) == 2 * 1_185
    assert count(build_model("horses", "softcut", seed=0)) == 22_339


def test_wide_control_is_of_the_soft_cuts_size_and_sees_the_picture():
    wide = build_model("horses", "base-wide", seed=0).net
    assert count(wide) == 22_461
    assert abs(count(wide) / count(build_model("horses", "softcut", seed=0)) - 1) < 0.01
    assert wide.receptive_field == 257
    assert seen(wide, size=301) == [257, 257]


@pytest.mark.parametrize("dilations", [None, (1, 2, 4)])
def test_receptive_field_is_what_it_says(dilations):
    net = BasicNet(dilations=dilations)
    assert seen(net) == [net.receptive_field] * 2


@pytest.mark.parametrize("dim, grid", [(1, (9,)), (2, (5, 7)), (3, (4, 3, 5))])
def test_sizes_are_kept_in_every_dimension(dim, grid):
    image = torch.rand(2, 3, *grid, generator=generator())
    assert BasicNet(out_channels=4, dim=dim)(image).shape == (2, 4, *grid)
    edges = EdgeNet(dim=dim)
    weights = edges(image)
    shapes = [(2, *edge_shape(grid, offset)) for offset in edges.offsets]
    assert [tuple(w.shape) for w in weights] == shapes


def test_edge_nets_are_independent_and_take_the_tail_pixel():
    net = EdgeNet(offsets=((1, 0), (0, 1), (1, 1)))
    image = torch.rand(1, 3, 6, 7, generator=generator())
    weights = net(image)
    for k, crop in enumerate([(slice(0, -1), slice(None)), (slice(None), slice(0, -1))]):
        torch.testing.assert_close(weights[k], net.nets[k](image)[:, 0][:, *crop].exp())
    weights[0].sum().backward()
    assert all(p.grad is None or not p.grad.any() for p in net.nets[1].parameters())


@pytest.mark.parametrize("activation", ["exp", "softplus"])
def test_weights_are_positive_and_start_where_asked(activation):
    image = torch.rand(1, 3, 8, 8, generator=generator())
    for initial in (0.05, 4.0):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            weights = torch.cat(
                [w.flatten() for w in EdgeNet(activation=activation, initial=initial)(image)]
            )
        assert bool((weights > 0).all())
        assert 0.7 * initial < weights.median() < 1.4 * initial


@pytest.mark.parametrize(
    "options, message",
    [
        ({"kernel_size": 4}, "kernel_size.*odd.*4"),
        ({"dilations": (1, 2)}, r"dilations.*3 positive"),
        ({"dilations": (1, 0, 1)}, "dilations"),
        ({"dim": 4}, "dim.*1, 2 or 3"),
    ],
)
def test_basic_net_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        BasicNet(**options)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"activation": "relu"}, "activation.*exp"),
        ({"initial": 0.0}, "initial.*positive"),
        ({"initial": float("inf")}, "initial.*finite"),
        ({"kernel_size": 2}, "kernel_size.*odd.*2"),
    ],
)
def test_edge_net_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        EdgeNet(**options)
