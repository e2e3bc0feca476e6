"""Chapters as slides: what is shown, what becomes notes, and a page that holds both."""

import re

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from book import slides
from book.plain import Citations, numbers
from tests.notebooks.scratch import NOTEBOOKS, read_notebook

NAMES = sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))
CITATIONS = Citations(NOTEBOOKS.parent / "book" / "references.bib")


@pytest.fixture(scope="module")
def labels():
    return {k: v for name in NAMES for k, v in numbers(name, read_notebook(name)).items()}


def of_kind(made, *kinds):
    return [cell for cell in made.cells if cell.metadata.slideshow.slide_type in kinds]


@pytest.mark.parametrize("name", NAMES)
def test_a_chapter_becomes_a_deck(name, labels):
    notebook = read_notebook(name)
    made = slides.deck(notebook, labels, CITATIONS)
    nbformat.validate(made)
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    sections = set(re.findall(r"^## (?!Exercises)(.+)$", text, re.MULTILINE))
    seen = "\n".join(cell.source for cell in of_kind(made, "slide", "subslide", "-"))
    for section in sections:
        assert f"## {section}" in seen or "{" in section, section
    assert "**Exercise " not in seen, "exercises stay in the book"
    assert not re.search(r"\{prf:|\{eq\}|\{numref\}|^:label:", seen, re.MULTILINE)
    theorems = re.findall(r"\{prf:theorem\}", text.split("## Exercises")[0])
    assert len(re.findall(r"^\*\*Theorem ", seen, re.MULTILINE)) == len(theorems)
    assert "REPOSITORY" not in seen, "the set-up is not shown"
    longest = max(
        len(c.source) for c in of_kind(made, "slide", "subslide") if c.cell_type != "code"
    )
    assert longest < 4000, f"a slide of {longest} letters"


def test_prose_goes_to_the_notes(labels):
    cells = [
        new_markdown_cell("# Title\n\nA paragraph that explains at length."),
        new_code_cell("REPOSITORY = ''"),
        new_markdown_cell("## Next\n\nWords.\n\n$$\na = b\n$$\n\n- first\n- second"),
        new_code_cell("1 + 1", outputs=[new_output("execute_result", {"text/plain": "2"})]),
        new_code_cell("secret = 1", metadata={"tags": ["hide-input"]}),
        new_markdown_cell("## Exercises\n\nNo."),
    ]
    made = slides.deck(new_notebook(cells=cells), labels, CITATIONS)
    kinds = [cell.metadata.slideshow.slide_type for cell in made.cells]
    assert kinds == ["slide", "notes", "slide", "notes", "subslide"]
    assert made.cells[0].source == "# Title"
    assert made.cells[2].source == "## Next\n\n$$\na = b\n$$\n\n- first\n- second"
    page = slides.to_html(made, "vendor/reveal.js", "vendor/mathjax/x.js")
    assert page.count('<aside class="notes">') == 2 and "explains at length" in page
    assert page.count("<section") >= 4 and "secret" not in page
    loaded = re.findall(r'(?:src|href|url_prefix)="([^"#]+)"', page)
    assert loaded and all(a.startswith(("vendor/", "data:,")) for a in loaded), loaded
    shown = re.sub(r"<aside.*?</aside>", "", page, flags=re.DOTALL)
    assert "explains at length" not in shown and "No." not in shown


def test_an_unknown_chapter_lists_what_there_is():
    with pytest.raises(SystemExit, match="no chapter is called '99_x'; there are 01_cut"):
        slides.main(["99_x"])
