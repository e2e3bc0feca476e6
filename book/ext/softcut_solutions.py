"""Sphinx extension of the book: one setting leaves out all solutions of the exercises.

`show_solutions: false` (_config.yml, below sphinx.config) takes the drop-down solutions and the
code between BEGIN SOLUTION and END SOLUTION from every page, from the notebooks beside the pages
and from the self-contained ones (book/colab.py). The notebooks are still run with their solutions:
what later cells print stays.
"""

import re
from pathlib import Path

import nbformat
import yaml
from docutils import nodes

BLOCK = re.compile(
    r"^(`{3,})\{solution\}.*?^\1[ ]*$\n*|^(`{3,})\{solution-(start|end)\}.*?^\2[ ]*$\n*",
    re.MULTILINE | re.DOTALL,
)
CODE = re.compile(r"^([ ]*)### BEGIN SOLUTION\n.*?### END SOLUTION", re.MULTILINE | re.DOTALL)
STUB = r"\1...  # your code goes here"


def are_shown(root):
    """The setting in _config.yml; solutions are shown where it is not there."""
    config = yaml.safe_load(Path(root, "_config.yml").read_text())
    return config["sphinx"]["config"].get("show_solutions", True)


def without_code(source):
    """A cell's code with a stub in place of each solution."""
    return CODE.sub(STUB, source)


def without_solutions(notebook):
    """A copy of a notebook that asks and does not answer."""
    made, kept, inside = nbformat.from_dict(notebook), [], False
    for cell in made.cells:
        if cell.cell_type == "code":
            if not inside:
                cell.source = without_code(cell.source)
                kept.append(cell)
            continue
        text, end = "", 0
        for block in BLOCK.finditer(cell.source):
            if not inside:
                text += cell.source[end : block.start()]
            inside = {"start": True, "end": False}.get(block[3], inside)
            end = block.end()
        cell.source = (text + ("" if inside else cell.source[end:])).strip()
        if cell.source:
            kept.append(cell)
    made.cells = kept
    return made


def remove(app, doctree):
    """Solutions out of a page that has been read, before its index and its search words are."""
    if app.config.show_solutions:
        return
    from sphinx_exercise.nodes import solution_node

    for node in list(doctree.findall(solution_node)):
        node.parent.remove(node)
    for cell in doctree.findall(nodes.container):
        if "tag_exercise" in cell.get("classes", []):
            for block in cell.findall(nodes.literal_block):
                text = without_code(block.astext())
                block.rawsource = text
                block.children = []
                block += nodes.Text(text)


def clean_sources(app, exception):
    """The notebooks that pages offer to download."""
    if exception or app.config.show_solutions or app.builder.format != "html":
        return
    for path in Path(app.outdir, "_sources").rglob("*.ipynb*"):
        nbformat.write(without_solutions(nbformat.read(path, as_version=4)), path)


def setup(app):
    app.add_config_value("show_solutions", True, "env")
    app.connect("doctree-read", remove)
    app.connect("build-finished", clean_sources)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
