"""Multigrid: few steps at any contrast and size, one answer from every kernel."""

import itertools
import warnings

import numpy as np
import pytest
import scipy.spatial
import torch

import softcut_lib as sc
from softcut_lib.grid.edges import tail
from softcut_lib.solvers.kernels_hierarchy import LATER
from softcut_lib.solvers.levels import hierarchy
from tests.grids import EIGHT, GRIDS, arguments, dense, every_grid, random, system_of

FUSED = ("1d", "2d", "2d-row", "2d-column", "2d-pixel", "2d-diagonals", "2d-backwards")
FORMS = {
    "auto": sc.Multigrid(tol=1e-12),
    "torch": sc.Multigrid(tol=1e-12, kernel="torch"),
    "soldered": sc.Multigrid(tol=1e-12, coarse="soldered"),
}
every_form = pytest.mark.parametrize("name", FORMS)


def voronoi(n, regions, *, dtype=torch.float32):
    """Constant regions of random shape: conductance 1e3 inside, 1e-6 across."""
    rng = np.random.default_rng(0)
    pixels = np.stack(np.mgrid[:n, :n], -1).reshape(-1, 2)
    label = scipy.spatial.cKDTree(rng.random((regions, 2)) * n).query(pixels)[1].reshape(n, n)
    same = (label[1:] == label[:-1], label[:, 1:] == label[:, :-1])
    return sc.GridSystem([torch.from_numpy(np.where(s, 1e3, 1e-6)).to(dtype)[None] for s in same])


def strong(n, *, decades=8, dtype=torch.float32):
    """Log-normal weights over many decades, as networks learn them, and ground 1."""
    scale = decades * np.log(10) / 6
    return sc.GridSystem(
        [torch.exp(scale * random(1, *s, seed=n) + 4).to(dtype) for s in ((n - 1, n), (n, n - 1))]
    )


def relative_error(x, exact):
    return float((x.double() - exact).norm() / exact.norm())


@every_grid
@every_form
@pytest.mark.parametrize("per_label", [False, True])
@pytest.mark.parametrize("contrast", [1.0, 4.0])
def test_agrees_with_superlu_on_every_grid(kind, name, per_label, contrast):
    scores, weights, options = arguments(kind, per_label=per_label, contrast=contrast)
    system = system_of(scores, weights, options)
    x, info = sc.solve(system, scores, FORMS[name])
    torch.testing.assert_close(x, sc.solve(system, scores, sc.SuperLU())[0], rtol=1e-8, atol=1e-10)
    assert info.converged.all() and info.solver == "Multigrid"
    assert info.kernel == ("fused" if name == "auto" and kind in FUSED else "torch")


@pytest.mark.parametrize("scale", [2.0**70, 2.0**-70])
def test_the_torch_kernel_takes_right_hand_sides_whose_squares_leave_float32(scale):
    scores, weights, options = arguments("2d", dtype=torch.float32)
    system, solver = system_of(scores, weights, options), sc.Multigrid(kernel="torch")
    x, _ = solver(system, scores * scale)
    torch.testing.assert_close(x / scale, solver(system, scores)[0])


@pytest.mark.parametrize("shape", [(67, 131), (1, 500), (500, 1), (2, 301), (64, 64), (33, 5)])
@pytest.mark.parametrize("kernel", ["fused", "torch"])
def test_sizes_of_every_parity(shape, kernel):
    weights = [
        random(1, *sc.edge_shape(shape, o), seed=k).exp() for k, o in enumerate(((1, 0), (0, 1)))
    ]
    system, rhs = (
        sc.GridSystem(weights, ground=torch.full((1, *shape), 1e-3).double()),
        random(1, 1, *shape),
    )
    x, info = sc.solve(system, rhs, sc.Multigrid(tol=1e-11, kernel=kernel))
    torch.testing.assert_close(x, sc.solve(system, rhs, sc.SuperLU())[0], rtol=1e-7, atol=1e-8)
    assert info.iterations.max() <= 16


