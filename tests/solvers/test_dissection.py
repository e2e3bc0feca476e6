import numpy as np
import pytest
import torch
from scipy.sparse.linalg import splu
from torch.autograd import gradcheck, gradgradcheck
from torch.utils._python_dispatch import TorchDispatchMode

import softcut_lib as sc
from softcut_lib.solvers.tiles import leaf_size
from tests.elsewhere import Elsewhere, away, here
from tests.grids import arguments, dense, random

# thin, odd, one leaf, two, four, many; waste on one side, on both, on none
KERNELS = ("torch", "fused")
both_kernels = pytest.mark.parametrize("kernel", KERNELS)
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
@both_kernels
def test_solution_determinant_and_variances_agree_with_a_dense_inverse(grid, per_label, kernel):
    system, rhs = problem(grid, per_label=per_label)
    factor = sc.Direct(refine=0, kernel=kernel).factor(system)
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
    assert info.kernel == kernel


@pytest.mark.parametrize("grid", [(3, 4), (9, 8)])
@pytest.mark.parametrize("per_label", [False, True])
@both_kernels
def test_first_and_second_derivatives(grid, per_label, kernel):
    system, rhs = problem(grid, per_label=per_label)
    inputs = [t[:1].detach().requires_grad_() for t in (rhs, system.ground, *system.weights)]

    def cut(p, ground, *weights):
        return sc.soft_cut(p, weights, ground=ground, solver=sc.Direct(kernel=kernel))

    assert gradcheck(cut, inputs, fast_mode=True)
    assert gradgradcheck(cut, inputs, fast_mode=True)


EDGES = [(43, 51), (44, 50)]


def regions(grid, strong, weak, *, dtype):
    """Conductance `strong` inside random regions and `weak` across their borders."""
    coarse = random(1, 1, 7, 9, seed=4)
    inside = torch.nn.functional.interpolate(coarse, grid)[0] > 0
    return [
        torch.where(same, strong, weak).to(dtype)
        for same in (inside[:, 1:] == inside[:, :-1], inside[:, :, 1:] == inside[:, :, :-1])
    ]


def relative_error(x, exact):
    return float((x.double() - exact).norm() / exact.norm())


@both_kernels
@pytest.mark.parametrize("contrast", [1e0, 1e2, 1e5, 1e8])
@pytest.mark.parametrize("kind", ["scattered", "regions"])
def test_precision_does_not_depend_on_contrast(kernel, contrast, kind):
    """Nothing is subtracted, so float32 keeps its digits where conductances span 1e8."""
    grid = (44, 51)
    if kind == "scattered":
        spread = [torch.rand(1, *shape, generator=torch.manual_seed(0)) for shape in EDGES]
        weights = [contrast ** (u.double() - 0.5) for u in spread]
    else:
        weights = regions(grid, contrast**0.5, contrast**-0.5, dtype=torch.float64)
    weights = [w.float() for w in weights]
    rhs = random(1, 2, *grid, seed=2, dtype=torch.float32)
    wide = sc.GridSystem([w.double() for w in weights])
    exact, _ = sc.solve(wide, rhs.double(), sc.SuperLU())
    for refine, bound in ((0, 1e-5), (1, 2e-7)):
        solver = sc.Direct(kernel=kernel, refine=refine)
        x, info = sc.solve(sc.GridSystem(weights), rhs, solver)
        assert relative_error(x, exact) < bound and info.converged.all()
    x, _ = sc.solve(wide, rhs.double(), sc.Direct(kernel=kernel))
    assert relative_error(x, exact) < 1e-15 * max(contrast, 100)  # the error is SuperLU's
    A = wide.to_scipy().tocsc()
    logs = sc.Direct(kernel=kernel).factor(sc.GridSystem(weights)).log_determinant()
    assert float(logs) == pytest.approx(np.log(splu(A).U.diagonal()).sum(), rel=1e-5)


