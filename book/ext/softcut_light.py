"""Sphinx extension of the book: pages light enough for a phone, from any file server.

What no page uses is left out: the icons' second form (a script of 1.5 MB beside the fonts), icons
that no page shows, the early loading of fonts, styles of design elements where there are none, and
thebe, which would run cells on a public server. Pictures that a cell put into the page as text
become files, a quarter smaller, and all pictures become WebP where that is smaller again.
"""

import base64
import hashlib
import re
from functools import cache
from pathlib import Path

from PIL import Image

ICONS = re.compile(
    r'\s*<script src="[^"]*vendor/fontawesome/[^"]*"></script>'
    r'|\s*<link rel="preload" as="font"[^>]*>'
)
PICTURE = re.compile(r'src="data:image/(png|jpeg|svg\+xml|webp);base64,([A-Za-z0-9+/=\s]+)"')
FILE = re.compile(r'(?<=_images/)[\w-]+\.(?:png|jpe?g)(?=")')
RULE = re.compile(r"((?:\.fa-[\w-]+:before,?)+)\{content:[^}]*\}")


def leave_out(app, pagename, templatename, context, doctree):
    """Drop the scripts and styles that this page does not need."""
    unused = ["thebe"] if "sd-" in context.get("body", "") else ["thebe", "design"]
    for files in ("script_files", "css_files"):
        context[files] = [
            file for file in context[files] if not any(name in _told(file) for name in unused)
        ]


def _told(file):
    """Name and content of a script or style sheet of a page."""
    return f"{file.filename} {getattr(file, 'attributes', {}).get('body', '')}".lower()


def pictures_to_files(text, folder, prefix):
    """The page with its inlined pictures as files in `folder`, which it reaches by `prefix`."""

    def file(match):
        kind, content = match[1], base64.b64decode(match[2])
        name = f"{hashlib.sha256(content).hexdigest()[:32]}.{kind.partition('+')[0]}"
        folder.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
        return f'src="{prefix}{name}"'

    return PICTURE.sub(file, text)


@cache
def as_webp(path):
    """Make a picture WebP, photographs by loss and drawings without, unless that is no smaller.

    Returns the name of the file that stays.
    """
    smaller = path.with_suffix(".webp")
    with Image.open(path) as image:
        kind = {"lossless": True} if image.format == "PNG" else {"quality": 70}
        image.save(smaller, format="webp", method=4, **kind)
    kept, dropped = sorted((path, smaller), key=lambda file: file.stat().st_size)
    dropped.unlink()
    return kept.name


def used_icons(css, used):
    """Font Awesome's style sheet with the rules of the icons in `used` alone."""

    def rule(match):
        names = re.findall(r"\.(fa-[\w-]+):before", match[1])
        return match[0] if used.intersection(names) else ""

    return RULE.sub(rule, css)


def lighten(app, exception):
    if exception or app.builder.format != "html":
        return
    site = Path(app.outdir)
    used = set()
    for page in site.rglob("*.html"):
        if "_static" in page.relative_to(site).parts:
            continue
        text = ICONS.sub("", page.read_text(encoding="utf-8"))
        prefix = "../" * (len(page.relative_to(site).parts) - 1) + "_images/"
        text = pictures_to_files(text, site / "_images", prefix)
        text = FILE.sub(lambda name: as_webp(site / "_images" / name[0]), text)
        used.update(re.findall(r"\bfa-[\w-]+", text))
        page.write_text(text, encoding="utf-8")
    for script in site.glob("_static/**/*.js"):
        if "vendor" not in script.parts:
            used.update(re.findall(r"\bfa-[\w-]+", script.read_text(encoding="utf-8")))
    for sheet in site.glob("_static/vendor/fontawesome/*/css/all.min.css"):
        sheet.write_text(used_icons(sheet.read_text(encoding="utf-8"), used), encoding="utf-8")


def setup(app):
    app.connect("html-page-context", leave_out, priority=900)
    app.connect("build-finished", lighten)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
