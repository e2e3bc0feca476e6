"""Questions and answers in rounds, where a mask plays the person who is asked (chapter 16).

Every image begins with one random pixel of each label. Then a rule chooses a free pixel, its label
is read from the mask, and the random walker answers anew.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt

from softcut_lib import _checks as check
from softcut_lib.cuts.questions import best_question
from softcut_lib.cuts.walker import random_walker
from softcut_lib.solvers.dissection import Direct

RULES = {
    "random": "any free pixel",
    "variance": "the pixel whose voltage is least certain",
    "doubt": "the pixel whose label is least certain",
    "followers": "the pixel that most others follow",
    "change": "followers squared times doubt (best_question)",
    "teacher": "the middle of the largest error, which only a teacher sees",
}


def answer_questions(weights, truth, rule, *, questions=20, generator=None):
    """Overlap of the random walker's mask with the true one, after each question.

    Args:
        weights: [C, R] > 0 of B images, as in `best_question`.
        truth: long (B, h, w) of 0 and 1, both in every image.
        rule: a key of `RULES`.
        questions: their number, at least 1; fewer than there are pixels.
        generator: `torch.Generator` for the first two pixels, and for "random".

    Returns:
        Intersection over union (questions + 1, B) with the pixels of label 1, float64.

    Raises:
        ValueError, TypeError: an unknown rule, labels other than 0 and 1, an image of one label.

    Source: ours; the "teacher" is the robot user of interactive segmentation.

    Example:
        >>> import torch
        >>> truth = torch.tensor([[[0, 0, 0, 1, 1]]])
        >>> chain = [torch.ones(1, 0, 5).double(), torch.ones(1, 1, 4).double()]
        >>> generator = torch.Generator().manual_seed(0)
        >>> answer_questions(chain, truth, "change", questions=2, generator=generator)[-1]
        tensor([1.], dtype=torch.float64)
    """
    check.one_of("rule", rule, tuple(RULES))
    check.positive_integer("questions", questions)
    check.is_tensor("truth", truth)
    flat = truth.flatten(1)
    if flat.shape[1] < questions + 2:
        raise ValueError(
            f"questions must leave pixels free: {questions} and the first two, of {flat.shape[1]}"
        )
    if not bool(((flat == 0) | (flat == 1)).all() and (flat.amin(1) < flat.amax(1)).all()):
        raise ValueError("truth must hold 0 and 1, and both of them in every image")
    seeds = torch.full_like(flat, 255)
    for label in (0, 1):
        first = torch.multinomial((flat == label).double(), 1, generator=generator)
        seeds.scatter_(1, first, label)
    overlaps = []
    for _ in range(questions):
        asked = best_question(seeds.view_as(truth), weights)
        overlaps.append(_overlap(asked.prob[:, 1] > 0.5, truth))
        value = _value(rule, asked, truth, generator)
        place = value.flatten(1).masked_fill(seeds != 255, -torch.inf).argmax(1, keepdim=True)
        seeds.scatter_(1, place, flat.gather(1, place))
    prob = random_walker(seeds.view_as(truth), weights, labels=2, solver=Direct())
    return torch.stack([*overlaps, _overlap(prob[:, 1] > 0.5, truth)])


def _value(rule, asked, truth, generator):
    """(B, h, w), largest where the rule asks."""
    if rule == "random":
        return torch.rand(truth.shape, generator=generator, dtype=torch.float64)
    if rule == "variance":
        return asked.variance
    if rule == "doubt":
        return -(asked.prob[:, 1] - 0.5).abs()
    if rule == "followers":
        return asked.followers
    if rule == "change":
        return asked.gain
    return torch.stack([_depth(p, t) for p, t in zip(asked.prob[:, 1] > 0.5, truth, strict=True)])


def _depth(found, truth):
    """Distance to the end of the error that a pixel lies in; 0 where nothing is wrong."""
    depth = torch.zeros(truth.shape, dtype=torch.float64)
    for label in (False, True):
        wrong = np.pad(((found != (truth == 1)) & (found == label)).numpy(), 1)
        depth += torch.from_numpy(distance_transform_edt(wrong)[1:-1, 1:-1])
    return depth


def _overlap(found, truth):
    inside = truth == 1
    return ((found & inside).flatten(1).sum(1) / (found | inside).flatten(1).sum(1)).double()
