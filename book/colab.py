"""Self-contained notebooks (`make colab`): each brings the library's wheel and its hash along.

`_build/colab/NAME.ipynb` is the chapter in plain Markdown (plain.py) with another first cell. In
Colab, or in any environment, it installs the wheel that it carries if the library is missing, and
leaves the torch and numpy that are there as they are. Of the trained networks the wheel holds those
that the chapter loads, and recorded runs where it reads some. The cell also takes a folder that
outlives the session, for data and runs, and turns on Colab's widgets.

`repository.url` in _config.yml is the one setting for a public address: this command also writes it
into the set-up cells of the notebooks themselves, which then install with git.
"""

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from fnmatch import fnmatch
from pathlib import Path

import nbformat
import yaml

from book.ext.softcut_solutions import are_shown, without_solutions
from book.plain import Citations, numbers, plainly

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "_build" / "colab"
PACKAGE = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "softcut_lib", "book")
MEASURED = ROOT / "book" / "setup_time.json"

ABOUT = """\
> **One file.** This copy of the chapter brings its library along: the cell below installs it where
> it is missing, {seconds}. What a GPU changes is said above; in Colab, choose one under *Runtime,
> Change runtime type*. To keep data and trained networks when the session ends, name a folder in
> the cell, for example `/content/drive/MyDrive/softcut`: its `runs/` takes the runs, which go on
> where they were stopped when the same training is started again with `resume=True` (on the
> command line `--resume`), and data sets in its `data/` are found.
"""

SETUP = """\
# @title Set-up (brings the library along)
KEEP = ""  # @param {{type:"string"}}
# KEEP: a folder that outlives this session, for data and runs; "" for none
import importlib.util
import os
import sys
import time
from pathlib import Path

IN_COLAB = "google.colab" in sys.modules
if IN_COLAB:
    from google.colab import drive, output

    output.enable_custom_widget_manager()
    if KEEP.startswith("/content/drive"):
        drive.mount("/content/drive")
if KEEP:
    os.environ["SOFTCUT_RUNS"] = str(Path(KEEP, "runs"))
    if Path(KEEP, "data").is_dir():
        os.environ["SOFTCUT_DATA"] = str(Path(KEEP, "data"))

WHEEL, SHA256 = "{name}", "{digest}"
NETWORKS = {networks}
CONTENT = "{content}"
found = importlib.util.find_spec("softcut_lib")
code = found and found.origin  # None for a folder that an uninstalled copy has left behind
models = code and Path(code).parent / "train" / "models"
if not (code and all((models / name).is_file() for name in NETWORKS)):
    import base64
    import hashlib
    import io
    import subprocess
    import tempfile
    import zipfile
    from importlib.metadata import version

    started = time.perf_counter()
    content = base64.b85decode(CONTENT)
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise ValueError("the library in this notebook is damaged: download the notebook again")
    if not code:
        folder = Path(tempfile.mkdtemp())
        (folder / WHEEL).write_bytes(content)
        here = [name for name in ("torch", "numpy") if importlib.util.find_spec(name)]
        pins = [f"{{name}}=={{version(name)}}" for name in here]
        (folder / "keep.txt").write_text("\\n".join(pins))
        pip = [sys.executable, "-m", "pip", "install", "-q", "-c", str(folder / "keep.txt")]
        wheel = (folder / WHEEL).as_uri()
        subprocess.run([*pip, f"softcut-lib[train,widgets,chapters] @ {{wheel}}"], check=True)
        importlib.invalidate_caches()
        print(f"softcut_lib was installed in {{time.perf_counter() - started:.0f}} s")
    else:  # another chapter installed it, which had no use for these networks
        with zipfile.ZipFile(io.BytesIO(content)) as wheel:
            for name in NETWORKS:
                models.mkdir(exist_ok=True)
                (models / name).write_bytes(wheel.read(f"softcut_lib/train/models/{{name}}"))

import numpy as np
import torch

import softcut_lib as sc
from softcut_lib import show
"""


def repository_url(root=ROOT):
    """The one setting: `repository.url` of _config.yml, empty until there is an address."""
    return yaml.safe_load((root / "_config.yml").read_text())["repository"]["url"] or ""


def build_wheel(folder):
    """The library's wheel, built from a copy so that the checkout stays clean; its path.

    The same sources give the same bytes: the archive's dates are fixed.
    """
    with tempfile.TemporaryDirectory() as aside:
        for name in PACKAGE:
            source, copy = ROOT / name, Path(aside, name)
            if source.is_dir():
                unwanted = shutil.ignore_patterns("__pycache__", "*.nbi", "*.nbc", ".*")
                shutil.copytree(source, copy, ignore=unwanted)
            else:
                shutil.copy(source, copy)
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "-q"]
        options = ["--no-deps", "--no-build-isolation", "-w", str(folder), aside]
        dated = os.environ | {"SOURCE_DATE_EPOCH": "315532800"}
        subprocess.run([*pip, *options], check=True, env=dated)
    (wheel,) = Path(folder).glob("softcut_lib-*.whl")
    return wheel


def networks(notebook):
    """Patterns of the trained networks' names that a notebook's code loads."""
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    told = re.findall(r'trained_model\(f?"([^"]+)"\)', code)
    if len(told) != code.count("trained_model("):
        raise ValueError('a notebook must name its networks in the call: trained_model("...")')
    return {re.sub(r"\{.*?\}", "*", name) for name in told}


def experiments(notebook):
    """Patterns of the experiments whose recorded runs a notebook's code may read.

    All where it reads every file, else the words in quotes of code that reads one, else none.
    """
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    if "recorded_files(" in code:
        return {"*"}
    return set(re.findall(r'"([\w-]+)"', code)) if "recorded(" in code else set()


