"""What holds for every solver, on every grid: they agree, they warn, they refuse."""

import subprocess
import sys
import warnings

import pytest
import torch

import softcut_lib as sc
from tests.grids import GRIDS, arguments, dense, every_grid, random, system_of

SOLVERS = {
    "cg-torch": sc.CG(tol=1e-12, kernel="torch"),
    "cg-fused": sc.CG(tol=1e-12, kernel="fused"),
    "cg-plain": sc.CG(tol=1e-12, preconditioner=None, start="rhs", kernel="torch"),
    "cg-plain-fused": sc.CG(tol=1e-12, preconditioner=None, start="rhs", kernel="fused"),
    "superlu": sc.SuperLU(),
}
KERNELS = ("torch", "fused")
every_solver = pytest.mark.parametrize("name", SOLVERS)
both_kernels = pytest.mark.parametrize("kernel", KERNELS)


@every_grid
@every_solver
@pytest.mark.parametrize("per_label", [False, True])
def test_solvers_agree_with_a_dense_solve(kind, name, per_label):
    scores, weights, options = arguments(kind, per_label=per_label)
    system = system_of(scores, weights, options)
    x, info = sc.solve(system, scores, SOLVERS[name])
    for b in range(2):
        for label in range(2):
            expected = torch.linalg.solve(dense(system, b, label), scores[b, label].flatten())
            torch.testing.assert_close(x[b, label].flatten(), expected, rtol=1e-8, atol=1e-10)
    assert info.converged.all() and info.residual.max() < 1e-11


@every_solver
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_answer_has_the_kind_of_the_right_hand_side(name, dtype):
    scores, weights, options = arguments("2d-diagonals", dtype=dtype)
    x, info = sc.solve(system_of(scores, weights, options), scores, SOLVERS[name])
    assert x.dtype == dtype and x.shape == scores.shape
    assert info.iterations.shape == info.residual.shape == info.converged.shape == (2, 2)
    assert not x.requires_grad


@every_solver
def test_zero_gives_zero_in_no_steps(name):
    scores, weights, options = arguments("2d")
    scores[0, 1] = 0
    x, info = sc.solve(system_of(scores, weights, options), scores, SOLVERS[name])
    assert not x[0, 1].any() and info.iterations[0, 1] == 0 and info.residual[0, 1] == 0


@every_solver
def test_an_answer_does_not_depend_on_its_batch(name):
    scores, weights, options = arguments("2d-diagonals", batch=3, contrast=2)
    scores[1] *= 1e3
    together, info = sc.solve(system_of(scores, weights, options), scores, SOLVERS[name])
    for b in range(3):
        one = slice(b, b + 1)
        alone, solo = sc.solve(
            sc.GridSystem(
                [w[one] for w in weights], offsets=options["offsets"], ground=options["ground"][one]
            ),
            scores[one],
            SOLVERS[name],
        )
        torch.testing.assert_close(alone, together[one], rtol=1e-13, atol=0)
        assert torch.equal(solo.iterations, info.iterations[one])


@both_kernels
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_answer_and_steps_do_not_depend_on_the_scale_of_the_right_hand_side(kernel, dtype):
    scores, weights, options = arguments("2d-diagonals", dtype=dtype)
    system = system_of(scores, weights, options)
    x, info = sc.CG(kernel=kernel)(system, scores)
    for scale in (2.0**20, 2.0**-20, 2.0**70, 2.0**-70):  # the squares of the last leave float32
        scaled, other = sc.CG(kernel=kernel)(system, scores * scale)
        assert torch.equal(info.iterations, other.iterations)
        torch.testing.assert_close(scaled / scale, x)


