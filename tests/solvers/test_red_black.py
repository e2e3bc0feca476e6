"""Conjugate gradients on every second pixel: the reduced circuit, and what it must not change."""

import networkx as nx
import numpy as np
import pytest
import torch

import softcut_lib as sc
from softcut_lib.circuits import reduction
from softcut_lib.solvers.red_black import RedBlack
from tests.grids import arguments, dense, random, system_of
from tests.solvers.test_flat import threads  # noqa: F401

SIZES = [(2, 2), (2, 3), (3, 2), (5, 7), (6, 8), (7, 6), (4, 9)]
every_size = pytest.mark.parametrize("grid", SIZES)


def system_on(grid, *, batch=2, labels=None, contrast=1.0, dtype=torch.float64):
    lead = (batch,) if labels is None else (batch, labels)
    weights = [
        torch.exp(contrast * random(*lead, *sc.edge_shape(grid, o), seed=k)).to(dtype)
        for k, o in enumerate(sc.axis_offsets(2))
    ]
    ground = (0.2 + random(*lead, *grid, seed=9).abs()).to(dtype)
    return sc.GridSystem(weights, ground=ground)


def is_red(grid):
    return torch.arange(grid[0])[:, None].add(torch.arange(grid[1])).remainder(2) == 0


def reduced_matrix(system):
    """(dense matrix of the first reduced circuit, its nodes in the order of the red pixels)."""
    links, strides, ground, margin = RedBlack(system).reduced
    n = ground.shape[1]
    A = np.diag(ground[0])
    for k, stride in enumerate(strides):
        for i, w in enumerate(links[0, k, margin : margin + n]):
            if w:
                A[np.ix_((i, i + stride), (i, i + stride))] += w * np.array([[1, -1], [-1, 1]])
    h, w = system.grid
    nodes = [(i * (w | 1) + j) // 2 for i in range(h) for j in range(w) if (i + j) % 2 == 0]
    return A, nodes


@every_size
def test_the_reduced_circuit_is_the_schur_complement(grid):
    system = system_on(grid)
    A, red = dense(system), is_red(grid).flatten()
    schur = A[red][:, red] - A[red][:, ~red] @ A[~red][:, ~red].inverse() @ A[~red][:, red]
    K, nodes = reduced_matrix(system)
    torch.testing.assert_close(torch.from_numpy(K[np.ix_(nodes, nodes)]), schur)
    others = np.setdiff1d(np.arange(len(K)), nodes)
    assert (K[np.ix_(others, others)] == np.eye(len(others))).all(), "beyond the grid: ground 1"
    assert not K[np.ix_(others, nodes)].any()


def test_the_reduced_circuit_is_that_of_kron_reduction():
    system = system_on((5, 6), batch=1)
    circuit = sc.grid_circuit(torch.zeros(5, 6), system.weights, ground=system.ground[0])
    keep = [node for node in circuit if node != reduction.GROUND and sum(node) % 2 == 0]
    reduced = sc.kron_reduce(circuit, keep)
    K, nodes = reduced_matrix(system)
    order = dict(zip(sorted(keep), nodes))
    for p, q, w in nx.Graph(reduced).edges(data="conductance"):
        if reduction.GROUND not in (p, q):
            assert K[order[p], order[q]] == pytest.approx(-w)


@every_size
@pytest.mark.parametrize("labels", [None, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_answer_is_that_of_every_pixel(grid, labels, dtype):
    system, rhs = system_on(grid, labels=labels, dtype=dtype), random(2, 3, *grid).to(dtype)
    tol = 1e-12 if dtype == torch.float64 else 1e-6
    x, info = sc.CG(tol=tol)(system, rhs)
    expected, other = sc.CG(tol=tol, red_black=False)(system, rhs)
    assert info.kernel == "fused, red-black" and other.kernel == "fused"
    assert info.converged.all() and (info.iterations <= other.iterations).all()
    torch.testing.assert_close(x, expected, rtol=0, atol=20 * tol * float(expected.abs().max()))


def test_the_residual_reported_is_the_true_one():
    system, rhs = system_on((13, 14)), random(2, 2, 13, 14)
    x, info = sc.CG(tol=1e-3)(system, rhs)
    true = (rhs - system @ x).flatten(2).norm(dim=2) / rhs.flatten(2).norm(dim=2)
    torch.testing.assert_close(info.residual, true)
    torch.testing.assert_close(info.history[info.iterations, [[0, 0], [1, 1]], [[0, 1]] * 2], true)


@pytest.mark.parametrize("contrast, share", [(0.5, 0.55), (4.0, 0.45)])
def test_it_takes_half_the_steps_or_fewer(contrast, share):
    system, rhs = system_on((64, 63), contrast=contrast), random(2, 1, 64, 63)
    options = {"tol": 1e-8, "max_iter": 5000}
    few = sc.CG(**options)(system, rhs)[1].iterations
    many = sc.CG(**options, red_black=False)(system, rhs)[1].iterations
    assert (few <= share * many).all(), (few, many)


def test_bits_do_not_depend_on_threads_or_batch(threads):  # noqa: F811
    system, rhs = system_on((101, 90), batch=3), random(3, 2, 101, 90)
    threads(1)
    expected, info = sc.CG()(system, rhs)
    for count in (2, 3):
        threads(count)
        x, seen = sc.CG()(system, rhs)
        assert torch.equal(x, expected) and torch.equal(seen.history, info.history)
    one = sc.GridSystem([w[:1] for w in system.weights], ground=system.ground[:1])
    assert torch.equal(sc.CG()(one, rhs[:1])[0], expected[:1])


def test_pixels_without_neighbors_or_without_ground():
    C, R = torch.ones(1, 3, 4), torch.ones(1, 4, 3)
    for i, j in ((1, 2), (0, 0)):  # one black and one red pixel on their own
        for w in (C[0, max(i - 1, 0) : i + 1, j], R[0, i, max(j - 1, 0) : j + 1]):
            w.zero_()
    ground = torch.ones(1, 4, 4)
    ground[0, 3, 2] = 0  # a black pixel that only its neighbors hold
    system, rhs = sc.GridSystem([C, R], ground=ground), random(1, 1, 4, 4).float()
    x, info = sc.CG(tol=1e-6)(system, rhs)
    assert info.converged.all()
    assert x[0, 0, 1, 2] == rhs[0, 0, 1, 2] and x[0, 0, 0, 0] == rhs[0, 0, 0, 0]
    torch.testing.assert_close(system @ x, rhs)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_not_finite_stays_with_its_sample(bad):
    system, rhs = system_on((6, 7)), random(2, 1, 6, 7)
    expected, _ = sc.CG()(system, rhs)
    rhs[0, 0, 2, 1] = bad
    x, info = sc.CG()(system, rhs)
    assert x[0].isnan().all() and not info.converged[0]
    assert torch.equal(x[1], expected[1])


def test_one_reduction_serves_all_passes(monkeypatch):
    made = []
    build = RedBlack.__init__
    monkeypatch.setattr(RedBlack, "__init__", lambda *args: (made.append(1), build(*args))[1])
    scores, weights, options = arguments("2d")
    leaves = [scores.requires_grad_(), *(w.requires_grad_() for w in weights)]
    x = sc.soft_cut(scores, weights, ground=options["ground"])
    first = torch.autograd.grad((x**2).sum(), leaves, create_graph=True)
    torch.autograd.grad(sum((g**2).sum() for g in first), leaves)
    assert len(made) == 1


def test_what_is_prepared_serves_its_own_system_alone():
    system, rhs = system_on((5, 6)), random(2, 1, 5, 6)
    prepared = sc.CG().prepare(system)
    assert torch.equal(prepared(system, rhs)[0], sc.CG()(system, rhs)[0])
    other = sc.GridSystem([2 * w for w in system.weights], ground=system.ground)
    with pytest.raises(ValueError, match="solves the system it was made from"):
        prepared(other, rhs)
    system.weights[0].mul_(2)
    with pytest.raises(ValueError, match="changed in place"):
        prepared(system, rhs)


def test_auto_leaves_other_grids_and_options_whole():
    for kind in ("2d-diagonals", "2d-row", "3d", "1d", "2d-long"):
        scores, weights, options = arguments(kind)
        assert sc.CG()(system_of(scores, weights, options), scores)[1].kernel == "fused"
    system, rhs = system_on((4, 5)), random(2, 1, 4, 5)
    for options in (
        {"preconditioner": None}, {"start": "rhs"}, {"stop": "published", "accept": True},
        {"kernel": "torch"},
    ):  # fmt: skip
        assert "red-black" not in sc.CG(**options)(system, rhs)[1].kernel


def test_red_black_where_it_cannot_be_is_refused():
    scores, weights, options = arguments("2d-diagonals")
    with pytest.raises(ValueError, match=r"red_black=True takes 2-D grids .* got offsets"):
        sc.CG(red_black=True)(system_of(scores, weights, options), scores)
    system, rhs = system_on((4, 5)), random(2, 1, 4, 5)
    with pytest.raises(ValueError, match='red_black=True .* got start="rhs"'):
        sc.CG(red_black=True, start="rhs")(system, rhs)
    with pytest.raises(ValueError, match="red_black must be 'auto' or True or False"):
        sc.CG(red_black="yes")


def test_backward_offsets_are_the_same_edges():
    system, rhs = system_on((5, 6)), random(2, 1, 5, 6)
    other = sc.GridSystem(system.weights, offsets=((-1, 0), (0, 1)), ground=system.ground)
    swapped = sc.GridSystem(system.weights[::-1], offsets=((0, -1), (1, 0)), ground=system.ground)
    expected, _ = sc.CG()(system, rhs)
    for same in (other, swapped):
        assert torch.equal(sc.CG(red_black=True)(same, rhs)[0], expected)
