"""The built book as one PDF (`make pdf`, after `make book`): _build/softcut-book.pdf.

Chromium prints every page as `@media print` of book/assets/style.css has it, with its formulas set
and its solutions open; pypdf binds them in the order of book/_toc.yml, behind a title and a table
of contents. Links between pages become links within the file, headings its outline. Chromium keeps
pictures as plain pixels; `shrink` stores them as what they are, drawings or photographs.
"""

import html
import io
import re
import sys
import zlib
from contextlib import nullcontext
from pathlib import Path
from urllib.parse import unquote, urldefrag

import numpy as np
import yaml
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
HTML = ROOT / "_build" / "html"
PDF = ROOT / "_build" / "softcut-book.pdf"
PAPER = {"format": "A4", "scale": 0.8, "print_background": True}
MARGIN = {"top": "22mm", "bottom": "24mm", "left": "23mm", "right": "23mm"}
POINTS = {"width": 595.92, "height": 841.92}  # of the paper

# Chromium writes a place into the file only where a link of the same page leads to it, so every
# heading, and every place that another page names, is given one that nobody sees.
PREPARE = """async (wanted) => {
  if (window.MathJax) await MathJax.startup.promise;
  document.documentElement.dataset.theme = 'light';
  for (const image of document.images) image.loading = 'eager';
  await document.fonts.ready;
  await Promise.all([...document.images].map((image) => image.decode().catch(() => 0)));
  const article = document.querySelector('.bd-article') ?? document.body, found = [];
  const title = (e) => { const copy = e.cloneNode(true);
    copy.querySelectorAll('.headerlink').forEach((link) => link.remove());
    return copy.textContent.trim().replace(/\\s+/g, ' ') };
  for (const heading of article.querySelectorAll('h1, h2')) {
    const id = heading.id || heading.closest('section[id]')?.id;
    if (id) found.push([Number(heading.tagName[1]), title(heading), id]);
  }
  const ids = new Set([...wanted, ...found.map(([, , id]) => id)]);
  for (const id of ids) if (document.getElementById(id)) {
    const link = Object.assign(document.createElement('a'), {href: '#' + id, textContent: '.'});
    link.style = 'position:absolute;top:0;left:0;font-size:1px;line-height:1px;color:transparent';
    article.prepend(link);
  }
  return found;
}"""


def missing():
    """What has to be there first; None where all is."""
    from importlib.util import find_spec

    if find_spec("pypdf") is None:
        return "pypdf is missing: pip install -c constraints.txt pypdf"
    if find_spec("pytest") is None:
        return "the tools of the extra `dev` are missing: pip install -c constraints.txt -e .[dev]"
    from tests.browser.chromium import missing

    return missing()


def contents(toc, root=HTML):
    """The table of contents as [(part or None, [page, ..])], pages as in 'book/index.html'."""
    table = yaml.safe_load(Path(toc).read_text())
    parts = [(None, [table["root"]])]
    parts += [(p["caption"], [c["file"] for c in p["chapters"]]) for p in table["parts"]]
    parts = [(caption, [f"{name}.html" for name in names]) for caption, names in parts]
    absent = [page for _, pages in parts for page in pages if not (root / page).is_file()]
    if absent:
        raise FileNotFoundError(f"{absent[0]} is not built: run `make book` first")
    return parts


def wanted_places(root, pages):
    """{page: names of the places on it that other pages link to}."""
    wanted = {page: set() for page in pages}
    for page in pages:
        text = (root / page).read_text(encoding="utf-8")
        for target in re.findall(r'href="([^":]+\.html#[^"]+)"', text):
            path, anchor = urldefrag(target)
            file = (root / page).parent.joinpath(path).resolve()
            name = file.relative_to(root.resolve()).as_posix()
            if name in wanted:
                wanted[name].add(unquote(anchor))
    return wanted


def print_page(tab, places=()):
    """(PDF of the page that a tab shows, its headings as [level, text, place])."""
    headings = tab.evaluate(PREPARE, sorted(places))
    return tab.pdf(**PAPER, margin=MARGIN), headings


