"""Chapter 5's short table and its sentences follow the file."""

from softcut_lib import show
from tests.show.test_benchmark_tables import change, results, row


def peers(**changes):
    """A file in which KLU and CHOLMOD are packages, and all but plain CG has its own rows."""
    content = results(**changes)
    for method in content["methods"]:
        method["package"] = method["name"] if method["name"] in ("KLU", "CHOLMOD") else None
    return content


def words_of(content):
    """The sentences without line breaks."""
    return " ".join(show.solver_words(content).split())


def test_the_summary_has_one_line_for_each_kind():
    found = show.solver_summary(peers())
    assert [line[0] for line in found.rows] == list(peers()["kinds"])
    assert found.rows[0][1:] == ["100", "1000", "100", "40", "300", "10.0", "CHOLMOD, 300"]
    assert "256 x 256, batch 8" in found.caption


def test_what_missed_the_error_has_a_star_and_no_ratio():
    found = show.solver_summary(peers(cells=change("plain CG", reached=False))).rows[0]
    assert found[2] == "1000 *" and found[6] == "-"


def test_words_follow_the_numbers():
    words = words_of(peers())
    assert "10.0 to 10.0 times as fast" in words
    assert "Multigrid is faster than CG on untrained (2.5 times) and photograph" in words
    assert "Direct is faster than CG on none of the weights" in words
    assert "Peers faster than all of the library's: none" in words and "lacks" not in words
    cells = change("CHOLMOD", seconds={"median": 0.01, "q1": 0.01, "q3": 0.01, "min": 0.01, "n": 3})
    assert "CHOLMOD on trained weights" in words_of(peers(cells=cells))


def test_steps_name_the_easiest_and_the_hardest_weights():
    cells = [r for r in results()["cells"] if (r["kind"], r["method"]) != ("trained", "CG")]
    words = words_of(peers(cells=[*cells, row("trained", "CG", 0.5, steps=600)]))
    assert "from 100 steps" in words and "600 (trained)" in words


def test_rows_and_files_that_are_missing_are_said():
    cells = [r for r in results()["cells"] if (r["kind"], r["method"]) != ("trained", "Direct")]
    words = words_of(peers(cells=cells))
    assert "Rows that the file lacks: Direct on trained." in words
    assert words_of(peers(cells=[])) == "The file holds no measured row."
    assert show.solver_summary(peers(cells=[])).rows == []


def test_another_cell_where_the_main_one_was_not_measured():
    small = [row("trained", "CG", 0.1, steps=3, size=(64, 64))]
    assert "64 x 64" in show.solver_summary(peers(cells=small)).caption
    gpu = {"cells": small, "training": [], "kinds": {"trained": "trained"}}
    assert "lacks" in words_of(gpu) and show.solver_summary(gpu).rows[0][3] == "100"


def test_the_shipped_file():
    content = show.read_benchmarks()
    assert show.solver_summary(content).rows
    assert max(map(len, show.solver_words(content).splitlines())) <= 96
