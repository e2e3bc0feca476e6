"""Chapter 9's from-scratch code against the library and the theorems."""

from itertools import product

import pytest
import torch

import softcut_lib as sc
from softcut_lib.losses.dice import s_curve
from softcut_lib.theorems import losses as theorem
from tests.notebooks.scratch import load_scratch


@pytest.fixture(scope="module")
def chapter():
    return load_scratch("09_losses")


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(3)


@pytest.fixture
def case(generator):
    logits = torch.randn(1, 1, 7, 8, generator=generator, dtype=torch.float64)
    target = torch.randint(0, 2, (1, 7, 8), generator=generator)
    return logits, target, target[:, None].double()


def test_losses(chapter, case):
    logits, target, y = case
    prob = logits.sigmoid()
    torch.testing.assert_close(chapter.bce(prob, y), sc.partial_cross_entropy(logits, target))
    torch.testing.assert_close(chapter.focal(prob, y, 3.0), sc.focal_loss(logits, target, gamma=3))
    for squared in (False, True):
        by_hand = chapter.dice(prob, y, squared)
        torch.testing.assert_close(by_hand, sc.dice_loss(prob, target, squared=squared))
    by_hand = chapter.dice(chapter.s_curve(prob, 0.3, 2.5), y)
    focused = sc.focal_dice_loss(prob, target, threshold=0.3, gamma=2.5)
    torch.testing.assert_close(by_hand, focused, atol=1e-6, rtol=1e-6)


def test_partial(chapter, case, generator):
    logits, target, y = case
    seen = torch.rand(target.shape, generator=generator) < 0.3
    by_hand = chapter.partial_bce(logits.sigmoid()[:, 0], y[:, 0], seen)
    hidden = torch.where(seen, target, 255)
    torch.testing.assert_close(by_hand, sc.partial_cross_entropy(logits, hidden))
    assert chapter.partial_bce(logits[:, 0], y[:, 0], seen & ~seen) == 0


def test_s_curves(chapter, generator):
    theorem.s_curve_fixes_its_threshold(
        lambda x, *, threshold, gamma: chapter.s_curve(x, threshold, gamma), generator=generator
    )
    x = torch.linspace(0.01, 0.99, 50, dtype=torch.float64)
    torch.testing.assert_close(chapter.s_curve(x, 0.7, 3.0), s_curve(x, threshold=0.7, gamma=3.0))
    torch.testing.assert_close(chapter.s_printed(x, 0.5, 2.0), x**2 / (2 * x - 1))
    printed = chapter.s_printed(x)
    assert printed.min() < 0 and printed.max() > 1


def test_metrics(chapter, case, generator):
    logits, target, y = case
    found = logits > 0
    prob = logits.sigmoid()
    torch.testing.assert_close(chapter.accuracy(found, y > 0), sc.accuracy(prob, target))
    torch.testing.assert_close(chapter.iou(found, y > 0).double(), sc.mean_iou(prob, target))
    for _ in range(10):
        mask = torch.rand(9, 11, generator=generator) < 0.3
        assert chapter.figures(mask) == sc.count_figures(mask[None, None])


def test_answers_given_in_the_exercises(generator):
    # equal areas of object and excess: the accuracy is that of nothing, for every share
    target = (torch.arange(100) < 7).long()[None]
    twice = (torch.arange(100) < 14).float()[None, None]
    torch.testing.assert_close(sc.mean_iou(twice, target), torch.tensor(0.5))
    assert sc.accuracy(twice, target) == sc.accuracy(0 * twice, target)
    # the squared form: min(1, share / D) beats all other answers of groups
    sizes, true = torch.tensor([5, 9, 20, 6]), torch.tensor([4, 3, 1, 6])
    target = torch.cat([(torch.arange(n) < t).long() for n, t in zip(sizes, true, strict=True)])

    def overlap(groups):
        prob = torch.as_tensor(groups).double().repeat_interleave(sizes)
        return 1 - sc.dice_loss(prob[None, None], target[None], squared=True)

    best = torch.ones(4).double()
    for _ in range(50):
        best = (true / sizes / overlap(best)).clamp(max=1).double()
    assert all(
        overlap(v) <= overlap(best) + 1e-12 for v in product((0, 0.25, 0.5, 0.75, 1), repeat=4)
    )
