"""Chapter 5's from-scratch code against the library and the theorems."""

from dataclasses import replace
from itertools import islice

import pytest
import torch

import softcut_lib as sc
from softcut_lib.theorems import conjugate as theorem
from tests.notebooks.scratch import load_scratch, read_notebook


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


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [(20, 24), (1, 7), (6, 1)])
def test_two_passes_are_the_library_s(chapter, generator, size, dtype):
    h, w = size
    shapes = ((h - 1, w), (h, w - 1))
    weights = [5 * torch.rand(1, *s, generator=generator, dtype=dtype) for s in shapes]
    ground = 0.5 + torch.rand(1, h, w, generator=generator, dtype=dtype)
    system = sc.GridSystem(weights, ground=ground)
    rhs = torch.randn(1, 1, h, w, generator=generator, dtype=dtype)
    ours, steps = chapter.fused_cg(system, rhs, tol=1e-6)
    library, info = sc.solve(system, rhs, sc.CG(tol=1e-6, red_black=False))
    assert abs(steps - int(info.iterations)) <= 1
    torch.testing.assert_close(ours, library, rtol=1e-4, atol=1e-5)
    for k in range(4):
        ours, steps = chapter.fused_cg(system, rhs, tol=1e-30, max_iter=k)
        assert steps == min(k, rhs.numel())
        if k:
            budget = sc.CG(tol=1e-30, max_iter=k, accept=True, red_black=False)
            torch.testing.assert_close(ours, budget(system, rhs)[0], rtol=1e-4, atol=1e-5)


def test_nothing_to_solve_takes_no_step(chapter):
    system = sc.GridSystem([torch.ones(1, 2, 3), torch.ones(1, 3, 2)])
    x, steps = chapter.fused_cg(system, torch.zeros(1, 1, 3, 3))
    assert steps == 0 and not x.any()


def test_traffic_counts_what_is_read_written_and_looked_at(chapter):
    a, b = torch.ones(10), torch.ones(10)
    with chapter.Traffic() as traffic:
        c = a + b  # 30 numbers
        c[2:5].mul_(2)  # a view, and 3 read, the factor apart, and 3 written in place
        float(c.sum())  # 10 read, 1 written, and a look
    assert traffic.launched == 3 and traffic.looked == 1
    assert traffic.moved == 4 * (30 + 6 + 11)


def test_two_passes_move_as_many_arrays_as_the_library_says():
    from softcut_lib.solvers.flat import bytes_per_step

    system = sc.GridSystem([torch.ones(1, 5, 7), torch.ones(1, 6, 6)])
    assert bytes_per_step(system) == 14 * 42 * 4


@pytest.mark.parametrize("steps", [1, 16, 17])
def test_launches_are_those_of_the_cuda_loop(chapter, generator, monkeypatch, steps):
    pytest.importorskip("triton")
    from softcut_lib.solvers import kernels_cuda, launch_cuda

    class Counted:
        def __init__(self, kernel):
            self.kernel = kernel

        def __getitem__(self, programs):
            launched.append(self.kernel)
            return self.kernel[programs]

    launched, looks, look = [], [], launch_cuda._Machine.look
    for name in ("begin", "aim", "advance", "descend", "measure"):
        monkeypatch.setattr(kernels_cuda, name, Counted(getattr(kernels_cuda, name)))
    monkeypatch.setattr(launch_cuda._Machine, "look", lambda m: looks.append(0) or look(m))
    device = "cuda" if torch.cuda.is_available() else "cpu"  # the interpreter's
    weights = [torch.rand(2, *s, generator=generator).to(device) for s in ((4, 6), (5, 5))]
    rhs = torch.randn(2, 3, 5, 6, generator=generator).to(device)
    options = sc.CG(tol=1e-30, max_iter=steps, accept=True, red_black=False)
    taken, *_ = launch_cuda.run(sc.GridSystem(weights), rhs, torch.zeros_like(rhs), options)
    assert (taken == steps).all()
    assert (len(launched), len(looks)) == chapter.launches(steps)
    assert chapter.launches.__defaults__ == (launch_cuda.LOOK,)


def test_the_first_lines_say_whether_a_gpu_has_run():
    """Once there are recorded figures of a GPU, the page must no longer deny them."""
    from softcut_lib.show import read_gpu_benchmarks

    first = "".join(cell.source for cell in read_notebook("05_conjugate_gradients").cells[:2])
    assert ("No GPU has run" in first) == (read_gpu_benchmarks() is None)
