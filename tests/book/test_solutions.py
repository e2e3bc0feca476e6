"""One setting takes the solutions out of pages and notebooks, and nothing else."""

import ast
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import nbformat
import pytest
import yaml

from book import colab
from book.ext.softcut_solutions import are_shown, without_solutions
from tests.notebooks.scratch import NOTEBOOKS, read_notebook, tags

ROOT = NOTEBOOKS.parent
CHAPTERS = sorted(path.stem for path in NOTEBOOKS.glob("[0-9]*.ipynb"))


def text(notebook):
    return "\n".join(cell.source for cell in notebook.cells)


def labels(notebook):
    return re.findall(r"\{exercise(?:-start)?\}[^\n]*\n:label: (\S+)", text(notebook))


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_asks_all_and_answers_nothing(name):
    whole = read_notebook(name)
    asked = without_solutions(whole)
    nbformat.validate(asked)
    assert "solution" in text(whole) and labels(asked) == labels(whole)
    assert "{solution" not in text(asked) and "### BEGIN SOLUTION" not in text(asked)
    answers = [cell for cell in asked.cells if "exercise" in tags(cell)]
    assert len(answers) == sum("exercise" in tags(cell) for cell in whole.cells) > 0
    for cell in answers:
        ast.parse(cell.source)
        assert "...  # your code goes here" in cell.source
    bodies = re.findall(r"\{solution(?:-start)?\} .*?\n\n?([^:`\n][^\n]{40,})\n", text(whole))
    assert not [line for line in bodies if line in text(asked)]
    before = {cell.source for cell in whole.cells}
    untouched = [c for c in asked.cells if c.source in before]
    assert len(untouched) > 0.8 * len(whole.cells), "most cells stay as they are"


PAGE = """# A page

```{exercise} The question
:label: ex-one
What is seven times six?
```

```{solution} ex-one
:label: sol-one
:class: dropdown
It is forty-two.
```

```{exercise} The other
:label: ex-two
And in code?
```

```{solution-start} ex-two
:label: sol-two
:class: dropdown
```

Like this.
"""
CONFIG = """
import sys
sys.path.insert(0, {ext!r})
extensions = ["myst_nb", "sphinx_exercise", "softcut_solutions"]
nb_execution_mode = "off"
show_solutions = {shown}
"""


@pytest.fixture(params=[True, False], ids=["shown", "left out"])
def site(request, tmp_path):
    """(setting, HTML of a small page built with it, the notebook beside it)."""
    new = nbformat.v4
    answer = "def answer():\n    ### BEGIN SOLUTION\n    return 6 * 7\n    ### END SOLUTION"
    cells = [
        new.new_markdown_cell(PAGE),
        new.new_code_cell("print('inside the solution')"),
        new.new_markdown_cell("```{solution-end}\n```\n\nAfterwards."),
        new.new_code_cell(answer, metadata={"tags": ["exercise", "hide-input"]}),
    ]
    source = tmp_path / "source"
    source.mkdir()
    python = {"language_info": {"name": "python", "pygments_lexer": "python"}}
    nbformat.write(new.new_notebook(cells=cells, metadata=python), source / "index.ipynb")
    config = CONFIG.format(ext=str(ROOT / "book" / "ext"), shown=request.param)
    (source / "conf.py").write_text(config)
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "-b", "html", source, tmp_path / "out"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (beside,) = Path(tmp_path, "out", "_sources").rglob("*.ipynb*")
    plain = re.sub(r"<[^>]*>", "", (tmp_path / "out" / "index.html").read_text())
    return request.param, plain, beside.read_text()


def test_the_setting_decides_what_a_page_shows(site):
    shown, page, notebook = site
    for words in ("What is seven times six?", "And in code?", "def answer", "Afterwards."):
        assert words in page
    for words in ("It is forty-two.", "Like this.", "inside the solution", "return 6 * 7"):
        assert (words in page) == (words in notebook) == shown, words
    assert ("your code goes here" in page) == (not shown)


def test_the_one_setting_stands_in_the_configuration(tmp_path, monkeypatch):
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    assert config["sphinx"]["config"]["show_solutions"] is True and are_shown(ROOT)
    text = (ROOT / "_config.yml").read_text()
    (tmp_path / "_config.yml").write_text(
        text.replace("show_solutions: true", "show_solutions: false")
    )
    assert not are_shown(tmp_path)
    monkeypatch.setattr(colab, "are_shown", lambda root: False)
    with zipfile.ZipFile(tmp_path / "empty.whl", "w"):
        monkeypatch.setattr(colab, "build_wheel", lambda folder: tmp_path / "empty.whl")
    made = {path.stem: path.read_text() for path in colab.write(tmp_path / "colab")}
    assert len(made) > len(CHAPTERS)
    for name in CHAPTERS:
        assert "SOLUTION" not in made[name] and "your code goes here" in made[name]
