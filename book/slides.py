"""A chapter as slides (`python -m book.slides 02_circuit`), in `_build/slides`.

A slide shows what one points at: headings, numbered statements, displayed equations, lists, code,
figures with their captions. The text around them becomes the speaker's notes (key S). Exercises and
proofs' texts stay in the book. Outputs come from the built book's cache; where there is none, the
chapter is run. reveal.js and MathJax are put beside the slides (vendor.py, with npm), which then
need no internet; slides.html.j2 is the page.
"""

import argparse
import os
import re
import shutil
import sys

import nbformat
from nbformat.v4 import new_markdown_cell

from book import build, vendor
from book.plain import BLOCK, Citations, kind_of, numbers, plainly

OUT = build.BUILD / "slides"
NOTEBOOKS = build.ROOT / "notebooks"
PAGE = build.ROOT / "book" / "slides.html.j2"
HIDDEN = {"hide-input", "hide-cell", "remove-input"}
LONG = 12  # lines of code that a slide has room for above a picture
PIECE = re.compile(
    BLOCK.pattern + r"|(^\$\$.*?\$\$(?: ?\([\w-]+\))?)|(^#{1,4} [^\n]*$|^(?:-|\d+\.) [^\n]*$)",
    re.MULTILINE | re.DOTALL,
)


def shown(text):
    """The parts of a Markdown cell that stand on a slide."""
    made, after_item = "", False
    for piece in PIECE.finditer(text):
        directive, item = piece[2], bool(piece[7]) and piece[7][0] != "#"
        statement = directive and kind_of(directive) not in (None, "Exercise")
        if statement or piece[6] or piece[7]:
            made += ("\n" if after_item and item else "\n\n") + piece[0]
            after_item = item
    return made.strip()


def slide(cell, kind):
    cell.metadata["slideshow"] = {"slide_type": kind}
    return cell


def parted(cell):
    """Long code and what it draws on a slide each, so that both can be read."""
    drawn = [out for out in cell.outputs if out.get("data", {}).keys() - {"text/plain"}]
    if (
        not drawn
        or len(cell.source.splitlines()) <= LONG
        or HIDDEN & set(cell.metadata.get("tags", []))
    ):
        return [cell]
    code, picture = nbformat.from_dict(cell), nbformat.from_dict(cell)
    code.outputs = [out for out in code.outputs if out not in drawn]
    picture.outputs = drawn
    picture.id = f"{cell.id}-drawn"[-64:]
    picture.metadata["tags"] = [*picture.metadata.get("tags", []), "hide-input"]
    return [code, picture]


def deck(notebook, labels, citations):
    """The notebook as slides: cells with slide types, up to its exercises."""
    made, cells, first = nbformat.from_dict(notebook), [], True
    for cell in made.cells:
        if cell.cell_type == "markdown":
            if re.match(r"#+ Exercises", cell.source):
                break
            visible = plainly(shown(cell.source), labels, citations).strip()
            if visible:
                kind = "slide" if re.match(r"##? ", visible) else "subslide"
                cells.append(slide(new_markdown_cell(visible), kind))
            notes = new_markdown_cell(plainly(cell.source, labels, citations))
            cells.append(slide(notes, "notes"))
        elif first:  # the set-up
            first = False
        else:
            code_hidden = HIDDEN & set(cell.metadata.get("tags", []))
            if code_hidden and not cell.outputs:
                continue
            cells += [slide(part, "subslide") for part in parted(cell)]
            figure = cell.metadata.get("mystnb", {}).get("figure")
            if figure:
                caption = plainly(figure["caption"], labels, citations)
                named = f"*{labels[figure.get('name')]}.* {caption}"
                cells.append(slide(new_markdown_cell(named), "-"))
    if cells and cells[0].metadata.slideshow.slide_type == "notes":
        cells.append(cells.pop(0))
    made.cells = cells
    return made


def executed(path):
    """The notebook with its outputs, from the built book if it has them, else by running it."""
    notebook = nbformat.read(path, as_version=4)
    if build.CACHE.is_dir():
        from jupyter_cache import get_cache

        try:
            return get_cache(build.CACHE).merge_match_into_notebook(notebook)[1]
        except KeyError:
            pass
    from nbclient import NotebookClient

    print(f"{path.stem} is run for its outputs; after `make book` they are there already.")
    os.environ.update(build.environment())
    place = {"metadata": {"path": str(path.parent)}}
    return NotebookClient(notebook, timeout=build.SECONDS_PER_CELL, resources=place).execute()


def to_html(notebook, reveal=None, mathjax=None):
    """The page of a deck; addresses of reveal.js and MathJax's script, public ones if None."""
    from jinja2 import DictLoader
    from nbconvert import SlidesExporter
    from sphinx.ext.mathjax import MATHJAX_URL
    from traitlets.config import Config

    config = Config()
    config.SlidesExporter.reveal_theme = "white"
    config.SlidesExporter.reveal_number = "c/t"
    config.HTMLExporter.mathjax_url = mathjax or MATHJAX_URL
    config.TemplateExporter.exclude_input_prompt = True
    config.TemplateExporter.exclude_output_prompt = True
    config.TagRemovePreprocessor.enabled = True
    config.TagRemovePreprocessor.remove_input_tags = HIDDEN
    if reveal:
        config.SlidesExporter.reveal_url_prefix = reveal
    page = DictLoader({PAGE.name: PAGE.read_text(encoding="utf-8")})
    exporter = SlidesExporter(config=config, extra_loaders=[page], template_file=PAGE.name)
    return exporter.from_notebook_node(notebook)[0]


def beside(out, package):
    """The address of a package's copy beside the slides; None where npm could not bring it."""
    copy = vendor.provide(package)
    if copy is None:
        return None
    shutil.copytree(copy, out / "vendor" / package.name, dirs_exist_ok=True)
    return f"vendor/{package.name}"


def write(names, out=OUT):
    """Write the slides of these chapters; their paths."""
    read = {p.stem: nbformat.read(p, as_version=4) for p in sorted(NOTEBOOKS.glob("*.ipynb"))}
    unknown = sorted(set(names) - set(read))
    if unknown:
        raise SystemExit(f"no chapter is called {unknown[0]!r}; there are {', '.join(read)}")
    labels = {k: v for name, notebook in read.items() for k, v in numbers(name, notebook).items()}
    citations = Citations(build.ROOT / "book" / "references.bib")
    out.mkdir(parents=True, exist_ok=True)
    reveal, mathjax = beside(out, vendor.REVEAL), beside(out, vendor.MATHJAX)
    mathjax = mathjax and f"{mathjax}/{vendor.SCRIPT}"
    paths = []
    for name in names:
        made = deck(executed(NOTEBOOKS / f"{name}.ipynb"), labels, citations)
        made.metadata["title"] = made.cells[0].source.splitlines()[0].lstrip("# ")
        paths.append(out / f"{name}.slides.html")
        paths[-1].write_text(to_html(made, reveal, mathjax), encoding="utf-8")
    return paths


def main(words=None):
    parser = argparse.ArgumentParser("python -m book.slides", description=__doc__.split("\n")[0])
    parser.add_argument("chapter", nargs="+", help="file name of a notebook, such as 02_circuit")
    options = parser.parse_args(words)
    try:
        paths = write(options.chapter)
    except RuntimeError as error:
        return f"python -m book.slides: {error}"
    for path in paths:
        print(f"{path} (open it in a browser; S shows the notes, ?print-pdf prints)")


if __name__ == "__main__":
    sys.exit(main())