def front(title, author, parts, titles, numbers):
    """HTML of the title page and the table of contents."""
    lines = []
    for caption, pages in parts:
        lines += [f"<h2>{html.escape(caption)}</h2>"] if caption else []
        lines += [
            f'<p><a href="http://book/{page}">{html.escape(titles[page])}</a>'
            f"<span>{numbers.get(page, 0)}</span></p>"
            for page in pages
        ]
    style = (
        "body{font:15px/1.5 'DejaVu Sans',sans-serif} header{height:230mm;padding-top:90mm}"
        "h1{font-size:44px} h2{font-size:15px;margin:14px 0 2px;break-after:avoid}"
        "p{display:flex;justify-content:space-between;margin:0} a{color:inherit;"
        "text-decoration:none}"
    )
    return (
        f"<!doctype html><html lang=en><title>{html.escape(title)}</title><style>{style}</style>"
        f"<header><h1>{html.escape(title)}</h1>{html.escape(author)}</header>"
        f"<h1 style='font-size:30px'>Contents</h1>{''.join(lines)}"
    )


def footers(names):
    """HTML of pages that hold nothing but a number and the title of their chapter."""
    style = (
        "@page{margin:0} body{margin:0;font:9px 'DejaVu Sans',sans-serif;color:#555}"
        "div{box-sizing:border-box;height:296.5mm;padding:282mm 23mm 0;display:flex;"
        "justify-content:space-between;break-after:page}"
    )
    pages = (
        f"<div><span>{html.escape(name)}</span><span>{k}</span></div>"
        for k, name in enumerate(names, 1)
    )
    return f"<!doctype html><style>{style}</style>{''.join(pages)}"


def bind(parts, printed, title_pages, headings):
    """A `pypdf.PdfWriter` of all pages, their links and the outline.

    Args:
        parts: from `contents`.
        printed: {page: PDF}.
        title_pages: PDF of the title and the table of contents.
        headings: {page: from `print_page`}.
    """
    from pypdf import PdfReader, PdfWriter

    writer, first, places = PdfWriter(), {}, {}
    files = {"": title_pages} | printed
    for page, content in files.items():
        first[page] = len(writer.pages)
        reader = PdfReader(io.BytesIO(content))
        for name, place in reader.named_destinations.items():
            number = first[page] + reader.get_destination_page_number(place)
            places[page, unquote(name.lstrip("/"))] = (number, float(place.top or 0))
        for leaf in reader.pages:
            writer.add_page(leaf)
    owners = [page for page in files for _ in range(first[page], _end(page, first, writer))]
    for leaf, owner in zip(writer.pages, owners):
        _lead_within(writer, leaf, owner, first, places)
    for caption, pages in parts:
        above = caption and writer.add_outline_item(
            title=caption, page_number=first[pages[0]], bold=True
        )
        for page in pages:
            _outline(writer, above, headings[page], first[page], page, places)
    return writer, first


def _end(page, first, writer):
    later = [number for number in first.values() if number > first[page]]
    return min(later, default=len(writer.pages))


def _lead_within(writer, leaf, owner, first, places):
    """Links of one sheet lead to sheets of this file; those to other files of the site go."""
    from pypdf.generic import ArrayObject, FloatObject, NameObject, NullObject

    kept = ArrayObject()
    for entry in leaf.get("/Annots", ()):
        link = entry.get_object()
        box = [float(v) for v in link["/Rect"]]
        if max(box[2] - box[0], box[3] - box[1]) < 2:
            continue  # one of the links that nobody sees
        target = (link.get("/A") or {}).get("/URI")
        if target is None:
            place = places.get((owner, unquote(str(link.get("/Dest", "")).lstrip("/"))))
        elif re.match(r"http://(book|127\.0\.0\.1:\d+)/", target):
            path, anchor = urldefrag(re.sub(r"^http://[^/]+/", "", target))
            if path not in first:
                continue
            place = places.get((path, unquote(anchor)), (first[path], POINTS["height"]))
        else:
            kept.append(entry)
            continue
        if place is not None:
            link.pop("/A", None)
            sheet = writer.pages[place[0]].indirect_reference
            top = [NameObject("/XYZ"), NullObject(), FloatObject(place[1]), NullObject()]
            link[NameObject("/Dest")] = ArrayObject([sheet, *top])
            kept.append(entry)
    leaf[NameObject("/Annots")] = kept


def _outline(writer, above, headings, start, page, places):
    from pypdf.generic import Fit

    chapter = above
    for level, text, place in headings:
        number, top = places.get((page, place), (start, POINTS["height"]))
        parent = above if level == 1 else chapter
        item = writer.add_outline_item(
            title=text, page_number=number, parent=parent, fit=Fit.xyz(top=top)
        )
        chapter = item if level == 1 else chapter


