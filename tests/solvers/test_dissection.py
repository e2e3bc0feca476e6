import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

import softcut_lib as sc
from softcut_lib.solvers.dissection import leaf_size
from tests.grids import arguments, dense, random

# thin, odd, one leaf, two, four, many; waste on one side, on both, on none
SIZES = [(1, 1), (1, 9), (40, 1), (5, 7), (7, 15), (8, 8), (13, 29), (28, 14), (30, 31), (60, 9)]


def problem(grid, *, per_label=False, dtype=torch.float64, contrast=1.0):
    h, w = grid
    lead = (2, 3) if per_label else (2,)
    weights = [
        torch.exp(contrast * random(*lead, h - 1, w)).to(dtype),
        torch.exp(contrast * random(*lead, h, w - 1, seed=1)).to(dtype),
    ]
    ground = (0.1 + random(*lead, h, w, seed=2).abs()).to(dtype)
    return sc.GridSystem(weights, ground=ground, grid=grid), random(2, 3, h, w, seed=3, dtype=dtype)


@pytest.mark.parametrize("grid", SIZES)
@pytest.mark.parametrize("per_label", [False, True])
def test_solution_determinant_and_variances_agree_with_a_dense_inverse(grid, per_label):
    system, rhs = problem(grid, per_label=per_label)
    factor = sc.Direct(refine=0).factor(system)
    x, info = factor(system, rhs)
    for b in range(2):
        for label in range(3):
            own = label if per_label else 0
            A = dense(system, b, label)
            inverse = torch.linalg.inv(A)
            torch.testing.assert_close(x[b, label].flatten(), inverse @ rhs[b, label].flatten())
            torch.testing.assert_close(factor.log_determinant()[b, own], torch.logdet(A))
            variances = factor.variances()[b, own].flatten()
            torch.testing.assert_close(variances, inverse.diagonal())
    assert info.converged.all() and info.residual.max() < 1e-12 and not info.iterations.any()


@pytest.mark.parametrize("grid", [(3, 4), (9, 8)])
@pytest.mark.parametrize("per_label", [False, True])
def test_first_and_second_derivatives(grid, per_label):
    system, rhs = problem(grid, per_label=per_label)
    inputs = [t[:1].detach().requires_grad_() for t in (rhs, system.ground, *system.weights)]

    def cut(p, ground, *weights):
        return sc.soft_cut(p, weights, ground=ground, solver=sc.Direct())

    assert gradcheck(cut, inputs, fast_mode=True)
    assert gradgradcheck(cut, inputs, fast_mode=True)


def test_refinement_wins_back_what_float32_loses():
    """Conductances of 1e5 beside 1e-3: each round of refinement gains digits."""
    grid = (60, 70)
    strong = [random(1, 59, 70) > 0, random(1, 60, 69, seed=1) > 0]
    weights = [torch.where(s, 1e5, 1e-3).double() for s in strong]
    rhs = random(1, 1, *grid, seed=2)
    exact, _ = sc.solve(sc.GridSystem(weights), rhs, sc.SuperLU())
    system = sc.GridSystem([w.float() for w in weights])
    error = [
        float((sc.solve(system, rhs.float(), sc.Direct(refine=k))[0] - exact).norm() / exact.norm())
        for k in range(3)
    ]
    assert error[1] < error[0] / 20 and error[2] < 1e-6


def test_reduction_keeps_all_blocks_of_a_level_alike():
    """A leaf is at most 7 x 7 cells, at most a quarter of an axis is padding beyond 7 pixels."""
    for n in range(1, 400):
        cells, count = leaf_size(n)
        assert cells <= 7 and count & (count - 1) == 0
        assert n <= cells * count <= max(n + count - 1, n) and (n <= 7 or cells >= 4)


def test_the_factor_serves_the_backward_pass(monkeypatch):
    from softcut_lib.solvers import dissection

    made, build = [], dissection.DirectFactor.__init__
    monkeypatch.setattr(dissection.DirectFactor, "__init__", lambda *a: made.append(1) or build(*a))
    scores, weights, _ = arguments("2d")
    sc.soft_cut(scores.requires_grad_(), weights, solver=sc.Direct()).square().sum().backward()
    assert len(made) == 1


def test_a_non_finite_right_hand_side_stays_in_its_sample_and_label():
    system, rhs = problem((9, 8))
    clean, _ = sc.solve(system, rhs, sc.Direct())
    rhs[0, 1, 2, 2] = float("nan")
    x, info = sc.solve(system, rhs, sc.Direct())
    assert x[0, 1].isnan().any() and not info.converged[0, 1]
    torch.testing.assert_close(x[0, 0], clean[0, 0])
    torch.testing.assert_close(x[1], clean[1])


def test_refusals():
    with pytest.raises(ValueError, match=r"Direct\(\) needs a 2-D grid .* use SuperLU"):
        scores, weights, options = arguments("2d-diagonals")
        sc.Direct().factor(sc.GridSystem(weights, **options))
    with pytest.raises(ValueError, match="sample 1 is not positive definite"):
        ground = torch.ones(2, 1, 3)
        ground[1] = 0
        sc.Direct().factor(sc.GridSystem([torch.ones(2, 0, 3), torch.ones(2, 1, 2)], ground=ground))
    with pytest.raises(ValueError, match="a Factor solves the system it was made from"):
        system, rhs = problem((4, 5))
        sc.Direct().factor(problem((5, 4))[0])(system, rhs)
    with pytest.raises(ValueError, match="refine must be an integer of at least 1, got -1"):
        sc.Direct(refine=-1)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_agrees_with_the_cpu():
    system, rhs = problem((33, 50))
    there = sc.GridSystem([w.cuda() for w in system.weights], ground=system.ground.cuda())
    x, _ = sc.solve(there, rhs.cuda(), sc.Direct())
    torch.testing.assert_close(x.cpu(), sc.solve(system, rhs, sc.Direct())[0])
