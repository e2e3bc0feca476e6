"""The built book as its readers meet it (`make book && make check-book`).

A file server on this machine serves it to a headless Chromium: nothing may be asked of any other
address, no console may complain, formulas must be set, search must find, no page may be wider than
a phone.
"""

import os
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import nbformat
import pytest

from book import pdf, slides
from book.build import images_without_alt
from book.plain import numbers
from tests.browser.chromium import DESKTOP, PHONE, opened, served
from tests.browser.decks import slides_of
from tests.notebooks.scratch import NOTEBOOKS

BOOK = os.environ.get("SOFTCUT_BOOK")
if not BOOK:
    pytest.skip("this looks at a built book: make book && make check-book", allow_module_level=True)
ROOT = Path(BOOK).resolve()
FILES = (path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.html"))
PAGES = sorted(name for name in FILES if name != "index.html" and not name.startswith("_static/"))
HEAVIEST = 2_000_000  # bytes of a page with all that it loads, MathJax aside
SETTLED = "async () => { if (window.MathJax) await MathJax.startup.promise; return true }"


@pytest.fixture(scope="module")
def site():
    """The address of a file server for the book."""
    with served(ROOT) as address:
        yield address


class Links(HTMLParser):
    """The addresses that a page leads to or loads, and the names it can be entered by."""

    def __init__(self, text):
        super().__init__()
        self.targets, self.names = [], set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.names |= {attrs[key] for key in ("id", "name") if attrs.get(key)}
        self.targets += [attrs[key] for key in ("href", "src") if attrs.get(key)]


@pytest.fixture(scope="module")
def links():
    return {page: Links((ROOT / page).read_text(encoding="utf-8")) for page in PAGES}


def test_the_book_is_there():
    assert {"search.html", "book/index.html", "book/notation.html"} <= set(PAGES)
    assert any(page.startswith("notebooks/") for page in PAGES)


def test_the_front_door_leads_to_the_preface(browser, site):
    with opened(browser, site) as tab:
        tab.wait_for_url("**/book/index.html")
        assert tab.inner_text("h1").startswith("Preface")


def test_links_lead_to_what_exists(links):
    """Files and anchors of this book; a link to the outside is no part of this test."""
    dead = []
    for page, found in links.items():
        for target in found.targets:
            parts = urlsplit(target)
            if parts.scheme or target.startswith("//"):
                continue
            path, anchor = urldefrag(target)
            where = (ROOT / page).parent / unquote(path.partition("?")[0]) if path else ROOT / page
            where = where / "index.html" if where.is_dir() else where
            if not where.is_file():
                dead.append(f"{page}: {target}")
            elif anchor and where.suffix == ".html":
                name = where.resolve().relative_to(ROOT).as_posix()
                if unquote(anchor) not in links[name].names:
                    dead.append(f"{page}: {target} (no such place on that page)")
    assert not dead, "\n".join(dead[:40])


@pytest.mark.parametrize("page", PAGES)
def test_references_are_resolved_and_images_described(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    assert images_without_alt(text) == []
    assert "output stderr" not in text, "a cell wrote warnings"
    prose = re.sub(r"<(script|style|pre).*?</\1>", "", text, flags=re.DOTALL)
    left = re.findall(r"\{(?:ref|eq|numref|cite:?\w*|prf:ref|doc)\}|\[\?\]|\?\?", prose)
    assert not left, f"unresolved references: {left[:5]}"


@pytest.mark.parametrize("page", PAGES)
def test_page_stands_alone(browser, site, page):
    """No other address, no complaint, formulas set, images shown, and light enough."""
    with opened(browser, site + page, size=DESKTOP) as tab:
        assert tab.evaluate(SETTLED)
        tab.evaluate("document.querySelectorAll('img').forEach(i => { i.loading = 'eager' })")
        tab.wait_for_load_state("networkidle")
        asked = [url for url in tab.asked if not url.startswith(("data:", "blob:"))]
        outside = [url for url in asked if not url.startswith(site)]
        assert not outside, f"asks {outside}"
        assert not tab.errors, tab.errors
        formulas, done = tab.evaluate(
            "[document.querySelectorAll('.math').length,"
            " document.querySelectorAll('.math mjx-container').length]"
        )
        assert done >= formulas, f"{formulas} formulas, {done} of them set"
        assert not tab.query_selector_all("mjx-merror, [data-mjx-error]"), "a formula is wrong"
        empty = "[...document.images].filter(i => !i.naturalWidth && i.offsetParent).length"
        assert tab.evaluate(empty) == 0
        files = {unquote(urlsplit(url).path).lstrip("/") for url in asked}
        weights = {name: (ROOT / name).stat().st_size for name in files if (ROOT / name).is_file()}
        total = sum(size for name, size in weights.items() if "/mathjax/" not in name)
        heaviest = sorted(weights.items(), key=lambda item: -item[1])[:4]
        assert total < HEAVIEST, f"{total} bytes, most of them {heaviest}"


@pytest.mark.parametrize("page", PAGES)
def test_page_fits_a_phone_in_the_dark(browser, site, page):
    with opened(browser, site + page, size=PHONE, scheme="dark", touch=True) as tab:
        assert tab.evaluate(SETTLED)
        assert tab.evaluate("document.documentElement.dataset.theme") == "dark"
        behind = tab.evaluate("getComputedStyle(document.body).backgroundColor")
        assert max(map(int, re.findall(r"\d+", behind)[:3])) < 80, f"{behind} is not dark"
        wide = """[...document.querySelectorAll('.bd-article *')].filter(e => {
            if (e.getBoundingClientRect().right <= innerWidth + 1) return false
            for (let p = e; p; p = p.parentElement)
                if (['auto', 'scroll', 'hidden'].includes(getComputedStyle(p).overflowX)
                    && p.classList && !p.matches('body, html, main, .bd-main, .bd-content'))
                    return false
            return true }).slice(0, 5).map(e => e.tagName + '.' + e.className)"""
        assert tab.evaluate("document.documentElement.scrollWidth") <= PHONE[0], tab.evaluate(wide)


def test_search_finds(browser, site):
    with opened(browser, f"{site}search.html?q=Laplacian") as tab:
        tab.wait_for_selector("#search-results ul.search li a", timeout=20_000)
        first = tab.query_selector("#search-results ul.search li a")
        first.click()
        tab.wait_for_load_state()
        assert "laplacian" in tab.inner_text("main").lower()
        assert not tab.errors and all(url.startswith(site) for url in tab.asked)


def test_keys_are_enough(browser, site):
    """Search by Ctrl+K, the skip link by the first Tab, links of the page by more of them."""
    with opened(browser, f"{site}book/notation.html") as tab:
        tab.keyboard.press("Tab")
        assert tab.evaluate("document.activeElement.getAttribute('href')") == "#main-content"
        tab.keyboard.press("Control+k")
        tab.keyboard.type("conductance")
        tab.keyboard.press("Enter")
        tab.wait_for_selector("#search-results ul.search li a", timeout=20_000)
        assert "q=conductance" in tab.url


def test_a_page_opens_without_any_server(browser):
    """From a folder, by file: addresses, as the build's last line offers it."""
    with opened(browser, (ROOT / "book" / "notation.html").as_uri()) as tab:
        assert tab.evaluate(SETTLED)
        assert all(url.startswith(("file:", "data:")) for url in tab.asked), tab.asked
        # a font may not be loaded from a folder; the icons are there as drawings, too
        blocked = [line for line in tab.errors if "fontawesome" not in line]
        assert tab.query_selector("mjx-container")
        assert set(blocked) <= {"Failed to load resource: net::ERR_FAILED"}, blocked


def test_a_chapter_is_printed_whole(browser, tmp_path):
    """Formulas, figures and opened solutions stand in the PDF, in `make pdf`'s own way."""
    from pypdf import PdfReader

    page = "notebooks/02_circuit.html"
    options = {"path": tmp_path / "part.pdf", "say": str, "browser": browser}
    pdf.make([(None, [page, "book/notation.html"])], root=ROOT, **options)
    reader = PdfReader(tmp_path / "part.pdf")
    text = re.sub(r"\s+", " ", " ".join(sheet.extract_text() for sheet in reader.pages))
    source = (ROOT / page).read_text(encoding="utf-8")
    for caption in re.findall(r'class="caption-number">\s*(Fig\. [\d.]+)', source):
        assert caption in text
    title = r'class="solution [^>]*>\s*<p class="admonition-title">.*</p>'
    solutions = re.findall(title + r"\s*<section[^>]*>\s*<p>([^<$\\:]{15,})", source)
    assert solutions and all(words.strip() in text for words in solutions)
    assert "is the source’s 4.00 A" in text, "the live circuit is drawn, too"
    assert "∑" in text, "formulas are set"
    pictures = sum(len(sheet.images) for sheet in reader.pages)
    assert pictures >= len(re.findall(r"<figcaption", source))


@pytest.fixture(scope="module")
def decks(tmp_path_factory):
    """A folder with the slides of every chapter, from the outputs of this build."""
    out = tmp_path_factory.mktemp("slides")
    slides.write([path.stem for path in sorted(NOTEBOOKS.glob("*.ipynb"))], out=out)
    return out


@pytest.mark.parametrize("chapter", sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb")))
def test_slides_fit_their_frames(browser, decks, chapter):
    with served(decks) as address, opened(browser, f"{address}{chapter}.slides.html") as tab:
        seen = slides_of(tab)
        assert len(seen) > 3 and all(slide["high"] <= 700 for slide in seen), seen
        assert all(slide["wide"] <= 1 for slide in seen if not slide["scrolled"]), seen
        scrolled = [slide["title"] for slide in seen if slide["scrolled"]]
        # long tables are scrolled; an appendix is made of them
        assert len(scrolled) <= len(seen) / (5 if chapter[0] == "A" else 10), scrolled
        assert chapter[0] == "A" or tab.query_selector(".room mjx-container")
        assert not tab.query_selector("mjx-merror")
        silent = "[...document.querySelectorAll('.room img')].filter(i => i.alt.length < 10).length"
        assert tab.evaluate(silent) == 0
        assert not tab.errors, tab.errors
        allowed = (address, "data:", "blob:", "about:")
        assert all(url.startswith(allowed) for url in tab.asked)


def test_every_chapter_offers_its_notebook(links):
    for page in PAGES:
        if page.startswith("notebooks/"):
            name = Path(page).with_suffix(".ipynb").name
            assert f"../colab/{name}" in links[page].targets
            assert (ROOT / "colab" / name).is_file()


def test_self_contained_notebooks_have_the_numbers_of_the_pages():
    """Theorems, exercises, figures and equations, in their order."""
    for path in sorted((ROOT / "colab").glob("*.ipynb")):
        page = ROOT / "notebooks" / f"{path.stem}.html"
        if not page.is_file():
            continue
        original = nbformat.read(NOTEBOOKS / path.name, as_version=4)
        expected = list(numbers(path.stem, original).values())
        text = page.read_text(encoding="utf-8")
        shown = re.findall(r'class="caption-number">\s*([^<]*?)\s*<', text)
        shown += re.findall(r'class="eqno">(\([^)]*\))', text)
        assert Counter(shown) == Counter(expected), path.stem
