"""The instructor's guide: its tables come from the notebooks, its commands and names exist."""

import json
import re
from pathlib import Path

from nbgrader.apps import NbGraderApp

from book.ext import softcut_course
from coursework import build
from softcut_lib.coursework import KEY, KEY_FILE

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "book" / "instructors.md").read_text()


def test_the_tables_read_the_notebooks(tmp_path):
    rows = "\n".join(softcut_course.assignments(ROOT))
    for notebook in build.assignments().values():
        tested, by_hand = build.points(notebook)
        assert softcut_course.graded(notebook)[1:] == (tested, by_hand)
        assert softcut_course.title(notebook) in rows
    (tmp_path / "notebooks").symlink_to(ROOT / "notebooks")
    before = "\n".join(softcut_course.chapters(tmp_path))
    assert before.count(":doc:") == len(list((ROOT / "notebooks").glob("[0-9]*.ipynb")))
    assert "none stated" not in before and "not measured in this build" in before
    (tmp_path / "_build").mkdir()
    times = {"notebooks": [{"name": "01_cut", "seconds": 12.3}]}
    (tmp_path / "_build" / "run_times.json").write_text(json.dumps(times))
    after = "\n".join(softcut_course.chapters(tmp_path))
    assert "- 12 s" in after and after.count("not measured") == before.count("not measured") - 1


def test_the_guide_names_what_exists():
    assert KEY in GUIDE and KEY_FILE in GUIDE
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"`make ([a-z-]+)`", GUIDE):
        assert re.search(rf"^{target}:.*##", makefile, re.MULTILINE), target
    for module, name in re.findall(r"python -m (\S+) (\w+)", GUIDE):
        assert (ROOT / f"{module.replace('.', '/')}.py").is_file()
        assert (ROOT / "notebooks" / f"{name}.ipynb").is_file()
    commands = set(re.findall(r"`nbgrader ([a-z_]+)", GUIDE))
    assert {"autograde", "generate_feedback", "export"} <= commands <= set(NbGraderApp.subcommands)
    assert set(re.findall(r"part\d_\w+", GUIDE)) <= set(build.assignments())
    assert f"show_solutions: {'false'}" in GUIDE
    for part in ("I", "II", "III", "IV", "V", "VI"):
        assert f"**Part {part}**" in GUIDE and re.search(rf"\| {part} \|", GUIDE)
