"""Scripts for pages that need no internet: fetched with npm at build time, never committed.

`provide(MATHJAX)` leaves a checked copy in `_build/vendor/mathjax`: the one script that the pages
load, its fonts and extensions, and what reads formulas aloud; book/ext/softcut_site.py puts it
beside them. `provide(REVEAL)` does the same for slides (book/slides.py). Without npm the pages take
the scripts from their public addresses, and the build says so.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
VENDOR = ROOT / "_build" / "vendor"


class Package(NamedTuple):
    """What is kept of an npm package, and the sum that it must have."""

    title: str
    spec: str  # as npm takes it
    root: str  # folder of the package below which the kept files lie
    kept: tuple
    sha256: str  # of `tree_sum`
    missing: str  # what needs the internet without it

    @property
    def name(self):
        return self.spec.partition("@")[0]


SCRIPT = "tex-mml-chtml.js"
MATHJAX = Package(
    "MathJax",
    "mathjax@3.2.2",
    "es5",
    (SCRIPT, "output/chtml/fonts", "input/tex/extensions", "a11y", "sre"),
    "c306c89b5e085622962b0a41d9589fa24c358e144c07652e0025f08a895827a3",
    "The formulas of the pages built now need the internet to be shown; everything else works "
    "without.",
)
REVEAL = Package(
    "reveal.js",
    "reveal.js@4.6.1",
    ".",
    (
        *("dist/reveal.js", "dist/reveal.css", "dist/theme/white.css", "plugin/notes/notes.js"),
        *("dist/theme/fonts/source-sans-pro", "LICENSE"),
    ),
    "112bf302457da57fe1a08b411284e277ab8aa120c70b66f524ed589680de5fd4",
    "The slides written now need the internet to be shown.",
)


def tree_sum(folder):
    """SHA-256 of all names and contents below a folder."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"{path.relative_to(folder).as_posix()}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def provide(package, folder=VENDOR):
    """The folder of the copy; None, with the reason printed, when it cannot be had.

    Raises:
        RuntimeError: where CI is true, which publishes the book, it must be had.
    """
    target = folder / package.name
    if target.is_dir() and tree_sum(target) == package.sha256:
        return target
    npm = shutil.which("npm")
    reason = fetch(npm, package, target) if npm else "npm is not installed (it comes with Node.js)"
    if not reason:
        return target
    if os.environ.get("CI") == "true":
        raise RuntimeError(f"{package.title} is not at hand, and CI requires it: {reason}")
    shutil.rmtree(target, ignore_errors=True)
    print(f"{package.title} is not at hand: {reason}.\n{package.missing}")
    return None


def fetch(npm, package, target):
    """Install the package aside, check the files that are kept, move them; the reason it failed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as aside:
        options = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-save", "--prefix", aside]
        command = [npm, "install", *options, package.spec]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            return f"npm install {package.spec} failed: {done.stderr.strip()[-300:]}"
        whole = Path(aside, "node_modules", package.name, package.root)
        kept = Path(aside, "kept")
        for name in package.kept:
            source, copy = whole / name, kept / name
            if source.is_dir():
                shutil.copytree(source, copy)
            elif source.is_file():
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, copy)
        if tree_sum(kept) != package.sha256:
            return f"npm delivered other files for {package.spec} than this book was tested with"
        shutil.rmtree(target, ignore_errors=True)
        kept.rename(target)
    return None
