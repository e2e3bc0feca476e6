"""The self-contained notebooks, run as in Colab: elsewhere, without the project, library absent.

One CPU build of torch is at hand, so torch is the same in every environment here; the other
packages are those installed, and in the slow test the oldest and the newest that the ranges admit.
"""

import json
import os
import re
import subprocess
import tomllib
import venv

import nbformat
import pytest
from packaging.requirements import Requirement

from book import colab
from softcut_lib.train.shipped import trained_models
from tests.notebooks.scratch import NOTEBOOKS, read_notebook, tags

NAMES = sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))
PROJECT = tomllib.loads((NOTEBOOKS.parent / "pyproject.toml").read_text())["project"]
QUICK = "A1_receptive_field"
SHORT = (QUICK, "03_system", "13_normalized_cut")  # these run in `make test`
INSTALLED = ("train", "widgets", "chapters")  # the extras that the set-up cell asks for
RUN = """
import sys, nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], as_version=4)
NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
first = next(cell for cell in notebook.cells if cell.cell_type == "code")
print("".join(output.get("text", "") for output in first.outputs))
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """{name: path} of the self-contained notebooks."""
    return {path.stem: path for path in colab.write(tmp_path_factory.mktemp("colab"))}


OFFLINE = """
import ipaddress, socket

def only_here(address):
    host = address[0] if isinstance(address, tuple) else "127.0.0.1"  # else a local pipe
    if host != "localhost" and not ipaddress.ip_address(host).is_loopback:
        raise OSError(f"this test has no network, and {host} was asked for")

def guard(connect):
    return lambda self, address: (only_here(address), connect(self, address))[1]

socket.socket.connect = guard(socket.socket.connect)
socket.getaddrinfo = lambda host, *rest, f=socket.getaddrinfo, **options: (
    only_here((host,)), f(host, *rest, **options))[1]
"""


def elsewhere(python, folder, *words, online=False):
    """Run Python in another folder, with no path to the project and its own user folders.

    Unless `online`, kernels reach this machine alone and pip finds no index.
    """
    dropped = ("PYTHONPATH", "SOFTCUT_DATA", "SOFTCUT_RUNS", "JUPYTER_PATH")
    env = {name: value for name, value in os.environ.items() if name not in dropped}
    env |= {"IPYTHONDIR": str(folder / "ipython"), "JUPYTER_DATA_DIR": str(folder / "jupyter")}
    if not online:
        env["PIP_NO_INDEX"] = "1"
        startup = folder / "ipython" / "profile_default" / "startup"
        startup.mkdir(parents=True, exist_ok=True)
        (startup / "offline.py").write_text(OFFLINE)
    if words[0] == "-c":  # a file, for a command line cannot hold a wheel
        (folder / "code.py").write_text(words[1])
        words = ("code.py", *words[2:])
    command = [python, *map(str, words)]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)


def setup(path):
    cells = nbformat.read(path, as_version=4).cells
    return next(cell for cell in cells if cell.cell_type == "code").source


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_differs_in_its_first_cell_alone(made, name):
    """Nothing to click that is not beside the file, no output; the code is the chapter's."""
    copy = nbformat.read(made[name], as_version=4)
    code = [cell for cell in copy.cells if cell.cell_type == "code"]
    original = [cell for cell in read_notebook(name).cells if cell.cell_type == "code"]
    assert [cell.source for cell in code[1:]] == [cell.source for cell in original[1:]]
    assert code[0].metadata["cellView"] == "form" and "hide-input" in tags(code[0])
    assert not any(cell.outputs for cell in code)
    text = "\n".join(cell.source for cell in copy.cells if cell.cell_type == "markdown")
    left = r"\]\((?!https?:)[^)]*\.(?:ipynb|md)[^)]*\)|\{[\w:-]+\}`|^[`:]{3,}\{.*|^:label:.*"
    assert not re.findall(left, text, re.MULTILINE), "marks that only the book understands"
    assert "**GPU**" in text and "which took" in text, "says what a GPU changes, and the time"
    source = "\n".join(cell.source for cell in code[1:])
    heaviest = 7_000_000 if "trained_model(" in source else 1_500_000
    heaviest += 1_000_000 * ("recorded_files(" in source)  # all that is recorded
    assert made[name].stat().st_size < heaviest, "the networks that it loads, the runs it reads"