@pytest.mark.parametrize(
    ("kernel", "weak"),
    [("torch", 1e-6), ("torch", 1e-10), ("fused", 1e-6), ("fused", 1e-10), ("fused", 1e-13)],
)
def test_refinement_does_no_harm_behind_weak_edges(kernel, weak):
    """Regions that touch the ground through weak edges alone magnify a residual's last digits."""
    grid = (24, 30)
    edges = [1 + torch.rand(1, *s, generator=torch.manual_seed(0)) for s in ((23, 30), (24, 29))]
    walls = regions(grid, 1.0, weak, dtype=torch.float32)
    weights = [w * wall for w, wall in zip(edges, walls, strict=True)]
    seeds = torch.zeros(1, *grid, dtype=torch.bool)
    seeds[:, 0] = seeds[:, -1] = True
    values = torch.zeros(1, 1, *grid)
    values[:, :, 0] = 1
    system, rhs = sc.GridSystem(weights, ground=torch.zeros(1, *grid)).with_seeds(seeds, values)
    wide = sc.GridSystem([w.double() for w in system.weights], ground=system.ground.double())
    exact, _ = sc.Direct(refine=0, kernel="fused")(wide, rhs.double())
    for refine in (0, 1, 2):
        x, info = sc.Direct(refine=refine, kernel=kernel)(system, rhs)
        assert float((x - exact).abs().max()) < 1e-5 and bool(info.converged)


@both_kernels
def test_an_unrefined_answer_is_not_judged_by_a_residual_that_is_rounding(kernel):
    """Strong circuits: neighbors that differ in their last digit leave a residual of hundreds."""
    system = sc.GridSystem([torch.full((1, *shape), 1e9) for shape in ((7, 8), (8, 7))])
    x, info = sc.Direct(kernel=kernel)(system, torch.ones(1, 1, 8, 8))
    assert bool(info.converged)
    torch.testing.assert_close(x, torch.ones_like(x), rtol=1e-5, atol=0)


@both_kernels
def test_each_matrix_is_refined_or_not_by_itself(kernel):
    """A batch of a mild circuit and one that refinement would harm: each as it is alone."""
    mild, harsh = (regions((13, 9), 1.0, weak, dtype=torch.float32) for weak in (0.1, 1e-9))
    ground = torch.tensor([1.0, 1e-9]).view(2, 1, 1).expand(2, 13, 9)
    weights = [torch.cat(pair) for pair in zip(mild, harsh, strict=True)]
    rhs, solver = random(2, 3, 13, 9, dtype=torch.float32), sc.Direct(kernel=kernel)
    factor = solver.factor(sc.GridSystem(weights, ground=ground))
    assert factor._mends.flatten().tolist() == [True, False]
    x, _ = factor(factor.system, rhs)
    for b, refine in ((0, 1), (1, 0)):
        one = sc.GridSystem([w[b : b + 1] for w in weights], ground=ground[b : b + 1])
        alone, _ = sc.Direct(kernel=kernel, refine=refine)(one, rhs[b : b + 1])
        torch.testing.assert_close(x[b : b + 1], alone, rtol=1e-6, atol=0)


@both_kernels
def test_no_number_is_too_small_to_be_fast(kernel):
    """Processors take a hundred times as long below the smallest normal number: none is there.

    A voltage that crosses many weak edges decays below 1e-38; so do fill-ins between far nodes.
    """
    weights = regions((90, 80), 1e3, 1e-12, dtype=torch.float32)
    circuit = sc.Direct(kernel=kernel).factor(sc.GridSystem(weights)).circuit
    if kernel == "fused":
        kept = [torch.from_numpy(t) for t in (circuit.store, *circuit.leaves)]
    else:
        kept = [step.coupling for _, step in circuit._steps]
    tiny = torch.finfo(torch.float32).tiny
    for values in kept:
        assert ((values == 0) | (values.abs() >= tiny)).all()


def test_plain_tensor_operations_grow_with_the_logarithm_of_the_size():
    """Every level is a fixed number of operations, whatever the number of its blocks."""

    class Count(TorchDispatchMode):
        calls = 0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            self.calls += 1
            return function(*args, **(kwargs or {}))

    def calls(size):
        system, _ = problem((size, size))
        with Count() as count:
            sc.Direct(kernel="torch").factor(system)
        return count.calls

    counts = [calls(size) for size in (28, 56, 112)]
    steps = [b - a for a, b in zip(counts, counts[1:], strict=False)]
    assert steps[0] == steps[1] < 300


