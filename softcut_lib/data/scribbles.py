"""Scribbles as people draw them: lines of a label, small label images, and ScribbleSup's XML files.

    seed_p = label of the last line l with dist(p, l) <= width / 2,    255 (free) without one.

Chapter 15; `softcut_lib.simulate_scribbles` draws them from masks where nobody did.
"""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import torch
from PIL import Image
from scipy.spatial import cKDTree

from softcut_lib import _checks

from .shapes import image_size

FREE = 255


def draw_scribbles(lines, size, *, width=3.0):
    """Seeds of hand-drawn lines.

    Every pixel whose center is within ``width / 2`` of a line gets its label, or at least the pixel
    under the line; a later line covers an earlier one, and what leaves the image is dropped.

    Args:
        lines: pairs (label, points) in drawing order: a label in 0..254 and a list of n >= 1 points
            (x, y) in pixels, (0, 0) the center of the first pixel; one point is a spot.
        size: (h, w) of the image.
        width: of the pen in pixels, above 0.

    Returns:
        long (h, w): labels, 255 where nothing was drawn.

    Raises:
        ValueError: a label out of range, points of another form, a width that is not positive.

    Source: what ScribbleSup's readers do with its files: Lin et al. 2016, section 4.

    Example:
        >>> draw_scribbles([(1, [(0, 0), (3, 0)]), (0, [(2, 2)])], (3, 4), width=1)
        tensor([[  1,   1,   1,   1],
                [255, 255, 255, 255],
                [255, 255,   0, 255]])
    """
    image_size("size", size, least=1)
    _checks.positive_number("width", width)
    seeds = np.full(size, FREE)
    for label, points in lines:
        if isinstance(label, bool) or not isinstance(label, int) or not 0 <= label < FREE:
            raise ValueError(f"lines must have labels in 0..254, got {label!r}")
        seeds[_near(_dense(points), size, width / 2)] = label
    return torch.from_numpy(seeds)


def _dense(points):
    """Points at most a quarter of a pixel apart along the line."""
    points = np.asarray(points, dtype=float)
    if points.ndim != 2 or points.shape[1] != 2 or not len(points) or not np.isfinite(points).all():
        raise ValueError(
            "lines must have points of the form [(x, y), ...], at least one and all finite, got "
            f"an array of shape {points.shape}"
        )
    steps = np.maximum(np.ceil(4 * np.linalg.norm(np.diff(points, axis=0), axis=1)), 1)
    pieces = [
        a + (b - a) * np.arange(n)[:, None] / n
        for a, b, n in zip(points, points[1:], steps, strict=False)
    ]
    return np.concatenate([*pieces, points[-1:]])


def _near(points, size, radius):
    """Pixels (h, w) bool within ``radius`` of a point; if none, those under the points."""
    h, w = size
    low = np.maximum(np.floor(points.min(0) - radius).astype(int), 0)
    high = np.minimum(np.ceil(points.max(0) + radius).astype(int) + 1, (w, h))
    near = np.zeros(size, bool)
    if (low >= high).any():
        return near
    y, x = np.mgrid[low[1] : high[1], low[0] : high[0]]
    gap, _ = cKDTree(points).query(np.stack([x, y], -1), distance_upper_bound=radius + 1e-6)
    near[low[1] : high[1], low[0] : high[0]] = np.isfinite(gap)
    if not near.any():
        under = np.floor(points + 0.5).astype(int)
        under = under[((under >= 0) & (under < (w, h))).all(1)]
        near[under[:, 1], under[:, 0]] = True
    return near


