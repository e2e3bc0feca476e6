"""Chapter 16's code against the library and the theorems, and the answers of its exercises."""

import pytest
import torch

import softcut_lib as sc
from softcut_lib.theorems import fields
from softcut_lib.theorems.linear_system import random_system
from tests.notebooks.scratch import load_scratch


@pytest.fixture(scope="module")
def chapter():
    return load_scratch("16_beyond")


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(16)


def test_conditioning_and_walks(chapter, generator):
    fields.answer_is_a_held_node(chapter.condition, generator=generator)
    fields.reach_is_a_walk(chapter.reach, generator=generator)


def test_gains_are_the_library_s(chapter, generator):
    fields.gains_are_expected_changes(chapter.gains, generator=generator)
    weights = [torch.rand(1, 4, 6, generator=generator).double() + 0.1]
    weights.append(torch.rand(1, 5, 5, generator=generator).double() + 0.1)
    seeds = torch.full((1, 5, 6), 255)
    seeds[0, 0, 0], seeds[0, 4, 5], seeds[0, 2, 2] = 0, 1, 1
    by_hand = torch.from_numpy(chapter.gains(seeds, weights)).view(1, 5, 6)
    torch.testing.assert_close(by_hand, sc.best_question(seeds, weights).gain)


def test_samples(chapter, generator):
    def draw(*arguments, **options):
        return chapter.sample(*arguments, generator=generator, **options)

    fields.samples_have_the_covariance(draw, generator=generator, count=1500)
    offsets = ((1, 0), (0, 1), (1, -1))
    fields.samples_have_the_covariance(draw, generator=generator, count=1500, offsets=offsets)


def test_energy_is_the_quadratic_form(chapter, generator):
    system = random_system((4, 5), generator=generator, batch=2, grounded=True)
    x = torch.randn(2, 1, 4, 5, generator=generator, dtype=torch.float64)
    expected = (x * (system @ x)).flatten(1).sum(1) / 2
    torch.testing.assert_close(chapter.energy(x, system.weights, system.ground), expected)


def test_the_curve_passes_its_knots(chapter):
    """One row of pixels whose contrasts are the knots and the middles between them."""
    knots = chapter.knots
    middles = (knots[1:] + knots[:-1]) / 2
    contrast = torch.cat([knots, middles])
    row = torch.cat([torch.zeros(1).double(), contrast.cumsum(0)])
    heights = torch.linspace(3, -4, len(knots)).double()
    column, along = chapter.curve(heights, row.view(1, 1, 1, -1))
    assert column.shape == (1, 0, len(row))
    torch.testing.assert_close(along[0, 0, : len(knots)].log(), heights)
    torch.testing.assert_close(along[0, 0, len(knots) :].log(), (heights[1:] + heights[:-1]) / 2)


def test_slopes_of_the_energies_are_those_of_the_density(chapter, generator):
    """What the training loop descends: the mean over samples is -log P's gradient."""
    system = random_system((3, 3), generator=generator, batch=1, grounded=True)
    y = torch.randn(1, 1, 3, 3, generator=generator, dtype=torch.float64)
    weights = [w.clone().requires_grad_() for w in system.weights]
    count = 20_000
    drawn = sc.sample_soft_cut(
        torch.zeros_like(y), system.weights, ground=system.ground, num_samples=count,
        solver=sc.Direct(), generator=generator,
    )  # fmt: skip
    many = [w.expand(count, *w.shape[1:]) for w in weights]
    apart = (
        chapter.energy(y, weights, system.ground)
        - chapter.energy(drawn[:, 0], many, system.ground).mean()
    )
    found = torch.autograd.grad(apart.sum(), weights)
    C = torch.linalg.inv(torch.from_numpy(system.to_scipy().toarray()))
    place = torch.arange(9).view(3, 3)
    ends = ((place[:-1], place[1:]), (place[:, :-1], place[:, 1:]))
    for slope, (p, q), offset in zip(found, ends, system.offsets):
        ohms = C[p, p] + C[q, q] - 2 * C[p, q]
        expected = (sc.jump(y[0, 0], offset).square() - ohms) / 2
        assert bool(((slope[0] - expected).abs() < 5 * ohms / (2 * count) ** 0.5).all())


def test_a_chain_halves():
    """Exercise: n/2 followers everywhere, the best question in the middle."""
    n = 10
    seeds = torch.full((1, 1, n + 1), 255)
    seeds[0, 0, 0], seeds[0, 0, n] = 0, 1
    wires = [torch.ones(1, 0, n + 1).double(), torch.ones(1, 1, n).double()]
    asked = sc.best_question(seeds, wires)
    torch.testing.assert_close(asked.followers[0, 0, 1:-1], torch.full((n - 1,), n / 2).double())
    j = torch.arange(1, n).double() / n
    torch.testing.assert_close(asked.gain[0, 0, 1:-1], n**2 / 2 * j * (1 - j))
    assert asked.pixel.tolist() == [[0, n // 2]]


def test_the_average_resistance_of_a_grid():
    """Exercise: the 2n(n-1) edges share n^2 - 1 as the ground tends to 0."""
    n, ground = 7, 1e-7
    system = sc.GridSystem(
        [torch.ones(1, n - 1, n).double(), torch.ones(1, n, n - 1).double()],
        ground=torch.full((1, n, n), ground).double(),
    )
    C = torch.linalg.inv(torch.from_numpy(system.to_scipy().toarray()))
    place = torch.arange(n * n).view(n, n)
    total = 0.0
    for p, q in ((place[:-1], place[1:]), (place[:, :-1], place[:, 1:])):
        total += float((C[p, p] + C[q, q] - 2 * C[p, q]).sum())
    assert abs(total / (2 * n * (n - 1)) - (n + 1) / (2 * n)) < 1e-5


def test_a_doubtful_answer_is_a_resistor(generator):
    """Exercise: a resistor of tau ohms to y volts moves all by C_ij (y - m_j) / (C_jj + tau)."""
    system = random_system((3, 4), generator=generator, batch=1, grounded=True)
    A = torch.from_numpy(system.to_scipy().toarray())
    p = torch.randn(12, generator=generator, dtype=torch.float64)
    C, j, tau, y = torch.linalg.inv(A), 5, 0.3, 2.0
    joined, currents = A.clone(), p.clone()
    joined[j, j] += 1 / tau
    currents[j] += y / tau
    m = C @ p
    expected = m + C[:, j] * (y - m[j]) / (C[j, j] + tau)
    torch.testing.assert_close(torch.linalg.solve(joined, currents), expected)
