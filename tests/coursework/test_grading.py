"""Every graded function: full marks for the solution, none for the stub or a plausible mistake."""

import pytest

from coursework.build import assignments
from softcut_lib.coursework import KEY, names
from tests.coursework.grading import (
    authored,
    defined,
    grade,
    graded_cell,
    graded_functions,
    marks,
    stub,
)
from tests.coursework.wrong_answers import WRONG

ALL = [(name, function) for name in assignments() for function in graded_functions(name)]
LONG = ("total_variation", "adjoint")  # a thousand steps each time; hundreds of solves
every_function = pytest.mark.parametrize(
    ("name", "function"),
    [pytest.param(*p, marks=pytest.mark.slow) if p[1] in LONG else p for p in ALL],
    ids=[function for _, function in ALL],
)


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv(KEY, "a key of these tests")


def test_every_function_is_checked_and_has_mistakes():
    functions = [function for _, function in ALL]
    assert functions == list(names()) == list(WRONG)
    assert all(len(wrong) >= 3 for wrong in WRONG.values())
    for name in assignments():
        assert 4 <= len(graded_functions(name)) <= 6


@every_function
def test_the_solution_gets_full_marks(name, function, monkeypatch):
    for secret in ("one key", "another"):
        monkeypatch.setenv(KEY, secret)
        points, printed = grade(name, function, graded_functions(name)[function])
        assert points == marks(graded_cell(name, function)).points > 0, printed


@every_function
def test_the_stub_gets_nothing(name, function):
    points, printed = grade(name, function, stub(graded_functions(name)[function]))
    assert points == 0 and "not written yet" in printed and "As above." not in printed[:200]


@every_function
def test_plausible_mistakes_lose_their_marks_and_are_told_why(name, function):
    solution = graded_functions(name)[function]
    for what, right, wrong in WRONG[function]:
        assert solution.count(right) >= 1, f"{what}: the solution does not hold {right!r}"
        points, printed = grade(name, function, solution.replace(right, wrong))
        assert points == 0, f"{what} got {points} points"
        first = printed.split("Error")[0]
        assert "FAILED" in first and "[theorems." in first, f"{what}: seen by the visible test"


@pytest.mark.parametrize("name", assignments())
def test_the_pictures_are_drawn_by_the_solutions(name):
    """One call of the library each, with a text for those who do not see it."""
    drawn = [cell for cell in authored(name).cells if cell.id == "picture"]
    space = defined(name)
    for cell in drawn:
        exec(compile(cell.source, f"{name}: picture", "exec"), space)
        assert "show." in cell.source and 'alt="' in cell.source
    assert drawn or name == "part5_training"
