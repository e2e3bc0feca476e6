"""The table of experiments: the thesis', row by row, and nothing copied between them."""

from dataclasses import fields

import pytest

from softcut_lib.train.experiments import EXPERIMENTS
from softcut_lib.train.forms import Experiment
from softcut_lib.train.objectives import Dice, FocalDice
from softcut_lib.train.results import papers

NUMBERED = {name: e for name, e in EXPERIMENTS.items() if e.number}
TRAININGS = {t["experiment"]: t for t in papers()["trainings"] if t["experiment"]}


def test_all_eleven_are_there():
    assert {e.number for e in NUMBERED.values()} == set(range(1, 12))


@pytest.mark.parametrize("name", NUMBERED)
def test_rows_are_those_that_the_thesis_prints(name):
    experiment = EXPERIMENTS[name]
    suffix = " + MaxFlow" if experiment.decode else ""
    ours = [f"{m.printed}{suffix}" for m in experiment.models.values() if m.printed]
    theirs = {r["row"] for r in papers()["results"] if r["experiment"] == experiment.number}
    assert len(ours) == len(set(ours)) and set(ours) == theirs


@pytest.mark.parametrize("name", [n for n, e in NUMBERED.items() if e.number > 1])
def test_the_protocol_on_cityscapes_is_the_thesis(name):
    experiment = EXPERIMENTS[name]
    settings = experiment.with_options("cityscapes")
    training = TRAININGS[experiment.number]
    assert settings.optimizer.lower() == training["optimizer"].lower()
    assert (settings.lr, settings.epochs) == (training["lr"], training["epochs"])
    batch = training["batch"]
    assert settings.batch == (1 if batch == "1 image" else batch)
    assert settings.steps_per_epoch == 156 and settings.shuffle
    losses = {"Dice": Dice(pooled=True), "Focal Dice": FocalDice(gamma=2.0, pooled=True)}
    assert settings.objective == losses[training["loss"]]
    encoder = training["network"].split(", ")[1]
    assert all(encoder in model.about for model in experiment.models.values())
    assert (settings.decode == "min_cut") == (training["decoding"] == "min cut")
    assert f"table {training['tables'][-1]})" in experiment.source


@pytest.mark.parametrize("data", ["camvid", "synthetic"])
def test_the_small_budget_is_600_steps(data):
    settings = EXPERIMENTS["sign"].with_options(data)
    assert settings.epochs * settings.steps_per_epoch == 600 and settings.batch == 8
    large = EXPERIMENTS["sign"].with_options(data, "gpu")
    assert large.epochs * large.steps_per_epoch == 1500 and large.batch == 32


def test_experiments_differ_from_the_first_in_what_they_say_alone():
    """sign is 2; each other one differs in the fields that make it another experiment."""

    def changed(name, other="sign"):
        one, two = EXPERIMENTS[name], EXPERIMENTS[other]
        told = {"title", "source", "number", "models"}  # models are built anew for each
        differing = {
            f.name for f in fields(Experiment) if getattr(one, f.name) != getattr(two, f.name)
        }
        return differing - told

    assert changed("sign-resnet34") == set()
    assert changed("sign-adagrad") == {"optimizer"}
    assert changed("sign-focal") == {"objective"}
    assert changed("object") == changed("classes") == {"data"}
    assert changed("object-resnet34", "object") == set()
    assert changed("sign-maxflow") == {"decodes", "decode"}
    assert changed("sign-focal-maxflow", "sign-focal") == {"decodes", "decode"}
    assert changed("frames-code", "frames") == {"data"}


def test_decoding_experiments_have_rows_of_what_they_decode_with_conductances():
    for experiment in EXPERIMENTS.values():
        if experiment.decodes:
            trained = EXPERIMENTS[experiment.decodes]
            assert set(experiment.models) <= set(trained.models) - {"base", "two-decoders"}
            assert experiment.objective == trained.objective
