"""The house: which room may call which, what is public, what the plain package needs."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import softcut_lib as sc

ROOT = Path(sc.__file__).parent

# room: the rooms it may import from (itself and _checks always); see the design's arrows
ARROWS = {
    "grid": set(),
    "circuits": {"grid"},
    "solvers": {"grid"},
    "cuts": {"grid", "solvers"},
    "layers": {"grid", "solvers", "cuts"},
    "affinity": {"solvers"},
    "losses": {"grid", "affinity"},
    "models": {"grid", "cuts", "layers"},
    "data": set(),
    "weak": {"grid", "cuts", "affinity", "losses", "data"},
    "train": {"models", "layers", "losses", "affinity", "weak", "data", "cuts", "grid"},
    "cli": {"train", "models", "layers", "losses", "data", "cuts", "solvers", "grid"},
    "coursework": {"theorems", "grid", "solvers", "cuts", "losses"},
    "theorems": {"grid", "circuits", "solvers", "cuts", "layers", "affinity", "losses", "weak"},
}
EXTRAS = set(
    "lightning torchmetrics tqdm pooch safetensors sklearn cvxpy cvxpylayers ipywidgets anywidget "
    "IPython monai triton torchvision pydensecrf pykeops".split()
)


def modules():
    return sorted(p for p in ROOT.rglob("*.py") if "__pycache__" not in p.parts)


def room_of(path):
    first = path.relative_to(ROOT).parts[0]
    return first.removesuffix(".py")


def imports(path, *, top_level=False):
    """Dotted names that a file imports; a public name counts as its home module."""
    tree = ast.parse(path.read_text())
    for node in outside_functions(tree) if top_level else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module
            if node.level:  # from .edges, from ..grid
                package = path.relative_to(ROOT.parent).with_suffix("").parts[: -node.level]
                module = ".".join([*package, *filter(None, [node.module])])
            for alias in node.names:
                home = sc._HOME.get(alias.name) if module == "softcut_lib" else None
                yield f"softcut_lib.{home}" if home else f"{module}.{alias.name}"


def outside_functions(tree):
    """What runs when a file is loaded, also below `if`, `try` and `class`."""
    for node in ast.iter_child_nodes(tree):
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            yield node
            yield from outside_functions(node)


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_arrows_point_one_way(path):
    room = room_of(path)
    if room in ("__init__", "_checks", "show"):
        return
    reached = {name.split(".")[1] for name in imports(path) if name.startswith("softcut_lib.")}
    extra = reached - ARROWS[room] - {room, "_checks"}
    assert not extra, f"{room} must not import from {sorted(extra)}"


def test_every_way_to_import_is_seen(tmp_path, monkeypatch):
    """... relative ones, and those below a condition."""
    monkeypatch.setitem(globals(), "ROOT", tmp_path / "softcut_lib")
    file = tmp_path / "softcut_lib" / "grid" / "some.py"
    file.parent.mkdir(parents=True)
    file.write_text(
        "from .edges import jump\nfrom ..show import images\nfrom .. import train\n"
        "from softcut_lib import soft_cut\n"
        "try:\n    import monai\nexcept ImportError:\n    def f():\n        import tqdm\n"
    )
    loaded = {
        "softcut_lib.grid.edges.jump", "softcut_lib.show.images", "softcut_lib.train",
        f"softcut_lib.{sc._HOME['soft_cut']}", "monai",
    }  # fmt: skip
    assert set(imports(file, top_level=True)) == loaded
    assert set(imports(file)) == loaded | {"tqdm"}


def test_nobody_imports_show():
    for path in modules():
        if room_of(path) != "show":
            assert not any(name.startswith("softcut_lib.show") for name in imports(path)), path


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_extras_are_imported_where_they_are_used(path):
    """Only files that are themselves loaded on demand may import an extra at their top."""
    on_demand = {
        "train/module.py", "train/callbacks.py", "solvers/kernels_cuda.py",
        "layers/kernels_chains.py",
    }  # fmt: skip
    if path.relative_to(ROOT).as_posix() in on_demand:
        return
    found = {name.split(".")[0] for name in imports(path, top_level=True)} & EXTRAS
    assert not found, f"import {sorted(found)} inside the function that needs it"


def test_every_public_name_is_importable_and_documented():
    for name in sc.__all__:
        assert (getattr(sc, name).__doc__ or "").strip(), name
    assert set(sc.__all__) <= set(dir(sc))
    with pytest.raises(AttributeError, match="no attribute 'softcut'"):
        sc.softcut  # noqa: B018


def test_no_module_is_named_like_a_public_function():
    stems = {path.stem for path in modules()}
    assert not stems & set(sc.__all__)


def test_the_plain_package_loads_no_extra_and_nothing_heavy():
    """`import softcut_lib` loads nothing else; the layer needs torch, numba, scipy, numpy only."""
    code = (
        "import sys, softcut_lib as sc; assert 'torch' not in sys.modules;"
        "import torch; before = set(sys.modules);"
        "sc.soft_cut(torch.ones(1, 1, 2, 2), [torch.ones(1, 1, 2), torch.ones(1, 2, 1)]);"
        f"heavy = {EXTRAS | {'matplotlib', 'skimage', 'networkx'}};"
        "print(sorted((set(sys.modules) - before) & heavy))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "[]"


def test_library_files_are_paragraphs():
    for path in modules():
        lines = len(path.read_text().splitlines())
        assert lines <= 300, f"{path.relative_to(ROOT)} has {lines} lines: one idea a file"
        if lines:
            assert ast.get_docstring(ast.parse(path.read_text())), f"{path} has no docstring"