def test_it_installs_what_it_carries(made, bare, tmp_path):
    """From its own wheel, leaving torch and numpy alone; the kept folder holds data and runs."""
    kept = tmp_path / "kept"
    (kept / "data").mkdir(parents=True)
    code = setup(made[QUICK]).replace('KEEP = ""', f"KEEP = {str(kept)!r}")
    after = (
        "\nimport json, os\nfrom softcut_lib.train.runs import runs_folder\n"
        "print(json.dumps([sc.__file__, torch.__version__, np.__version__, str(runs_folder()),"
        " os.environ['SOFTCUT_DATA']]))"
    )
    done = elsewhere(bare, tmp_path, "-c", code + after)
    assert done.returncode == 0, done.stderr
    installed, last = done.stdout.strip().splitlines()
    assert re.fullmatch(r"softcut_lib was installed in \d+ s", installed)
    library, *versions, runs, data = json.loads(last)
    assert str(bare.parents[1]) in library
    import numpy
    import torch

    assert versions == [torch.__version__, numpy.__version__]
    assert runs == str(kept / "runs") and data == str(kept / "data")
    again = elsewhere(bare, tmp_path, "-c", setup(made[QUICK]))
    assert again.returncode == 0 and again.stdout == "", "the second time there is nothing to do"
    numbers = "from softcut_lib.train.results import papers; print(len(papers()['results']))"
    assert int(elsewhere(bare, tmp_path, "-c", numbers).stdout) > 100


COLAB = """
import sys, types
called = []
place = types.ModuleType("google.colab")
place.drive = types.SimpleNamespace(mount=called.append)
place.output = types.SimpleNamespace(enable_custom_widget_manager=lambda: called.append("widgets"))
sys.modules |= {"google": types.ModuleType("google"), "google.colab": place}
"""


@pytest.mark.parametrize("keep", ["", "/content/drive/MyDrive/softcut"])
def test_in_colab_widgets_are_turned_on_and_the_drive_is_mounted(made, bare, tmp_path, keep):
    code = COLAB + setup(made[QUICK]).replace('KEEP = ""', f"KEEP = {keep!r}")
    after = "\nimport os\nprint(called, os.environ.get('SOFTCUT_RUNS'))"
    done = elsewhere(bare, tmp_path, "-c", code + after)
    assert done.returncode == 0, done.stderr
    expected = ["widgets", "/content/drive"] if keep else ["widgets"]
    told = f"{expected} {keep}/runs" if keep else f"{expected} None"
    assert done.stdout.splitlines()[-1] == told


def test_each_brings_the_networks_that_it_loads(made, bare, tmp_path):
    """Also where another chapter, which needs none, has installed the library."""
    assert "NETWORKS = []" in setup(made[QUICK])
    horses = setup(made["10_horses"])
    (line,) = re.findall(r"^NETWORKS = (.*)$", horses, re.MULTILINE)
    brought = {name.removesuffix(".safetensors") for name in json.loads(line)}
    assert brought == {name for name in trained_models() if name.startswith("horses-")}
    first = elsewhere(bare, tmp_path, "-c", setup(made[QUICK]))
    assert first.returncode == 0, first.stderr
    after = "\nprint(*sc.trained_models())\nsc.trained_model(sc.trained_models()[0])"
    done = elsewhere(bare, tmp_path, "-c", horses + after)
    assert done.returncode == 0, done.stderr
    assert brought <= set(done.stdout.split())


def test_networks_are_found_in_the_code_alone():
    def notebook(source):
        return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])

    assert colab.networks(notebook('a = sc.trained_model(f"horses-{kind}-x")')) == {"horses-*-x"}
    assert colab.networks(notebook("pass")) == set()
    assert {"sign", "camvid"} == colab.experiments(notebook('found = recorded("sign", "camvid")'))
    assert colab.experiments(notebook("recorded_files()")) == {"*"}
    assert colab.experiments(notebook('found = recorded_rows("sign")')) == set()
    code = 'a = show.read_benchmarks()\nb = show.read_recorded("filtering-cpu")'
    assert colab.benchmarks(notebook(code)) == {"solvers-cpu", "filtering-cpu"}
    assert colab.benchmarks(notebook("show.read_gpu_benchmarks()")) == {"solvers-gpu"}
    with pytest.raises(ValueError, match="must name its results"):
        colab.benchmarks(notebook("show.read_recorded(name)"))
    with pytest.raises(ValueError, match="must name its networks"):
        colab.networks(notebook("sc.trained_model(name)"))


