"""The head start of total variation's flows: feasible, and of no effect on the answer."""

import numpy as np
import pytest
import torch

import softcut_lib as sc
from softcut_lib.cuts.flow import joints
from softcut_lib.grid.system import GridSystem
from softcut_lib.layers import reflection
from softcut_lib.layers.decomposition import decompose
from softcut_lib.layers.reflection import Reflection

GRID = (64, 70)
ENDS = joints(GRID, sc.axis_offsets(2))
SIZE, EDGES = GRID[0] * GRID[1], ENDS[0].size


def noise(seed=0):
    return np.random.default_rng(seed).standard_normal(SIZE)


def weights_of(kind):
    random = np.random.default_rng(1)
    soft = np.log1p(np.exp(random.standard_normal(EDGES)))
    return {
        "strong": 20 * soft,
        "coupled": 3 * soft,
        "between": 2 * soft,
        "constant": np.full(EDGES, 3.0),
        "broken": np.where(random.random(EDGES) < 0.3, 0, 5.0),
        "12 decades": 10 ** random.uniform(-6, 6, EDGES),
        "300 decades": 10 ** random.uniform(-150, 150, EDGES),
    }[kind]


class Counted(Reflection):
    """Remembers at each level the share of pixels that keep some excess, None without start."""

    def __call__(self, pull, pixel, edge):
        if not hasattr(self, "shares"):
            self.shares = []
        found = super().__call__(pull, pixel, edge)
        moved = found and float((np.abs(found[0]) > 1e-12 * np.abs(pull).max()).mean())
        self.shares.append(moved)
        return found


KINDS = ("strong", "coupled", "between", "constant", "broken", "12 decades", "300 decades")


@pytest.mark.parametrize("kind", KINDS)
def test_the_answer_is_the_same_without_it(kind):
    w, z = weights_of(kind), noise()
    start = Counted(w, *ENDS, GRID)
    cold, warm = decompose(z, w, *ENDS), decompose(z, w, *ENDS, start)
    assert any(share is not None for share in start.shares)
    np.testing.assert_array_equal(warm.labels, cold.labels)
    np.testing.assert_allclose(warm.values, cold.values, rtol=0, atol=1e-12)
    assert warm.levels == cold.levels and warm.gap < 1e-18


def test_it_leaves_little_to_the_flows():
    """None where the currents suffice; else a fraction of the pixels, all of which had some."""
    for kind, most in (("strong", 0.0), ("coupled", 0.15)):
        start = Counted(weights_of(kind), *ENDS, GRID)
        decompose(noise(), start.weights, *ENDS, start)
        assert max(start.shares) <= most


@pytest.mark.parametrize("kind", ["coupled", "broken"])
def test_currents_are_feasible_and_the_excess_is_what_they_leave(kind):
    w, (tails, heads) = weights_of(kind), ENDS
    alive = np.flatnonzero((w > 0) & (np.arange(EDGES) % 10 > 0))  # some edges are cut already
    pull = noise() - noise().mean()
    start = Reflection(w, tails, heads, GRID)
    for _ in range(2):  # each start goes on from the last
        excess, current = start(pull, np.arange(SIZE), alive)
        assert bool((np.abs(current) <= w[alive]).all())
        carried = np.bincount(tails[alive], current, SIZE)
        carried -= np.bincount(heads[alive], current, SIZE)
        np.testing.assert_allclose(excess, pull - carried, atol=1e-12)


def test_what_it_refuses():
    w, everything = weights_of("coupled"), np.arange(SIZE)
    start = Reflection(w, *ENDS, GRID)
    edge = np.arange(EDGES)
    assert start(noise(), everything, edge) is not None
    assert start(20 * noise(), everything, edge) is None  # more than the weights can carry
    assert start(noise()[:100], everything[:100], edge[:100]) is None  # too small
    assert start(noise(), everything, edge[:0]) is None
    regions = np.repeat([3.0, -3.0], SIZE // 2)  # no more at a pixel than the noise, but all alike
    assert start(regions, everything, edge) is None
    for wrong in (np.nan, np.inf):
        pull, bad = noise(), w.copy()
        pull[7] = wrong
        bad[np.flatnonzero(start.outward)[7]] = wrong
        assert start(pull, everything, edge) is None
        assert Reflection(bad, *ENDS, GRID)(noise(), everything, edge) is None


def test_which_grids_it_serves():
    def system(grid, offsets):
        weights = [torch.ones(1, *sc.edge_shape(grid, o)) for o in offsets]
        return GridSystem(weights, offsets=offsets, grid=grid)

    axes = sc.axis_offsets(2)
    assert Reflection.serves(system(GRID, axes))
    assert not Reflection.serves(system((8, 9), axes)) and reflection.LEAST > 72
    assert not Reflection.serves(system(GRID, axes + sc.diagonal_offsets()))
    assert not Reflection.serves(system((20, 20, 20), sc.axis_offsets(3)))
