"""The reproduction appendix prints every table of the thesis, and reads every number."""

import re

import pytest

import softcut_lib as sc
from softcut_lib.cli import build_parser
from softcut_lib.train.reproduction import beside, caption, recorded_files
from softcut_lib.train.results import papers
from tests.notebooks.scratch import read_notebook

TABLES = {2, 4, 5, 6, 8, 9, 11, 13, 15, 17, 19}
THESIS = {name: e for name, e in sc.EXPERIMENTS.items() if e.number}


def sources(kind):
    return [
        cell.source for cell in read_notebook("A2_reproduction").cells if cell.cell_type == kind
    ]


def test_every_table_of_the_thesis_is_shown():
    shown = {int(re.search(r"Table (\d+):", caption(name))[1]) for name in THESIS}
    assert shown == TABLES
    numbers = {
        (e["row"], e["metric"], e["value"]) for e in papers()["results"] if e["table"] in TABLES
        and e["experiment"]
    }  # fmt: skip
    found = {
        (line["about"], metric, value)
        for name in THESIS
        for line in beside(name, [], data="camvid")
        for metric, (value, _) in line["printed"].items()
    }
    assert found == numbers


def test_the_page_loops_over_all_of_them_and_types_none():
    code = "\n".join(sources("code"))
    assert (
        "for name, experiment in thesis.items():" in code and "beside(name, files.values()" in code
    )
    typed = re.findall(r"\d\.\d{2,}", "\n".join([*sources("markdown"), *sources("code")[1:]]))
    assert not typed, f"numbers of results must be read, not typed: {typed}"


@pytest.mark.parametrize(
    "line", re.findall(r"^    softcut (.*)$", "\n".join(sources("markdown")), re.M)
)
def test_its_commands_can_be_given(line):
    arguments = build_parser().parse_args(line.split())
    assert getattr(arguments, "experiment", None) in {None, *sc.EXPERIMENTS}


def test_the_second_paper_s_tables_stand_beside_ours():
    code = "\n".join(sources("code"))
    assert "for number in (1, 2, 3)}" in code
    assert "for number in (1, 2):\n    display(show.paper_table(lines[number]" in code
    assert "show.paper_table(lines[3]" in code
    words = "fill shares network weight strength length clustering energies"
    for shown in words.split():
        assert f"show.{shown}_table(" in code
    assert "paired_differences(plain, PAIRS)" in code
    assert "files = recorded_files()" in code


def test_benchmarks_are_no_trainings():
    found = recorded_files()
    assert found and not any(name.startswith(("solvers", "filtering")) for name in found)
