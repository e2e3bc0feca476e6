"""`make pdf`: sheets in order, numbered, with an outline, and links that stay inside the file."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from book import pdf
from tests.browser import chromium

PAGE = """<!doctype html><html lang=en><title>{title}</title><article class="bd-article">
<section id="{name}"><h1>{title}<a class="headerlink" href="#{name}">#</a></h1>
<p>Back to <a href="{other}.html#{other}-end">the other end</a>, to <a href="{other}.html">the
other page</a>, to <a href="notes.txt">a file</a> and <a href="https://example.com/x">out</a>.</p>
{middle}<section id="{name}-end"><h2>The end of {title}</h2><p>Last words of {title}.</p></section>
</section></article>"""
TOC = """root: one
parts:
  - caption: I. Further
    chapters:
      - file: two
"""


def drawing():
    """A few colors, sharp edges."""
    pixels = np.full((200, 300, 3), 255, np.uint8)
    pixels[20:180, 40:44] = pixels[90:93, 10:290] = (33, 102, 172)
    pixels[40:60, 100:200] = (178, 24, 43)
    return Image.fromarray(pixels)


def photograph():
    """Many colors that change slowly."""
    i, j = np.mgrid[:240, :320] / 240
    waves = [np.sin(3 * i + k * j + k) + 0.2 * np.cos(40 * i * j) for k in (1, 2, 3)]
    return Image.fromarray((127 + 90 * np.stack(waves, 2)).clip(0, 255).astype(np.uint8))


def shown(picture):
    file = io.BytesIO()
    picture.save(file, format="webp", lossless=True)  # as the book's pages have them
    content = base64.b64encode(file.getvalue()).decode()
    width = picture.width
    return f'<p><img width={width} alt="A picture." src="data:image/webp;base64,{content}"></p>'


@pytest.fixture(scope="module")
def bound(browser, tmp_path_factory):
    """(the sheets of a book of two pages, what was said)."""
    pypdf = pytest.importorskip("pypdf")
    folder = tmp_path_factory.mktemp("site")
    long = "<p>Many words.</p>" * 90 + shown(drawing()) + shown(photograph())
    for name, other, title in (("one", "two", "First"), ("two", "one", "1. Second & last")):
        page = PAGE.format(name=name, other=other, title=title.replace("&", "&amp;"), middle=long)
        (folder / f"{name}.html").write_text(page)
    (folder / "_toc.yml").write_text(TOC)
    said, parts = [], pdf.contents(folder / "_toc.yml", folder)
    options = {"title": "A book", "author": "Them", "say": said.append, "browser": browser}
    count = pdf.make(parts, root=folder, path=folder / "book.pdf", **options)
    reader = pypdf.PdfReader(io.BytesIO((folder / "book.pdf").read_bytes()))
    assert len(reader.pages) == count and {path.suffix for path in folder.iterdir()} == {
        ".html", ".yml", ".pdf",
    }  # fmt: skip
    return reader, said


def starts(reader):
    """{title in the outline: its sheet}, parts and sections included."""
    found = {}

    def walk(items):
        for item in items:
            if isinstance(item, list):
                walk(item)
            else:
                found[item.title] = reader.get_destination_page_number(item)

    walk(reader.outline)
    return found


def test_sheets_are_in_order_and_numbered(bound):
    reader, said = bound
    texts = [sheet.extract_text() for sheet in reader.pages]
    at = starts(reader)
    assert "A book" in texts[0] and "Them" in texts[0]
    assert "First" in texts[at["First"]]
    assert "Last words of First" in texts[at["1. Second & last"] - 1]
    for number, text in enumerate(texts, 1):
        assert str(number) in text.split()
    (contents,) = [text for text in texts if "Contents" in text]
    for title in ("First", "1. Second & last"):
        assert f"{at[title] + 1}" in contents.partition(title)[2].split()[0]
    assert len(said) == 2 and reader.metadata.title == "A book"


def test_the_outline_has_parts_chapters_and_sections(bound):
    reader, _ = bound
    first, inside, part, further = reader.outline
    assert first.title == "First" and [item.title for item in inside] == ["The end of First"]
    assert part.title == "I. Further"
    assert further[0].title == "1. Second & last"
    assert [item.title for item in further[1]] == ["The end of 1. Second & last"]
    at = starts(reader)
    assert at["The end of First"] > at["First"], "on a later sheet, where the section is"


def test_links_lead_to_sheets_or_out_of_the_book(bound):
    reader, _ = bound
    at = starts(reader)
    out, inside = [], []
    for sheet in reader.pages[at["First"] : at["1. Second & last"]]:
        for link in (entry.get_object() for entry in sheet.get("/Annots", ())):
            if "/A" in link:
                out.append(link["/A"]["/URI"])
            else:
                inside.append(reader.get_page_number(link["/Dest"][0].get_object()))
    assert out == ["https://example.com/x"], "and none to the server that printed it, or a file"
    assert sorted(set(inside) - {at["First"]}) == sorted(
        {at["1. Second & last"], at["The end of 1. Second & last"]}
    )


def test_pictures_and_words_take_little_room(bound):
    """Drawings are kept to the pixel, photographs as JPEG; what is written on a sheet is packed."""
    reader, _ = bound
    found = [image for sheet in reader.pages for image in sheet.images]
    kinds = [image.indirect_reference.get_object()["/Filter"] for image in found]
    assert sorted(kinds) == ["/DCTDecode"] * 2 + ["/FlateDecode"] * 2
    for image, kind in zip(found, kinds):
        expected = photograph() if kind == "/DCTDecode" else drawing()
        apart = np.abs(np.asarray(image.image.convert("RGB"), float) - np.asarray(expected, float))
        assert apart.mean() < 2 if kind == "/DCTDecode" else not apart.any()
        room = len(image.indirect_reference.get_object()._data)
        assert room < apart.size / 8, f"{room} bytes for {apart.size} numbers"
    for sheet in reader.pages:
        assert sheet["/Contents"].get_object()["/Filter"] == "/FlateDecode"


def test_what_is_missing_is_said(monkeypatch, tmp_path):
    (tmp_path / "_toc.yml").write_text(TOC)
    with pytest.raises(FileNotFoundError, match="one.html is not built: run `make book` first"):
        pdf.contents(tmp_path / "_toc.yml", tmp_path)
    monkeypatch.setattr(chromium.shutil, "which", lambda name: None)
    assert "chromium is missing: apt-get update && apt-get install -y chromium" in pdf.main()
