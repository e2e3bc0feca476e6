"""Write the assignments for a course (`make coursework`), with nbgrader's own converters.

The authored notebooks beside this file hold everything: questions, solutions, visible and hidden
tests, points. From them `build/coursework` becomes an nbgrader course of its own:

    release/    what students get: no solution, no hidden test
    colab/      the same, each bringing the library along as the chapters do (book/colab.py)
    solution/   with solutions, without hidden tests, to hand out afterwards
    autograder/ with hidden tests, without solutions, for another grader than nbgrader
    source/, gradebook.db, nbgrader_config.py    what `nbgrader autograde` needs
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

import nbformat

from book import colab

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "coursework"
OUT = ROOT / "build" / "coursework"
WORKED_IN = ("submitted", "autograded", "feedback")
CONFIG = """\
c = get_config()
c.CourseDirectory.course_id = "softcut"
c.ClearSolutions.code_stub = {
    "python": 'raise RuntimeError("not written yet: your code goes here")'
}
c.ClearSolutions.text_stub = "*Your answer goes here.*"
c.Execute.timeout = 300  # seconds for a cell; a student's endless loop ends here
"""
NOTE = """\
> **One file.** The cell below installs `softcut_lib` from this notebook where it is missing, and
> leaves the torch and numpy that are there as they are. It installs less than the cell of a
> chapter, {measured}. In Colab your work is kept only if you save the notebook, *File, Save a copy
> in Drive*.
"""


def assignments(source=SOURCE):
    """{name: notebook} of the authored assignments, in the order of the parts."""
    return {path.stem: nbformat.read(path, as_version=4) for path in sorted(source.glob("*.ipynb"))}


def points(notebook):
    """(points graded by tests, points graded by hand)."""
    graded = [cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("grade")]
    by_hand = sum(c.metadata.nbgrader.points for c in graded if c.metadata.nbgrader.solution)
    return sum(c.metadata.nbgrader.points for c in graded) - by_hand, by_hand


def configuration(folder):
    """nbgrader's options, from the file that is also written into the course."""
    from traitlets.config.loader import PyFileConfigLoader

    (folder / "nbgrader_config.py").write_text(CONFIG)
    config = PyFileConfigLoader("nbgrader_config.py", path=str(folder)).load_config()
    config.CourseDirectory.root = str(folder)
    return config


def converted(notebook, config, *names):
    """A copy of a notebook after some of nbgrader's preprocessors."""
    from nbgrader import preprocessors

    copy, resources = nbformat.from_dict(notebook), {}
    for name in names:
        copy, resources = getattr(preprocessors, name)(config=config).preprocess(copy, resources)
    return copy


def autograder_version(notebook, config):
    """Stubs in place of solutions, all tests: what the students' answers are put into."""
    return converted(notebook, config, "LockCells", "ClearSolutions", "ClearOutput")


def solution_version(notebook, config):
    """Solutions without their marks, no hidden test."""
    copy = converted(notebook, config, "LockCells", "ClearOutput", "ClearHiddenTests")
    for cell in copy.cells:
        marks = ("### BEGIN SOLUTION", "### END SOLUTION")
        kept = [line for line in cell.source.splitlines() if line.strip() not in marks]
        cell.source = "\n".join(kept)
    return copy


def colab_version(notebook, setup):
    """The student's version with a set-up cell that installs the library it carries."""
    copy = nbformat.from_dict(notebook)
    place = next(k for k, c in enumerate(copy.cells) if "setup" in c.metadata.get("tags", []))
    copy.cells[place].source = f"{setup}\n{copy.cells[place].source}"
    copy.cells[place].metadata["cellView"] = "form"
    about = NOTE.format(measured=colab.measured())
    copy.cells.insert(place, nbformat.v4.new_markdown_cell(about, id="one-file"))
    return copy


def setup_cell():
    """The chapters' set-up cell for the plain package, which is all that assignments need."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as slim:
        wheel = colab.slimmed(colab.build_wheel(folder), slim)
        return colab.setup_cell(wheel).replace("[train,widgets,chapters]", "")


def release(name, config):
    """The student's version, written by `nbgrader generate_assignment`; its path."""
    from nbgrader.apps import NbGraderAPI

    # nbgrader starts its tools by name, and they stand beside this Python
    beside = str(Path(sys.executable).parent)
    if beside not in os.environ["PATH"].split(os.pathsep):
        os.environ["PATH"] = beside + os.pathsep + os.environ["PATH"]
    done = NbGraderAPI(config=config).generate_assignment(name, force=True, create=True)
    if not done["success"]:
        raise RuntimeError(f"nbgrader could not convert {name}:\n{done.get('log') or done}")
    return Path(config.CourseDirectory.root, "release", name, f"{name}.ipynb")


def write(out=OUT, source=SOURCE):
    """Write the course; {name: path of the student's version}."""
    found = [name for name in WORKED_IN if (out / name).exists()]
    if found:
        raise RuntimeError(
            f"{out} holds {found}, so somebody grades in it, and it would be overwritten; move "
            "that folder to a place of its own, then type the same command again"
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    setup, written = setup_cell(), {}
    with tempfile.TemporaryDirectory(dir=out.parent) as aside:
        course = Path(aside, "course")
        course.mkdir()
        config = configuration(course)
        for name, notebook in assignments(source).items():

            def save(kind, made, name=name):
                path = course / kind / name / f"{name}.ipynb"
                path.parent.mkdir(parents=True, exist_ok=True)
                nbformat.validate(made)
                nbformat.write(made, path)

            save("source", notebook)
            student = nbformat.read(release(name, config), as_version=4)
            save("colab", colab_version(student, setup))
            save("autograder", autograder_version(notebook, config))
            save("solution", solution_version(notebook, config))
            written[name] = out / "release" / name / f"{name}.ipynb"
        shutil.rmtree(out, ignore_errors=True)
        course.rename(out)
    return written


def main():
    try:
        paths = write()
    except RuntimeError as error:
        return f"make coursework: {error}"
    for name, notebook in assignments().items():
        tested, by_hand = points(notebook)
        print(f"{name}: {tested} points by tests, {by_hand} by hand")
    print(f"{len(paths)} assignments in {OUT}: release, colab, solution, autograder.")
    print("Copy that folder to your course; the instructor's guide says how to grade.")


if __name__ == "__main__":
    sys.exit(main())
