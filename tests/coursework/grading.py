"""Answers graded as nbgrader grades them: a test cell gives its points unless it raises.

In one process and without a kernel, so that many answers can be tried; tests/coursework/test_course
compares the sum with what `nbgrader autograde` itself gives.
"""

import contextlib
import io
from functools import cache

import nbformat

from coursework.build import SOURCE

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"


@cache
def authored(name):
    return nbformat.read(SOURCE / f"{name}.ipynb", as_version=4)


def marks(cell):
    """nbgrader's notes on a cell."""
    return cell.metadata.get("nbgrader", {})


def graded_functions(name):
    """{grade_id of the answer: its source} of the functions that tests grade."""
    return {
        marks(cell).grade_id: cell.source
        for cell in authored(name).cells
        if cell.cell_type == "code" and marks(cell).get("solution")
    }


def graded_cell(name, function):
    """The graded cell of a function, with visible and hidden tests."""
    (cell,) = (c for c in authored(name).cells if marks(c).get("grade_id") == f"{function}-test")
    return cell


def defined(name):
    """A copy of what the solutions define."""
    return dict(_space(name))


@cache
def _space(name):
    """What set-up, helpers and solutions define, without tests and pictures."""
    space = {}
    for cell in authored(name).cells:
        if cell.cell_type == "code" and not marks(cell).get("grade") and cell.id != "picture":
            exec(compile(cell.source, f"{name}: {cell.id}", "exec"), space)
    return space


def grade(name, function, source):
    """(points, what was printed) for an answer, all other answers being right."""
    space, printed = defined(name), io.StringIO()
    cell = graded_cell(name, function)
    with contextlib.redirect_stdout(printed):
        try:
            exec(compile(source, f"answer: {function}", "exec"), space)
            exec(compile(cell.source, f"test: {function}", "exec"), space)
        except Exception as error:
            print(f"{type(error).__name__}: {error}")
            return 0, printed.getvalue()
    return marks(cell).points, printed.getvalue()


def stub(source):
    """The answer cell as students get it."""
    from coursework.build import CONFIG

    before, rest = source.split(BEGIN)
    (line,) = (line for line in CONFIG.splitlines() if '"python"' in line)
    return before + line.split("'")[1] + rest.split(END)[1]