def read_scribbles(path, *, labels=None, size=None, width=3.0):
    """Seeds from a file: ScribbleSup's XML, or a small label image.

    An XML file holds lines, which are scaled and then drawn with ``width``; an image (gray or
    palette, such as a PNG) holds labels, 255 for free pixels, and is scaled by `resize_scribbles`.

    Args:
        path: a file ending in ``.xml``, or an image that Pillow opens.
        labels: for XML: the name of each class to its number; a line of another name is an error.
        size: (h, w) wanted; None keeps the file's own.
        width: for XML: of the pen in pixels of the result. The published loss draws 3 at full size.

    Returns:
        long (h, w): labels, 255 where nothing was drawn.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a file that cannot be read, lacks a field, or names an unknown class.

    Source: the read-me file of ScribbleSup's data (Lin et al. 2016): an ``annotation`` has a
    ``size`` with ``width`` and ``height``, and for each scribble a ``polygon``: its ``tag``, the
    class, and ``point`` elements with ``X`` and ``Y``, pixels of the image.

    Example:
        >>> import pathlib, tempfile
        >>> file = pathlib.Path(tempfile.mkdtemp()) / "a.xml"
        >>> point = "<point><X>1</X><Y>0</Y></point>"
        >>> _ = file.write_text(
        ...     "<annotation><size><width>3</width><height>1</height></size>"
        ...     f"<polygon><tag>horse</tag>{point}</polygon></annotation>"
        ... )
        >>> read_scribbles(file, labels={"horse": 13}, width=1)
        tensor([[255,  13, 255]])
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no scribbles at {str(path)!r}: there is no such file")
    if path.suffix.lower() == ".xml":
        lines, own = _parse(path, labels or {})
        size = size or own
        scale = np.array([size[1] / own[1], size[0] / own[0]])
        # pixel centers: x of one image is (x + 1/2) scale - 1/2 of the other
        scaled = [(label, (points + 0.5) * scale - 0.5) for label, points in lines]
        return draw_scribbles(scaled, size, width=width)
    try:
        with Image.open(path) as image:
            if image.mode not in ("L", "P", "1"):
                raise ValueError(
                    f"{str(path)!r} must be a label image, gray or with a palette, got one of "
                    f"mode {image.mode!r}; save the labels as one channel"
                )
            seeds = torch.from_numpy(np.array(image)).long()
    except OSError as error:
        raise ValueError(f"cannot decode {str(path)!r} ({error}): it is no picture") from error
    return seeds if size is None else resize_scribbles(seeds, size)


def _parse(path, labels):
    """Lines (label, points) and the size (h, w) that an XML file states."""
    try:
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise ValueError(f"{str(path)!r} is not valid XML ({error}); copy it again") from error

    def number(element, name):
        text = element.findtext(name)
        try:
            return float(text)
        except (TypeError, ValueError):
            raise ValueError(
                f"{str(path)!r}: <{element.tag}> must hold a number <{name}>, got {text!r}; the "
                "format is that of ScribbleSup's read-me file"
            ) from None

    extent = root.find("size")
    if extent is None:
        raise ValueError(f"{str(path)!r} has no <size>: it is no file of scribbles")
    size = int(number(extent, "height")), int(number(extent, "width"))
    lines = []
    for polygon in root.iter("polygon"):
        name = (polygon.findtext("tag") or "").strip()
        if name not in labels:
            known = ", ".join(labels) or "none; pass labels={name: number}"
            raise ValueError(f"{str(path)!r}: unknown class {name!r}; known are {known}")
        points = [(number(p, "X"), number(p, "Y")) for p in polygon.iter("point")]
        if points:
            lines.append((labels[name], np.array(points)))
    return lines, size


def resize_scribbles(seeds, size):
    """Seeds at another size; a thin line survives where nearest-neighbor sampling would break it.

    A pixel takes the label that covers the largest part of it, and is free only if none does.

    Args:
        seeds: long (h, w): labels, 255 free.
        size: (h, w) wanted.

    Returns:
        long (h, w).

    Example:
        >>> import torch
        >>> seeds = torch.tensor([[255, 255, 255, 7], [255, 255, 255, 255]])
        >>> resize_scribbles(seeds, (1, 2))
        tensor([[255,   7]])
    """
    image_size("size", size, least=1)
    names = seeds[seeds != FREE].unique()
    if not len(names):
        return torch.full(size, FREE, device=seeds.device)
    parts = (seeds == names[:, None, None]).float()
    share = torch.nn.functional.interpolate(parts[None], size=tuple(size), mode="area")[0]
    best, which = share.max(0)
    return torch.where(best > 0, names[which], FREE)
