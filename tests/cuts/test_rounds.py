"""Questions in rounds: seeds come from the mask, rules differ, the teacher sees the errors."""

import pytest
import torch

from softcut_lib import SyntheticHorses, image_weights
from softcut_lib.cuts.rounds import RULES, answer_questions


@pytest.fixture(scope="module")
def horses():
    items = [SyntheticHorses("train", count=6, size=(32, 40))[k] for k in range(6)]
    image = torch.stack([i["image"] for i in items]).double()
    weights = [w + 1e-4 for w in image_weights(image, sigma=0.05)]
    return weights, torch.stack([i["target"] for i in items])


def run(horses, rule, seed=0, questions=12):
    generator = torch.Generator().manual_seed(seed)
    return answer_questions(*horses, rule, questions=questions, generator=generator)


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_runs_and_repeats(horses, rule):
    found = run(horses, rule, questions=4)
    assert found.shape == (5, 6) and bool(((found >= 0) & (found <= 1)).all())
    assert torch.equal(found, run(horses, rule, questions=4))


def test_all_rules_begin_with_the_same_pixels(horses):
    first = {rule: run(horses, rule, questions=1)[0] for rule in RULES}
    for found in first.values():
        assert torch.equal(found, first["random"])


def test_a_teacher_who_sees_the_errors_is_best(horses):
    last = {rule: float(run(horses, rule)[-1].mean()) for rule in RULES}
    assert last["teacher"] == max(last.values())
    assert last["change"] > last["random"]


def test_all_pixels_asked_is_the_truth():
    truth = torch.tensor([[[0, 1, 0], [1, 1, 0]]])
    weights = [torch.ones(1, 1, 3).double(), torch.ones(1, 2, 2).double()]
    for rule in RULES:
        generator = torch.Generator().manual_seed(0)
        found = answer_questions(weights, truth, rule, questions=4, generator=generator)
        assert float(found[-1]) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rule": "guess"}, "rule"),
        ({"questions": 0}, "questions"),
        ({"questions": 1279}, "questions must leave"),
        ({"truth": torch.zeros(6, 32, 40).long()}, "truth must hold 0 and 1"),
        ({"truth": torch.full((6, 32, 40), 255)}, "truth must hold 0 and 1"),
    ],
)
def test_bad_input_is_refused(horses, change, words):
    arguments = {"truth": horses[1], "rule": "random", "questions": 2, **change}
    with pytest.raises(ValueError, match=words):
        answer_questions(horses[0], arguments.pop("truth"), arguments.pop("rule"), **arguments)