@pytest.mark.parametrize("case", ["voronoi", "strong"])
def test_a_quarter_of_the_steps_of_conjugate_gradients(case):
    system = voronoi(128, 16) if case == "voronoi" else strong(64, decades=4)
    rhs = random(1, 1, *system.grid, dtype=torch.float32)
    few = sc.solve(system, rhs, sc.Multigrid())[1].iterations.max()
    many = sc.CG(max_iter=4000, accept=True)(system, rhs)[1].iterations.max()
    assert few <= 16 and 4 * few <= many


def test_coarse_chains_are_what_elimination_leaves():
    """In one dimension interpolation is exact: A_c is the Schur complement, the ground in it."""
    system = sc.GridSystem([random(2, 12).exp()], ground=random(2, 13, seed=1).abs())
    for fine, coarse in itertools.pairwise(hierarchy(system)):
        for b in range(2):
            A = dense(fine.system, b)
            off, across = A[1::2, 1::2], A[1::2, ::2]
            expected = A[::2, ::2] - across.T @ torch.linalg.solve(off, across)
            torch.testing.assert_close(dense(coarse.system, b), expected)


@pytest.mark.parametrize("grid", [(9, 12), (14, 7)])
@pytest.mark.parametrize("offsets", [None, EIGHT], ids=["four", "eight"])
def test_coarse_circuits_of_both_kernels_are_the_same(grid, offsets):
    """Taken link by link in one, probed column by column as P' A P in the other."""
    from softcut_lib.solvers import kernels_cycles as cycles

    weights = [random(1, *sc.edge_shape(grid, o)).exp() for o in offsets or sc.axis_offsets(2)]
    ground = 1e-4 * random(1, *grid, seed=1).abs()
    system = sc.GridSystem(weights, offsets=offsets, ground=ground)
    plan, circuit, matrices, nine = cycles.lay_out(system)
    memory = cycles.workspace(plan, 1, np.float64)[0]
    levels = cycles._build(plan, 0, matrices, circuit, memory, nine)
    assert levels == len(plan) > 2 and plan[-1, :2].min() == 1
    fields = torch.from_numpy(memory[:5])  # ground, and links to E, S, SE, SW
    for level, (height, width, first, *_) in zip(hierarchy(system), plan, strict=False):
        pitch = width + cycles.MARGIN
        found = fields[:, first : first + height * pitch].unflatten(1, (height, pitch))
        torch.testing.assert_close(found[0, :, :width], level.system.ground.view(height, width))
        for w, o in zip(level.system.weights, level.system.offsets, strict=True):
            link = found[1 + LATER.index(o), :, :width]
            torch.testing.assert_close(tail(link, o), w.view(sc.edge_shape((height, width), o)))


