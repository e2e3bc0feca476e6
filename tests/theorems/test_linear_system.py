"""The linear system of chapter 3 has its properties, and wrong systems fail them."""

import numpy as np
import pytest
import torch

import softcut_lib as sc
from softcut_lib.theorems import linear_system as theorem

GRIDS = [(7,), (1,), (4, 5), (1, 6), (2, 3, 4)]
FULL = {d: (*sc.axis_offsets(d), *sc.diagonal_offsets(d)) for d in (1, 2, 3)}
SOLVERS = {
    "torch": sc.CG(tol=1e-13, kernel="torch"),
    "fused": sc.CG(tol=1e-13, kernel="fused"),
    "superlu": sc.SuperLU(),
}


def solve_with(name):
    return lambda system, scores: sc.solve(system, scores, SOLVERS[name])[0]


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(7)


@pytest.fixture(params=GRIDS, ids=str)
def grid(request):
    return request.param


@pytest.fixture(params=["axes", "all neighbors"])
def offsets(request, grid):
    return None if request.param == "axes" else FULL[len(grid)]


@pytest.fixture(params=["thesis", "per-label weights", "free ground"])
def system(request, grid, offsets, generator):
    options = {"per-label weights": {"labels": 3}, "free ground": {"grounded": True}}
    return theorem.random_system(
        grid, generator=generator, offsets=offsets, **options.get(request.param, {})
    )


# The assembly


@pytest.mark.parametrize("shape", [(3, 4), (4, 3), (1, 5), (5, 1), (1, 1)])
def test_assembly_is_eq_15(shape, generator):
    def build(C, R):
        return sc.GridSystem([C[None], R[None]]).to_scipy()

    theorem.assembly_follows_eq_15(build, generator=generator, grid=shape)


def test_assembly_is_eq_22(grid, offsets, generator):
    def build(weights):
        return sc.GridSystem([w[None] for w in weights], offsets=offsets, grid=grid).to_scipy()

    theorem.assembly_follows_eq_22(build, generator=generator, grid=grid, offsets=offsets)


def test_product_is_the_matrix(system, generator):
    theorem.product_is_the_matrix(system, generator=generator)


# The matrix


def test_symmetric(system):
    theorem.matrix_is_symmetric(system)


def test_positive_definite(system, generator):
    theorem.matrix_is_positive_definite(system, generator=generator)


def test_spectrum(system):
    theorem.spectrum_is_bounded(system)


def test_spectrum_of_the_thesis_system_ends_below_1_plus_8_w(generator):
    weights = [torch.rand(1, 5, 7, generator=generator), torch.rand(1, 6, 6, generator=generator)]
    values = np.linalg.eigvalsh(sc.GridSystem(weights).to_scipy().toarray())
    assert values[-1] <= 1 + 8 * max(float(w.max()) for w in weights)
    assert values[0] == pytest.approx(1, abs=1e-5)


def test_inverse(system):
    theorem.inverse_is_nonnegative(system)
    theorem.inverse_is_doubly_stochastic(system)


# The answer

STATEMENTS = [
    theorem.answer_solves_the_system,
    theorem.answer_obeys_maximum_principle,
    theorem.constants_are_kept,
    theorem.mean_is_kept,
    theorem.answer_is_linear,
    theorem.answer_is_monotone,
    theorem.answer_minimizes_energy,
]


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda f: f.__name__)
def test_answer(statement, system, generator):
    statement(solve_with("fused"), system, generator=generator)


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("name", ["torch", "superlu"])
def test_answer_of_every_solver(statement, name, generator):
    system = theorem.random_system((3, 5), generator=generator, labels=2, grounded=True)
    statement(solve_with(name), system, generator=generator)


def test_energy_of_one_edge_by_hand():
    system = sc.GridSystem([torch.tensor([[3.0]])])
    x, scores = torch.tensor([[[1.0, -1.0]]]), torch.tensor([[[2.0, 5.0]]])
    assert float(theorem.energy(system, scores, x)) == 0.5 * 2 - (2 - 5) + 0.5 * 3 * 4


# Wrong systems: every statement can fail


def assembled(C, R, edit=lambda A: None):
    A = sc.GridSystem([C[None], R[None]]).to_scipy().toarray()
    edit(A)
    return A


def one_sided(A):
    """An edge entered in one of its two rows only."""
    A[1, 0] = 0


def flipped(A):
    """Off-diagonal entries with a plus."""
    A[:] = 2 * np.diag(A.diagonal()) - A


def borderless(A):
    """An edge that leaves the image counted on the diagonal."""
    A[0, 0] += 0.5


def wrapped(A):
    """The end of a row joined to the start of the next."""
    A[3, 4] = A[4, 3] = -0.5


