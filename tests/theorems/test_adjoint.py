"""The adjoint's identities hold for the library and refuse plausible mistakes."""

import pytest
import torch

import softcut_lib as sc
from softcut_lib.grid.edges import jump
from softcut_lib.theorems import adjoint

TIGHT = {
    "superlu": sc.SuperLU(),
    "torch": sc.CG(tol=1e-13, kernel="torch"),
    "fused": sc.CG(tol=1e-13, kernel="fused"),
}
DIAGONALS = (*sc.axis_offsets(2), *sc.diagonal_offsets(2))


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def tight(solver):
    return lambda scores, weights, **options: sc.soft_cut(scores, weights, solver=solver, **options)


def wrong_backward(backward):
    """A 2-D cut of shared weights, exact forward, whose backward pass is the given function."""

    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx, scores, *weights):
            x, _ = sc.solve(sc.GridSystem(weights), scores, sc.SuperLU())
            ctx.save_for_backward(x, *weights)
            return x

        @staticmethod
        def backward(ctx, g):
            x, *weights = ctx.saved_tensors
            solution, _ = sc.solve(sc.GridSystem(weights), g, sc.SuperLU())
            edges = [-(jump(solution, o) * jump(x, o)).sum(1) for o in ((1, 0), (0, 1))]
            return backward(g, solution, x, edges)

    return lambda scores, weights: Wrong.apply(scores, *weights)


@pytest.mark.parametrize("solver", TIGHT.values(), ids=TIGHT)
@pytest.mark.parametrize("per_label", [False, True])
@pytest.mark.parametrize("offsets", [None, DIAGONALS], ids=["axes", "diagonals"])
def test_library_gradients(solver, per_label, offsets, generator):
    options = {"offsets": offsets, "ground": True, "per_label": per_label, "generator": generator}
    adjoint.gradient_is_finite_differences(tight(solver), **options)
    adjoint.gradient_is_the_formula(tight(solver), **options)


@pytest.mark.parametrize("grid", [(6,), (2, 3, 2), (1, 5)])
def test_library_gradients_in_other_dimensions(grid, generator):
    adjoint.gradient_is_finite_differences(
        tight(sc.SuperLU()), grid=grid, ground=True, generator=generator
    )


@pytest.mark.parametrize("solver", TIGHT.values(), ids=TIGHT)
def test_library_solves_and_second_order(solver, generator):
    adjoint.solve_is_self_adjoint(solver, generator=generator)
    adjoint.labels_add_up(tight(solver), generator=generator)
    adjoint.hessian_is_symmetric(tight(solver), generator=generator)
    adjoint.hessian_is_symmetric(
        tight(solver), labels=2, ground=True, per_label=True, generator=generator
    )


def test_the_right_backward_pass_is_accepted(generator):
    right = wrong_backward(lambda g, solution, x, edges: (solution, *edges))
    adjoint.gradient_is_finite_differences(right, generator=generator)
    adjoint.labels_add_up(right, generator=generator)


def no_border(edges):
    edges[0][:, -1] = 0
    return edges


WRONG = {
    "flipped sign": (lambda g, s, x, e: (s, *(-w for w in e)), "sign is flipped"),
    "each edge counted twice": (lambda g, s, x, e: (s, *(2 * w for w in e)), "multiplied by 2"),
    "mean over labels": (lambda g, s, x, e: (s, *(w / 2 for w in e)), "multiplied by 0.5"),
    "last row forgotten": (lambda g, s, x, e: (s, *no_border(e)), "border"),
    "no second solve": (lambda g, s, x, e: (g, *e), "A\\^-1 g"),
    "only the first label": (
        lambda g, s, x, e: (
            s,
            *(-(jump(s, o) * jump(x, o))[:, 0] for o in ((1, 0), (0, 1))),
        ),
        "the .* formula|finite difference",
    ),
}


@pytest.mark.parametrize(("backward", "reason"), WRONG.values(), ids=WRONG)
def test_wrong_gradients_are_refused(backward, reason, generator):
    cut = wrong_backward(backward)
    for identity in (adjoint.gradient_is_finite_differences, adjoint.gradient_is_the_formula):
        with pytest.raises(AssertionError, match=reason):
            identity(cut, generator=generator)


def test_wrong_sums_over_labels_are_refused(generator):
    mean = wrong_backward(lambda g, s, x, e: (s, *(w / s.shape[1] for w in e)))
    with pytest.raises(AssertionError, match="sum over labels"):
        adjoint.labels_add_up(mean, generator=generator)


def test_a_backward_pass_without_graph_is_refused(generator):
    detached = wrong_backward(lambda g, s, x, e: (s.detach(), *(w.detach() for w in e)))
    with pytest.raises(AssertionError):
        adjoint.hessian_is_symmetric(detached, generator=generator)


def test_edge_and_ground_formula(generator):
    def right(solution, x, offset):
        return -(jump(solution, offset) * jump(x, offset)).sum(1)

    for offset in ((1, 0), (0, 1), (1, -1)):
        adjoint.edge_formula(right, offset=offset, generator=generator)
    with pytest.raises(AssertionError, match="sign is flipped"):
        adjoint.edge_formula(lambda *a: -right(*a), generator=generator)
    with pytest.raises(AssertionError, match="shape"):
        adjoint.edge_formula(lambda s, x, o: -jump(s, o) * jump(x, o), generator=generator)
    adjoint.ground_formula(lambda s, x: -(s * x).sum(1), generator=generator)
    with pytest.raises(AssertionError, match="sign is flipped"):
        adjoint.ground_formula(lambda s, x: (s * x).sum(1), generator=generator)


def test_a_one_sided_border_is_not_self_adjoint(generator):
    def one_sided(system, rhs):
        out = torch.empty_like(rhs)
        for b in range(rhs.shape[0]):
            matrix = torch.from_numpy(system.to_scipy(b).toarray())
            matrix[0, 1] = 0  # the corner pixel ignores its neighbor
            for label in range(rhs.shape[1]):
                out[b, label] = torch.linalg.solve(matrix, rhs[b, label].flatten()).view(
                    rhs.shape[2:]
                )
        return out

    with pytest.raises(AssertionError, match="both of its pixels"):
        adjoint.solve_is_self_adjoint(one_sided, generator=generator)
