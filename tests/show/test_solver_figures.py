"""Chapter 5's own picture: it needs two unknowns and carries its alternative text."""

import pytest
import torch

from softcut_lib.show.solver_figures import descent_paths, edge_mean

ALT = "A picture made by a test, with nothing to see."
MATRIX, RHS = torch.tensor([[4.0, -2.0], [-2.0, 9.0]]), torch.tensor([1.0, 2.0])


def test_paths_are_drawn():
    drawn = descent_paths(MATRIX, RHS, {"a": [[0, 0], [1, 0]], "b": torch.eye(2)}, alt=ALT)
    assert drawn.alt == ALT and len(drawn.data) > 1000


def test_only_the_plane_is_drawn():
    with pytest.raises(ValueError, match="two unknowns"):
        descent_paths(torch.eye(3), torch.ones(3), {"a": [[0, 0, 0]]}, alt=ALT)
    with pytest.raises(ValueError, match="path 'a'"):
        descent_paths(MATRIX, RHS, {"a": [[0, 0, 0]]}, alt=ALT)
    with pytest.raises(ValueError, match="alt"):
        descent_paths(MATRIX, RHS, {"a": [[0, 0], [1, 0]]}, alt="")


def test_the_mean_of_equal_edges_is_their_value():
    for value in (2.0, -3.0):
        edges = [torch.full((1, 3, 5), value), torch.full((1, 4, 4), value)]
        assert torch.equal(edge_mean(edges), torch.full((1, 4, 5), value))
