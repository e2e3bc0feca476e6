"""The playground: scribble on a picture and watch its circuit settle (chapters 1 to 3).

`playground.js` is a page that computes everything itself and, the same file, a widget of Jupyter
and Colab, where the library answers (`playground_answer`) and the page compares:

    (g + s [seed]) x_p + sum_q w_pq (x_p - x_q) = g t_p + s sign_p.
"""

import base64
import io
import json
from functools import cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from softcut_lib.show.playground_answer import playground_answer

__all__ = ["playground", "playground_html"]

SCRIPT = Path(__file__).with_name("playground.js")
SIZE = (320, 240)  # width and height of the embedded pictures, twice the playground's grid
FRONT, BACK = 1, 0
STROKES = {  # in shares of the width and of the height
    "Coffee": [
        (FRONT, [(0.36, 0.3), (0.5, 0.24), (0.62, 0.36), (0.58, 0.52), (0.42, 0.52)]),
        (BACK, [(0.03, 0.1), (0.3, 0.04), (0.9, 0.05), (0.96, 0.5)]),
        (BACK, [(0.04, 0.5), (0.1, 0.93), (0.6, 0.96)]),
    ],
    "Astronaut": [
        (FRONT, [(0.42, 0.25), (0.44, 0.4), (0.46, 0.62), (0.28, 0.85), (0.62, 0.9)]),
        (BACK, [(0.02, 0.1), (0.14, 0.35), (0.08, 0.9)]),
        (BACK, [(0.75, 0.1), (0.95, 0.4), (0.9, 0.9)]),
    ],
    "Coins": [
        (FRONT, [(0.27, 0.39), (0.31, 0.44)]),
        (FRONT, [(0.47, 0.12), (0.5, 0.17)]),
        (BACK, [(0.03, 0.3), (0.4, 0.27), (0.95, 0.27)]),
        (BACK, [(0.03, 0.53), (0.4, 0.55), (0.95, 0.52)]),
    ],
    "Horse": [
        (FRONT, [(0.3, 0.45), (0.5, 0.42), (0.68, 0.45)]),
        (BACK, [(0.03, 0.1), (0.97, 0.1)]),
        (BACK, [(0.03, 0.93), (0.97, 0.93)]),
    ],
}


@cache
def bundled_pictures():
    """Pictures that come with scikit-image and a synthetic horse, as JPEG with first strokes."""
    import skimage.data

    from softcut_lib.data.synthetic_horses import SyntheticHorses

    horse = SyntheticHorses("test", size=(SIZE[1], SIZE[0]))[0]["image"]
    pictures = {
        "Coffee": skimage.data.coffee()[:, 33:566],
        "Astronaut": skimage.data.astronaut()[:384],
        "Coins": skimage.data.coins()[:288],
        "Horse": (255 * horse.permute(1, 2, 0)).round().byte().numpy(),
    }
    return [
        {"name": name, "url": data_url(pixels, "jpeg"), "strokes": STROKES[name]}
        for name, pixels in pictures.items()
    ]


