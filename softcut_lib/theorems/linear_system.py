"""Theorems about the linear system A x = scores of chapter 3, thesis eqs. 14-16 and 22-23.

Statements about the matrix take a `GridSystem` (every matrix of its batch) or one plain matrix,
dense or sparse, whose ground is then 1. Statements about the answer take a function
``solve(system, scores) -> x``, statements about the assembly a function that builds the matrix.
"""

from itertools import product

import numpy as np
import scipy.sparse
import torch

from softcut_lib.grid import edges as grid_edges
from softcut_lib.grid.system import GridSystem


def random_system(
    grid, *, generator, offsets=None, batch=2, labels=None, grounded=False, dtype=torch.float64
):
    """Random weights over four decades, a tenth of them 0, and ground 1, or random if `grounded`.

    `labels` gives each label weights of its own.
    """
    offsets = grid_edges.axis_offsets(len(grid)) if offsets is None else offsets
    front = (batch,) if labels is None else (batch, labels)
    weights = []
    for offset in offsets:
        shape = (*front, *grid_edges.edge_shape(grid, offset))
        w = torch.randn(shape, generator=generator, dtype=dtype).mul(1.5).exp()
        kept = torch.rand(shape, generator=generator, dtype=dtype) > 0.1
        weights.append(w * kept)
    ground = None
    if grounded:
        ground = 0.2 + 2 * torch.rand((*front, *grid), generator=generator, dtype=dtype)
    return GridSystem(weights, offsets=offsets, ground=ground, grid=grid)


def random_scores(system, *, generator, labels=2):
    """Normal scores (B, L, *grid) that fit a system."""
    shape = (system.batch, system.labels or labels, *system.grid)
    return torch.randn(shape, generator=generator, dtype=system.dtype)


def energy(system, scores, x):
    """1/2 sum ground x^2 - sum scores x + 1/2 sum w (x_q - x_p)^2, for each sample and label."""
    total = system.labeled(system.ground) * x.square() / 2 - scores * x
    total = total.flatten(2).sum(2)
    for w, offset in zip(system.weights, system.offsets):
        drop = grid_edges.jump(x, offset).square() / 2
        total = total + (system.labeled(w) * drop).flatten(2).sum(2)
    return total


def _matrices(system):
    """(matrix, ground) for every sample and label, dense."""
    if not isinstance(system, GridSystem):
        dense = system.toarray() if scipy.sparse.issparse(system) else np.asarray(system)
        yield dense, np.ones(len(dense))
        return
    ground = system.labeled(system.ground).detach().numpy()
    for b in range(system.batch):
        for label in range(system.labels or 1):
            g = ground[b, label if ground.shape[1] > 1 else 0].ravel()
            yield system.to_scipy(b, label).toarray(), g


def _close(arrived, expected, message, tol=1e-8):
    scale = max(1.0, float(abs(expected).max()))
    gap = float(abs(arrived - expected).max()) / scale
    assert gap <= tol, f"{message} (relative difference {gap:.2g})"


# The assembly


def _add_edge(matrix, k, l, weight):
    matrix[k, k] += weight
    matrix[l, l] += weight
    matrix[k, l] -= weight
    matrix[l, k] -= weight


def assembly_follows_eq_15(build, *, generator, grid=(3, 4)):
    """``build(C, R)``, C (h-1, w) and R (h, w-1), returns eq. 15 entry by entry."""
    h, w = grid
    C = torch.rand(h - 1, w, generator=generator, dtype=torch.float64)
    R = torch.rand(h, w - 1, generator=generator, dtype=torch.float64)
    expected, flat = np.eye(h * w), np.arange(h * w).reshape(h, w)
    for i, j in product(range(h - 1), range(w)):
        _add_edge(expected, flat[i, j], flat[i + 1, j], float(C[i, j]))
    for i, j in product(range(h), range(w - 1)):
        _add_edge(expected, flat[i, j], flat[i, j + 1], float(R[i, j]))
    _compare_entries(build(C, R), expected, grid)


def assembly_follows_eq_22(build, *, generator, grid=(2, 3, 4), offsets=None):
    """``build(weights)``, one tensor (*edge_shape) per offset, returns eq. 22 entry by entry."""
    offsets = grid_edges.axis_offsets(len(grid)) if offsets is None else offsets
    flat, weights = np.arange(np.prod(grid)).reshape(grid), []
    expected = np.eye(flat.size)
    for offset in offsets:
        shape = grid_edges.edge_shape(grid, offset)
        w = torch.rand(shape, generator=generator, dtype=torch.float64)
        for index in product(*map(range, shape)):
            tail = tuple(i + max(-o, 0) for i, o in zip(index, offset))
            head = tuple(i + o for i, o in zip(tail, offset))
            _add_edge(expected, flat[tail], flat[head], float(w[index]))
        weights.append(w)
    _compare_entries(build(weights), expected, grid)