def test_steps_do_not_grow_with_the_size_of_piecewise_constant_weights():
    steps = []
    for n in (128, 256):
        system = voronoi(n, n * n // 1000)
        rhs = random(1, 1, n, n, dtype=torch.float32)
        steps.append(int(sc.solve(system, rhs, sc.Multigrid())[1].iterations))
    assert steps[1] <= steps[0] + 3, steps


@pytest.mark.parametrize("decades", [4, 8])
def test_float32_resolves_contrasts_beyond_its_precision(decades):
    system, rhs = strong(48, decades=decades), random(1, 1, 48, 48, dtype=torch.float32)
    x, info = sc.solve(system, rhs, sc.Multigrid())
    contrast = torch.cat([w.flatten() for w in system.weights])
    assert contrast.max() / contrast.min() > 10**decades
    # weights are rounded to float32 alike: compare with the float64 system of the same weights
    same = sc.GridSystem([w.double() for w in system.weights])
    exact, _ = sc.solve(same, rhs.double(), sc.SuperLU())
    assert relative_error(x, exact) < 2e-5 and info.converged.all()


@every_form
def test_zero_gives_zero_in_no_steps(name):
    scores, weights, options = arguments("2d")
    scores[0, 1] = 0
    x, info = sc.solve(system_of(scores, weights, options), scores, FORMS[name])
    assert not x[0, 1].any() and info.iterations[0, 1] == 0 and info.residual[0, 1] == 0


@every_form
@pytest.mark.parametrize("kind", ["2d", "2d-diagonals", "3d"])
def test_an_answer_does_not_depend_on_its_batch(kind, name):
    scores, weights, options = arguments(kind, batch=3, contrast=2)
    scores[1] *= 1e3
    together, info = sc.solve(system_of(scores, weights, options), scores, FORMS[name])
    for b in range(3):
        one = slice(b, b + 1)
        part = {"offsets": options["offsets"], "ground": options["ground"][one]}
        alone, solo = sc.solve(
            sc.GridSystem([w[one] for w in weights], **part), scores[one], FORMS[name]
        )
        torch.testing.assert_close(alone, together[one], rtol=1e-13, atol=0)
        assert torch.equal(solo.iterations, info.iterations[one])


@every_form
def test_a_non_finite_right_hand_side_gives_nan_for_that_sample_only(name):
    scores, weights, options = arguments("2d")
    system = system_of(scores, weights, options)
    clean, _ = sc.solve(system, scores, FORMS[name])
    for bad in (float("inf"), float("nan")):
        broken = scores.clone()
        broken[0, 0, 1, 1] = bad
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            x, info = sc.solve(system, broken, FORMS[name])
        assert x[0, 0].isnan().all() and not info.converged[0, 0]
        torch.testing.assert_close(x[1], clean[1])


@every_form
def test_seeds_leave_free_pixels_without_ground(name):
    system = sc.GridSystem(
        [random(2, 8, 7).exp(), random(2, 9, 6).exp()], ground=torch.zeros(2, 9, 7).double()
    )
    seeds = torch.zeros(2, 9, 7, dtype=torch.bool)
    seeds[:, 0, 0], seeds[:, 5, 5] = True, True
    held, rhs = system.with_seeds(seeds, random(2, 1, 9, 7))
    x, info = sc.solve(held, rhs, FORMS[name])
    torch.testing.assert_close(x, sc.solve(held, rhs, sc.SuperLU())[0], rtol=1e-8, atol=1e-9)
    assert info.converged.all()


def test_pixels_without_any_conductance_stay_at_zero():
    weights = [torch.zeros(1, 4, 5), torch.zeros(1, 5, 4)]
    weights[0][:, :2, :2] = 1
    ground = torch.zeros(1, 5, 5)
    ground[:, 0, 0] = ground[:, 0, 1] = 1
    rhs = torch.zeros(1, 1, 5, 5)
    rhs[..., 0, :2] = 1
    for name in ("auto", "torch"):
        x, _ = FORMS[name](sc.GridSystem(weights, ground=ground), rhs)
        assert x.isfinite().all() and not x[..., 3:, :].any()


@pytest.mark.parametrize("kind", FUSED)
@pytest.mark.parametrize("per_label", [False, True])
def test_a_right_hand_side_of_any_memory_layout(kind, per_label):
    scores, weights, options = arguments(kind, per_label=per_label)
    system = system_of(scores, weights, options)
    strided = scores.transpose(0, -1).contiguous().transpose(0, -1)
    torch.testing.assert_close(FORMS["auto"](system, strided)[0], FORMS["auto"](system, scores)[0])


@pytest.mark.parametrize("kernel", ["fused", "torch"])
def test_history_starts_at_one_and_ends_at_the_residual(kernel):
    scores, weights, options = arguments("2d-diagonals", contrast=2)
    _, info = sc.Multigrid(kernel=kernel)(system_of(scores, weights, options), scores)
    assert len(info.history) == info.iterations.max() + 1
    torch.testing.assert_close(info.history[0], torch.ones(2, 2).double())
    torch.testing.assert_close(info.history[-1], info.residual, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_steps_do_not_depend_on_the_scale_of_the_right_hand_side(dtype):
    scores, weights, options = arguments("2d-diagonals", dtype=dtype)
    system = system_of(scores, weights, options)
    steps = [sc.Multigrid()(system, scores * s)[1].iterations for s in (1, 2.0**20, 2.0**-20)]
    assert torch.equal(steps[0], steps[1]) and torch.equal(steps[0], steps[2])


def test_an_unfinished_solve_warns_and_a_budget_does_not():
    system, rhs = voronoi(64, 9), random(1, 1, 64, 64, dtype=torch.float32)
    with pytest.warns(
        sc.ConvergenceWarning, match="Multigrid left 1 of 1 systems unsolved after 2"
    ):
        sc.solve(system, rhs, sc.Multigrid(max_iter=2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sc.solve(system, rhs, sc.Multigrid(max_iter=2, accept=True))


@pytest.mark.parametrize("kind", sorted(set(GRIDS) - set(FUSED)))
def test_the_fused_kernel_says_what_it_cannot_take(kind):
    scores, weights, options = arguments(kind)
    with pytest.raises(ValueError, match=r'kernel="fused" takes .* got the offsets'):
        sc.Multigrid(kernel="fused")(system_of(scores, weights, options), scores)


def test_options_are_checked_when_made():
    scores, weights, options = arguments("2d")
    with pytest.raises(ValueError, match='got coarse="soldered"'):
        sc.Multigrid(kernel="fused", coarse="soldered")(system_of(scores, weights, options), scores)
    for wrong, message in [
        ({"tol": 0}, "tol must be a finite number above 0, got 0"),
        ({"max_iter": 0}, "max_iter must be an integer of at least 1"),
        ({"coarse": "pooled"}, "coarse must be 'conducting' or 'soldered', got 'pooled'"),
        ({"kernel": "fast"}, "kernel must be 'auto' or 'torch' or 'fused'"),
        ({"accept": 2}, "accept must be True or False"),
    ]:
        with pytest.raises(ValueError, match=message):
            sc.Multigrid(**wrong)


@pytest.mark.parametrize("kernel", ["fused", "torch"])
@pytest.mark.parametrize("per_label", [False, True])
def test_gradients_of_first_and_second_order(kernel, per_label):
    kind = "2d-diagonals" if kernel == "fused" else "2d-row"
    scores, weights, options = arguments(kind, batch=1, per_label=per_label, contrast=0.5)
    inputs = [t.requires_grad_() for t in (scores, options["ground"], *weights) if t.numel()]
    empty = [w for w in weights if not w.numel()]

    def layer(scores, ground, *weights):
        solver, offsets = sc.Multigrid(tol=1e-13, kernel=kernel), options["offsets"]
        return sc.soft_cut(
            scores, [*empty, *weights], offsets=offsets, ground=ground, solver=solver
        )

    assert torch.autograd.gradcheck(layer, inputs)
    assert torch.autograd.gradgradcheck(layer, inputs)


def test_more_threads_change_nothing():
    scores, weights, options = arguments("2d", batch=4, per_label=True)
    system = system_of(scores, weights, options)
    expected, _ = FORMS["auto"](system, scores)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        x, _ = FORMS["auto"](system, scores)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(x, expected)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@every_grid
@pytest.mark.parametrize("coarse", ["conducting", "soldered"])
def test_cuda_agrees_with_the_cpu(kind, coarse):
    scores, weights, options = arguments(kind)
    there = {"offsets": options["offsets"], "ground": options["ground"].cuda()}
    system = sc.GridSystem([w.cuda() for w in weights], grid=scores.shape[2:], **there)
    solver = sc.Multigrid(tol=1e-12, coarse=coarse)
    x, info = sc.solve(system, scores.cuda(), solver)
    expected, _ = sc.solve(system_of(scores, weights, options), scores, solver)
    assert info.kernel == "torch" and x.is_cuda
    torch.testing.assert_close(x.cpu(), expected, rtol=1e-9, atol=1e-10)
