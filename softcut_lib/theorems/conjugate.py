"""What conjugate gradients promise, held in float64 on small random grids (chapter 5).

With e_k = x - x_k the error after k steps, kappa the condition number and ||e||_A^2 = e'A e:

    x_k minimizes ||e||_A over x_0 + span{r_0, A r_0, .., A^(k-1) r_0},
    ||e_k||_A <= 2 ((sqrt kappa - 1) / (sqrt kappa + 1))^k ||e_0||_A,   e_n = 0 on n pixels.

The thing under test is a function ``iterate(system, rhs, k)``: the x that k steps reach from zero,
without a preconditioner. `steps_of` makes one from options of the library's `CG`.
"""

import torch

from softcut_lib.grid.edges import edge_shape
from softcut_lib.grid.system import GridSystem
from softcut_lib.solvers.conjugate import CG


def steps_of(**options):
    """``iterate(system, rhs, k)`` for the library's CG with the given options."""
    options = {"preconditioner": None, "tol": 1e-15, "accept": True} | options

    def iterate(system, rhs, k):
        if k == 0:
            return torch.zeros_like(rhs)
        return CG(max_iter=k, **options)(system, rhs)[0]

    return iterate


def error_decreases(iterate, *, generator, grid=(6, 7), contrast=30.0, steps=12):
    """||x - x_k||_A gets smaller in every step."""
    matrix, x, iterates = _run(iterate, generator, grid, contrast, steps)
    sizes = [_energy(matrix, x - xk) for xk in iterates]
    for k in range(steps):
        assert sizes[k + 1] < sizes[k], (
            f"the A-norm of the error must shrink in every step; step {k + 1} took it from "
            f"{sizes[k]:.6g} to {sizes[k + 1]:.6g}. Is the step alpha = r'r / p'Ap, and the next "
            "direction r plus (not minus) beta p?"
        )


def residuals_are_orthogonal(iterate, *, generator, grid=(6, 7), contrast=10.0, steps=8):
    """<r_i, r_j> = 0 for i != j."""
    matrix, x, iterates = _run(iterate, generator, grid, contrast, steps)
    residuals = torch.stack([matrix @ (x - xk) for xk in iterates])
    _orthogonal(
        residuals,
        residuals,
        "residuals r_{} and r_{} must be orthogonal, their cosine is {:.2g}; is beta the new r'r "
        "over the old one, with a plus?",
    )


def directions_are_conjugate(iterate, *, generator, grid=(6, 7), contrast=10.0, steps=8):
    """<p_i, A p_j> = 0 for i != j, p_k being the way from x_k to x_(k+1)."""
    matrix, _, iterates = _run(iterate, generator, grid, contrast, steps)
    moves = torch.stack([b - a for a, b in zip(iterates, iterates[1:], strict=False)])
    _orthogonal(
        moves,
        moves @ matrix,
        "steps {} and {} must be conjugate (p'A q = 0), their A-cosine is {:.2g}; steepest descent "
        "is not conjugate: is the old direction kept, r + beta p?",
    )


def minimizes_over_krylov(iterate, *, generator, grid=(4, 5), contrast=10.0, steps=5):
    """x_k has the smallest A-norm error of all points in the k-th Krylov space."""
    matrix, x, iterates = _run(iterate, generator, grid, contrast, steps)
    root = torch.linalg.cholesky(matrix).T
    basis = (matrix @ x)[:, None]
    for k in range(1, steps + 1):
        basis, _ = torch.linalg.qr(basis)
        best = torch.linalg.lstsq(root @ basis, root @ x).solution
        least, arrived = _energy(matrix, x - basis @ best), _energy(matrix, x - iterates[k])
        assert arrived <= least * (1 + 1e-6) + 1e-12, (
            f"after {k} steps the A-norm of the error must be the least that {k} products with A "
            f"can reach, {least:.6g}; got {arrived:.6g}. Did the run start at zero, and does every "
            "step use alpha = r'r / p'Ap?"
        )
        basis = torch.cat((basis, matrix @ basis[:, -1:]), 1)