@pytest.mark.parametrize("edit", [one_sided, flipped, borderless, wrapped])
def test_wrong_assemblies_fail_eq_15(edit, generator):
    with pytest.raises(AssertionError, match="must be"):
        theorem.assembly_follows_eq_15(lambda C, R: assembled(C, R, edit), generator=generator)


@pytest.mark.parametrize("edit", [one_sided, flipped, borderless, wrapped])
def test_wrong_assemblies_fail_eq_22(edit, generator):
    def build(weights):
        return assembled(*weights, edit)

    with pytest.raises(AssertionError, match="must be"):
        theorem.assembly_follows_eq_22(build, generator=generator, grid=(3, 4))


def test_swapped_edges_fail_eq_15(generator):
    with pytest.raises(AssertionError, match="must be"):
        theorem.assembly_follows_eq_15(
            lambda C, R: assembled(R.T.contiguous(), C.T.contiguous()), generator=generator
        )


def test_entries_that_are_not_numbers_fail(generator):
    with pytest.raises(AssertionError, match="got nan"):
        theorem.assembly_follows_eq_15(lambda C, R: assembled(C, R) * np.nan, generator=generator)


def test_wrong_size_fails(generator):
    with pytest.raises(AssertionError, match="12 pixels"):
        theorem.assembly_follows_eq_15(lambda C, R: np.eye(11), generator=generator)


def a_matrix(edit, generator):
    C = torch.rand(2, 4, generator=generator, dtype=torch.float64)
    R = torch.rand(3, 3, generator=generator, dtype=torch.float64)
    return assembled(C, R, edit)


def test_one_sided_edge_is_not_symmetric(generator):
    with pytest.raises(AssertionError, match="both its pixels"):
        theorem.matrix_is_symmetric(a_matrix(one_sided, generator))


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda A: np.negative(A, out=A), "diagonal must be positive"),
        (lambda A: np.fill_diagonal(A, A.diagonal() - 1), "strictly dominant"),
        (lambda A: np.fill_diagonal(A, A.diagonal() - 1.1), "strictly dominant"),
    ],
)
def test_not_positive_definite(edit, message, generator):
    matrix = a_matrix(edit, generator)
    with pytest.raises(AssertionError, match=message):
        theorem.matrix_is_positive_definite(matrix, generator=generator)


def test_missing_border_moves_the_spectrum(generator):
    with pytest.raises(AssertionError, match="eigenvalue"):
        theorem.spectrum_is_bounded(a_matrix(borderless, generator))


def test_signs_of_a_bipartite_grid_do_not_show_in_the_spectrum(generator):
    C, R = torch.rand(3, 4, generator=generator), torch.rand(4, 3, generator=generator)
    values = np.linalg.eigvalsh(assembled(C, R))
    np.testing.assert_allclose(np.linalg.eigvalsh(assembled(C, R, flipped)), values, atol=1e-5)


def test_flipped_sign_makes_the_inverse_negative(generator):
    with pytest.raises(AssertionError, match="no negative entry"):
        theorem.inverse_is_nonnegative(a_matrix(flipped, generator))


def test_missing_border_makes_no_average(generator):
    with pytest.raises(AssertionError, match="sum to 1"):
        theorem.inverse_is_doubly_stochastic(a_matrix(borderless, generator))


def test_wrong_product_fails(generator):
    class Wrong(sc.GridSystem):
        def __matmul__(self, x):
            return super().__matmul__(x) + 1e-3 * x

    weights = [torch.ones(1, 2, 4), torch.ones(1, 3, 3)]
    with pytest.raises(AssertionError, match="system @ x"):
        theorem.product_is_the_matrix(Wrong(weights), generator=generator)


right = solve_with("superlu")
WRONG = {
    "answer_solves_the_system": lambda s, p: 1.01 * right(s, p),
    "answer_obeys_maximum_principle": lambda s, p: 2 * p - right(s, p),
    "constants_are_kept": lambda s, p: 1.01 * right(s, p),
    "mean_is_kept": lambda s, p: right(s, p) + 0.01,
    "answer_is_linear": lambda s, p: right(s, p).tanh(),
    "answer_is_monotone": lambda s, p: 2 * p - right(s, p),
    "answer_minimizes_energy": lambda s, p: 1.1 * right(s, p),
}


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda f: f.__name__)
def test_wrong_answers_fail(statement, generator):
    system = theorem.random_system((4, 5), generator=generator)
    with pytest.raises(AssertionError, match=r".{30}"):
        statement(WRONG[statement.__name__], system, generator=generator)


def test_loosely_converged_answer_fails(generator):
    system = theorem.random_system((8, 8), generator=generator)
    loose = sc.CG(tol=1e-2)
    with pytest.raises(AssertionError, match="give the scores back"):
        theorem.answer_solves_the_system(lambda s, p: loose(s, p)[0], system, generator=generator)
