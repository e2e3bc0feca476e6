"""Sliders in a page without a kernel: keys move them, one frame is seen, and it is announced."""

from softcut_lib import show
from tests.browser.chromium import opened

ALT = "Lines whose slope and height are moved."
SEEN = "[...document.images].filter(i => i.offsetParent).map(i => i.alt)"


def line(slope, height):
    return show.curves(
        [0, 1], {"line": [height, height + slope]}, xlabel="x", ylabel="y",
        alt=f"A line of slope {slope} from the height {height}.",
    )  # fmt: skip


def test_keys_move_the_frame_and_nothing_is_asked_for(browser):
    frames = show.explore(line, slope=[1, 2, 3], height=[0, 10], alt=ALT)
    html = f"<body>{frames.html()}<hr>{frames.html()}</body>"  # two on one page
    with opened(browser, html=html) as page:
        first = "A line of slope {} from the height {}."
        assert page.evaluate(SEEN) == [first.format(2, 10)] * 2
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "slope"
        page.keyboard.press("ArrowRight")
        assert page.evaluate(SEEN) == [first.format(3, 10), first.format(2, 10)]
        page.keyboard.press("Tab")
        page.keyboard.press("ArrowLeft")
        assert page.evaluate(SEEN)[0] == first.format(3, 0)
        told = "document.querySelector('[aria-label=slope]').getAttribute('aria-valuetext')"
        assert page.evaluate(told) == "3" and page.inner_text("output >> nth=0") == "3"
        page.keyboard.press("ArrowLeft")  # the end of the scale
        assert page.evaluate(SEEN)[0] == first.format(3, 0)
        assert not page.errors and all(url.startswith("data:") for url in page.asked)
