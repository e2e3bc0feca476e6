"""`softcut doctor`: what is installed, what runs here, which data is found, and what is missing.

A package counts when its version lies in the range that this library asks for, a kernel when a
system solved with it agrees with plain tensor operations, a data set when its loader opens it. What
an extra lacks is told with the line that installs it; what is broken makes the exit status 1.
"""

from __future__ import annotations

import os
import platform
import shutil
import time
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from textwrap import TextWrapper

EXAMPLES = """examples:
  softcut doctor
  SOFTCUT_DATA=~/data softcut doctor        looks for the data sets there

Exit status 0: all that is needed works; extras and data sets may be missing. 1: something is
broken, and the last lines say what."""

EXTRAS = {
    "train": "softcut train, evaluate, export, reproduce; trained networks (chapters 5, 10, 11)",
    "widgets": "sliders and the playground in a notebook",
    "chapters": "GrabCut in chapter 1, program layers in chapter 8",
    "keops": "KeOpsAffinity, exact affinities on a GPU",
    "book": "make book, make lab",
    "coursework": "make coursework",
    "bench": "make bench",
    "dev": "make test, make lint",
}
DATA = {  # name: (public class, its options)
    "weizmann_horse_db": ("WeizmannHorses", {"cache": False}),
    "camvid": ("CamVid", {}),
    "cityscapes": ("Cityscapes", {}),
    "voc2012": ("PascalVOC", {}),
    "msra10k": ("MSRA10K", {}),
}
LINES = TextWrapper(
    100, initial_indent="  ", subsequent_indent=" " * 24, replace_whitespace=False,
    break_on_hyphens=False, break_long_words=False,
)  # fmt: skip
AGREE = 1e-4  # two kernels in float32, relative to the largest value


def doctor(arguments=None) -> int:
    """Print the report; 1 if something is broken."""
    broken = []
    for title, check in (
        ("Versions", versions),
        ("Extras", extras),
        ("Devices", devices),
        ("Kernels", kernels),
        ("Data", data),
        ("Runs", runs),
    ):
        print(title)
        for mark, name, text in check():
            print(LINES.fill(f"{mark:2} {name:18} {text}"), flush=True)
            if mark == "!!":
                broken.append(f"{name}: {text}")
        print()
    print("Broken:" if broken else "All that is needed works.")
    for line in broken:
        print(f"  {line}")
    return 1 if broken else 0


def versions():
    """This library, Python, and the packages that it cannot do without."""
    import softcut_lib

    yield "ok", "softcut-lib", f"{softcut_lib.__version__} in {Path(softcut_lib.__file__).parent}"
    yield "ok", "python", f"{platform.python_version()}, {platform.system()} {platform.machine()}"
    if not needed():
        text = "not known, for softcut-lib is imported from a folder that is not installed"
        yield "!!", "requirements", f"{text}; pip install -e . in that folder"
    for requirement in needed():
        yield judge(requirement, missing="!!")


def extras():
    """Each extra: whole, or what it lacks and the line that installs it."""
    for extra, purpose in EXTRAS.items() if needed() else ():
        judged = [judge(requirement, missing="--") for requirement in needed(extra)]
        lacking = [f"{name} ({text})" for mark, name, text in judged if mark != "ok"]
        if lacking:
            line = f"pip install 'softcut-lib[{extra}]'"
            yield "--", extra, f"for {purpose}: {', '.join(lacking)}; {line}"
        else:
            yield "ok", extra, f"for {purpose}"


def needed(extra=None):
    """Requirements that hold here: of the core, or of an extra beyond it; none if not installed."""
    from packaging.requirements import Requirement

    try:
        lines = requires("softcut-lib") or []
    except PackageNotFoundError:
        return []
    found = []
    for requirement in map(Requirement, lines):
        marker = requirement.marker
        in_core = marker is None or marker.evaluate({"extra": ""})
        if extra is None:
            wanted = in_core
        else:
            wanted = not in_core and marker.evaluate({"extra": extra})
        if wanted and requirement.name == "softcut-lib":
            found += [r for inner in sorted(requirement.extras) for r in needed(inner)]
        elif wanted:
            found.append(requirement)
    return found


def judge(requirement, *, missing):
    """(mark, name, text) of one required package; an unfit version is marked like a missing one."""
    name, install = requirement.name, f"pip install '{requirement.name}{requirement.specifier}'"
    try:
        found = version(name)
    except PackageNotFoundError:
        return missing, name, f"not installed; {install}" if missing == "!!" else "not installed"
    if requirement.specifier.contains(found, prereleases=True):
        return "ok", name, found
    text = f"{found}, but {requirement.specifier} is needed"
    return missing, name, f"{text}; {install}" if missing == "!!" else text


