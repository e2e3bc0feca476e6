"""Chapter 5's from-scratch code against the library and the theorems."""

from dataclasses import replace
from itertools import islice

import pytest
import torch

import softcut_lib as sc
from softcut_lib.theorems import conjugate as theorem
from tests.notebooks.scratch import load_scratch


@pytest.fixture(scope="module")
def chapter():
    return load_scratch("05_conjugate_gradients")


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(5)


def iterate(method):
    def steps(system, rhs, k):
        def multiply(x):
            return (system @ x.view(rhs.shape)).flatten()

        start = torch.zeros(rhs.numel(), dtype=rhs.dtype)
        return list(islice(method(multiply, rhs.flatten(), start), k + 1))[-1].view(rhs.shape)

    return steps


@pytest.mark.parametrize(
    "promise",
    [
        theorem.error_decreases,
        theorem.residuals_are_orthogonal,
        theorem.directions_are_conjugate,
        theorem.minimizes_over_krylov,
        theorem.ends_after_n_steps,
        theorem.rate_bound,
    ],
    ids=lambda f: f.__name__,
)
def test_conjugate_gradients_keep_every_promise(chapter, generator, promise):
    promise(iterate(chapter.conjugate_gradients), generator=generator)


def test_iterates_are_the_library_s(chapter, generator):
    system = sc.GridSystem(
        [torch.rand(1, *s, generator=generator, dtype=torch.float64) for s in ((4, 6), (5, 5))]
    )
    rhs = torch.randn(1, 1, 5, 6, generator=generator, dtype=torch.float64)
    for k in range(6):
        ours = iterate(chapter.conjugate_gradients)(system, rhs, k)
        torch.testing.assert_close(ours, theorem.steps_of(kernel="torch")(system, rhs, k))


def test_the_example_of_the_thesis(chapter):
    A = torch.tensor([[4.0, -2.0], [-2.0, 9.0]], dtype=torch.float64)
    b = torch.tensor([1.0, 2.0], dtype=torch.float64)
    solution, zero = torch.linalg.solve(A, b), torch.zeros(2, dtype=torch.float64)
    conjugate = list(islice(chapter.conjugate_gradients(A.mv, b, zero), 3))
    torch.testing.assert_close(conjugate[2], solution)
    descent = list(islice(chapter.gradient_descent(A.mv, b, zero), 40))
    torch.testing.assert_close(descent[1], conjugate[1])
    assert (descent[2] - solution).norm() > 0.1
    torch.testing.assert_close(descent[-1], solution)
    with pytest.raises(AssertionError):
        theorem.rate_bound(
            iterate(chapter.gradient_descent), generator=torch.Generator().manual_seed(0)
        )


@pytest.mark.parametrize("size", [1.0, 1e-3, 1e-7])
def test_published_is_the_library_s(chapter, generator, size):
    weights = [5 * torch.rand(2, *s, generator=generator).double() for s in ((19, 24), (20, 23))]
    system = sc.GridSystem(weights)
    rhs = size * torch.randn(2, 3, 20, 24, generator=generator, dtype=torch.float64)
    ours, steps = chapter.published(system, rhs)
    library, info = replace(sc.PUBLISHED_CG, kernel="torch")(system, rhs)
    assert (info.iterations == steps).all() and (steps == 1) == (size == 1e-7)
    torch.testing.assert_close(ours, library, rtol=1e-9, atol=1e-12 * size)


def test_the_two_published_rules(chapter):
    r = torch.full((2, 1, 10, 10), 1e-5)
    # |r|_2 = 1e-5 sqrt(200) < 2e-4 = 1e-6 N, but the sum of |r| is ten times 1e-6 N
    assert chapter.rule_of_the_code(r) and not chapter.rule_of_the_text(r)
    assert not chapter.rule_of_the_code(10 * r)
    assert chapter.rule_of_the_text(r / 20)


def test_the_text_s_rule_takes_at_least_as_many_steps(chapter, generator):
    weights = [20 * torch.rand(1, *s, generator=generator) for s in ((39, 40), (40, 39))]
    rhs = 1e-4 * torch.randn(1, 1, 40, 40, generator=generator)
    code, text = (
        chapter.published(sc.GridSystem(weights), rhs, rule)[1]
        for rule in (chapter.rule_of_the_code, chapter.rule_of_the_text)
    )
    assert 1 <= code < text
