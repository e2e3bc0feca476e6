"""The benchmark of the playground drives the page's own controls and records where it ran."""

import json

import pytest

from benchmarks import playground
from tests.browser.chromium import needed


def test_a_run_writes_its_rows(tmp_path, capsys):
    needed()
    file = tmp_path / "playground.json"
    playground.main(["--frames", "60", "--output", str(file)])
    found = json.loads(file.read_text())
    assert found["grid"] == [120, 160] and "Chromium" in found["browser"]
    assert "--frames 60" in found["sessions"][0]["command"]
    assert [row["method"] for row in found["rows"]] == list(playground.METHODS)
    for row in found["rows"]:
        assert row["frames"] == row["between_ms"]["n"] == 60
        assert 0 < row["work_ms"]["median"]
    assert "from frame to frame" in capsys.readouterr().out


def test_without_a_browser_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(playground, "missing", lambda: "chromium is missing: apt-get")
    with pytest.raises(SystemExit, match="apt-get"):
        playground.main([])
