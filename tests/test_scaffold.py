"""The house around the library: versions, requirements, links, the README's code."""

import re
import subprocess
import tomllib
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import pytest
import torch
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import softcut_lib as sc

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
CORE = {"torch", "numpy", "scipy", "numba", "networkx", "pymaxflow", "scikit-image", "matplotlib"}


def requirements(*extras):
    """The requirements of the package with these extras, by canonical name."""
    lines = list(PROJECT["dependencies"])
    for extra in extras:
        lines += EXTRAS[extra]
    found = {}
    for requirement in map(Requirement, lines):
        if canonicalize_name(requirement.name) == "softcut-lib":
            found |= requirements(*requirement.extras)
        else:
            found[canonicalize_name(requirement.name)] = requirement
    return found


def constraints():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): pin for name, pin in pins}


def tracked():
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / line for line in done.stdout.splitlines() if (ROOT / line).is_file()]


def texts():
    kinds = {
        ".py",
        ".md",
        ".toml",
        ".yml",
        ".yaml",
        ".txt",
        ".json",
        ".ipynb",
        ".css",
        ".js",
        ".cff",
    }
    kinds |= {".bib", ""}
    return {path: path.read_text("utf-8") for path in tracked() if path.suffix in kinds}


def test_the_plain_package_needs_eight_packages():
    assert set(requirements()) == CORE


def test_constraints_lie_in_the_ranges():
    pins = constraints()
    for name, requirement in requirements("dev").items():
        assert name in pins, f"{name} has no exact version in constraints.txt"
        assert requirement.specifier.contains(pins[name]), f"{name}: {pins[name]} out of range"


def test_torch_is_pinned_without_a_local_label():
    assert re.search(r"^torch==[\d.]+$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)


def test_constraints_are_complete():
    """Every package that the two commands bring in, through whatever others, is pinned."""
    pins, todo, seen = constraints(), list(requirements("dev").values()), set()
    while todo:
        requirement = todo.pop()
        key = (canonicalize_name(requirement.name), frozenset(requirement.extras))
        if key in seen:
            continue
        seen.add(key)
        try:
            needed = requires(requirement.name) or []
        except PackageNotFoundError:  # for another system
            continue
        assert key[0] in pins, f"constraints.txt: add {key[0]}=={version(requirement.name)}"
        for inner in map(Requirement, needed):
            asked = [{"extra": extra} for extra in requirement.extras] or [{"extra": ""}]
            if inner.marker is None or any(inner.marker.evaluate(extra) for extra in asked):
                todo.append(inner)


def test_environment_yml_repeats_pyproject():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    plain = [line for line in environment if isinstance(line, str)]
    (nested,) = [line["pip"] for line in environment if isinstance(line, dict)]
    assert "-e ." in nested
    given = [Requirement(line) for line in [*plain, *nested] if line not in ("pip", "-e .")]
    given = {canonicalize_name(r.name): r.specifier for r in given}
    python = given.pop("python")
    expected = {name: r.specifier for name, r in requirements("book").items()}
    assert given == expected
    assert str(PROJECT["requires-python"]) in str(python)


def test_one_version_everywhere():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    newest = re.search(r"^## ([\d.]+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[1]
    assert sc.__version__ == citation["version"] == newest
    assert "version" in PROJECT["dynamic"]


def test_ranges_reach_two_years_back():
    """Colab is behind the newest releases; two-year-old torch and numpy must do."""
    allowed = requirements()
    assert allowed["torch"].specifier.contains("2.5.1")
    assert allowed["numpy"].specifier.contains("1.26.4")
    assert Version(torch.__version__).base_version == constraints()["torch"]


def test_setup_cells_know_the_repository():
    url = yaml.safe_load((ROOT / "_config.yml").read_text())["repository"]["url"]
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        assert f'REPOSITORY = \\"{url}\\"' in path.read_text(), path.name


def test_no_file_names_a_place_of_one_machine():
    places = re.compile(r"(?<![\w.:/])/(?:work|farm|root|home|Users)/\w")
    found = [path.name for path, text in texts().items() if places.search(text)]
    assert not found


def test_no_file_names_a_registry():
    hosts = ("pypi" + ".org", "pythonhosted" + ".org", "npmjs" + ".com", "npmjs" + ".org")
    hosts += ("download.pytorch" + ".org", "anaconda" + ".org")
    found = {path.name: host for path, text in texts().items() for host in hosts if host in text}
    assert not found


def test_nothing_is_left_unfinished():
    marks = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b|NotImplemented" + "Error")
    found = [path.name for path, text in texts().items() if marks.search(text)]
    assert not found


def test_the_table_of_contents_is_whole():
    toc = yaml.safe_load((ROOT / "book" / "_toc.yml").read_text())
    files = [toc["root"], *(c["file"] for part in toc["parts"] for c in part["chapters"])]
    assert len(files) == len(set(files))
    for file in files:
        assert any((ROOT / f"{file}{end}").is_file() for end in (".md", ".ipynb")), file
    pages = {f"book/{path.stem}" for path in (ROOT / "book").glob("*.md")}
    assert pages <= set(files), pages - set(files)


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_lead_somewhere(name):
    text = (ROOT / name).read_text()
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not target.startswith("http"):
            assert (ROOT / target).exists(), f"{name} links to {target}"


def test_the_readme_names_every_command():
    text = (ROOT / "Makefile").read_text()
    for target in re.findall(
        r"`make ([a-z-]+)`|^    make ([a-z-]+)", (ROOT / "README.md").read_text()
    ):
        assert re.search(rf"^{''.join(target)}:.*##", text, re.MULTILINE), target


def test_contributing_stays_under_a_page():
    assert len((ROOT / "CONTRIBUTING.md").read_text().split()) < 400


def test_the_layer_of_the_readme_trains():
    """The block of the README, run as it stands on a small task, lowers its own loss."""
    code = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)[1]
    assert len(code.splitlines()) <= 15
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    batches, losses = [], []
    for _ in range(120):
        target = torch.zeros(2, 1, 10, 10)
        rows = torch.randint(1, 5, (2,), generator=generator)
        for sample, row in enumerate(rows.tolist()):
            target[sample, :, row : row + 5, row : row + 5] = 1
        noise = torch.randn(2, 3, 10, 10, generator=generator)
        batches.append((target + 0.5 * noise, target))
    space = {"batches": batches, "record": losses}
    exec(
        code.replace("    loss.backward()", "    loss.backward(); record.append(loss.item())"),
        space,
    )
    assert len(losses) == 120
    assert sum(losses[-10:]) < 0.85 * sum(losses[:10])
    image, target = batches[0]
    gradients = [p.grad.abs().max() for p in space["edges"].parameters()]
    assert max(gradients) > 0, "the edge nets must learn too"


def test_the_scribbles_of_the_readme_train():
    """Its second block, run as it stands, gives a finite loss whose gradient reaches all pixels."""
    code = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)[1]
    generator = torch.Generator().manual_seed(0)
    scribbles = torch.full((2, 12, 14), 255)
    scribbles[:, 2, 2:6], scribbles[:, 8, 5:9] = 0, 1
    logits = torch.randn(2, 2, 12, 14, generator=generator).requires_grad_()
    space = {"image": torch.rand(2, 3, 12, 14, generator=generator)}
    space |= {"sc": sc, "logits": logits, "scribbles": scribbles}
    exec(code, space)
    space["loss"].backward()
    assert space["loss"].isfinite() and (logits.grad.abs().sum(1) > 0).all()
