"""Sphinx extension of the book: the instructor's tables, from the notebooks themselves.

`.. course-chapters::` lists the chapters with the reading time that each states and the run time
that this build measured; `.. course-assignments::` lists coursework/*.ipynb.
"""

import json
import re
from pathlib import Path

import nbformat

# as extensions they stand beside each other, in tests below the package
try:
    from softcut_record import in_rst, table
except ModuleNotFoundError:
    from book.ext.softcut_record import in_rst, table


def stated(notebook, what):
    """'45 minutes' for 'Reading time', as it stands below a chapter's title."""
    text = "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    found = re.search(rf"\*\*{what}\*\*: ([^.*]+?)\.", text)
    return found[1] if found else "none stated"


def title(notebook):
    return notebook.cells[0].source.splitlines()[0].lstrip("# ")


def graded(notebook):
    """(functions graded by tests, their points, points graded by hand)."""
    notes = [cell.metadata.get("nbgrader", {}) for cell in notebook.cells]
    tests = [n.points for n in notes if n.get("grade") and not n.solution]
    by_hand = sum(n.points for n in notes if n.get("grade") and n.solution)
    return len(tests), sum(tests), by_hand


def chapters(source):
    """The table of chapters."""
    record = Path(source, "_build", "run_times.json")
    times = json.loads(record.read_text())["notebooks"] if record.is_file() else []
    measured = {entry["name"]: f"{entry['seconds']:.0f} s" for entry in times}
    rows = []
    for path in sorted(Path(source, "notebooks").glob("[0-9]*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        exercises = sum(
            len(re.findall(r"\{exercise(?:-start)?\}", c.source)) for c in notebook.cells
        )
        answers = sum("exercise" in c.metadata.get("tags", []) for c in notebook.cells)
        rows.append(
            (
                f":doc:`/notebooks/{path.stem}`",
                stated(notebook, "Reading time"),
                measured.get(path.stem, "not measured in this build"),
                f"{exercises}, {answers} of them graded",
            )
        )
    return table(("chapter", "reading time (estimate)", "run time (this build)", "exercises"), rows)


def assignments(source):
    """The table of assignments."""
    rows = []
    for path in sorted(Path(source, "coursework").glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        functions, points, by_hand = graded(notebook)
        hours = f"{notebook.metadata['softcut']['hours']} h"
        row = (
            title(notebook),
            stated(notebook, "Reads"),
            str(functions),
            str(points),
            str(by_hand),
        )
        rows.append((*row, hours))
    head = ("assignment", "reads", "functions", "points by tests", "points by hand", "planned time")
    return table(head, rows)


def setup(app):
    app.add_directive("course-chapters", in_rst(chapters))
    app.add_directive("course-assignments", in_rst(assignments))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
