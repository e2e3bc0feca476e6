"""Build the book (`make book`): run every notebook on the embedded data, then make the HTML.

Warnings are errors, in the pages and (non-convergence) in the notebooks. Outputs are cached under
a key made of the library, the versions and the result files, so that a change of any of these
runs the notebooks again, and a second build with nothing changed takes seconds. Before the pages,
MathJax is fetched (vendor.py) and the self-contained notebooks are written (colab.py).
"""

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

from book import colab, vendor

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "_build"
CACHE = BUILD / "cache"  # the same path as in _config.yml
HTML = BUILD / "html"
SECONDS_PER_CELL = 300
STARTUP = """\
import warnings

from softcut_lib import ConvergenceWarning

warnings.simplefilter("error", ConvergenceWarning)
"""


OUTPUTS = ["softcut_lib/**/*", "constraints.txt", "book/papers.json", "book/results/*.json"]
PAGES = ["notebooks/*.ipynb", "book/**/*", "_config.yml", "pyproject.toml", "README.md"]
PAGES += ["coursework/*.ipynb"]


def inputs(root=ROOT, patterns=OUTPUTS):
    """Files besides the notebooks themselves that their outputs depend on."""
    found = {path for pattern in patterns for path in root.glob(pattern) if path.is_file()}
    return sorted(path for path in found if path.suffix not in {".pyc", ".nbi", ".nbc"})


def outputs_key(root=ROOT, patterns=OUTPUTS):
    """A hash that changes whenever a cached output, or a file of `patterns`, is out of date."""
    digest = hashlib.sha256(platform.python_version().encode())
    for path in inputs(root, patterns):
        digest.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()


def prepare_cache(key):
    """Keep the cached outputs if they were made under this key, else start an empty cache."""
    note = BUILD / "cache.key"
    if not note.is_file() or note.read_text() != key:
        shutil.rmtree(CACHE, ignore_errors=True)
        BUILD.mkdir(exist_ok=True)
        note.write_text(key)


def environment():
    """For the kernels: one core each, no note of compiling, and non-convergence is an error.

    Matplotlib's list of fonts is made anew: the user's own may be another installation's.
    """
    startup = BUILD / "ipython" / "profile_default" / "startup" / "strict.py"
    startup.parent.mkdir(parents=True, exist_ok=True)
    startup.write_text(STARTUP)
    names = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS")  # as many kernels as cores run at once
    names += ("SOFTCUT_QUIET", "SOFTCUT_STATIC")
    folders = {"IPYTHONDIR": BUILD / "ipython", "MPLCONFIGDIR": BUILD / "matplotlib"}
    return {name: str(path) for name, path in folders.items()} | dict.fromkeys(names, "1")


def run_notebooks():
    """Run the notebooks that have no cached outputs, one to a core; return seconds of each.

    A notebook that fails is not cached; the build then runs it again and stops at its error.
    """
    from jupyter_cache import get_cache
    from jupyter_cache.executors import load_executor

    cache = get_cache(CACHE)
    paths = sorted(map(str, (ROOT / "notebooks").glob("*.ipynb")))
    for path in paths:
        cache.add_nb_to_project(path)
    load_executor("local-parallel", cache).run_and_cache(
        filter_uris=paths, timeout=SECONDS_PER_CELL
    )
    records = {Path(path).stem: cache.get_cached_project_nb(path) for path in paths}
    ran = {name: record for name, record in records.items() if record is not None}
    note_run_times(ran)
    return {name: record.data["execution_seconds"] for name, record in ran.items()}


def note_run_times(records, path=BUILD / "run_times.json"):
    """Leave times, dates, machine and versions for the page of run times."""
    from softcut_lib.train.provenance import describe_machine

    notebooks = [
        {"name": name, "seconds": record.data["execution_seconds"], "date": f"{record.created:%F}"}
        for name, record in records.items()
    ]
    machine = describe_machine() | {"cores": os.cpu_count()}
    path.write_text(json.dumps({"notebooks": notebooks, "machine": machine}, indent=1))


class Images(HTMLParser):
    """The images of a page whose alternative text is missing or only a file name."""

    def __init__(self):
        super().__init__()
        self.silent = []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        alt = (attrs.get("alt") or "").strip()
        if tag == "img" and (len(alt) < 4 or alt.lower().endswith((".png", ".svg", ".jpg"))):
            self.silent.append(attrs.get("src", ""))


def images_without_alt(html):
    images = Images()
    images.feed(html)
    return images.silent


def make_html():
    book = Path(sys.executable).with_name("jupyter-book")
    options = ["--config", "_config.yml", "--toc", "book/_toc.yml", "-W", "--keep-going", "-n"]
    return subprocess.run([book, "build", ".", *options, "--all"], cwd=ROOT).returncode


def say_where(seconds):
    if seconds:
        print("Seconds to run:", ", ".join(f"{name} {time:.0f}" for name, time in seconds.items()))
    index = HTML / "index.html"
    print(f"The book is in {HTML}.\nOpen {index.as_uri()} in a browser.")


def main():
    try:
        offline = vendor.provide(vendor.MATHJAX) is not None
    except RuntimeError as error:
        return f"make book: {error}"
    whole = f"{outputs_key(patterns=OUTPUTS + PAGES)} {offline}"
    done = BUILD / "html.key"
    if done.is_file() and done.read_text() == whole and (HTML / "index.html").is_file():
        print("Nothing has changed since the book was built.")
        return say_where({})
    done.unlink(missing_ok=True)
    prepare_cache(outputs_key())
    os.environ.pop("SOFTCUT_DATA", None)
    os.environ.update(environment())
    seconds = run_notebooks()
    colab.write()
    shutil.rmtree(HTML, ignore_errors=True)
    failed = make_html()
    if failed:
        return f"make book: the build failed (see above; status {failed})"
    silent = {
        str(page.relative_to(HTML)): missing
        for page in HTML.rglob("*.html")
        if (missing := images_without_alt(page.read_text(encoding="utf-8")))
    }
    if silent:
        return f"make book: images without alternative text: {silent}"
    done.write_text(whole)  # last, so that a build that failed is tried again
    return say_where(seconds)


if __name__ == "__main__":
    sys.exit(main())
