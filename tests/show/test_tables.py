"""Tables say what they are given, in text and in HTML."""

import pytest

from softcut_lib import show


def run(model, seed, iou):
    summary = {"iou": iou, "loss": 0.4, "figures": 9.0}
    summary |= {f"{name}_bracket": 0.02 for name in summary}
    machine = {"device": "cpu", "threads": 2}
    session = {"command": "softcut train horses", "commit": "0123456789ab", "date": "2026-11-22"}
    return {
        "model": model, "seed": seed, "parameters": 10, "summary": summary, "machine": machine,
        "sessions": [session], "wall_time_s": 630.0,
    }  # fmt: skip


def test_html_is_escaped_and_has_headers():
    html = show.table(["a", "b"], [["x < y", 1.0]], caption="c & d")._repr_html_()
    assert "x &lt; y" in html and "c &amp; d" in html
    assert html.count('scope="col"') == 2 and html.count('scope="row"') == 1


def test_a_short_row_is_refused():
    with pytest.raises(ValueError, match="expected 2 cells"):
        show.table(["a", "b"], [[1]])


def test_seeds_are_averaged_and_models_ordered():
    results = {"rows": [run("cut", 0, 0.7), run("base", 0, 0.4), run("base", 1, 0.5)]}
    paper = {"base": {"miou": (0.472, 0.0243), "figures": (72.3, 5.5)}}
    shown = show.results_table(results, paper, names={"base": "Base", "cut": "Soft cut"})
    base, cut = shown.rows
    assert base[0] == "Base" and base[2:4] == ["2", "0.450 (0.020)"]
    assert base[-2:] == ["0.472 (0.024)", "72.300 (5.500)"]
    assert cut[0] == "Soft cut" and cut[-2:] == ["-", "-"]
    alone = show.results_table(results)
    assert alone.header == shown.header[:6] and "paper" not in str(alone)


def test_provenance_names_command_and_commit():
    (row,) = show.provenance_table({"rows": [run("cut", 3, 0.7)]}).rows
    assert row[1:5] == ["3", "softcut train horses", "012345678", "2026-11-22"]
    assert row[-1] == "10 min"
