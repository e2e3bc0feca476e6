"""Slides as they are shown: formulas set, nothing cut off, keys, and notes in their own window."""

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from book import slides, vendor
from book.plain import Citations
from softcut_lib import show
from tests.browser.chromium import opened, served
from tests.browser.decks import READY, slides_of

ALT = "A line whose slope is moved by a slider."


def line(slope):
    return show.curves(
        [0, 1],
        {"line": [0, slope]},
        xlabel="x",
        ylabel="y",
        alt=f"A straight line of slope {slope}.",
    )


def output(picture):
    data, about = picture._repr_mimebundle_()
    return new_output("display_data", data, metadata=about)


@pytest.fixture(scope="module")
def deck(tmp_path_factory):
    """The page of a small deck, with the scripts beside it."""
    out = tmp_path_factory.mktemp("slides")
    addresses = [slides.beside(out, package) for package in (vendor.REVEAL, vendor.MATHJAX)]
    if None in addresses:
        pytest.skip("npm could not bring reveal.js and MathJax")
    long = "\n".join(f"total_{k} = sum(range({k}))  # {'and so on ' * 6}" for k in range(28))
    listed = "\n".join(f"- item {k} with $x_{k}^2$" for k in range(30))
    wide = " + ".join(rf"\frac{{x_{{{k}}}}}{{y_{{{k}}}}}" for k in range(40))
    cells = [
        new_markdown_cell("# Title\n\nWhat is $\\sqrt{x}$? Words for the notes."),
        new_code_cell("setup = 1"),
        new_markdown_cell("## Formulas\n\n$$\nA x = p\n$$\n\n- a list with $y$"),
        new_code_cell(long, outputs=[output(line(3))]),
        new_code_cell(
            "show.explore(...)", outputs=[output(show.explore(line, slope=[1, 2, 3], alt=ALT))]
        ),
        new_markdown_cell(f"## Too much\n\n{listed}"),
        new_markdown_cell(f"## Too wide\n\n$$\n{wide}\n$$"),
        new_markdown_cell("## The end\n\n- an end"),
    ]
    notebook = new_notebook(cells=cells, metadata={"title": "Title"})
    made = slides.deck(notebook, {}, Citations(slides.build.ROOT / "book" / "references.bib"))
    page = slides.to_html(made, addresses[0], f"{addresses[1]}/{vendor.SCRIPT}")
    (out / "deck.html").write_text(page, encoding="utf-8")
    return out


@pytest.fixture
def page(browser, deck):
    with served(deck) as site, opened(browser, f"{site}deck.html") as page:
        page.wait_for_function(READY)
        yield page
        assert not page.errors
        assert all(url.startswith((site, "data:", "blob:", "about:")) for url in page.asked)


def test_formulas_are_set_and_the_notes_need_no_mathjax(page):
    shown = "document.querySelectorAll('.room mjx-container').length"
    assert page.evaluate(shown) == 2 + 30 + 1 and not page.query_selector("mjx-merror")
    notes = "[...document.querySelectorAll('aside.notes')].map(n => [n.innerHTML.includes('<math'),"
    notes += " n.innerHTML.includes('mjx-container')])"
    assert [True, False] in page.evaluate(notes)
    assert not any(set_by_mathjax for _, set_by_mathjax in page.evaluate(notes))


def test_every_slide_fits_its_frame(page):
    seen = slides_of(page)
    assert all(slide["high"] <= 700 and slide["zoom"] >= 0.6 for slide in seen), seen
    assert [slide["title"][:8] for slide in seen if slide["scrolled"]] == ["Too much", "Too wide"]
    assert all(slide["wide"] <= 1 for slide in seen if not slide["scrolled"]), seen
    (code,) = [k for k, slide in enumerate(seen) if "total_0" in slide["title"]]
    pictures = "[...document.querySelectorAll('.slides > section > section')]"
    pictures += ".map(s => s.querySelectorAll('.room img').length)"
    counts = page.evaluate(pictures)
    assert (counts[code], counts[code + 1]) == (0, 1), "28 lines, then what they draw"
    alts = "[...document.querySelectorAll('.room img')].every(i => i.alt.length > 10)"
    assert page.evaluate(alts)


def test_keys_turn_the_pages_but_not_from_a_slider(page):
    at = "JSON.stringify(Reveal.getIndices())"
    start = page.evaluate(at)
    page.keyboard.press("ArrowRight")
    for _ in range(3):
        page.keyboard.press("ArrowDown")
    there = page.evaluate(at)
    assert '"h":1,"v":3' in there and there != start
    slider = page.locator(".present .present input[type=range]")
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate(at) == there
    seen = "[...document.querySelectorAll('.present .present img')].filter(i => i.offsetParent)"
    assert page.evaluate(f"{seen}.map(i => i.alt)") == ["A straight line of slope 3."]


def test_the_notes_open_in_a_window(page):
    with page.expect_popup() as opening:
        page.keyboard.press("s")
    notes = opening.value
    notes.wait_for_function("document.querySelector('.speaker-controls-notes:not(.hidden) math')")
    assert "Words for the notes." in notes.inner_text(".speaker-controls-notes")
