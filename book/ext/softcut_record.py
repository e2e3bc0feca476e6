"""Sphinx extension of the book: when, where and how long everything behind the pages ran.

`.. run-times::` lists the notebooks' own times, which `make book` leaves in _build/run_times.json;
`.. recorded-results::` lists the files of book/results/ with command, commit, machine and date.
"""

import json
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList


def table(head, rows):
    """A table in reStructuredText; cells are plain text of one line."""
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in [head, *rows]:
        lines += [f"   {'* -' if k == 0 else '  -'} {cell}" for k, cell in enumerate(row)]
    return [*lines, ""]


def run_times(record):
    """The table of one build."""
    if not record:
        return ["This copy was built without `make book`, which measures this.", ""]
    machine = record["machine"]
    total = sum(entry["seconds"] for entry in record["notebooks"])
    rows = [
        (f":doc:`/notebooks/{entry['name']}`", f"{entry['seconds']:.0f} s", entry["date"])
        for entry in record["notebooks"]
    ]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return [
        f"{len(rows)} notebooks, {total / 60:.0f} minutes of one core in all, on a machine with "
        f"{machine['cores']} cores ({machine['processor']}, {machine['system']}), one notebook to "
        "a core. "
        f"Versions: {versions}.",
        "",
        *table(("notebook", "run time", "run on"), rows),
    ]


def provenance(path):
    """One file: its name, what it holds, how it was made, on what, how long, when."""
    file = json.loads(path.read_text())
    # trainings note this row by row, benchmarks once for the file
    rows = [row for row in file.get("rows", []) if "machine" in row]
    machines = [row["machine"] for row in rows] or [file["machine"]]
    sessions = [s for row in rows for s in row["sessions"]] or file["sessions"]
    seconds = sum(row["wall_time_s"] for row in rows) if rows else file["wall_time_s"]
    commands = list(dict.fromkeys(session["command"] for session in sessions))
    commits = list(dict.fromkeys(session["commit"][:10] for session in sessions))
    dates = sorted({session["date"][:10] for session in sessions})
    devices = sorted({f"{machine['device']} ({machine['processor']})" for machine in machines})
    fields = {
        "command": "; ".join(f"``{command}``" for command in commands),
        "commit": ", ".join(commits),
        "device": ", ".join(devices),
        "time": f"{seconds / 60:.0f} min",
        "date": dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}",
    }
    about = file.get("title") or file["about"]
    lines = [f"    {about[0].upper()}{about[1:]}.", ""]
    return [f"``{path.name}``", *lines, *(f"    :{k}: {v}" for k, v in fields.items()), ""]


def in_rst(lines):
    """A directive that stands for what `lines(source folder)` gives."""

    class Record(Directive):
        def run(self):
            content = StringList(lines(self.state.document.settings.env.srcdir), source=self.name)
            node = nodes.section()
            node.document = self.state.document
            self.state.nested_parse(content, 0, node)
            return node.children

    return Record


def this_build(source):
    path = Path(source, "_build", "run_times.json")
    return run_times(json.loads(path.read_text()) if path.is_file() else None)


def all_results(source):
    files = sorted(Path(source, "book/results").glob("*.json"))
    return [line for path in files for line in provenance(path)]


def setup(app):
    app.add_directive("run-times", in_rst(this_build))
    app.add_directive("recorded-results", in_rst(all_results))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
