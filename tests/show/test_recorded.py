"""Tables of what benchmarks have recorded say what their files say."""

import pytest

from softcut_lib.show.benchmark_tables import read_recorded
from softcut_lib.show.recorded import frames_table, variation_sentences, variation_table


def test_a_file_is_read_or_told(tmp_path):
    file = tmp_path / "some.json"
    file.write_text('{"schema": 1}')
    assert read_recorded("any", path=file) == {"schema": 1}
    assert read_recorded("dreams") is None
    with pytest.raises(ValueError, match="nothing.json"):
        read_recorded("any", path=tmp_path / "nothing.json")
    file.write_text("{")
    with pytest.raises(ValueError, match="some.json"):
        read_recorded("any", path=file)


def row(method, steps, seconds, error, enough=True):
    return {"scores": "noise", "scale": 3.0, "method": method, "steps": steps, "enough": enough,
            "error": error, "seconds": {"median": seconds}}  # fmt: skip


ROWS = [
    row("ours, exact", None, 0.2, 0.0), row("ours", 35, 0.05, 0.0204, False),
    row("prox-tv", 35, 0.06, 0.02, False),
    row("ours", 200, 0.15, 3e-12), row("prox-tv", 200, 0.3, 1e-12),
]  # fmt: skip
CONTENT = {"grid": [4, 5], "target": 1e-5, "kinds": {"noise": "noise"}, "rows": ROWS}


def test_what_the_numbers_say():
    steps, equal, faster = variation_sentences(CONTENT)
    assert steps == (
        "A relative error of 1e-05 takes prox-tv 200 to 200 steps (35 were tried, then a fifth "
        "more each time); 35 leave 2e-02 to 2e-02."
    )
    assert "takes 0.50 to 0.83 of prox-tv's time, and the errors are equal to 2.0 %" in equal
    assert faster.endswith("is the faster one on 1 of 1 problems.")
    (_, _, faster) = variation_sentences({**CONTENT, "rows": [row("ours, exact", None, 9.0, 0.0),
                                                              *ROWS[1:]]})  # fmt: skip
    assert faster.endswith("on 0 of 1 problems.")


def test_the_faster_of_ours_is_compared_at_equal_accuracy():
    shown = variation_table(CONTENT)
    assert shown.rows == [["noise, 3", "200", "50", "60", "200", "150", "300", "0.50"]]
    assert "4 x 5" in shown.caption and "1e-05" in shown.header[4]


def test_frames_are_shown_with_their_spread():
    spread = {"median": 5.04, "q1": 4.0, "q3": 6.0}
    row = {"method": "soft-cut", "frames": 300, "work_ms": spread, "between_ms": {"median": 16.7}}
    shown = frames_table({"grid": [120, 160], "browser": "Chromium", "rows": [row]})
    assert shown.rows == [["soft cut", "300", "5.0", "4.0–6.0", "16.7"]]
    assert shown.caption.startswith("160 x 120 pixels, Chromium")
