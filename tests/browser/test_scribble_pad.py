"""Scribbles by mouse: strokes in the page are the library's label map, undone and cleared too."""

import base64

import numpy as np
import pytest

from softcut_lib.show.scribble_pad import NO_KERNEL, SCRIPT, scribbling
from tests.browser.chromium import PHONE, opened

WIDGET = """async ([source, traits]) => {
    const { default: widget } = await import('data:text/javascript;base64,' + source);
    const heard = [];
    window.model = { get: name => traits[name], set: (name, value) => { traits[name] = value; },
        save_changes: () => { window.saved = (window.saved || 0) + 1; },
        on: (name, f) => heard.push(f), off: () => {} };
    window.tell = lines => { traits.lines = lines; heard.forEach(f => f()); };
    const el = document.createElement('div');
    document.body.append(el);
    window.remove = widget.render({ model, el });
}"""


def pad_of(**options):
    image = np.full((40, 60, 3), 128, np.uint8)
    return scribbling(image, labels=("ground", "horse", "sky"), **options)


@pytest.fixture
def page(browser):
    with opened(browser, html="<body></body>") as page:
        yield page
        assert not page.errors and not [
            a for a in page.asked if not a.startswith(("data:", "about:"))
        ]


def show(page, pad):
    source = base64.b64encode(SCRIPT.read_bytes()).decode()
    names = ("url", "height", "width", "labels", "pen", "lines")
    page.evaluate(WIDGET, [source, {name: getattr(pad, name) for name in names}])


def drag(page, points):
    """Press at the first of some points in pixels of the picture, move along, let go."""
    box = page.locator("canvas").bounding_box()
    places = [
        (box["x"] + (x + 0.5) / 60 * box["width"], box["y"] + (y + 0.5) / 40 * box["height"])
        for x, y in points
    ]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=4)
    page.mouse.up()


def arrived(page, pad):
    """The kernel's side after what the page has saved."""
    pad.lines = page.evaluate("model.get('lines')")
    return pad.seeds


def test_strokes_arrive_as_the_label_map_of_their_points(page):
    pad = pad_of(width=2)
    show(page, pad)
    page.get_by_role("radio", name="horse").check()
    drag(page, [(10, 10), (30, 10)])
    page.get_by_role("radio", name="ground").check()
    drag(page, [(5, 35), (5, 35)])
    assert page.evaluate("saved") == 2
    seeds = arrived(page, pad)
    expected = pad_of(width=2, start=[(1, [(10, 10), (30, 10)]), (0, [(5, 35)])]).seeds
    assert (seeds != expected).sum() <= 3  # the mouse stands on whole pixels of the screen
    assert seeds[10, 10:31].unique().tolist() == [1] and seeds[35, 5] == 0
    assert "1 of ground, 1 of horse, 0 of sky" in page.inner_text(".status")


def test_undo_and_clear_take_strokes_back(page):
    pad = pad_of(start=[(0, [(3, 3)])])
    show(page, pad)
    drag(page, [(10, 20), (30, 20)])
    assert {0, 2} <= set(arrived(page, pad).unique().tolist())
    page.get_by_role("button", name="Undo").click()
    assert arrived(page, pad).unique().tolist() == [0, 255]
    page.get_by_role("button", name="Clear").click()
    assert arrived(page, pad).unique().tolist() == [255]
    assert page.locator("button:disabled").count() == 2


def test_strokes_set_in_the_kernel_are_drawn(page):
    show(page, pad_of())
    colored = "[...document.querySelector('div > div').shadowRoot.querySelector('canvas')" \
              ".getContext('2d').getImageData(0, 0, 600, 400).data].filter((v, k) => k % 4 == 0" \
              " && v > 200).length"  # fmt: skip
    assert page.evaluate(colored) == 0
    page.evaluate("tell([[1, [[10, 10], [40, 30]]]])")
    assert page.evaluate(colored) > 500
    page.evaluate("remove()")
    assert page.locator("canvas").count() == 0


def test_a_phone_s_page_is_not_wider_than_the_phone(browser):
    with opened(browser, html="<body></body>", size=PHONE) as page:
        show(page, pad_of())
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
        assert NO_KERNEL not in page.content()