@every_grid
@pytest.mark.parametrize("stop", ["relative", "published"])
def test_kernels_take_the_same_steps(kind, stop):
    scores, weights, options = arguments(kind, contrast=0.3)
    system = system_of(scores, weights, options)
    infos = []
    for kernel in KERNELS:
        solver = sc.CG(tol=1e-6, stop=stop, kernel=kernel, start="rhs", accept=True)
        infos.append(solver(system, scores)[1])
    assert torch.equal(infos[0].iterations, infos[1].iterations)
    # the last residuals are near rounding, so they agree relative to the first
    torch.testing.assert_close(infos[0].history, infos[1].history, rtol=1e-6, atol=1e-13)


@both_kernels
def test_history_starts_at_the_start_and_ends_at_the_residual(kernel):
    scores, weights, options = arguments("3d")
    x, info = sc.CG(kernel=kernel)(system_of(scores, weights, options), scores)
    assert len(info.history) == info.iterations.max() + 1
    torch.testing.assert_close(info.history[0], torch.ones(2, 2).double())
    torch.testing.assert_close(info.history[-1], info.residual, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("per_label", [False, True])
def test_every_kernel_measures_the_same_lengths(per_label):
    """||rhs - A x||, ||x||, ||rhs|| and ||A||_inf, by which convergence is judged."""
    from softcut_lib.solvers import flat, kernels_cycles, red_black
    from softcut_lib.solvers.interface import lengths_of

    scores, weights, options = arguments("2d", per_label=per_label, contrast=2)
    system, budget = system_of(scores, weights, options), sc.CG(max_iter=3)
    norm = [dense(system, b, c).abs().sum(1).max() for b in range(2) for c in range(2)]
    runs = {
        "flat": flat.run,
        "red-black": lambda system, *rest: red_black.RedBlack(system).run(*rest),
        "cycles": kernels_cycles.run,
    }
    for name, run in runs.items():
        x = torch.zeros_like(scores)
        lengths = run(system, scores, x, budget)[2:]
        expected = lengths_of(system, scores, x)
        torch.testing.assert_close(expected[3].expand(2, 2).flatten(), torch.stack(norm))
        for found, wanted in zip(lengths, expected, strict=True):
            torch.testing.assert_close(
                found, wanted.expand(2, 2), msg=lambda m, n=name: f"{n}: {m}"
            )


@both_kernels
def test_one_large_grid_crosses_many_slices(kernel):
    """More pixels than a slice holds, and a stride that is not a multiple of anything."""
    grid = (67, 131)
    weights = [
        random(1, *sc.edge_shape(grid, o), seed=k).exp() for k, o in enumerate(sc.axis_offsets(2))
    ]
    scores = random(1, 1, *grid, seed=9)
    system = sc.GridSystem(weights)
    x, _ = sc.solve(system, scores, sc.CG(tol=1e-12, kernel=kernel))
    exact, _ = sc.solve(system, scores, sc.SuperLU())
    torch.testing.assert_close(x, exact, rtol=1e-9, atol=1e-10)


@every_solver
def test_a_non_finite_right_hand_side_gives_nan_for_that_sample_only(name):
    scores, weights, options = arguments("2d")
    system = system_of(scores, weights, options)
    clean, _ = sc.solve(system, scores, SOLVERS[name])
    scores[0, 0, 1, 1] = float("inf")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        x, info = sc.solve(system, scores, SOLVERS[name])
    assert x[0, 0].isnan().all() and not info.converged[0, 0]
    torch.testing.assert_close(x[1], clean[1])


def test_an_unfinished_solve_warns_once_and_says_what_to_change():
    scores, weights, options = arguments("2d", contrast=3)
    system = system_of(scores, weights, options)
    with pytest.warns(
        sc.ConvergenceWarning, match=r"solve: CG left 4 of 4 systems unsolved after 2"
    ) as seen:
        sc.solve(system, scores, sc.CG(max_iter=2))
    assert len(seen) == 1 and "accept=True" in str(seen[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _, info = sc.solve(system, scores, sc.CG(max_iter=2, accept=True))
    assert not info.converged.any()


def test_a_part_tied_to_its_seed_by_less_than_rounding_is_refused_by_superlu():
    weak = torch.tensor([[1.0, 1e-111, 1.0, 1.0]], dtype=torch.float64)
    chain = sc.GridSystem([weak], ground=torch.zeros_like(weak[:, [0, 1, 2, 3, 3]]))
    seeds = torch.tensor([[True, False, False, False, False]])
    held, rhs = chain.with_seeds(seeds, torch.ones(1, 1, 5).double())
    with pytest.raises(ValueError, match="sample 0 is singular in float64"):
        sc.solve(held, rhs, sc.SuperLU())


def test_a_direct_solver_notices_an_answer_that_is_wrong(monkeypatch):
    """By one part in a hundred, which no rounding excuses: `converged` says so."""
    from softcut_lib.solvers import fronts_cpu, superlu

    scores, weights, options = arguments("2d")
    system = system_of(scores, weights, options)
    right, answer = superlu._substitute, fronts_cpu.FrontCircuit.answer

    def wrong(circuit, rhs, *rest):
        x, (_, size, _) = answer(circuit, rhs, *rest)
        x = 1.01 * x
        left = (rhs - system @ x).flatten(2).norm(dim=2)
        return x, (left, size, x.flatten(2).norm(dim=2))

    monkeypatch.setattr(superlu, "_substitute", lambda *given: 1.01 * right(*given))
    monkeypatch.setattr(fronts_cpu.FrontCircuit, "answer", wrong)
    for solver in (sc.SuperLU(), sc.Direct()):
        with pytest.warns(sc.ConvergenceWarning, match="left 4 of 4 systems unsolved after 0"):
            _, info = sc.solve(system, scores, solver)
        torch.testing.assert_close(info.residual, torch.full((2, 2), 0.01).double())


def test_direct_solvers_refuse_what_they_cannot_factor():
    shapes = ((1, 2, 3), (1, 3, 2))
    there = sc.GridSystem([torch.ones(s, device="meta") for s in shapes], check=False)
    for solver in (sc.SuperLU(), sc.Direct(kernel="fused")):
        with pytest.raises(ValueError, match=r"runs on the CPU, got .* on meta"):
            solver.factor(there)
    broken = [torch.ones(2, 2, 3), torch.ones(2, 3, 2)]
    broken[0][1, 0, 0] = float("inf")
    with pytest.raises(ValueError, match="must be finite to be factored, sample 1 is not"):
        sc.SuperLU().factor(sc.GridSystem(broken, check=False))


def test_an_answer_of_any_size_needs_a_residual_below_one_percent():
    """A huge x would excuse any residual by its rounding errors alone."""
    from softcut_lib.solvers.interface import true_residual

    system = sc.GridSystem([torch.ones(1, 3, dtype=torch.float64)])
    rhs = random(1, 1, 4)
    residual, rounding = true_residual(system, rhs, 1e30 * random(1, 1, 4, seed=1))
    assert residual > 1e20 and rounding == 0.01
    assert true_residual(system, rhs, rhs / 0)[0] == torch.inf


def test_float32_at_its_floor_counts_as_converged():
    scores, weights, options = arguments("2d", contrast=6, dtype=torch.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _, info = sc.solve(system_of(scores, weights, options), scores, sc.CG(tol=1e-9))
    assert info.residual.max() > 1e-9 and info.converged.all()


def test_a_factor_is_reused_and_belongs_to_its_system():
    scores, weights, options = arguments("2d-diagonals", per_label=True)
    system = system_of(scores, weights, options)
    factor = sc.SuperLU().factor(system)
    for seed in (1, 2):
        rhs = random(*scores.shape, seed=seed)
        torch.testing.assert_close(system @ factor(system, rhs)[0], rhs)
    other = sc.GridSystem(arguments("2d")[1])
    with pytest.raises(ValueError, match="solves the system it was made from"):
        factor(other, random(2, 2, 4, 5))
    with pytest.raises(ValueError, match="solves the system it was made from"):
        four = sc.GridSystem(weights[:2])  # the same grid, without the diagonals
        factor(four, scores)


def test_any_callable_plugs_in():
    scores, weights, options = arguments("2d")
    system = system_of(scores, weights, options)
    info = sc.CG()(system, scores)[1]

    def mine(system, rhs):
        A = torch.stack([dense(system, b) for b in range(system.batch)])
        return torch.linalg.solve(A, rhs.flatten(2).mT).mT.view_as(rhs), info

    x, seen = sc.solve(system, scores, mine)
    assert seen is info
    torch.testing.assert_close(system @ x, scores)


REFUSALS = {
    "tol": (lambda: sc.CG(tol=0), "tol must be a finite number above 0, got 0"),
    "max_iter": (lambda: sc.CG(max_iter=0), "max_iter must be an integer of at least 1"),
    "preconditioner": (
        lambda: sc.CG(preconditioner="ilu"),
        "preconditioner must be 'jacobi' or None",
    ),
    "start": (lambda: sc.CG(start="ones"), "start must be 'zero' or 'rhs', got 'ones'"),
    "stop": (lambda: sc.CG(stop="never"), "stop must be 'relative' or 'published'"),
    "accept": (lambda: sc.CG(accept=2), "accept must be True or False, got 2"),
    "red_black": (lambda: sc.CG(red_black=1), "red_black must be 'auto' or True or False, got 1"),
    "kernel": (lambda: sc.CG(kernel="fast"), "kernel must be 'auto' or 'torch' or 'fused'"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_options_are_checked_when_made(case):
    make, message = REFUSALS[case]
    with pytest.raises(ValueError, match=message):
        make()
    with pytest.raises(TypeError, match="unexpected keyword"):
        sc.CG(tolerance=1e-3)


@every_solver
def test_a_right_hand_side_that_does_not_fit_is_refused(name):
    scores, weights, _ = arguments("2d")
    system = sc.GridSystem(weights)
    for rhs, error, message in [
        (scores[:, 0], ValueError, r"rhs must have shape \(B, L, \*grid\)"),
        (scores[:1], ValueError, "with B = 2"),
        (scores.float(), TypeError, "rhs must have the dtype of the system"),
        (scores.long(), TypeError, "rhs must be float32 or float64"),
        (scores.numpy(), TypeError, "rhs must be a torch.Tensor, got ndarray"),
        (scores[:0], ValueError, "rhs must hold at least one sample, label and pixel"),
        (scores[:, :0], ValueError, "rhs must hold at least one sample, label and pixel"),
    ]:
        with pytest.raises(error, match=message):
            sc.solve(system, rhs, SOLVERS[name])
    with pytest.raises(TypeError, match="system must be a GridSystem"):
        sc.solve(weights, scores, SOLVERS[name])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("kind", GRIDS)
def test_cuda_agrees_with_the_cpu(kind):
    scores, weights, options = arguments(kind)
    system = system_of(scores, weights, options)
    ground = options["ground"].cuda()
    there = sc.GridSystem(
        [w.cuda() for w in weights],
        offsets=options["offsets"],
        ground=ground,
        grid=scores.shape[2:],
    )
    x, info = sc.solve(there, scores.cuda(), sc.CG(tol=1e-12))
    expected, _ = sc.solve(system, scores, sc.CG(tol=1e-12))
    assert info.kernel in KERNELS and x.is_cuda
    torch.testing.assert_close(x.cpu(), expected, rtol=1e-9, atol=1e-10)
    with pytest.raises(ValueError, match="runs on the CPU"):
        sc.solve(there, scores.cuda(), sc.SuperLU())


def test_solving_leaves_the_number_of_threads_alone():
    """numba's pool sets OpenMP's count for the whole process when it starts."""
    code = (
        "import torch, softcut_lib as sc; torch.set_num_threads(1);"
        "sc.soft_cut(torch.ones(2, 1, 3, 3), [torch.ones(2, 2, 3), torch.ones(2, 3, 2)]);"
        "print(torch.get_num_threads())"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout.strip() == "1", run.stderr
