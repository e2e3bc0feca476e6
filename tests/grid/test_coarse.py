"""Soldered circuits: what adds up, what vanishes, what stays."""

import pytest
import torch

import softcut_lib as sc
from softcut_lib.grid.coarse import coarse_shape, solder_copy, solder_sum
from tests.grids import GRIDS, arguments, dense, every_grid, random, system_of


@every_grid
def test_sum_is_the_adjoint_of_copy(kind):
    grid = GRIDS[kind][0]
    x, y = random(2, 3, *grid), random(2, 3, *coarse_shape(grid), seed=1)
    left, right = (solder_sum(x, len(grid)) * y).sum(), (x * solder_copy(y, grid)).sum()
    torch.testing.assert_close(left, right)


@every_grid
@pytest.mark.parametrize("per_label", [False, True])
def test_soldered_systems_keep_batch_labels_and_all_ground(kind, per_label):
    scores, weights, options = arguments(kind, per_label=per_label)
    system = system_of(scores, weights, options)
    coarse = system.coarsen()
    assert coarse.batch == system.batch and coarse.labels == system.labels
    assert coarse.dtype == system.dtype and coarse.grid == coarse_shape(system.grid)
    axes = tuple(range(-len(system.grid), 0))
    torch.testing.assert_close(coarse.ground.sum(axes), system.ground.sum(axes))


def test_weights_may_be_shared_where_the_ground_is_not():
    scores, weights, options = arguments("2d-diagonals", per_label=True)
    mixed = sc.GridSystem([w[:, 0] for w in weights], **options)
    coarse = mixed.coarsen()
    assert coarse.labels == 2
    for label in range(2):
        alone = sc.GridSystem(
            [w[:, 0] for w in weights],
            offsets=options["offsets"],
            ground=options["ground"][:, label],
        ).coarsen()
        torch.testing.assert_close(dense(coarse, 1, label), dense(alone, 1))


def test_soldering_down_to_one_node_leaves_the_ground_only():
    scores, weights, options = arguments("3d-26")
    system = system_of(scores, weights, options)
    while max(system.grid) > 1:
        system = system.coarsen()
    torch.testing.assert_close(
        system.ground.flatten(1), options["ground"].flatten(1).sum(1)[:, None]
    )
    assert not any(w.numel() for w in system.weights)


def test_long_links_become_shorter():
    scores, weights, options = arguments("2d-long")
    system = system_of(scores, weights, options)
    reach = [max(max(map(abs, o)) for o in system.offsets)]
    while max(system.grid) > 2:
        system = system.coarsen()
        reach.append(max(max(map(abs, o)) for o in system.offsets))
    assert reach[0] == 3 and reach[-1] == 1


def test_soldered_weights_can_be_differentiated():
    _, weights, options = arguments("2d")
    weights = [w.requires_grad_() for w in weights]
    coarse = sc.GridSystem(weights, **options).coarsen()
    (coarse @ random(2, 1, *coarse.grid)).square().sum().backward()
    assert all(w.grad.isfinite().all() for w in weights)