def devices():
    """Processor, threads, memory, and what CUDA sees."""
    import torch

    from softcut_lib.train.provenance import processor

    yield "ok", "cpu", f"{processor()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads"
    if not torch.cuda.is_available():
        build = torch.version.cuda
        reason = "no device is visible" if build else "this torch is a build for the CPU"
        yield "--", "cuda", f"{reason}; every chapter runs without"
    for k in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(k)
        yield "ok", f"cuda:{k}", f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB"


def kernels():
    """Each fused kernel solves a small system and is compared with plain tensor operations."""
    import numba
    import torch

    yield compared("fused on cpu", torch.device("cpu"))
    try:
        yield "ok", "numba threads", f"layer {numba.threading_layer()}"
    except ValueError:
        yield "ok", "numba threads", "not started: one thread solves"
    try:
        triton = version("triton")
    except PackageNotFoundError:
        triton = None
    if torch.cuda.is_available():
        if triton is None:
            yield "--", "fused on cuda", "plain tensor operations run in its place; " \
                "pip install 'triton>=3.3'"  # fmt: skip
        else:
            yield compared("fused on cuda", torch.device("cuda"))
    else:
        there = f"triton {triton} is installed" if triton else "triton is not installed"
        yield "--", "fused on cuda", f"no CUDA device ({there})"


def compared(name, device):
    """(mark, name, text): the fused kernel of a device, also on every pixel, against the plain."""
    import torch

    import softcut_lib as sc

    generator = torch.Generator().manual_seed(0)
    grid = (256, 256)  # the smallest that is shared out over two cores
    weights = [
        torch.rand(1, *sc.edge_shape(grid, offset), generator=generator).to(device)
        for offset in sc.axis_offsets(2)
    ]
    scores = torch.randn(1, 1, *grid, generator=generator).to(device)
    system = sc.GridSystem(weights)
    started = time.perf_counter()
    try:
        answers = [
            sc.solve(system, scores, sc.CG(tol=1e-6, kernel=kernel, red_black=red_black))[0]
            for kernel, red_black in (("fused", "auto"), ("fused", False), ("torch", False))
        ]
    except Exception as error:  # whatever a compiler may raise: the report goes on
        return "!!", name, f"fails with {type(error).__name__}: {str(error).splitlines()[0]}"
    seconds = time.perf_counter() - started
    *fused, plain = answers
    apart = float((torch.stack(fused) - plain).abs().max() / plain.abs().max())  # NaN stays NaN
    if not apart < AGREE:
        return "!!", name, f"differs from plain tensor operations by {apart:.0e}"
    return "ok", name, f"agrees with plain tensor operations to {apart:.0e} ({seconds:.1f} s)"


def data():
    """Each data set below SOFTCUT_DATA, opened by its own loader."""
    import softcut_lib as sc

    yield "ok", "synthetic", "horses and streets are drawn by the library"
    root = os.environ.get("SOFTCUT_DATA")
    if not root:
        yield "--", "SOFTCUT_DATA", f"not set; name the folder that holds {', '.join(DATA)}"
        return
    if not Path(root).expanduser().is_dir():
        yield "!!", "SOFTCUT_DATA", f"{root} is not a folder"
        return
    yield "ok", "SOFTCUT_DATA", root
    for folder, (name, options) in DATA.items():
        try:
            items = getattr(sc, name)(**options)
            yield "ok", folder, f"{len(items)} pictures in {name}()"
        except FileNotFoundError as error:
            lacking, _, how = str(error).partition(". ")
            there = (Path(root).expanduser() / folder).is_dir()
            state = f"there, but {lacking}" if there else f"not there, for {name}"
            yield "--", folder, f"{state}. {how}".strip()
        except ValueError as error:
            yield "!!", folder, str(error)


def runs():
    """Where training keeps its runs, how many there are, and whether one could be written."""
    from softcut_lib.train.runs import runs_folder

    folder = runs_folder()
    origin = "SOFTCUT_RUNS" if os.environ.get("SOFTCUT_RUNS") else "the user's cache folder"
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        yield "!!", "folder", f"{folder} ({origin}) cannot be written to; set SOFTCUT_RUNS"
        return
    count = sum(1 for _ in folder.rglob("result.json"))
    free = shutil.disk_usage(there).free / 2**30
    yield "ok", "folder", f"{folder} ({origin}): {count} finished runs, {free:.0f} GiB free"
