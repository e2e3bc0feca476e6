"""The converted course: what students get holds no answer, and nbgrader grades it as we do."""

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from coursework import build
from softcut_lib.coursework import KEY, KEY_FILE
from tests.coursework.grading import BEGIN, END, authored, grade, graded_functions, marks
from tests.coursework.wrong_answers import WRONG

NAMES = list(build.assignments())
ROOT = Path(__file__).parents[2]
PLAIN = {"torch", "numpy", "scipy", "numba", "networkx", "maxflow", "skimage", "matplotlib"}


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kit") / "course"
    written = build.write(folder)
    assert list(written) == NAMES and all(path.is_file() for path in written.values())
    return folder


def read(course, kind, name):
    return nbformat.read(course / kind / name / f"{name}.ipynb", as_version=4)


def text(notebook):
    return "\n".join(cell.source for cell in notebook.cells)


def solution_lines(name):
    """Lines of code that stand in the solutions of an assignment and nowhere else in it."""
    inside, outside = set(), set()
    for cell in authored(name).cells:
        solving = False
        for line in map(str.strip, cell.source.splitlines()):
            solving = (solving or line == BEGIN) and line != END
            (inside if solving else outside).add(line)
    return {line for line in inside - outside - {BEGIN} if len(line) > 8}


@pytest.mark.parametrize("name", NAMES)
def test_students_get_no_solution_and_no_hidden_test(course, name):
    assert len(solution_lines(name)) > 15
    essays = [
        c.source
        for c in authored(name).cells
        if c.cell_type == "markdown" and marks(c).get("solution")
    ]
    assert essays
    for kind in ("release", "colab"):
        given = read(course, kind, name)
        lines = {line.strip() for line in text(given).splitlines()}
        assert not lines & solution_lines(name)
        assert not any(essay in text(given) for essay in essays)
        assert "hidden" not in text(given).lower() and "SOLUTION" not in text(given)
        assert text(given).count("not written yet") == len(graded_functions(name))
        assert text(given).count("*Your answer goes here.*") == len(essays)
        for function in graded_functions(name):
            assert f'assert check("{function}", {function})' in lines


@pytest.mark.parametrize("name", NAMES)
def test_the_other_versions_hold_what_they_should(course, name):
    count = len(graded_functions(name))
    grader, solution = read(course, "autograder", name), read(course, "solution", name)
    assert len(re.findall(r"seed=hidden_seed\(", text(grader))) == count
    assert not {line.strip() for line in text(grader).splitlines()} & solution_lines(name)
    assert solution_lines(name) <= {line.strip() for line in text(solution).splitlines()}
    assert "hidden_seed" not in text(solution) and "SOLUTION" not in text(solution)


@pytest.mark.parametrize("name", NAMES)
def test_a_students_notebook_needs_only_the_library(course, name):
    for cell in read(course, "release", name).cells:
        if cell.cell_type != "code":
            continue
        for node in ast.walk(ast.parse(cell.source)):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            used = {n.split(".")[0] for n in names} - set(sys.stdlib_module_names)
            assert used <= PLAIN | {"softcut_lib"}, used
    setup = next(c for c in read(course, "colab", name).cells if c.cell_type == "code").source
    assert '"softcut-lib @ {wheel}"' in setup.replace('f"', '"') and "chapters]" not in setup


@pytest.mark.parametrize("name", NAMES)
def test_authored_notebooks_are_clean_and_add_up(name):
    notebook = authored(name)
    nbformat.validate(notebook)
    ids = [marks(cell).grade_id for cell in notebook.cells if marks(cell)]
    assert len(ids) == len(set(ids))
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert not cell.outputs and cell.execution_count is None
            assert len(cell.source.splitlines()) <= 30
    assert sum(build.points(notebook)) == 20 and "**Points**: 20." in notebook.cells[0].source
    assert build.points(notebook)[1] >= 2, "some answers are read by a person"
    told = [int(n) for n in re.findall(r"^## .*\((\d+) points\)", text(notebook), re.MULTILINE)]
    assert sum(told) == 20
    assert notebook.metadata.softcut.hours > 0


def test_a_course_that_is_worked_in_is_not_overwritten(tmp_path):
    (tmp_path / "submitted").mkdir()
    (tmp_path / "gradebook.db").write_text("grades")
    with pytest.raises(RuntimeError, match="somebody grades in it"):
        build.write(tmp_path)
    assert (tmp_path / "gradebook.db").read_text() == "grades"


def hand_in(course, kind, name, student, answers):
    """A student's copy with answers in place of the stubs."""
    notebook = read(course, kind, name)
    for cell in notebook.cells:
        if cell.cell_type == "code" and marks(cell).get("grade_id") in answers:
            cell.source = answers[marks(cell).grade_id]
    path = course / "submitted" / student / name / f"{name}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)


def autograde(course, name, **key):
    env = {k: v for k, v in os.environ.items() if k not in (KEY, KEY_FILE)} | key
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
    env["PYTHONPATH"] = str(ROOT)
    command = [sys.executable, "-m", "nbgrader", "autograde", name, "--force"]
    done = subprocess.run(command, cwd=course, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]


def scores(course, name, student):
    """{function: points} of nbgrader's gradebook."""
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as book:
        found = book.find_submission_notebook(name, name, student).grades
        return {g.name.removesuffix("-test"): g.auto_score for g in found if "-test" in g.name}


@pytest.fixture
def place(course, tmp_path):
    """A copy of the course to grade in."""
    return Path(shutil.copytree(course, tmp_path / "course"))


def by_our_own(name):
    """{function: points} of the solutions."""
    return {f: grade(name, f, source)[0] for f, source in graded_functions(name).items()}


def test_nbgrader_gives_the_points_that_we_give(place, monkeypatch):
    """One function right, one wrong, the rest not written; handed in as Colab saves it."""
    name = "part5_training"
    solutions = graded_functions(name)
    wrong, *_, right = solutions
    _, old, new = WRONG[wrong][0]
    some = {right: solutions[right], wrong: solutions[wrong].replace(old, new)}
    hand_in(place, "colab", name, "bob", some)
    (place / "key.txt").write_text("a key that is nowhere else\n")
    autograde(place, name, **{KEY_FILE: str(place / "key.txt")})
    monkeypatch.delenv(KEY, raising=False)
    monkeypatch.setenv(KEY_FILE, str(place / "key.txt"))
    full = by_our_own(name)
    assert scores(place, name, "bob") == {f: full[f] * (f == right) for f in solutions}


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_nbgrader_gives_full_marks_to_solutions_and_none_without_the_key(place, monkeypatch, name):
    hand_in(place, "release", name, "ada", graded_functions(name))
    autograde(place, name)
    assert not any(scores(place, name, "ada").values()), "without the key no hidden test may pass"
    autograde(place, name, **{KEY: "this year's"})
    monkeypatch.setenv(KEY, "this year's")
    full = by_our_own(name)
    assert scores(place, name, "ada") == full
    assert sum(full.values()) == build.points(authored(name))[0]