def _compare_entries(matrix, expected, grid):
    arrived = next(_matrices(matrix))[0]
    assert arrived.shape == expected.shape, (
        f"the grid {tuple(grid)} has {len(expected)} pixels, so A must be {expected.shape}, got "
        f"{arrived.shape}"
    )
    gap = abs(arrived - expected)
    k, l = np.unravel_index(int(gap.argmax()), gap.shape)
    if not gap[k, l] <= 1e-10:
        where = [tuple(int(i) for i in np.unravel_index(n, grid)) for n in (k, l)]
        hint = "does every edge enter both of its rows with a minus sign?"
        if k == l:
            hint = "it is 1 plus the weights of the pixel's own edges; none leaves the image"
        raise AssertionError(
            f"A[{k}, {l}], row of pixel {where[0]} and column of pixel {where[1]}, must be "
            f"{expected[k, l]:.4f}, got {arrived[k, l]:.4f}: {hint}"
        )


def product_is_the_matrix(system, *, generator):
    """``system @ x``, never assembled, is the assembled matrix times x."""
    x = random_scores(system, generator=generator)
    arrived = (system @ x).flatten(2).numpy()
    for b, label in product(range(system.batch), range(x.shape[1])):
        matrix = system.to_scipy(b, label if system.labels else 0)
        expected = matrix @ x[b, label].flatten().numpy()
        _close(arrived[b, label], expected, "system @ x must be the assembled matrix times x")


# The matrix


def matrix_is_symmetric(system):
    """Theorem 2.1: A = A'."""
    for matrix, _ in _matrices(system):
        gap = abs(matrix - matrix.T)
        k, l = np.unravel_index(int(gap.argmax()), gap.shape)
        assert gap[k, l] == 0, (
            f"A must equal its transpose (theorem 2.1), but A[{k}, {l}] = {matrix[k, l]:.4g} and "
            f"A[{l}, {k}] = {matrix[l, k]:.4g}: an edge belongs to the rows of both its pixels"
        )


def matrix_is_positive_definite(system, *, generator):
    """Theorem 2.2: positive diagonal, strict diagonal dominance, and so x'Ax > 0 for x != 0."""
    for matrix, _ in _matrices(system):
        diagonal = matrix.diagonal()
        assert (diagonal > 0).all(), (
            f"the diagonal must be positive, its smallest entry is {diagonal.min():.4g}: dominance "
            "alone does not make a matrix positive definite (think of A = -I)"
        )
        others = abs(matrix).sum(1) - diagonal
        k = int((diagonal - others).argmin())
        assert diagonal[k] > others[k], (
            f"row {k} must be strictly dominant, got diagonal {diagonal[k]:.4g} against "
            f"{others[k]:.4g} for the rest: the ground's conductance is the difference"
        )
        shape = (16, len(matrix))
        x = torch.randn(shape, generator=generator, dtype=torch.float64).numpy()
        low = np.einsum("si,ij,sj->s", x, matrix, x).min()
        assert low > 0, f"x'Ax must be positive for every x != 0, got {low:.4g}"
        np.linalg.cholesky((matrix + matrix.T) / 2)


def spectrum_is_bounded(system):
    """Every eigenvalue lies between min(ground) and max(ground + 2 * sum of a pixel's weights).

    With ground 1 and weights up to w on 4 neighbors that is [1, 1 + 8 w], and 1 is attained.
    """
    for matrix, ground in _matrices(system):
        values = np.linalg.eigvalsh(matrix)
        degree = abs(matrix).sum(1) - abs(matrix.diagonal())
        low, high = ground.min(), (ground + 2 * degree).max()
        slack = 1e-9 * high
        assert values[0] >= low - slack and values[-1] <= high + slack, (
            f"eigenvalues must lie in [{low:.4g}, {high:.4g}], got [{values[0]:.4g}, "
            f"{values[-1]:.4g}]: is every row's sum its ground?"
        )
        if ground.max() == ground.min():
            message = "the constant image is an eigenvector, so the ground is an eigenvalue"
            _close(values[0], ground.min(), message)