def shrink(stream):
    """Store a picture of the file in less room, where that can be done.

    Drawings, of at most 256 colors, stay what they are, as indices into a palette; photographs
    become JPEG, as they were when the notebook drew them.
    """
    from pypdf.generic import ArrayObject, ByteStringObject, NameObject, NumberObject

    if stream.get("/Subtype") != "/Image" or stream.get("/Filter") != "/FlateDecode":
        return
    space = stream.get("/ColorSpace")
    colored = space == "/DeviceRGB" or (
        isinstance(space, ArrayObject) and space[0] == "/ICCBased" and space[1]["/N"] == 3
    )
    if not colored or stream.get("/BitsPerComponent") != 8:
        return
    pixels = np.frombuffer(stream.get_data(), np.uint8).reshape(stream["/Height"], -1, 3)
    colors, index = np.unique(pixels @ np.array([65536, 256, 1]), return_inverse=True)
    if len(colors) <= 256:
        table = np.stack([colors >> 16, colors >> 8 & 255, colors & 255], 1).astype(np.uint8)
        palette = [NameObject("/Indexed"), space, NumberObject(len(colors) - 1)]
        changes = {"/ColorSpace": ArrayObject([*palette, ByteStringObject(table.tobytes())])}
        data = zlib.compress(index.astype(np.uint8).tobytes(), 9)
    else:
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, format="jpeg", quality=85, subsampling=0)
        changes, data = {"/Filter": NameObject("/DCTDecode")}, file.getvalue()
    if len(data) < len(stream._data):
        stream.pop("/DecodeParms", None)
        stream.update({NameObject(key): value for key, value in changes.items()})
        stream._data, stream.decoded_self = data, None


def make(parts, root=HTML, path=PDF, title="", author="", say=print, browser=None):
    """Print and bind the pages of `parts`; the number of sheets.

    Args:
        parts: from `contents`.
        root: folder of the built book.
        path: file to write.
        title, author: for the first sheet.
        say: called with a line for each page.
        browser: a running Chromium; started if None.
    """
    from pypdf import PdfReader
    from pypdf.generic import StreamObject

    from tests.browser.chromium import launched, opened, served

    pages = [page for _, names in parts for page in names]
    wanted = wanted_places(root, pages)
    with nullcontext(browser) if browser else launched() as running, served(root) as site:
        printed, headings = {}, {}
        for page in pages:
            with opened(running, site + page, size=(1000, 1300)) as tab:
                printed[page], headings[page] = print_page(tab, wanted[page])
            say(f"{page}: {len(PdfReader(io.BytesIO(printed[page])).pages)} sheets")
        titles = {page: headings[page][0][1] for page in pages}
        numbers, before = {}, None
        while numbers != before:  # the numbers depend on how long the contents are, and vice versa
            before = numbers
            with opened(running, html=front(title, author, parts, titles, numbers)) as tab:
                title_pages, _ = print_page(tab)
            writer, first = bind(parts, printed, title_pages, headings)
            numbers = {page: first[page] + 1 for page in pages}
        names = [""] * first[pages[0]]
        for page in pages:
            names += [titles[page]] * (_end(page, first, writer) - first[page])
        with opened(running, html=footers(names)) as tab:
            numbered = tab.pdf(format="A4", print_background=True, prefer_css_page_size=True)
    for leaf, foot in zip(writer.pages, PdfReader(io.BytesIO(numbered)).pages):
        leaf.merge_page(foot)
        leaf.compress_content_streams(level=9)  # merging has unpacked them
    for thing in writer._objects:
        if isinstance(thing, StreamObject):
            shrink(thing)
    writer.add_metadata({"/Title": title, "/Author": author})
    writer.compress_identical_objects()
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".part")
    with open(aside, "wb") as file:
        writer.write(file)
    aside.replace(path)
    return len(writer.pages)


def main():
    reason = missing()
    if reason:
        return f"make pdf: {reason}"
    try:
        parts = contents(ROOT / "book" / "_toc.yml")
    except FileNotFoundError as error:
        return f"make pdf: {error}"
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    count = make(parts, title=config["title"], author=config["author"])
    print(f"{count} sheets, {PDF.stat().st_size / 2**20:.0f} MiB: {PDF}")


if __name__ == "__main__":
    sys.exit(main())
