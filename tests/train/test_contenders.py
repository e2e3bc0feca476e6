"""The table of all cuts: each row is measured as it should be, and says so where it is not."""

import pytest

from softcut_lib import show
from softcut_lib.train.contenders import CONTENDERS, side_by_side

pytest.importorskip("lightning")
pytest.importorskip("cvxpylayers", reason="pip install 'cvxpylayers>=1.0'")


@pytest.fixture(scope="module")
def rows():
    return {row["name"]: row for row in side_by_side(steps=2)}


def test_every_cut_has_its_row_in_order(rows):
    assert list(rows) == list(CONTENDERS)


def test_what_is_not_measured_is_none(rows):
    learned, passes = {"iou", "figures"}, {"scores", "weights", "forward", "backward"}
    for name, row in rows.items():
        missing = {key for key, value in row.items() if value is None} - {"iou_bracket"}
        if name == "no cut" or "loss" in name:
            assert missing == passes
        elif "program" in name:
            assert missing == learned
        else:
            assert not missing


def test_gradients_have_the_order_that_chapters_7_and_8_explain(rows):
    """Exact for the soft cut, block means better with the right blocks, noise for few samples."""
    scores = {name: row["scores"] for name, row in rows.items()}
    assert scores["soft cut"] > 0.99
    assert 0.99 > scores["TV, exact"] > scores["TV, 35 steps"]
    assert scores["quadratic program (8 by 10 only)"] == pytest.approx(scores["TV, exact"], abs=0.1)
    assert scores["perturbed minimum cut"] < scores["TV, 35 steps"]


def test_a_row_is_measured_again_the_same(rows):
    (again,) = side_by_side(["perturbed minimum cut"], steps=2)
    timeless = lambda row: {k: v for k, v in row.items() if k not in ("forward", "backward")}  # noqa: E731
    assert timeless(again) == timeless(rows["perturbed minimum cut"])


def test_table_shows_milliseconds_and_dashes(rows):
    shown = show.comparison_table([rows["no cut"], rows["TV, exact"]], caption="Two.")
    assert shown.rows[0][3:] == ["-"] * 4
    assert float(shown.rows[1][5]) == pytest.approx(1e3 * rows["TV, exact"]["forward"], abs=0.01)


def test_an_unknown_cut_is_refused():
    with pytest.raises(ValueError, match="names must be among no cut, soft cut.*got 'graph'"):
        side_by_side(["graph"])