def inverse_is_nonnegative(system):
    """No score ever lowers a voltage: all entries of A^-1 are at least 0."""
    for matrix, _ in _matrices(system):
        low = np.linalg.inv(matrix).min()
        assert low > -1e-12, (
            f"A^-1 must have no negative entry, got {low:.4g}: off-diagonal entries of A must be "
            "-w with w >= 0"
        )


def inverse_is_doubly_stochastic(system):
    """With ground 1 the rows and the columns of A^-1 sum to 1: each answer is an average.

    In general the rows of A^-1 diag(ground) do, and the columns of diag(ground) A^-1.
    """
    inverse_is_nonnegative(system)
    for matrix, ground in _matrices(system):
        inverse = np.linalg.inv(matrix)
        for name, sums in (("rows", inverse @ ground), ("columns", ground @ inverse)):
            message = (
                f"{name} of A^-1, weighted by the ground, must sum to 1: A 1 must be the ground"
            )
            _close(sums, np.ones_like(sums), message)


# The answer


def answer_solves_the_system(solve, system, *, generator):
    """A x = scores, pixel by pixel, with the assembled matrix."""
    scores = random_scores(system, generator=generator)
    x = solve(system, scores).flatten(2).numpy()
    for b, label in product(range(system.batch), range(x.shape[1])):
        matrix = system.to_scipy(b, label if system.labels else 0)
        expected = scores[b, label].flatten().numpy()
        _close(matrix @ x[b, label], expected, "A x must give the scores back", 1e-7)


def answer_obeys_maximum_principle(solve, system, *, generator):
    """min(scores / ground) <= x <= max(scores / ground), for every sample and label."""
    scores = random_scores(system, generator=generator)
    x = solve(system, scores)
    own = (scores / system.labeled(system.ground)).flatten(2)
    low, high = own.amin(2), own.amax(2)
    over = torch.maximum(x.flatten(2).amax(2) - high, low - x.flatten(2).amin(2)).max()
    assert over <= 1e-8, (
        f"an average stays in the range of what it averages, but x leaves it by {float(over):.3g}"
    )


def constants_are_kept(solve, system, *, generator):
    """Scores c * ground give x = c: with ground 1, constant scores stay as they are."""
    c = torch.randn(1, generator=generator, dtype=system.dtype)
    scores = (c * system.labeled(system.ground)).expand(
        system.batch, system.labels or 1, *system.grid
    )
    message = "where all voltages are equal no current flows between pixels, so x = scores / ground"
    _close(solve(system, scores), c.expand_as(scores), message)


def mean_is_kept(solve, system, *, generator):
    """sum ground x = sum scores: all the current that enters leaves to the ground."""
    scores = random_scores(system, generator=generator)
    leaving = (system.labeled(system.ground) * solve(system, scores)).flatten(2).sum(2)
    message = "the sum over pixels of ground * x must be the sum of the scores"
    _close(leaving, scores.flatten(2).sum(2), message)


def answer_is_linear(solve, system, *, generator):
    """A^-1 (a s + t) = a A^-1 s + A^-1 t: no temperature, no threshold."""
    s, t = (random_scores(system, generator=generator) for _ in range(2))
    a = 3 * torch.randn(1, generator=generator, dtype=system.dtype)
    message = "the answer must depend linearly on the scores"
    _close(solve(system, a * s + t), a * solve(system, s) + solve(system, t), message)


def answer_is_monotone(solve, system, *, generator):
    """Raising some scores lowers no answer, and raises it where they were raised."""
    scores = random_scores(system, generator=generator)
    raised = torch.rand(scores.shape, generator=generator, dtype=scores.dtype) < 0.2
    change = solve(system, scores + raised) - solve(system, scores)
    low = float(change.min())
    assert low >= -1e-8, f"raising a score must not lower an answer, one fell by {-low:.3g}"
    assert bool((change[raised] > 0).all()), "raising a score must raise that pixel's own answer"


def answer_minimizes_energy(solve, system, *, generator):
    """x minimizes 1/2 sum ground x^2 - sum scores x + 1/2 sum w (x_q - x_p)^2."""
    scores = random_scores(system, generator=generator)
    x = solve(system, scores)
    lowest = energy(system, scores, x)
    for size in (1.0, 0.1, 0.01):
        noise = torch.randn(x.shape, generator=generator, dtype=x.dtype)
        for step in (noise, torch.ones_like(x), noise.sign() * (noise.abs() > 1.5), x):
            for moved in (x + size * step, x - size * step):
                gain = float((lowest - energy(system, scores, moved)).max())
                assert gain <= 1e-10, (
                    f"x must have the lowest energy, a step of {size} gains {gain:.3g}"
                )
