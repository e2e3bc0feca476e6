"""Every `softcut` command that a page or a help text shows can be given as it stands there."""

import json
import re
import shlex
from pathlib import Path

import pytest

from softcut_lib.cli import build_parser
from softcut_lib.train.experiments import EXPERIMENTS, choose

HOME = Path(__file__).parents[2]
COMMANDS = "train|evaluate|export|reproduce|experiments"


def texts():
    for path in sorted((HOME / "notebooks").glob("*.ipynb")):
        for cell in json.loads(path.read_text())["cells"]:
            if cell["cell_type"] == "markdown":
                yield path.name, "".join(cell["source"])
    for path in [HOME / "README.md", *sorted((HOME / "book").glob("*.md"))]:
        yield path.name, path.read_text()
    parser = build_parser()
    (commands,) = parser._subparsers._group_actions
    for sub in (parser, *commands.choices.values()):
        yield sub.prog, re.sub(r" {3,}.*", "", sub.epilog or "", flags=re.M)


def shown():
    """(where, command line): in backticks with an argument, or on an indented line of its own."""
    for where, text in texts():
        for line in re.findall(rf"`(softcut (?:{COMMANDS}) [^`]+)`", text):
            yield where, " ".join(line.split())
        for line in re.findall(rf"^ +(softcut (?:{COMMANDS})\b[^#\n]*)$", text, re.M):
            yield where, line.strip()


LINES = sorted({(where, line) for where, line in shown() if "..." not in line and "{" not in line})


def test_pages_and_help_show_commands():
    found = {where for where, _ in LINES}
    assert {"A2_reproduction.ipynb", "README.md", "softcut train", "softcut reproduce"} <= found


@pytest.mark.parametrize("where, line", LINES)
def test_a_shown_command_names_what_there_is(where, line):
    """Parsed as the command itself parses it; experiment, data, profile and models exist."""
    if line.endswith("--help") or re.search(r"\b(COMMAND|NAME|EXPERIMENT)\b", line):
        return
    arguments = build_parser().parse_args(shlex.split(line)[1:])
    name = getattr(arguments, "experiment", None)
    if name is None:
        return
    experiment = choose("experiment", name, EXPERIMENTS)
    if hasattr(arguments, "data"):
        settings = experiment.with_options(
            arguments.data, arguments.profile, steps=arguments.steps, epochs=arguments.epochs,
            batch=arguments.batch, lr=arguments.lr, optimizer=arguments.optimizer,
        )  # fmt: skip
        assert settings.batch % (arguments.devices * arguments.accumulate) == 0
    named = getattr(arguments, "models", None) or [getattr(arguments, "model", "all")]
    for model in set(named) - {"all"}:
        choose("model", model, experiment.models)
