"""Tables of what benchmarks have recorded say what their files say."""

import pytest

from softcut_lib.show.recorded import frames_table, read_recorded, variation_table


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


def test_the_faster_of_ours_is_compared_at_equal_accuracy():
    def row(method, steps, seconds, enough=True):
        values = {"median": seconds}
        return {"scores": "noise", "scale": 3.0, "method": method, "steps": steps,
                "enough": enough, "seconds": values}  # fmt: skip

    rows = [
        row("ours, exact", None, 0.2), row("ours", 35, 0.05, False),
        row("prox-tv", 35, 0.06, False),
        row("ours", 200, 0.15), row("prox-tv", 200, 0.3),
    ]  # fmt: skip
    content = {"grid": [4, 5], "target": 1e-5, "kinds": {"noise": "noise"}, "rows": rows}
    shown = variation_table(content)
    assert shown.rows == [["noise, 3", "200", "50", "60", "200", "150", "300", "0.50"]]
    assert "4 x 5" in shown.caption and "1e-05" in shown.header[4]


def test_frames_are_shown_with_their_spread():
    spread = {"median": 5.04, "q1": 4.0, "q3": 6.0}
    row = {"method": "soft-cut", "frames": 300, "work_ms": spread, "between_ms": {"median": 16.7}}
    shown = frames_table({"grid": [120, 160], "browser": "Chromium", "rows": [row]})
    assert shown.rows == [["soft cut", "300", "5.0", "4.0–6.0", "16.7"]]
    assert shown.caption.startswith("160 x 120 pixels, Chromium")