def data_url(pixels, kind):
    image = Image.fromarray(np.ascontiguousarray(pixels)).convert("RGB")
    if kind == "jpeg":
        image = image.resize(SIZE, Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.save(file, format=kind, **({"quality": 82} if kind == "jpeg" else {}))
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"


def own_picture(image):
    """Any usual form of a picture as uint8 (h, w, 3) or (h, w)."""
    if isinstance(image, torch.Tensor):
        image = image.detach().cpu()
        image = image[0] if image.dim() == 4 and len(image) == 1 else image
        image = image.movedim(0, -1) if image.dim() == 3 and image.shape[0] in (1, 3) else image
        image = image.numpy()
    image = np.asarray(image)
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[..., 0]
    fits = image.ndim == 2 or image.ndim == 3 and image.shape[2] in (3, 4)
    if not fits or min(image.shape[:2]) < 8:
        raise ValueError(
            "image must be (h, w), (h, w, 3) or (h, w, 4), or a tensor (3, h, w) or (1, 3, h, w), "
            f"with h and w of at least 8, got shape {image.shape}"
        )
    if image.dtype == np.uint8:
        return image
    if not np.issubdtype(image.dtype, np.floating):
        raise TypeError(f"image must be uint8 or float in [0, 1], got {image.dtype}")
    if not (np.isfinite(image).all() and 0 <= image.min() and image.max() <= 1):
        raise ValueError(
            f"image must lie in [0, 1] and be finite, got [{image.min():g}, {image.max():g}]; "
            "divide by 255, or pass uint8"
        )
    return (255 * image).round().astype(np.uint8)


def playground_html(image=None, *, name="Your picture"):
    """The playground as one piece of HTML that needs no kernel and nothing from outside.

    Args:
        image: a picture to begin with, as for `playground`; the bundled ones follow it.
        name: what it is called in the list.

    Returns:
        str: an element and its script, for any HTML page.

    Raises:
        ValueError, TypeError: no picture.

    Example:
        >>> "softcut-playground" in playground_html()
        True
    """
    data = json.dumps(_pictures(image, name)).replace("</", "<\\/")
    script = SCRIPT.read_text(encoding="utf-8")
    start = (
        'for (const host of document.querySelectorAll(".softcut-playground:empty")) {\n'
        f"  mount(host, {{ pictures: {data} }});\n}}"
    )
    return (
        '<div class="softcut-playground" style="min-height: 40em"></div>\n'
        "<noscript>The playground computes in the page and needs JavaScript.</noscript>\n"
        f'<script type="module">\n{script}\n{start}\n</script>\n'
    )


def _pictures(image, name):
    own = []
    if image is not None:
        own = [{"name": name, "url": data_url(own_picture(image), "png"), "strokes": []}]
    return own + bundled_pictures()


def reply(request, buffers):
    """(message, buffers) that answer the page's question; errors are told, not raised.

    Args:
        request: id, height, width, and the options of `playground_answer`.
        buffers: bytes of the picture (h, w, 3) and of the seeds (h, w).
    """
    try:
        size = request["height"], request["width"]
        image = np.frombuffer(buffers[0], np.uint8).reshape(*size, 3)
        seeds = np.frombuffer(buffers[1], np.uint8).reshape(size)
        names = ("method", "sigma", "ground", "strength", "colors")
        x = playground_answer(image, seeds, **{option: request[option] for option in names})
    except (ValueError, TypeError, KeyError, IndexError) as error:
        return {"id": request.get("id"), "error": str(error) or type(error).__name__}, []
    return {"id": request["id"]}, [x.tobytes()]


def import_widgets(what):
    """The modules anywidget and traitlets; an error names what needs them and how to get them."""
    try:
        import anywidget
        import traitlets
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f'{what} needs anywidget: pip install "softcut-lib[widgets]"'
        ) from error
    return anywidget, traitlets


def playground(image=None, *, name="Your picture"):
    """A widget to scribble on pictures, answered by the library; for Jupyter and Colab.

    Args:
        image: a picture to begin with: uint8 or float in [0, 1], (h, w), (h, w, 3) or (h, w, 4), or
            a tensor (3, h, w) or (1, 3, h, w); it is shrunk to at most 160 x 120 pixels. The
            bundled pictures, and any file, can be chosen in the widget.
        name: what it is called in the list.

    Returns:
        An `anywidget.AnyWidget`, which shows itself as the last expression of a cell. Pages without
        a kernel take `playground_html`.

    Raises:
        ValueError, TypeError: no picture.
        ModuleNotFoundError: anywidget is missing (the extra `widgets`).

    Example:
        >>> playground()._esm.count("export default")
        1
    """
    anywidget, traitlets = import_widgets("the playground")

    class Playground(anywidget.AnyWidget):
        _esm = SCRIPT.read_text(encoding="utf-8")
        pictures = traitlets.List().tag(sync=True)

    widget = Playground(pictures=_pictures(image, name))
    widget.on_msg(lambda self, request, buffers: self.send(*reply(request, buffers)))
    return widget
