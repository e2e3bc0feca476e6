"""Chapter 14's pictures: the lattice drawn is the library's, and tables say what was recorded."""

import numpy as np
import pytest
import torch

from softcut_lib.affinity.tables import build_tables
from softcut_lib.show import filter_figures
from softcut_lib.show.filter_figures import (
    filtering_table,
    filtering_words,
    lattice_steps,
    loss_share_table,
)


def test_lattice_points_surround_the_pixels():
    """Each pixel is the weighted mean of where its triangle's corners are drawn."""
    generator = torch.Generator().manual_seed(0)
    points = 2 * torch.randn(30, 2, generator=generator, dtype=torch.float64)
    lattice = build_tables(points.T[None])
    places = torch.from_numpy(filter_figures._places(points, lattice))
    mean = (places[lattice.vertex.long()] * lattice.weight[..., None]).sum(1)
    torch.testing.assert_close(mean, points)


def test_all_edges_are_equally_long():
    edges = filter_figures._edges(np.array([-2.0, -2.0]), np.array([2.0, 2.0]))
    lengths = np.linalg.norm(edges[:, 1] - edges[:, 0], axis=1)
    assert np.allclose(lengths, 1)  # the triangles of two dimensions have sides of one sigma


def test_steps_are_described():
    drawn = lattice_steps([[0.0, 0.0], [0.3, 0.1], [3.0, 3.0]], [1.0, 0.0, 0.5])
    assert "3 pixels" in drawn.alt and len(drawn.data) > 1000
    with pytest.raises(ValueError, match="shapes"):
        lattice_steps([[0.0, 0.0, 0.0]], [1.0])
    with pytest.raises(ValueError, match="areas"):
        lattice_steps([[0.0, 0.0]], [-1.0])


def test_recorded_rows_become_a_table():
    figures = {"filter_error": 0.0123, "degree_error": 0.05, "gradient_cosine": 0.99812}
    rows = [
        {"method": "lattice", "size": [320, 480], "threads": 1, "labels": labels, "part": part,
         "seconds": {"median": seconds}, "cut": 0.11, "exact_cut": 0.1, **figures}
        for labels, part, seconds in (
            (2, "build", 0.0217), (2, "apply", 0.0051), (21, "build", 0.02), (21, "apply", 0.0123)
        )
    ]  # fmt: skip
    content = {"schema": 1, "rows": rows}
    shown = filtering_table(content, size=(320, 480), threads=1)
    expected = ["lattice", "21.7", "5.1", "12.3", "1.2%", "0.9981", "+10.0%"]
    assert shown.rows == [expected]
    with pytest.raises(ValueError, match="must be among"):
        filtering_table(content, size=(320, 480), threads=2)


def test_words_compare_the_sum_of_both_parts():
    times = {("lattice, sym", "build"): 1, ("lattice, sym", "apply"): 2, ("peer", "build"): 4,
             ("peer", "apply"): 8}  # fmt: skip
    rows = [
        {"method": method, "part": part, "size": [8, 9], "threads": 1, "labels": labels,
         "seconds": {"median": value * (labels if part == "apply" else 10 * labels - 19)}}
        for (method, part), value in times.items() for labels in (2, 21)
    ]  # fmt: skip
    methods = [{"name": "lattice, sym", "ours": True}, {"name": "peer", "ours": False}]
    words = filtering_words({"rows": rows, "methods": methods}, size=(8, 9), threads=1)
    first, second = words.split("\n")
    assert first.endswith("of the time of peer:") and second.count("0.25") == 2


def test_a_loss_is_a_share_of_step_and_loss():
    times = {("step", "net"): 0.3, ("loss", "ours"): 0.1, ("filter", "peer"): 0.2}
    rows = [
        {"part": part, "name": name, "size": [32, 48], "threads": 1, "labels": labels,
         "seconds": {"median": value * labels}}
        for (part, name), value in times.items() for labels in (2, 21)
    ]  # fmt: skip
    shown = loss_share_table({"loss": rows}, threads=1)
    assert shown.rows[0] == ["step of net", "600", "25%", "6300", "25%"]
    assert shown.rows[1][0] == "normalized cut loss: ours" and shown.rows[2][2] == ""
    with pytest.raises(ValueError, match=r"among \[1\], got 2"):
        loss_share_table({"loss": rows}, threads=2)
