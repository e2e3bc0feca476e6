"""From-scratch code of a chapter, loaded for a test.

`load_scratch("04_adjoint")` runs the notebook's set-up cell and its code cells tagged `scratch`,
in order, and returns what they define. No other cell runs, so this is quick.
"""

from pathlib import Path
from types import SimpleNamespace

import nbformat

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


def read_notebook(name):
    """The notebook `notebooks/<name>.ipynb`, format 4."""
    return nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)


def tags(cell):
    return cell.metadata.get("tags", [])


def load_scratch(name):
    """What the cells tagged `scratch` of `notebooks/<name>.ipynb` define, as a namespace."""
    first, *rest = (cell for cell in read_notebook(name).cells if cell.cell_type == "code")
    chosen = [cell for cell in rest if "scratch" in tags(cell)]
    if not chosen:
        raise ValueError(f"{name}: no code cell is tagged `scratch`; tag those that define code")
    space = {"__name__": f"scratch_{name}"}
    for cell in [first, *chosen]:
        exec(compile(cell.source, f"{name}.ipynb", "exec"), space)
    return SimpleNamespace(**space)
