"""The order of the fused exact solve: every node once, every edge once, slices in order."""

import numpy as np
import pytest

from softcut_lib.solvers.fronts import LEAF, dissect
from softcut_lib.solvers.leaves import LANES, group

GRIDS = [(1, 1), (1, 40), (8, 8), (9, 9), (23, 17), (64, 31), (50, 128)]
every_plan = pytest.mark.parametrize("depth", [0, 3])
every_grid = pytest.mark.parametrize("grid", GRIDS)


def own(front, first, step, count):
    return front[first] + np.arange(count) * front[step]


@every_grid
@every_plan
def test_every_pixel_and_edge_is_taken_once(grid, depth):
    """... by the leaf or the separator that is eliminated first."""
    h, w = grid
    tree = dissect(grid, depth)
    pixels, edges = [], []
    for front in tree.fronts:
        pixels.append(own(front, "pixel", "pixel_step", front["cut"]))
        edges += [own(front, "edge", "edge_step", front["cut"] - 1), front["end_edge"]]
    for _, tables in group(tree.regions, grid):
        assert tables.pixel.shape[2] <= LANES
        pixels.append(tables.pixel.ravel())
        edges.append(tables.edge.ravel())
    for numbers, count in ((pixels, h * w), (edges, (h - 1) * w + h * (w - 1))):
        numbers = np.concatenate(numbers)
        # the number behind the last stands for none: empty lanes, edges that would leave the image
        assert np.array_equal(np.sort(numbers[numbers != count]), np.arange(count))


@every_grid
@every_plan
def test_joins_are_slices_in_the_order_of_elimination(grid, depth):
    """At most four runs a child; both ends increase, so an upper triangle stays one."""
    tree = dissect(grid, depth)
    for front in tree.fronts:
        for runs in front["runs"]:
            runs = runs[runs[:, 2] > 0]
            child, here, length = runs.T
            assert (child[1:] == child[:-1] + length[:-1]).all()
            assert (here[1:] >= here[:-1] + length[:-1]).all()
            assert len(runs) == 0 or here[-1] + length[-1] <= front["size"]
    box, _ = tree.regions
    assert (box[:, 1::2] - box[:, ::2]).max() <= LEAF


@every_grid
@every_plan
def test_children_stand_before_their_parents_and_in_their_task(grid, depth):
    tree = dissect(grid, depth)
    place = {int(front["vector"] + front["cut"]): k for k, front in enumerate(tree.fronts)}
    task = np.searchsorted(tree.tasks, np.arange(len(tree.fronts)), side="right")
    leaves = tree.regions[1].total.sum()  # their vectors come first
    for k, front in enumerate(tree.fronts):
        for vector in front["child_vector"][front["child_vector"] >= leaves]:
            child = place[int(vector)]
            assert child < k and (k >= tree.tasks[-1] or task[child] == task[k])


def test_what_is_kept_grows_with_the_logarithm_of_the_size():
    """31/4 log2(n) per pixel is George's count for n x n; separators of pixels keep less."""
    for n in (31, 63, 127, 255, 511):
        tree = dissect((n, n), 0)
        rows = sum(
            tables.pixel.shape[0] * tables.pixel.shape[2] * (program.inner + program.row[-1])
            for program, tables in group(tree.regions, (n, n))
        )
        assert tree.store + rows < 7.75 * np.log2(n) * n * n
