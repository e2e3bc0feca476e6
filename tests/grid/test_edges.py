import pytest
import torch

import softcut_lib as sc
from tests.grids import GRIDS, every_grid, random


def test_axis_offsets_are_the_unit_steps():
    assert sc.axis_offsets(1) == ((1,),)
    assert sc.axis_offsets(3) == ((1, 0, 0), (0, 1, 0), (0, 0, 1))


@pytest.mark.parametrize("dim", [1, 2, 3, 4])
def test_axes_and_diagonals_are_each_neighbor_once(dim):
    offsets = sc.axis_offsets(dim) + sc.diagonal_offsets(dim)
    both = {o for o in offsets} | {tuple(-s for s in o) for o in offsets}
    assert len(offsets) == (3**dim - 1) // 2
    assert len(both) == 3**dim - 1


@every_grid
def test_spread_is_the_adjoint_of_jump(kind):
    grid, offsets = GRIDS[kind]
    for offset in offsets or sc.axis_offsets(len(grid)):
        x, edges = random(3, *grid), random(3, *sc.edge_shape(grid, offset), seed=1)
        torch.testing.assert_close(
            (sc.jump(x, offset) * edges).sum(), (x * sc.spread(edges, offset, grid)).sum()
        )


@every_grid
def test_jump_subtracts_the_tail_from_the_head(kind):
    grid, offsets = GRIDS[kind]
    place = torch.stack(torch.meshgrid(*(torch.arange(n) for n in grid), indexing="ij"))
    for offset in offsets or sc.axis_offsets(len(grid)):
        step = sc.jump(place, offset)
        expected = torch.tensor(offset).view(-1, *[1] * len(grid)).expand_as(step)
        assert torch.equal(step, expected)


def test_jump_of_a_constant_is_zero_and_spread_keeps_the_total():
    assert not sc.jump(torch.ones(2, 4, 5), (1, -1)).any()
    assert abs(float(sc.spread(random(3, 4), (1, -1), (4, 5)).sum())) < 1e-12


def test_crop_edges_drops_the_last_row_and_column():
    maps = random(2, 2, 4, 5)
    C, R = sc.crop_edges(maps)
    assert torch.equal(C, maps[:, 0, :-1])
    assert torch.equal(R, maps[:, 1, :, :-1])


def test_crop_edges_takes_the_value_at_the_tail():
    (w,) = sc.crop_edges(random(1, 1, 4, 5), offsets=((1, -1),))
    assert torch.equal(w, random(1, 1, 4, 5)[:, 0, :-1, 1:])


def test_crop_edges_is_differentiable():
    maps = random(1, 2, 3, 4).requires_grad_()
    sum(w.sum() for w in sc.crop_edges(maps)).backward()
    assert maps.grad.sum() == 2 * 4 + 3 * 3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sc.axis_offsets(0), "dim must be an integer of at least 1, got 0"),
        (lambda: sc.edge_shape((3, 4), (1,)), "2-D grid must have 2 entries"),
        (lambda: sc.edge_shape((3, 4), (0, 0)), "must not be all zero"),
        (lambda: sc.jump(torch.ones(3), (1, 0)), "x must have at least 2 axes"),
        (lambda: sc.spread(torch.ones(3, 4), (1, 0), (3, 4)), r"must end in \(2, 4\)"),
        (lambda: sc.crop_edges(torch.ones(1, 3, 4, 5)), "expected 2 for offsets"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_offsets_must_be_integers():
    with pytest.raises(TypeError, match="tuple of integers"):
        sc.edge_shape((3, 4), (1.0, 0))