def test_a_damaged_notebook_is_refused(made, tmp_path, bare):
    code = setup(made[QUICK])
    start = code.index('CONTENT = "') + 1000
    wrong = code[:start] + ("0" if code[start] != "0" else "1") + code[start + 1 :]
    hidden = "import importlib.util\nimportlib.util.find_spec = lambda name: None\n"
    done = elsewhere(bare, tmp_path, "-c", hidden + wrong)
    assert done.returncode and "damaged: download the notebook again" in done.stderr


def test_ranges_admit_more_than_one_version():
    """Of all that the set-up cell installs: lower bounds only, so Colab's newest will do."""
    lines = list(PROJECT["dependencies"])
    for extra in INSTALLED:
        lines += PROJECT["optional-dependencies"][extra]
    for requirement in map(Requirement, lines):
        operators = [part.operator for part in requirement.specifier]
        assert operators == [">="], f"{requirement}: one lower bound, no pin and no upper bound"


def test_one_setting_names_the_repository(tmp_path):
    source = NOTEBOOKS / f"{QUICK}.ipynb"
    (tmp_path / source.name).write_bytes(source.read_bytes())
    url = "https://git.example/them/softcut"
    assert colab.set_repository(url, tmp_path) == 1 and colab.set_repository(url, tmp_path) == 0
    changed = nbformat.read(tmp_path / source.name, as_version=4)
    cell = next(c for c in changed.cells if c.cell_type == "code").source
    assert f'REPOSITORY = "{url}"  # repository.url' in cell
    assert colab.set_repository("", tmp_path) == 1
    assert (tmp_path / source.name).read_bytes() == source.read_bytes()


@pytest.mark.parametrize(
    "name", [n if n in SHORT else pytest.param(n, marks=pytest.mark.slow) for n in NAMES]
)
def test_a_notebook_runs_elsewhere(made, bare, tmp_path, name):
    """And without a network: all that it needs is installed, or in the file itself."""
    done = elsewhere(bare, tmp_path, "-c", RUN, made[name])
    assert done.returncode == 0, done.stderr[-3000:]


def test_kernels_of_these_tests_have_no_network(bare, tmp_path):
    notebook = nbformat.v4.new_notebook()
    code = "import urllib.request; urllib.request.urlopen('http://192.0.2.1/', timeout=5)"
    notebook.cells = [nbformat.v4.new_code_cell(code)]
    nbformat.write(notebook, tmp_path / "asks.ipynb")
    done = elsewhere(bare, tmp_path, "-c", RUN, tmp_path / "asks.ipynb")
    assert done.returncode and "this test has no network, and 192.0.2.1 was asked" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("end", ["oldest", "newest"])
def test_it_runs_at_both_ends_of_the_ranges(made, tmp_path, end):
    """A fresh environment with every lower bound, or what is newest now, but torch's."""
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    import torch

    lines = list(PROJECT["dependencies"])
    for extra in INSTALLED:
        lines += PROJECT["optional-dependencies"][extra]
    lines = [str(Requirement(line)) for line in lines if "torch>" not in line]
    if end == "oldest":
        lines = [line.replace(">=", "==") + ".*" for line in lines]
    pip = [python, "-m", "pip", "install", "-q"]
    subprocess.run([*pip, f"torch=={torch.__version__.partition('+')[0]}"], check=True)
    subprocess.run([*pip, *lines, "nbclient", "ipykernel"], check=True)
    done = elsewhere(python, tmp_path, "-c", RUN, made[QUICK])
    assert done.returncode == 0, done.stderr[-3000:]


def test_an_assignment_runs_elsewhere(bare, tmp_path):
    """A student's notebook in its Colab form, with answers, from what it carries alone."""
    from coursework import build

    elsewhere(bare, tmp_path, "-m", "pip", "uninstall", "-q", "-y", "softcut-lib")  # of others
    # numba's compiled code outlives it, so its folder stays, which Python takes for a package
    (left_behind,) = bare.parents[1].glob("lib/python*/site-packages")
    (left_behind / "softcut_lib" / "__pycache__").mkdir(parents=True, exist_ok=True)
    config = build.configuration(tmp_path)
    solved = build.solution_version(build.assignments()["part2_circuits"], config)
    path = tmp_path / "student.ipynb"
    nbformat.write(build.colab_version(solved, build.setup_cell()), path)
    done = elsewhere(bare, tmp_path, "-c", RUN, path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "softcut_lib was installed in" in done.stdout