def test_kernels_agree_on_cores_and_subtrees(monkeypatch):
    """One system cut into subtrees for two threads, several systems for two threads, one thread."""
    from softcut_lib.solvers import fronts_cpu

    monkeypatch.setattr(fronts_cpu, "SMALL", 0)
    system, rhs = problem((70, 50))
    alone = sc.GridSystem([w[:1] for w in system.weights], ground=system.ground[:1])
    threads = torch.get_num_threads()
    try:
        answers, logs = [], []
        for count in (1, 2):
            torch.set_num_threads(count)
            for s, b in ((system, rhs), (alone, rhs[:1])):
                factor = sc.Direct(refine=0).factor(s)
                answers.append(factor(s, b)[0][:1])
                logs.append(factor.log_determinant()[:1])
                answers.append(factor.variances()[:1])
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    for x, log in zip(answers[2:], logs[1:] * 2, strict=False):
        torch.testing.assert_close(x, answers[0] if x.shape == rhs[:1].shape else answers[1])
        torch.testing.assert_close(log, logs[0])


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


@pytest.mark.parametrize("solver", [sc.Direct(), sc.SuperLU()], ids=["direct", "superlu"])
def test_a_factor_refuses_other_weights_of_the_same_form(solver):
    system, rhs = problem((9, 8))
    factor = solver.factor(system)
    copy = sc.GridSystem([w.clone() for w in system.weights], ground=system.ground.clone())
    torch.testing.assert_close(factor(copy, rhs)[0], factor(system, rhs)[0])
    copy.weights[1][1, 2, 3] *= 2
    with pytest.raises(ValueError, match="other values, or were changed in place since"):
        factor(copy, rhs)
    system.weights[1][1, 2, 3] *= 2
    with pytest.raises(ValueError, match="other values, or were changed in place since"):
        factor(system, rhs)
    with torch.inference_mode():
        copy = sc.GridSystem([w.clone() for w in system.weights])
        solver.factor(copy)(copy, rhs)


def test_plain_tensor_operations_wait_for_one_value():
    """On a GPU every value that the host looks at stops the queue: one, whether d > 0."""
    system, rhs = problem((60, 30))
    with Elsewhere() as world:
        there = sc.GridSystem(
            [away(w) for w in system.weights], ground=away(system.ground), check=False
        )
        sc.Direct().factor(there)  # makes the tables
        world.waits.clear()
        factor = sc.Direct().factor(there)
        assert len(world.waits) == 1 and "bad.any()" in world.waits[0]
        x, _ = factor(there, away(rhs))
        assert len(world.waits) == 1
    torch.testing.assert_close(here(x), sc.solve(system, rhs, sc.Direct())[0])


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
    ground = torch.ones(2, 1, 3)
    ground[1] = 0
    loose = sc.GridSystem([torch.ones(2, 0, 3), torch.ones(2, 1, 2)], ground=ground)
    broken = sc.GridSystem([torch.ones(2, 0, 3), ground[..., :2] / ground[..., 1:]], check=False)
    for kernel in KERNELS:
        for system in (loose, broken):
            with pytest.raises(ValueError, match="sample 1 is not positive definite"):
                sc.Direct(kernel=kernel).factor(system)
    with pytest.raises(ValueError, match="solves the system it was made from"):
        system, rhs = problem((4, 5))
        sc.Direct().factor(problem((5, 4))[0])(system, rhs)
    with pytest.raises(ValueError, match="refine must be an integer of at least 1, got -1"):
        sc.Direct(refine=-1)
    with pytest.raises(ValueError, match="kernel must be 'auto' or 'torch' or 'fused', got 'fast'"):
        sc.Direct(kernel="fast")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_agrees_with_the_cpu():
    system, rhs = problem((33, 50))
    there = sc.GridSystem([w.cuda() for w in system.weights], ground=system.ground.cuda())
    x, _ = sc.solve(there, rhs.cuda(), sc.Direct())
    torch.testing.assert_close(x.cpu(), sc.solve(system, rhs, sc.Direct())[0])
