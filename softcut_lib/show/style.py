"""What all figures share: size, fonts, colors, and a picture that carries its alternative text.

A plot is decorated `@styled`, makes its axes with `canvas`, draws, and returns
`picture(fig, alt)`. Nothing touches pyplot, so no figure is shown twice and no
global setting changes (every chapter).
"""

import base64
import io
from functools import wraps

import numpy as np
from cycler import cycler
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from PIL import Image  # matplotlib brings it

__all__ = ["Picture"]

COLORS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]  # Okabe-Ito
STYLES = ["-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1))]  # of lines, beside the color
SCORES = "RdBu_r"  # red for the foreground, white for undecided, blue for the background
CONDUCTANCE = "cividis"
MASK = ListedColormap(["#20242c", "#f4f1e8"])

DPI = 200  # pixels of the file per inch
SHOWN = 110  # pixels of the page per inch, so that fine screens get two for one

STYLE = {
    "font.size": 12,
    "axes.titlesize": 12,
    "axes.labelsize": 12,
    "xtick.labelsize": 11,
    "ytick.labelsize": 11,
    "legend.fontsize": 11,
    "legend.framealpha": 0.85,
    "legend.edgecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e3e3e3",
    "grid.linewidth": 0.8,
    "axes.axisbelow": True,
    "axes.prop_cycle": cycler(color=COLORS),
    "lines.linewidth": 2,
    "mathtext.fontset": "dejavusans",
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
}


class Picture:
    """A finished figure: the bytes of its file and the text for those who cannot see it.

    Attributes:
        data: bytes of the file.
        mime: "image/png" for drawings, "image/jpeg" for photographs.
        alt: the alternative text.
        width: width on the page, in CSS pixels.
    """

    def __init__(self, data, mime, alt, width):
        self.data, self.mime, self.alt, self.width = data, mime, alt, width

    def __repr__(self):
        return f"[figure: {self.alt}]"

    def _repr_mimebundle_(self, include=None, exclude=None):
        bundle = {self.mime: base64.b64encode(self.data).decode(), "text/plain": repr(self)}
        return bundle, {self.mime: {"alt": self.alt, "width": self.width}}

    @property
    def url(self):
        """The file as a data URL, for an <img> in HTML."""
        return f"data:{self.mime};base64,{base64.b64encode(self.data).decode()}"


def styled(plot):
    """Decorator of a plotting function: everything it draws is in the book's style."""

    @wraps(plot)
    def drawn(*args, **options):
        with rc_context(STYLE):
            return plot(*args, **options)

    return drawn


def blank(width, height):
    """A white figure without axes, in inches; place axes with `fig.add_axes`."""
    fig = Figure(figsize=(width, height))
    FigureCanvasAgg(fig)
    return fig


def canvas(rows=1, columns=1, *, width=6.4, height=3.2, **subplots):
    """A white figure and its (rows, columns) array of axes, in the book's style; inches."""
    fig = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(fig)
    return fig, np.asarray(fig.subplots(rows, columns, squeeze=False, **subplots))


def check_alt(alt):
    """Refuse a missing or empty alternative text."""
    if not isinstance(alt, str) or len(alt.strip()) < 20:
        raise ValueError(
            "alt must say in one or two sentences what the figure shows, for readers who cannot "
            f"see it (at least 20 characters), got {alt!r}"
        )
    return " ".join(alt.split())


def picture(fig, alt, *, dpi=DPI):
    """Render a figure made by `canvas`; `alt` is required.

    Args:
        fig: the figure.
        alt: one or two sentences, at least 20 characters.
        dpi: pixels per inch of the file.

    Returns:
        A `Picture`; as the last expression of a cell it shows itself.

    Raises:
        ValueError: no alternative text.
    """
    alt = check_alt(alt)
    file = io.BytesIO()
    fig.savefig(file, format="png", dpi=dpi)
    image = Image.open(file).convert("RGB")
    file = io.BytesIO()
    if image.getcolors(maxcolors=3000) is None:  # photographs: a PNG would weigh a megabyte
        mime = "image/jpeg"
        image.thumbnail((image.width * 3 // 4, image.height), Image.Resampling.LANCZOS)
        image.save(file, format="jpeg", quality=86, subsampling=0)
    else:
        mime = "image/png"
        image.quantize(256, dither=Image.Dither.NONE).save(file, format="png", optimize=True)
    return Picture(file.getvalue(), mime, alt, round(fig.get_figwidth() * SHOWN))
