"""A picture to scribble on with the mouse, whose strokes become seeds (chapter 15).

`scribble_pad.js` collects strokes as lists of points; here `draw_scribbles` makes the label map,

    seeds_p = label of the last stroke within width / 2 of p,    255 (free) without one.

A page without a kernel cannot hand strokes back, and says so.
"""

import html
import os
from pathlib import Path
from types import SimpleNamespace

from softcut_lib.data.scribbles import draw_scribbles
from softcut_lib.show.playground_page import data_url, import_widgets, own_picture

SCRIPT = Path(__file__).with_name("scribble_pad.js")
STATIC = "SOFTCUT_STATIC"  # set while the book is built: its pages have no kernel

__all__ = ["scribbling"]


def scribbling(image, *, labels=("ground", "object"), width=3.0, start=()):
    """A widget to draw scribbles on a picture; for Jupyter and Colab.

    Args:
        image: uint8 or float in [0, 1], (h, w), (h, w, 3) or (h, w, 4), or a tensor (3, h, w) or
            (1, 3, h, w).
        labels: names of the labels 0, 1, ..., two or more.
        width: of the pen in pixels of the picture, above 0.
        start: strokes that are there at first: pairs (label, points) as in `draw_scribbles`.

    Returns:
        An `anywidget.AnyWidget`, which shows itself as the last expression of a cell. Its ``seeds``
        are the label map of what is drawn at that moment, long (h, w) with 255 free; its ``lines``
        are the strokes, and can be set. Where the book is built, a sentence stands in its place.

    Raises:
        ValueError: no picture, fewer than two labels, strokes that `draw_scribbles` refuses or
            whose label has no name.
        ModuleNotFoundError: anywidget is missing (the extra `widgets`).

    Example:
        >>> import numpy as np
        >>> pad = scribbling(np.zeros((9, 12, 3)), width=1, start=[(1, [(2, 3), (5, 3)])])
        >>> pad.seeds[3]
        tensor([255, 255,   1,   1,   1,   1, 255, 255, 255, 255, 255, 255])
    """
    anywidget, traitlets = import_widgets("scribbling")

    class ScribblePad(anywidget.AnyWidget):
        _esm = SCRIPT.read_text(encoding="utf-8")
        url = traitlets.Unicode().tag(sync=True)
        height = traitlets.Int().tag(sync=True)
        width = traitlets.Int().tag(sync=True)
        pen = traitlets.Float().tag(sync=True)
        labels = traitlets.List().tag(sync=True)
        lines = traitlets.List().tag(sync=True)

        seeds = property(seeds_of)

    if isinstance(labels, str) or len(labels) < 2:
        raise ValueError(f"labels must be two names or more, got {labels!r}")
    pixels = own_picture(image)
    plain = [[int(label), [[float(x), float(y)] for x, y in points]] for label, points in start]
    given = {
        "height": pixels.shape[0], "width": pixels.shape[1], "pen": float(width),
        "labels": [str(name) for name in labels], "lines": plain,
    }  # fmt: skip
    if os.environ.get(STATIC):
        pad = StillPad(**given)
    else:
        pad = ScribblePad(url=data_url(pixels, "png"), **given)
    pad.seeds  # noqa: B018  (refuses a wrong start at once)
    return pad


def seeds_of(pad):
    """Label map of a pad's lines, long (h, w), 255 where nothing is drawn."""
    strokes = [(int(label), points) for label, points in pad.lines]
    for label, _ in strokes:
        if label >= len(pad.labels):
            raise ValueError(f"lines must have labels below {len(pad.labels)}, got {label}")
    return draw_scribbles(strokes, (pad.height, pad.width), width=pad.pen)


NO_KERNEL = (
    "Here one draws by mouse. That needs a running kernel, which this page has not: open the "
    "chapter in Jupyter or Colab. The prepared strokes are used instead."
)


class StillPad(SimpleNamespace):
    """The strokes without a widget, whose state alone would make a page ask for its scripts."""

    seeds = property(seeds_of)

    def _repr_mimebundle_(self, **options):
        names = html.escape(", ".join(self.labels))
        words = f"{NO_KERNEL} (Labels: {names}.)"
        text = f'<p class="admonition note" style="padding:.8em">{words}</p>'
        return {"text/html": text, "text/plain": NO_KERNEL}
