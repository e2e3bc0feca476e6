"""The theorems of chapter 16 hold for what is right and refuse what is nearly right."""

import numpy as np
import pytest
import torch

from softcut_lib import Direct, best_question, sample_soft_cut
from softcut_lib.theorems import fields as theorem


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def inverse(system):
    return np.linalg.inv(system.to_scipy().toarray())


def condition(mean, C, j, y):
    column = C[:, j] / C[j, j]
    return mean + column * (y - mean[j]), C - np.outer(column, C[j])


def reach(system):
    C = inverse(system)
    return C / np.diag(C)


def resistances(system):
    C = torch.from_numpy(inverse(system))
    points, grid = C.diag().view(1, *system.grid), system.grid
    index = torch.arange(len(C)).view(grid)
    along = []
    for dy, dx in system.offsets:
        p, q = index[: grid[0] - dy, : grid[1] - dx], index[dy:, dx:]
        along.append(C[p, p] + C[q, q] - 2 * C[p, q])
    return along, points


def slopes(system, y):
    along, down = resistances(system)
    value = y[0, 0]
    jumps = [value[dy:, dx:] - value[: len(value) - dy, : value.shape[1] - dx] for dy, dx in
             system.offsets]  # fmt: skip
    return [(r - j.square()) / 2 for r, j in zip(along, jumps)], (down - y[0].square()) / 2


def test_conditioning(generator):
    theorem.answer_is_a_held_node(condition, generator=generator)
    with pytest.raises(AssertionError, match="covariance"):
        theorem.answer_is_a_held_node(
            lambda m, C, j, y: (condition(m, C, j, y)[0], C), generator=generator
        )
    with pytest.raises(AssertionError, match="mean"):
        theorem.answer_is_a_held_node(
            lambda m, C, j, y: (m + C[:, j] * (y - m[j]), C), generator=generator
        )


def test_walks(generator):
    theorem.reach_is_a_walk(reach, generator=generator)
    with pytest.raises(AssertionError, match="before the ground"):
        theorem.reach_is_a_walk(lambda s: inverse(s) / np.diag(inverse(s))[:, None],
                                generator=generator)  # fmt: skip


@pytest.mark.parametrize("labels", [2, 3])
def test_gains(generator, labels):
    theorem.gains_are_expected_changes(
        lambda s, w: best_question(s, w, labels=labels).gain, generator=generator, labels=labels
    )
    with pytest.raises(AssertionError, match="expected squared change"):
        theorem.gains_are_expected_changes(
            lambda s, w: best_question(s, w, labels=labels).followers,
            generator=generator,
            labels=labels,
        )


@pytest.mark.parametrize("offsets", [None, ((1, 0), (0, 1), (1, 1), (1, -1))])
def test_samples(generator, offsets):
    def sample(*arguments, **options):
        return sample_soft_cut(*arguments, generator=generator, **options)

    theorem.samples_have_the_covariance(sample, generator=generator, offsets=offsets)

    def wide(*arguments, **options):
        x = sample(*arguments, **options)
        return x.mean(0) + 1.3 * (x - x.mean(0))

    with pytest.raises(AssertionError, match="standard errors"):
        theorem.samples_have_the_covariance(wide, generator=generator, offsets=offsets)


def test_slopes(generator):
    theorem.slopes_are_resistances(slopes, generator=generator)
    with pytest.raises(AssertionError, match="slope of log p"):
        theorem.slopes_are_resistances(
            lambda s, y: ([-a for a in slopes(s, y)[0]], slopes(s, y)[1]), generator=generator
        )


def test_slopes_are_those_of_the_density(generator):
    """The formula itself, against autograd through log det."""
    y = torch.randn(3, 4, generator=generator, dtype=torch.float64)
    system = theorem.random_system((3, 4), generator=generator, batch=1, grounded=True)
    weights = [w[0].requires_grad_() for w in system.weights]
    ground = system.ground[0].clone().requires_grad_()
    index, A = torch.arange(12).view(3, 4), torch.diag(ground.flatten())
    for w, p, q in ((weights[0], index[:-1], index[1:]), (weights[1], index[:, :-1], index[:, 1:])):
        b = torch.zeros(w.numel(), 12, dtype=torch.float64)
        b[torch.arange(w.numel()), p.flatten()], b[torch.arange(w.numel()), q.flatten()] = -1, 1
        A = A + b.T @ (w.flatten()[:, None] * b)
    (torch.linalg.slogdet(A)[1] / 2 - y.flatten() @ A @ y.flatten() / 2).backward()
    along, down = slopes(system, y[None, None])
    for w, slope in zip(weights, along):
        torch.testing.assert_close(w.grad, slope)
    torch.testing.assert_close(ground.grad, down[0])


def test_foster(generator):
    theorem.resistances_share_out_the_pixels(resistances, generator=generator)
    with pytest.raises(AssertionError, match="add up"):
        theorem.resistances_share_out_the_pixels(
            lambda s: (resistances(s)[0], 2 * resistances(s)[1]), generator=generator
        )


def test_variances_of_direct_are_the_grounds_resistances(generator):
    def mixed(system):
        return resistances(system)[0], Direct().factor(system).variances()

    theorem.resistances_share_out_the_pixels(mixed, generator=generator)
