"""Sliders: one frame for every setting, in the slider's order, usable without a kernel."""

import io
import json
import re
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from PIL import Image

from softcut_lib import show

ALT = "Lines whose slope and height are moved."


def line(slope, height=0):
    return show.curves(
        [0, 1], {"line": [height, height + slope]}, xlabel="x", ylabel="y",
        alt=f"A line of slope {slope} from the height {height}.",
    )  # fmt: skip


class Reader(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def all(self, name):
        return [attrs for tag, attrs in self.tags if tag == name]


def test_every_setting_has_a_frame_in_order():
    frames = show.explore(line, slope=[1, 2, 3], height=[0, 10], alt=ALT)
    page = Reader(frames.html())
    texts = [img["alt"] for img in page.all("img")]
    assert texts == [
        f"A line of slope {s} from the height {h}." for s in (1, 2, 3) for h in (0, 10)
    ]
    shown = [k for k, img in enumerate(page.all("img")) if "display:block" in img["style"]]
    values = [json.loads(i["data-values"]) for i in page.all("input")]
    at = [int(i["value"]) for i in page.all("input")]
    assert values == [["1", "2", "3"], ["0", "10"]]
    assert shown == [at[0] * 2 + at[1]]


def test_needs_nothing_from_outside():
    html = show.explore(line, slope=[1.0, 2.0], alt=ALT).html()
    assert "<script" not in html
    assert all(img["src"].startswith("data:image/") for img in Reader(html).all("img"))
    assert not re.search(r"https?://", html)


def test_shows_html_and_a_still():
    frames = show.explore(line, slope=[1, 2], alt=ALT)
    data, about = frames._repr_mimebundle_()
    assert {"text/html", "text/plain", "image/png"} <= set(data)
    assert about["image/png"]["alt"].startswith("A line of slope")
    assert ALT in data["text/plain"]


def test_frames_stay_white_and_near_the_figure():
    """Of few colors, and still within a shade of what was drawn, on the color bar too."""

    def maps(k):
        ramp = torch.linspace(-k, k, 80 * 60).view(1, 60, 80)
        return show.images([ramp], kinds="scores", alt="A ramp from blue to red, with its bar.")

    (frame,) = show.explore(maps, k=[2], alt=ALT).pictures
    image = Image.open(io.BytesIO(frame.data)).convert("RGB")
    drawn = Image.open(io.BytesIO(maps(2).data)).convert("RGB").resize(image.size)
    assert image.getpixel((0, 0)) == (255, 255, 255)
    difference = np.abs(np.asarray(image, float) - np.asarray(drawn, float)).max(2)
    assert np.quantile(difference, 0.95) < 32


def test_live_sliders_draw_when_they_move():
    """One frame at first and one for each move, over more values than a page could hold."""
    drawn = []

    def counted(slope, height):
        drawn.append((slope, height))
        return line(slope, height)

    box = show.explore(counted, slope=range(100), height=[0.5, 1.0], alt=ALT, live=True)
    slope, height, shown = box.children
    assert drawn == [(50, 1.0)] and (slope.description, height.description) == ("slope", "height")
    slope.index, height.index = 99, 0
    assert drawn[1:] == [(99, 1.0), (99, 0.5)]
    (img,) = Reader(shown.value).all("img")
    expected = line(99, 0.5)
    assert img["src"] == expected.url and img["alt"] == expected.alt


def test_live_sliders_are_frames_where_the_book_is_built(monkeypatch):
    """The same call on a page without a kernel: the ends and what lies between, no widget."""
    monkeypatch.setenv("SOFTCUT_STATIC", "1")
    frames = show.explore(line, slope=range(101), height=[0.5, 1.0], alt=ALT, live=True)
    assert 20 <= len(frames.pictures) <= 25
    slopes, heights = frames.sliders.values()
    assert (slopes[0], slopes[-1], heights) == (0, 100, [0.5, 1.0])
    gaps = [b - a for a, b in zip(slopes, slopes[1:])]
    assert max(gaps) - min(gaps) <= 1
    few = show.explore(line, slope=[3, 7], height=[1.0], alt=ALT, live=True)
    assert few.sliders == {"slope": [3, 7], "height": [1.0]}


def test_live_sliders_name_what_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    with pytest.raises(ModuleNotFoundError, match=r"softcut-lib\[widgets\]"):
        show.explore(line, slope=[1], alt=ALT, live=True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "between 1 and 25 frames"),
        ({"slope": []}, "between 1 and 25 frames"),
        ({"slope": range(26)}, "between 1 and 25 frames in all, got 26"),
        ({"slope": [1], "alt": ""}, "alt must say"),
    ],
)
def test_refuses(options, words):
    with pytest.raises(ValueError, match=words):
        show.explore(line, **({"alt": ALT} | options))


def test_refuses_what_is_no_picture():
    with pytest.raises(TypeError, match="draw must return a Picture"):
        show.explore(lambda k: k, k=[1], alt=ALT)
