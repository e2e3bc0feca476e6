"""MathJax for a book that needs no internet: fetched with npm at build time, never committed.

`provide` leaves a checked copy in `_build/vendor/mathjax`, which `book/ext/softcut_site.py` puts
beside the pages: the one script that they load, its fonts and extensions, and what reads formulas
aloud. Without npm the pages take MathJax from its public address, and the build says so.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MATHJAX = ROOT / "_build" / "vendor" / "mathjax"
SCRIPT = "tex-mml-chtml.js"
PACKAGE = "mathjax@3.2.2"
KEPT = (SCRIPT, "output/chtml/fonts", "input/tex/extensions", "a11y", "sre")
SHA256 = "c306c89b5e085622962b0a41d9589fa24c358e144c07652e0025f08a895827a3"


def tree_sum(folder):
    """SHA-256 of all names and contents below a folder."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"{path.relative_to(folder).as_posix()}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def provide(target=MATHJAX):
    """True when the copy is there; False, with the reason printed, when it cannot be had.

    Raises:
        RuntimeError: where CI is true, which publishes the book, it must be had.
    """
    if target.is_dir() and tree_sum(target) == SHA256:
        return True
    npm = shutil.which("npm")
    reason = fetch(npm, target) if npm else "npm is not installed (it comes with Node.js)"
    if not reason:
        return True
    if os.environ.get("CI") == "true":
        raise RuntimeError(f"make book: MathJax is not at hand, and CI requires it: {reason}")
    shutil.rmtree(target, ignore_errors=True)
    print(
        f"MathJax is not at hand: {reason}.\nThe formulas of the pages built now need the internet "
        "to be shown; everything else works without."
    )
    return False


def fetch(npm, target):
    """Install the package aside, check the files that are kept, move them; the reason it failed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as aside:
        options = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-save", "--prefix", aside]
        done = subprocess.run([npm, "install", *options, PACKAGE], capture_output=True, text=True)
        if done.returncode:
            return f"npm install {PACKAGE} failed: {done.stderr.strip()[-300:]}"
        whole, kept = Path(aside, "node_modules", "mathjax", "es5"), Path(aside, "kept")
        for name in KEPT:
            source, copy = whole / name, kept / name
            if source.is_dir():
                shutil.copytree(source, copy)
            elif source.is_file():
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, copy)
        if tree_sum(kept) != SHA256:
            return f"npm delivered other files for {PACKAGE} than this book was tested with"
        shutil.rmtree(target, ignore_errors=True)
        kept.rename(target)
    return None
