"""Publishing: the workflow runs what CI runs, Binder installs what is tested, one setting links."""

import re
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from book.ext import softcut_site

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def workflow():
    text = yaml.safe_load((ROOT / ".github" / "workflows" / "book.yml").read_text())
    text["on"] = text.pop(True, text.get("on"))  # YAML 1.1 reads `on` as a truth value
    return text


def commands(text):
    return re.findall(r"\bmake ([a-z-]+)", re.sub(r"#.*", "", text))


def test_the_workflow_runs_what_ci_runs_in_its_order():
    steps = workflow()["jobs"]["check"]["steps"]
    here = [name for step in steps for name in commands(step.get("run", ""))]
    ci = list(dict.fromkeys(commands((ROOT / ".ci" / "run").read_text())))
    assert here == ci == ["lint", "test", "book", "check-book"]
    targets = (ROOT / "Makefile").read_text()
    for name in here:
        assert re.search(rf"^{name}:", targets, re.MULTILINE)


def test_the_workflow_publishes_only_what_it_has_checked():
    jobs = workflow()["jobs"]
    steps = [step.get("uses", "").partition("@")[0] for step in jobs["check"]["steps"]]
    upload = steps.index("actions/upload-pages-artifact")
    assert upload == len(steps) - 1, "the last step, after all checks"
    assert jobs["check"]["steps"][upload]["with"]["path"] == "_build/html"
    assert jobs["publish"]["needs"] == "check" and "refs/heads/main" in jobs["publish"]["if"]
    assert workflow()["permissions"] == {"contents": "read"}
    assert set(workflow()["on"]) >= {"push", "pull_request"}


def test_python_and_node_are_set_up():
    steps = {s.get("uses", "").partition("@")[0]: s for s in workflow()["jobs"]["check"]["steps"]}
    supported = SpecifierSet(PROJECT["requires-python"])
    assert supported.contains(steps["actions/setup-python"]["with"]["python-version"] + ".0")
    assert "actions/setup-node" in steps


def test_binder_installs_the_tested_versions():
    folder = ROOT / ".binder"
    lines = [line for line in (folder / "requirements.txt").read_text().splitlines() if line]
    constraint = next(line for line in lines if line.startswith("-c "))
    assert (folder / constraint[3:]).resolve() == ROOT / "constraints.txt"
    project = next(line for line in lines if line.startswith("-e "))
    extras = set(Requirement(project[3:].replace(".[", "softcut-lib[")).extras)
    assert {"train", "widgets", "chapters"} <= extras <= set(PROJECT["optional-dependencies"])
    python = (folder / "runtime.txt").read_text().strip().removeprefix("python-")
    assert SpecifierSet(PROJECT["requires-python"]).contains(f"{python}.0")


@pytest.mark.parametrize("url", ["", "https://git.example/them/softcut"])
def test_one_setting_turns_on_the_launch_buttons(tmp_path, url):
    config = SimpleNamespace(
        html_context={}, html_theme_options={"repository_url": url}, mathjax_path="https://far"
    )
    softcut_site.settle(SimpleNamespace(srcdir=str(tmp_path)), config)
    assert ("launch_buttons" in config.html_theme_options) == bool(url)
    assert config.mathjax_path == "https://far", "no copy at hand, so the public one"
    script = tmp_path / "_build" / softcut_site.SCRIPT
    script.parent.mkdir(parents=True)
    script.write_text("")
    softcut_site.settle(SimpleNamespace(srcdir=str(tmp_path)), config)
    assert config.mathjax_path == softcut_site.SCRIPT


def test_until_then_no_button_is_asked_for():
    """The theme's own switches in _config.yml stay off: the extension turns them on."""
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    assert "launch_buttons" not in config
    assert not any(value for key, value in config["html"].items() if key.startswith("use_"))
