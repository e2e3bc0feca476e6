"""The rules every notebook of the book keeps, checked without running it."""

import ast
import re
from statistics import median

import nbformat
import pytest
import yaml

from tests.notebooks.scratch import NOTEBOOKS, read_notebook, tags

ROOT = NOTEBOOKS.parent
NAMES = sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))
CHAPTERS = [name for name in NAMES if name[0].isdigit()]
HIDDEN = {"hide-input", "hide-cell", "remove-input", "remove-cell"}
DRAWS = set(
    "rand randn randint randperm normal bernoulli multinomial poisson rand_like randn_like "
    "randint_like normal_ uniform_ bernoulli_ random_ exponential_ log_normal_ cauchy_".split()
)


def code_cells(name):
    return [cell for cell in read_notebook(name).cells if cell.cell_type == "code"]


def prose(name):
    return "\n".join(c.source for c in read_notebook(name).cells if c.cell_type == "markdown")


def shown(name):
    """Lines of each code cell a reader sees, the set-up cell and folded cells left out."""
    cells = [cell for cell in code_cells(name)[1:] if not HIDDEN & set(tags(cell))]
    return [len(cell.source.splitlines()) for cell in cells]


def calls(cell):
    """Every call in a code cell as (dotted name, node)."""
    for node in ast.walk(ast.parse(cell.source)):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def unseeded(source):
    """Random draws of a piece of code that name neither a generator nor a seed."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [alias.name for alias in node.names]
            if "random" in names or getattr(node, "module", "") == "random":
                found.append(ast.unparse(node))
        if not isinstance(node, ast.Call):
            continue
        function, last = ast.unparse(node.func), ast.unparse(node.func).split(".")[-1]
        keywords = {keyword.arg for keyword in node.keywords}
        if re.fullmatch(r"(np|numpy)\.random\.\w+", function):
            seeded = last in {"default_rng", "Generator"} and (node.args or keywords)
        elif function.startswith("torch.") or last.endswith("_"):
            # a method of a numpy generator, `rng.normal(...)`, carries its seed already
            seeded = last not in DRAWS or "generator" in keywords
        else:
            seeded = True
        if not seeded:
            found.append(ast.unparse(node))
    return found


def test_there_are_notebooks():
    assert NAMES, "notebooks/ holds no .ipynb file"


@pytest.mark.parametrize("name", NAMES)
def test_parses_and_is_stripped(name):
    notebook = read_notebook(name)
    nbformat.validate(notebook)
    for cell in code_cells(name):
        ast.parse(cell.source)
        assert not cell.outputs, f"{name}: a cell has stored outputs; run nbstripout"
        assert cell.execution_count is None, f"{name}: a cell has a count; run nbstripout"


@pytest.mark.parametrize("name", NAMES)
def test_begins_with_the_common_setup_cell(name):
    first, reference = code_cells(name)[0], code_cells(NAMES[0])[0]
    assert first.source == reference.source, f"{name}: its set-up cell differs from {NAMES[0]}'s"
    assert "hide-input" in tags(first)


@pytest.mark.parametrize("name", NAMES)
def test_code_cells_are_short(name):
    longest = max(len(cell.source.splitlines()) for cell in code_cells(name)[1:])
    assert longest <= 30, f"{name}: a code cell of {longest} lines, folded ones count; at most 30"
    lines = shown(name)
    assert median(lines) < 15, f"{name}: median code cell {median(lines)} lines; below 15"


@pytest.mark.parametrize("name", NAMES)
def test_random_numbers_take_a_generator(name):
    found = [text for cell in code_cells(name) for text in unseeded(cell.source)]
    assert not found, f"{name}: give these a generator or a seed: {found}"


@pytest.mark.parametrize("name", NAMES)
def test_figures_are_one_library_call_with_alt_text(name):
    for cell in code_cells(name)[1:]:
        drawn = [f for f, _ in calls(cell) if re.match(r"(plt|ax|axes|fig)\b", f)]
        assert not drawn, f"{name}: plot with one call of softcut_lib.show, not {drawn}"
        alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt")
        figure = cell.metadata.get("mystnb", {}).get("figure")
        assert alt is None or len(alt) >= 20, f"{name}: alt text {alt!r} says too little"
        assert figure is None or figure.get("caption"), f"{name}: a numbered figure has no caption"


def test_what_can_be_moved_has_a_slider():
    """Conductance, steps, tolerance, lambda, sigma, temperature and threshold."""
    moved = set()
    for cell in (cell for name in NAMES for cell in code_cells(name)):
        for function, call in calls(cell):
            if function == "show.explore":
                moved |= {keyword.arg for keyword in call.keywords}
    wanted = {"siemens", "step", "tolerance", "λ", "sigma_color", "temperature", "threshold"}
    assert wanted <= moved


@pytest.mark.parametrize("name", NAMES)
def test_is_in_the_table_of_contents(name):
    toc = yaml.safe_load((ROOT / "book" / "_toc.yml").read_text())
    files = {chapter["file"] for part in toc["parts"] for chapter in part["chapters"]}
    assert f"notebooks/{name}" in files


@pytest.mark.parametrize("name", NAMES)
def test_says_what_it_asks_of_the_reader(name):
    head = "\n".join(prose(name).splitlines()[:14])
    assert re.match(r"# [^\d\W]", head), f"{name}: begins with a title without a number"
    for word in ("Reading time", "Run time", "Prerequisites", "GPU"):
        assert f"**{word}**" in head, f"{name}: state **{word}** right below the title"


@pytest.mark.parametrize("name", CHAPTERS)
def test_chapter_has_exercises(name):
    text = prose(name)
    exercises = set(re.findall(r"\{exercise(?:-start)?\}[^\n]*\n:label: (\S+)", text))
    solved = set(re.findall(r"\{solution(?:-start)?\} (\S+)", text))
    assert 6 <= len(exercises) <= 10, f"{name}: {len(exercises)} exercises; 6 to 10"
    assert solved, f"{name}: no exercise has a solution"
    assert solved <= exercises, f"{name}: solutions of no exercise: {solved - exercises}"


@pytest.mark.parametrize("name", CHAPTERS)
def test_graded_exercises_have_a_solution_and_a_theorem(name):
    cells = code_cells(name)
    answers = [k for k, cell in enumerate(cells) if "exercise" in tags(cell)]
    assert answers, f"{name}: tag the answer cell of at least one exercise `exercise`"
    for k in answers:
        begin, end = "### BEGIN SOLUTION", "### END SOLUTION"
        assert cells[k].source.count(begin) == cells[k].source.count(end) == 1
        assert k + 1 < len(cells) and "grade" in tags(cells[k + 1]), f"{name}: `grade` cell missing"
        assert "theorems" in cells[k + 1].source, f"{name}: grade by a function of theorems"


@pytest.mark.parametrize("name", NAMES)
def test_scratch_cells_only_define(name):
    for cell in code_cells(name):
        if "scratch" not in tags(cell):
            continue
        for node in ast.parse(cell.source).body:
            fine = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef, ast.Assign)
            docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            assert docstring or isinstance(node, fine), (
                f"{name}: a `scratch` cell runs {ast.unparse(node)!r}; move it to the next cell"
            )


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("torch.randn(3)", 1),
        ("torch.randn(3, generator=g)", 0),
        ("x.normal_()", 1),
        ("np.random.rand(3)", 1),
        ("np.random.default_rng()", 1),
        ("np.random.default_rng(0).normal()", 0),
        ("rng.normal(size=3)", 0),
        ("import random", 1),
        ("torch.manual_seed(0)", 0),
        ("x.add_(1)", 0),
    ],
)
def test_unseeded_draws_are_seen(source, count):
    assert len(unseeded(source)) == count
