"""Figures with sliders that move everywhere: notebook, Colab, and a static page without a kernel.

All frames are drawn beforehand and kept in the page; a slider shows one of them. It needs no
script beyond the slider's own attribute, and arrow keys move it (chapter 2). With `live` the kernel
draws each frame when it is asked for; where the book is built, its pages get frames all the same.
"""

import html
import io
import itertools
import json
import math
import os

from PIL import Image

from softcut_lib.show.scribble_pad import STATIC
from softcut_lib.show.style import Picture, check_alt

__all__ = ["explore"]

MOST = 25  # frames; each weighs some 10 kB
MOVE = (
    "const f=this.closest('figure');let k=0;"
    "f.querySelectorAll('input').forEach(s=>{const v=JSON.parse(s.dataset.values);"
    "k=k*v.length+(+s.value);s.nextElementSibling.textContent=v[+s.value];"
    "s.setAttribute('aria-valuetext',v[+s.value])});"
    "f.querySelectorAll('img').forEach((m,i)=>{m.style.display=i===k?'block':'none'})"
)


class Frames:
    """Pictures for every setting of some sliders; shows itself as the last line of a cell."""

    def __init__(self, sliders, pictures, alt):
        self.sliders, self.pictures, self.alt = sliders, pictures, alt
        sizes = [len(values) for values in sliders.values()]
        start = [size // 2 for size in sizes]
        self.start = sum(s * math.prod(sizes[k + 1 :]) for k, s in enumerate(start))

    def __repr__(self):
        return f"[figure with sliders {', '.join(self.sliders)}: {self.alt}]"

    def html(self):
        """The figure as one HTML element that needs nothing else."""
        rows = []
        for name, values in self.sliders.items():
            shown, at = [_short(v) for v in values], len(values) // 2
            rows.append(
                f'<label style="display:flex;gap:.6em;align-items:center;margin:.3em 0">'
                f"<span>{html.escape(name)}</span>"
                f'<input type="range" min="0" max="{len(values) - 1}" value="{at}" step="1" '
                f'style="flex:1;min-width:6em" data-values="{html.escape(json.dumps(shown))}" '
                f'aria-label="{html.escape(name)}" aria-valuetext="{html.escape(shown[at])}" '
                f'oninput="{html.escape(MOVE)}">'
                f'<output style="min-width:4em">{html.escape(shown[at])}</output></label>'
            )
        for k, picture in enumerate(self.pictures):
            rows.append(
                f'<img src="{picture.url}" alt="{html.escape(picture.alt)}" '
                f'style="display:{"block" if k == self.start else "none"};width:{picture.width}px;'
                f'max-width:100%;height:auto;background:white">'
            )
        label = html.escape(self.alt)
        return (
            f'<figure role="group" aria-label="{label}" style="margin:0">{"".join(rows)}</figure>'
        )

    def _repr_mimebundle_(self, include=None, exclude=None):
        still, about = self.pictures[self.start]._repr_mimebundle_()  # for a printed book
        return still | {"text/html": self.html(), "text/plain": repr(self)}, about


def explore(draw, *, alt, live=False, **sliders):
    """A figure that a reader moves: one slider for each argument of `draw`.

    Args:
        draw: a function that takes the sliders' values by name and returns a `Picture`.
        alt: what the whole shows; each frame has its own text too.
        live: False draws all frames now, at most 25, so that the figure moves on a static page and
            in a saved notebook too. True draws one, and another when a slider is moved: for as
            many values as one likes, while the kernel lives. Where the book is built there will
            be none: then at most 25 of the frames, evenly spread, are drawn.
        sliders: name = list of values; the sliders start in the middle.

    Returns:
        `Frames`, or, if `live`, a widget; both show themselves as the last expression of a cell.

    Raises:
        ValueError: no slider, an empty one, more than 25 frames, no alternative text.
        TypeError: `draw` returns something else than a `Picture`.
        ModuleNotFoundError: `live` without ipywidgets.

    Example:
        >>> from softcut_lib import show
        >>> def line(slope):
        ...     return show.curves([0, 1], {"line": [0, slope]}, xlabel="x", ylabel="y",
        ...                        alt=f"A line from the origin, slope {slope}.")
        >>> explore(line, slope=[0.5, 1, 2], alt="A line whose slope is moved.")
        [figure with sliders slope: A line whose slope is moved.]
    """
    alt = check_alt(alt)
    count = math.prod(len(values) for values in sliders.values())
    if not sliders or count < 1 or (count > MOST and not live):
        raise ValueError(
            f"sliders must give between 1 and {MOST} frames in all, got {count if sliders else 0}; "
            "take fewer values, or live=True"
        )

    def frame(setting):
        picture = draw(**setting)
        if not isinstance(picture, Picture):
            raise TypeError(
                "draw must return a Picture, as show.images or show.curves do, got "
                f"{type(picture).__name__}"
            )
        return picture

    if live and not os.environ.get(STATIC):
        return _widget(frame, alt, sliders)
    sliders = _thinned(sliders)
    settings = (dict(zip(sliders, values)) for values in itertools.product(*sliders.values()))
    return Frames(sliders, [_lighter(frame(setting)) for setting in settings], alt)


def _thinned(sliders):
    """The sliders with their first, last and evenly spread values, at most `MOST` frames in all."""
    sizes = {name: len(values) for name, values in sliders.items()}
    while math.prod(sizes.values()) > MOST:
        sizes[max(sizes, key=sizes.get)] -= 1
    return {
        name: [values[round(k * (len(values) - 1) / max(size - 1, 1))] for k in range(size)]
        for (name, values), size in zip(sliders.items(), sizes.values())
    }


def _widget(frame, alt, sliders):
    """Sliders of ipywidgets above the frame of their setting, drawn when one of them moves."""
    try:
        import ipywidgets
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "live=True needs ipywidgets: pip install 'softcut-lib[widgets]'"
        ) from None
    rows = {
        name: ipywidgets.SelectionSlider(
            options=[(_short(value), value) for value in values],
            index=len(values) // 2,
            description=name,
            style={"description_width": "initial"},
            layout={"width": "95%"},
        )
        for name, values in sliders.items()
    }
    shown = ipywidgets.HTML()

    def move(_=None):
        picture = frame({name: row.value for name, row in rows.items()})
        shown.value = (
            f'<img src="{picture.url}" alt="{html.escape(picture.alt)}" '
            f'style="width:{picture.width}px;max-width:100%;background:white">'
        )

    for row in rows.values():
        row.observe(move, "value")
    move()
    return ipywidgets.VBox([*rows.values(), shown], tooltip=alt)


def _lighter(picture):
    """The picture at 1.4 pixels per CSS pixel: many frames share a page."""
    image = Image.open(io.BytesIO(picture.data))
    width = round(1.4 * picture.width)
    image = image.convert("RGB").resize(
        (width, round(image.height * width / image.width)), Image.Resampling.LANCZOS
    )
    file = io.BytesIO()
    if picture.mime == "image/jpeg":
        image.save(file, format="jpeg", quality=75)
    else:
        # an octree divides colors, not pixels, so that a small color bar keeps its shades
        few = image.quantize(128, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        few.putpalette([255 if value > 248 else value for value in few.getpalette()])  # white
        few.save(file, format="png", optimize=True)
    return Picture(file.getvalue(), picture.mime, picture.alt, picture.width)


def _short(value):
    return f"{value:.3g}" if isinstance(value, float) else str(value)
