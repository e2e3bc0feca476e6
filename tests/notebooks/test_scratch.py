"""`load_scratch` runs what is tagged, and nothing else."""

import nbformat
import pytest

from tests.notebooks import scratch


@pytest.fixture
def notebook(tmp_path, monkeypatch):
    monkeypatch.setattr(scratch, "NOTEBOOKS", tmp_path)
    cells = [("import math", []), ("def double(x):\n    return 2 * x", ["scratch"])]
    cells += [("raise RuntimeError('an experiment')", []), ("TAU = double(math.pi)", ["scratch"])]
    made = nbformat.v4.new_notebook()
    made.cells = [nbformat.v4.new_code_cell(s, metadata={"tags": t}) for s, t in cells]
    nbformat.write(made, tmp_path / "01_a.ipynb")
    made.cells = made.cells[:1]
    nbformat.write(made, tmp_path / "02_b.ipynb")


def test_definitions_are_loaded_in_order(notebook):
    loaded = scratch.load_scratch("01_a")
    assert loaded.double(4) == 8 and 6.28 < loaded.TAU < 6.29


def test_a_notebook_without_scratch_code_is_refused(notebook):
    with pytest.raises(ValueError, match="no code cell is tagged"):
        scratch.load_scratch("02_b")
