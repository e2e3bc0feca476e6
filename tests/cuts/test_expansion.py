"""Alpha-expansion: local minimum, factor two, agreement with the exact cut where there is one."""

import pytest
import torch

import softcut_lib as sc
from softcut_lib.theorems import expansion as theorem
from tests.grids import GRIDS, every_grid

EIGHT = (*sc.axis_offsets(2), *sc.diagonal_offsets(2))


@pytest.fixture(params=[0, 1])
def generator(request):
    return torch.Generator().manual_seed(request.param)


@pytest.mark.parametrize("offsets", [None, EIGHT], ids=["4", "8"])
@pytest.mark.parametrize("labels", [2, 3, 4])
def test_within_twice_the_minimum(generator, labels, offsets):
    theorem.is_within_twice_the_minimum(
        sc.alpha_expansion, sc.cut_energy, generator=generator, labels=labels, offsets=offsets,
        grid=(2, 3) if labels == 4 else (2, 4),
    )  # fmt: skip


@every_grid
def test_no_single_label_improves(generator, kind):
    grid, offsets = GRIDS[kind]
    theorem.no_single_label_improves(
        sc.alpha_expansion, sc.cut_energy, generator=generator, grid=grid, offsets=offsets,
        trials=40,
    )  # fmt: skip


@pytest.mark.parametrize("offsets", [None, EIGHT], ids=["4", "8"])
def test_never_rises(generator, offsets):
    theorem.never_rises(sc.alpha_expansion, sc.cut_energy, generator=generator, offsets=offsets)


def test_without_edges_it_is_the_largest_score(generator):
    scores = torch.randn(2, 3, 4, 5, generator=generator)
    weights = [torch.zeros(2, *sc.edge_shape((4, 5), o)) for o in sc.axis_offsets(2)]
    assert torch.equal(sc.alpha_expansion(scores, weights), scores.argmax(1))


def test_strong_edges_give_one_label(generator):
    scores = torch.randn(1, 3, 4, 5, generator=generator)
    weights = [torch.full((1, *sc.edge_shape((4, 5), o)), 1e3) for o in sc.axis_offsets(2)]
    found = sc.alpha_expansion(scores, weights)
    assert (found == scores.sum((2, 3)).argmax()).all()


def test_two_labels_cost_as_much_as_the_minimum_cut(generator):
    """What neither more nor less foreground improves is a minimum: the energy is submodular."""
    scores = torch.randn(4, 1, 8, 9, generator=generator)
    weights = [torch.rand(4, *sc.edge_shape((8, 9), o), generator=generator)
               for o in sc.axis_offsets(2)]  # fmt: skip
    pair = torch.cat([torch.zeros_like(scores), scores], 1)
    found = sc.cut_energy(sc.alpha_expansion(pair, weights), pair, weights)
    least = sc.max_flow(scores, weights).value
    torch.testing.assert_close(found, least)


def test_seeds_are_kept(generator):
    scores = torch.randn(1, 3, 6, 6, generator=generator)
    weights = [torch.ones(1, *sc.edge_shape((6, 6), o)) for o in sc.axis_offsets(2)]
    seeds = torch.full((1, 6, 6), 255)
    seeds[0, 0], seeds[0, -1] = 2, 1
    found = sc.alpha_expansion(scores, weights, seeds=seeds)
    assert (found[0, 0] == 2).all() and (found[0, -1] == 1).all()


def test_a_seed_outweighs_all_the_others_together():
    """Eight pixels speak against one seed, at whose side every cut is dearer."""
    scores = torch.zeros(1, 2, 9)
    scores[:, 1] = 1
    seeds = torch.tensor([[0] + 8 * [255]])
    assert not sc.alpha_expansion(scores, [torch.full((1, 8), 10.0)], seeds=seeds).any()


def test_it_decodes_a_network_with_several_labels(generator):
    net = torch.nn.Conv2d(3, 4, 3, padding=1)
    cut = sc.CutNet(sc.ScoreAndEdges(net, sc.EdgeNet()), sc.SoftCut(), decode=sc.alpha_expansion)
    image = torch.rand(2, 3, 8, 8, generator=generator)
    assert torch.equal(cut.predict(image), sc.alpha_expansion(*cut.net(image)))


def test_errors():
    weights = [torch.ones(1, 1, 2), torch.ones(1, 2, 1)]
    with pytest.raises(ValueError, match="at least two labels.*use min_cut"):
        sc.alpha_expansion(torch.zeros(1, 1, 2, 2), weights)
    with pytest.raises(ValueError, match="max_cycles must be an integer"):
        sc.alpha_expansion(torch.zeros(1, 2, 2, 2), weights, max_cycles=0)
    with pytest.raises(ValueError, match=r"seeds must hold labels 0..1 or 255"):
        sc.alpha_expansion(torch.zeros(1, 2, 2, 2), weights, seeds=torch.full((1, 2, 2), 7))


def test_weights_cropped_from_a_map_are_taken_as_they_are(generator):
    """A network crops its maps, which leaves gaps in memory."""
    scores = torch.randn(2, 3, 4, 5, generator=generator)
    maps = torch.rand(2, 2, 4, 5, generator=generator)
    cropped = [maps[:, 0, :-1], maps[:, 1, :, :-1]]
    dense = [w.contiguous() for w in cropped]
    assert not cropped[1].is_contiguous()
    assert torch.equal(sc.alpha_expansion(scores, cropped), sc.alpha_expansion(scores, dense))