def ends_after_n_steps(iterate, *, generator, grid=(3, 3)):
    """n pixels take at most n steps; m different eigenvalues take at most m."""
    n = grid[0] * grid[1]
    matrix, x, iterates = _run(iterate, generator, grid, 3.0, n, only=n)
    _reached(matrix, x, iterates[-1], f"{n} pixels, after {n} steps")
    values = torch.tensor([1.0, 3.0, 8.0], dtype=torch.float64)
    ground = values[torch.arange(n) % 3].view(1, *grid)
    edges = [torch.zeros(1, *edge_shape(grid, o), dtype=torch.float64) for o in ((1, 0), (0, 1))]
    system = GridSystem(edges, ground=ground)
    rhs = torch.randn(1, 1, *grid, generator=generator, dtype=torch.float64)
    matrix, x = ground.flatten().diag(), (rhs / ground).flatten()
    _reached(matrix, x, iterate(system, rhs, 3).flatten(), "3 different eigenvalues, 3 steps")


def rate_bound(iterate, *, generator, grid=(6, 7), contrast=100.0, steps=30):
    """||e_k||_A <= 2 ((sqrt kappa - 1) / (sqrt kappa + 1))^k ||e_0||_A."""
    matrix, x, iterates = _run(iterate, generator, grid, contrast, steps)
    eigenvalues = torch.linalg.eigvalsh(matrix)
    root = float(eigenvalues[-1] / eigenvalues[0]) ** 0.5
    rate, first = (root - 1) / (root + 1), _energy(matrix, x)
    for k, xk in enumerate(iterates):
        bound, arrived = 2 * rate**k * first, _energy(matrix, x - xk)
        assert arrived <= bound * (1 + 1e-9) + 1e-13 * first, (
            f"after {k} steps at condition number {root**2:.4g} the error must be below "
            f"{bound:.4g}, got {arrived:.4g}; steepest descent only keeps the slower bound, "
            "with kappa in place of its root"
        )


def published_adjoint_is_one_step(adjoint, *, generator, grid=(6, 7), labels=2, contrast=3.0):
    """adjoint(system, g) = g + alpha (g - A g), alpha = r'r / r'A r, r = g - A g, per label.

    This is the thesis' backward pass on a small gradient such as Dice's: one step from g itself.
    """
    system, g = _system(generator, grid, contrast, labels)
    g = 1e-6 * g
    expected = one_step_from(system, g)
    arrived = adjoint(system, g)
    arrived = arrived[0] if isinstance(arrived, tuple) else arrived
    gap = float((arrived - expected).norm() / expected.norm())
    assert gap <= 1e-9, (
        "the published adjoint of a small gradient must be one CG step from g, without a "
        f"preconditioner: g + alpha (g - A g); got something {gap:.2g} away (relative). Does it "
        "start at zero, precondition, share alpha between labels, or stop before its first step?"
    )


def one_step_from(system, g):
    """The closed form of one CG step that starts at g: g + alpha r, r = g - A g."""
    r = g - system @ g
    axes = tuple(range(2, g.dim()))
    alpha = r.square().sum(axes, keepdim=True) / (r * (system @ r)).sum(axes, keepdim=True)
    return g + alpha * r


def _system(generator, grid, contrast, labels=1):
    """A random system whose conductances spread over a factor of contrast."""
    edges = []
    for offset in ((1, 0), (0, 1)):
        shape = (1, *edge_shape(grid, offset))
        edges.append(contrast ** torch.rand(shape, generator=generator, dtype=torch.float64))
    rhs = torch.randn(1, labels, *grid, generator=generator, dtype=torch.float64)
    return GridSystem(edges), rhs


def _run(iterate, generator, grid, contrast, steps, only=None):
    """(dense A, exact x, iterates x_0 .. x_steps), all flat."""
    system, rhs = _system(generator, grid, contrast)
    matrix = torch.from_numpy(system.to_scipy().toarray())
    x = torch.linalg.solve(matrix, rhs.flatten())
    chosen = range(steps + 1) if only is None else [only]
    return matrix, x, [iterate(system, rhs, k).flatten() for k in chosen]


def _energy(matrix, error):
    return float(error @ matrix @ error) ** 0.5


def _orthogonal(left, right, message, tol=1e-7):
    products = left @ right.T
    scale = products.diagonal().abs().sqrt()
    cosines = products / (scale[:, None] * scale[None])
    cosines.fill_diagonal_(0)
    worst = cosines.abs().argmax()
    i, j = (int(t) for t in torch.unravel_index(worst, cosines.shape))
    size = float(cosines[i, j].abs())
    assert size <= tol, message.format(i, j, size)


def _reached(matrix, x, arrived, when):
    gap = _energy(matrix, x - arrived) / _energy(matrix, x)
    assert gap <= 1e-8, (
        f"{when}: the answer must be exact up to rounding, a relative A-norm error of {gap:.2g} is "
        "left; is every new direction conjugate to the old ones?"
    )
