"""Chapter 4's from-scratch code against the library and the theorems."""

import pytest
import torch

import softcut_lib as sc
from softcut_lib.theorems import adjoint as theorem
from tests.notebooks.scratch import load_scratch


@pytest.fixture(scope="module")
def chapter():
    return load_scratch("04_adjoint")


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(4)


@pytest.fixture
def case(generator):
    scores = torch.randn(2, 3, 4, 5, generator=generator, dtype=torch.float64)
    shapes = (2, 3, 5), (2, 4, 4)
    weights = [torch.rand(*s, generator=generator, dtype=torch.float64) for s in shapes]
    return scores, weights


def flat_gradients(cut, case):
    leaves = [t.clone().requires_grad_() for t in (case[0], *case[1])]
    x = cut(leaves[0], leaves[1:])
    return [x.detach(), *torch.autograd.grad(x.pow(3).sum(), leaves)]


@pytest.mark.parametrize("name", ["dense_cut", "AdjointCut"])
def test_both_cuts_are_the_library_s(chapter, case, generator, name):
    cut = getattr(chapter, name)
    if name == "AdjointCut":
        function = cut
        cut = lambda scores, weights: function.apply(scores, *weights)  # noqa: E731
    exact = lambda scores, weights: sc.soft_cut(scores, weights, solver=sc.SuperLU())  # noqa: E731
    for ours, library in zip(flat_gradients(cut, case), flat_gradients(exact, case), strict=True):
        torch.testing.assert_close(ours, library, rtol=1e-10, atol=1e-12)
    theorem.gradient_is_finite_differences(cut, generator=generator)
    theorem.labels_add_up(cut, generator=generator)


def test_differences_are_jumps(chapter, generator):
    x = torch.randn(4, 5, generator=generator, dtype=torch.float64)
    jumps = [sc.jump(x, offset).flatten() for offset in sc.axis_offsets(2)]
    torch.testing.assert_close(chapter.differences(4, 5) @ x.flatten(), torch.cat(jumps))


def test_the_adjoint_cut_may_not_be_differentiated_twice(chapter, case):
    scores = case[0].clone().requires_grad_()
    x = chapter.AdjointCut.apply(scores, *case[1])
    (g,) = torch.autograd.grad(x.square().sum(), scores, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable|not have been used"):
        torch.autograd.grad(g.sum(), scores)


def test_unrolled_steps_are_the_library_s(chapter, case):
    scores, weights = case
    budget = sc.CG(max_iter=4, preconditioner=None, accept=True)
    expected, _ = budget(sc.GridSystem(weights), scores)
    torch.testing.assert_close(chapter.unrolled_cut(scores, weights, 4), expected)
    converged = flat_gradients(lambda s, w: chapter.unrolled_cut(s, w, 18), case)
    exact = flat_gradients(lambda s, w: sc.soft_cut(s, w, solver=sc.SuperLU()), case)
    torch.testing.assert_close(converged[1], exact[1], rtol=1e-5, atol=1e-8)


def test_memory_of_unrolling_grows_and_of_the_adjoint_does_not(chapter, case):
    scores, weights = (case[0].requires_grad_(), [w.requires_grad_() for w in case[1]])
    unrolled = [chapter.saved_megabytes(chapter.unrolled_cut, scores, weights, k) for k in (4, 8)]
    assert unrolled[1] > 1.5 * unrolled[0]
    implicit = [
        chapter.saved_megabytes(sc.soft_cut, scores, weights, solver=sc.CG(max_iter=k, accept=True))
        for k in (4, 8)
    ]
    assert 0 < implicit[0] == implicit[1] < unrolled[0]