def benchmarks(notebook):
    """Names of the benchmarks' results that a notebook's code reads."""
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    told = re.findall(r'read_recorded\("([^"]+)"\)', code)
    if len(told) != code.count("read_recorded("):
        raise ValueError('a notebook must name its results in the call: read_recorded("...")')
    readers = {"read_benchmarks(": "solvers-cpu", "read_gpu_benchmarks(": "solvers-gpu"}
    return {*told, *(name for call, name in readers.items() if call in code)}


def slimmed(wheel, folder, *, names=(), runs=(), timed=()):
    """A copy of the wheel in `folder` with what one notebook needs.

    That is, of the trained networks those in `names`, of the recorded runs those of the
    experiments in `runs` (fnmatch), of the benchmarks' results those in `timed`.
    """
    slim = Path(folder, wheel.name)
    with zipfile.ZipFile(wheel) as whole, zipfile.ZipFile(slim, "w", zipfile.ZIP_DEFLATED) as file:
        kept = [
            entry
            for entry in whole.infolist()
            if not entry.filename.endswith(".safetensors")
            or any(fnmatch(Path(entry.filename).stem, name) for name in names)
            if _may_stay(whole, entry, runs, timed)
        ]
        lines = {entry.filename for entry in kept}
        for entry in kept:
            content = whole.read(entry)
            if entry.filename.endswith(".dist-info/RECORD"):  # lists what the wheel holds
                rows = content.decode().splitlines(keepends=True)
                content = "".join(row for row in rows if row.split(",")[0] in lines)
            file.writestr(entry, content)
    return slim


def _may_stay(wheel, entry, runs, timed):
    """False for recorded runs of another experiment, and for another benchmark's results."""
    path = Path(entry.filename)
    if path.parent.name != "results" or path.suffix != ".json":
        return True
    name = json.loads(wheel.read(entry)).get("experiment")
    return path.stem in timed if name is None else any(fnmatch(name, p) for p in runs)


def setup_cell(wheel):
    """The first code cell of a self-contained notebook."""
    content = wheel.read_bytes()
    with zipfile.ZipFile(wheel) as file:
        names = [Path(name).name for name in file.namelist() if name.endswith(".safetensors")]
    return SETUP.format(
        name=wheel.name,
        networks=json.dumps(names),
        digest=hashlib.sha256(content).hexdigest(),
        content=base64.b85encode(content).decode(),  # no quote and no backslash among its letters
    )


def measured():
    """How long set-up took where it was measured, as half a sentence."""
    record = json.loads(MEASURED.read_text())
    return f"which took {record['seconds']} s {record['where']} ({record['date'][:10]})"


def self_contained(notebook, cell, labels, citations):
    """A copy of a notebook whose set-up cell is `cell`, under a note that tells its use.

    Text is in plain Markdown, figures are followed by their captions, and what is cited is listed
    at the end.
    """
    made = nbformat.from_dict(notebook)
    cells, cited, first = [], set(), True
    for old in made.cells:
        if old.cell_type == "markdown":
            keys = re.findall(r"\{cite:[pt]\}`([^`]+)`", old.source)
            cited.update(key.strip() for group in keys for key in group.split(","))
            old.source = plainly(old.source, labels, citations)
        elif first:
            first = False
            cells.append(note("one-file", ABOUT.format(seconds=measured())))
            old.source, old.metadata = cell, {"cellView": "form", "tags": ["hide-input"]}
        cells.append(old)
        figure = old.metadata.get("mystnb", {}).get("figure")
        if figure:
            caption = plainly(figure["caption"], labels, citations)
            cells.append(note(f"about-{old.id}", f"*{labels[figure.get('name')]}.* {caption}"))
    if cited:
        cells.append(note("cited", citations.listed(sorted(cited))))
    made.cells = cells
    return made


def note(name, text):
    return nbformat.v4.new_markdown_cell(text, id=name)


def write(out=OUT, notebooks=ROOT / "notebooks"):
    """Write the self-contained form of every notebook; their paths."""
    out.mkdir(parents=True, exist_ok=True)
    for old in out.glob("*.ipynb"):
        old.unlink()
    read = {path: nbformat.read(path, as_version=4) for path in sorted(notebooks.glob("*.ipynb"))}
    if not are_shown(ROOT):
        read = {path: without_solutions(notebook) for path, notebook in read.items()}
    labels = {k: v for path, book in read.items() for k, v in numbers(path.stem, book).items()}
    citations = Citations(ROOT / "book" / "references.bib")
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as slim:
        wheel = build_wheel(folder)
        for path, original in read.items():
            runs, timed = experiments(original), benchmarks(original)
            needed = slimmed(wheel, slim, names=networks(original), runs=runs, timed=timed)
            cell = setup_cell(needed)
            made = self_contained(original, cell, labels, citations)
            nbformat.validate(made)
            nbformat.write(made, out / path.name)
    return [out / path.name for path in read]


def set_repository(url, notebooks=ROOT / "notebooks"):
    """Write the address into the notebooks' own set-up cells; how many changed."""
    changed = 0
    for path in sorted(notebooks.glob("*.ipynb")):
        text = path.read_text(encoding="utf-8")
        new = re.sub(r'REPOSITORY = \\"[^"\\]*\\"', f'REPOSITORY = \\\\"{url}\\\\"', text, count=1)
        if new != text:
            path.write_text(new, encoding="utf-8")
            changed += 1
    return changed


def main():
    url = repository_url()
    changed = set_repository(url)
    if changed:
        print(f"{changed} set-up cells now install from {url or 'a wheel'}; commit them.")
    paths = write()
    size = max(path.stat().st_size for path in paths) / 2**20
    print(f"{len(paths)} self-contained notebooks in {OUT}, at most {size:.1f} MiB each.")


if __name__ == "__main__":
    main()
