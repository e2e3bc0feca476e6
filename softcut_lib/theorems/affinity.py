"""Identities of the Gaussian affinities of chapter 14, and how exact an approximation is.

Each function takes the thing it speaks of, called as the library's own, and raises an
AssertionError that says what was expected and the likely reason.
"""

from typing import NamedTuple

import torch


class Accuracy(NamedTuple):
    """What `accuracy` measures; every number is free of a common factor of W."""

    filter_error: float
    degree_error: float
    gradient_cosine: float
    cut: float
    exact_cut: float


def accuracy(affinity, exact, maps):
    """How well an affinity stands in for the exact one, in what a loss makes of it.

    Args:
        affinity, exact: two affinities of the same images.
        maps: (B, L, *grid), the sets S^k; hard masks for the normalized cut of a segmentation.

    Returns:
        `Accuracy`: the relative error (root mean square) of the filtered maps W S / W 1; that of
        the degree after the best common factor; the cosine between the per-pixel gradients of the
        normalized cut, eq. 8; the normalized cut sum_k S'W(1 - S) / d'S by both, averaged over
        images.

    Example:
        >>> import torch, softcut_lib as sc
        >>> image = torch.linspace(0, 255, 600).reshape(1, 1, 20, 30)
        >>> exact = sc.DenseAffinity(image, sigma_color=15, sigma_space=100)
        >>> mask = (image > 100).float()
        >>> round(accuracy(exact, exact, torch.cat([mask, 1 - mask], 1)).gradient_cosine, 6)
        1.0
    """
    found, true = ((W.matmul(maps), W.degree) for W in (affinity, exact))
    return accuracy_of(found, true, maps)


def accuracy_of(found, true, maps):
    """`accuracy` from products and degrees at hand, at all pixels or at the same some of them.

    Args:
        found, true: (W S, W 1) by the approximation and exactly, (B, L, ...) and (B, 1, ...).
        maps: S at the same pixels.
    """
    found, true = (_figures(*W, maps.double()) for W in (found, true))
    factor = (found["degree"] * true["degree"]).sum() / found["degree"].square().sum()
    return Accuracy(
        filter_error=_relative(found["filtered"], true["filtered"]),
        degree_error=_relative(factor * found["degree"], true["degree"]),
        gradient_cosine=torch.cosine_similarity(
            found["gradient"].flatten(), true["gradient"].flatten(), dim=0
        ).item(),
        cut=found["cut"].item(),
        exact_cut=true["cut"].item(),
    )


def stands_in_for_the_exact_kernel(affinity, exact, maps, *, tolerance=0.1):
    """Filter error at most 0.06, gradient cosine at least 0.995, cut within the tolerance."""
    a = accuracy(affinity, exact, maps)
    assert a.filter_error <= 0.06, f"W S / W 1 must be right to 6 %, got {a.filter_error:.1%}"
    assert a.gradient_cosine >= 0.995, (
        f"the gradient of the normalized cut must point the same way, got cosine "
        f"{a.gradient_cosine:.4f}"
    )
    off = abs(a.cut - a.exact_cut)
    assert off <= tolerance * a.exact_cut, (
        f"the normalized cut must be within {tolerance:.0%} of {a.exact_cut:.4f}, got {a.cut:.4f}"
    )


def elevation_is_an_isometry(elevate, *, generator, d=5):
    """All lengths and angles are kept up to the factor sqrt(2/3) (d + 1), on the plane sum = 0."""
    f = torch.randn(d, 20, generator=generator, dtype=torch.float64)
    y = elevate(f)
    equal(y.sum(0), torch.zeros(20), "an elevated point must lie on the plane sum y = 0")
    equal(
        y.T @ y,
        2 / 3 * (d + 1) ** 2 * f.T @ f,
        "inner products must all grow by 2/3 (d + 1)^2; is s_i = sqrt(2/3)(d+1)/sqrt(i(i+1))?",
    )


def weights_are_barycentric(place, corners, *, generator, d=5):
    """The point is the weighted mean of its simplex' vertices, with weights >= 0 that sum to 1.

    Args:
        place: y (d + 1, N) -> (v, rank, weights), as `enclosing_simplex`.
        corners: (v, rank) -> keys (d + 1, d + 1, N), as `vertex_keys`.
        generator: draws the points.
        d: their dimension.
    """
    y = 3 * (d + 1) * torch.randn(d + 1, 500, generator=generator, dtype=torch.float64)
    y[:, :50] = y[:, :50].round()  # lattice planes, edges and ties
    y -= y.mean(0)
    v, rank, weights = place(y)
    ordered = rank.sort(0).values
    equal(ordered, torch.arange(d + 1)[:, None], "ranks must be a permutation of 0..d", 0)
    keys = corners(v, rank)
    equal(keys.sum(0), torch.zeros(1), "every lattice point must lie on the plane sum = 0", 0)
    remainders = keys.remainder(d + 1)
    equal(remainders, torch.arange(d + 1)[:, None], "vertex k must have remainder k", 0)
    assert weights.min() >= -1e-12, f"a weight is {weights.min():.3g}: not the enclosing simplex"
    equal(weights.sum(0), torch.ones(500), "barycentric weights must sum to 1")
    mean = (keys.double() * weights).sum(1)
    equal(mean, y, "the weighted mean of the vertices must be the point itself")


def adjoint_is_exact(affinity, *, generator):
    """<W x, y> = <x, W'y> to 1e-12: the backward pass is the transpose, not another filter."""
    batch, *grid = affinity.shape
    x, y = (torch.rand(batch, 2, *grid, generator=generator, dtype=torch.float64) for _ in "xy")
    forth, back = (affinity.matmul(x) * y).sum(), (x * affinity.matmul(y, transpose=True)).sum()
    assert abs(forth - back) <= 1e-12 * forth.abs(), (
        f"<W x, y> = {forth:.15g} but <x, W'y> = {back:.15g}; the transpose blurs in reverse order"
    )


def written_out(affinity):
    """W of the first image as an (N, N) float64 matrix, by multiplying unit maps."""
    batch, *grid = affinity.shape
    units = torch.eye(affinity.features.shape[1], dtype=torch.float64)
    units = units.reshape(1, -1, *grid).expand(batch, -1, *grid)
    return affinity.matmul(units)[0].flatten(1).T


def is_symmetric(W):
    """|W - W'| < 1e-12 max |W|, for an affinity or a matrix."""
    W = W if isinstance(W, torch.Tensor) else written_out(W)
    off = ((W - W.T).abs().max() / W.abs().max()).item()
    assert off < 1e-12, f"W must equal its transpose, asymmetry {off:.3g}; blur in both orders"


def is_positive_semidefinite(W):
    """The smallest eigenvalue exceeds -1e-10 times the largest entry, of an affinity or matrix."""
    W = W if isinstance(W, torch.Tensor) else written_out(W)
    least = (torch.linalg.eigvalsh((W + W.T) / 2).min() / W.abs().max()).item()
    assert least > -1e-10, f"the least eigenvalue is {least:.3g}; is the blur a palindrome M M'?"


def sym_is_the_mean_of_both_orders(sym, plain, *, generator):
    """Averaging over both orders of blurs is averaging W and W'."""
    batch, *grid = sym.shape
    x = torch.rand(batch, 3, *grid, generator=generator, dtype=torch.float64)
    mean = (plain.matmul(x) + plain.matmul(x, transpose=True)) / 2
    equal(sym.matmul(x), mean, "the averaged blur must give (W + W') / 2")


def scale_is_the_gaussians_integral(make, *, generator, d=2):
    """Where pixels are dense, W 1 is the density times (2 pi)^(d/2).

    Args:
        make: features (1, N, d) -> affinity.
        generator: shifts the pixels against the lattice.
        d: dimension; N = 60^d pixels fill a cube of 12 sigmas.
    """
    axis = torch.linspace(-6, 6, 60, dtype=torch.float64)
    f = torch.stack(torch.meshgrid(*[axis] * d, indexing="ij"), -1).reshape(1, -1, d)
    shift = torch.rand(d, generator=generator, dtype=torch.float64)
    inside = (f.abs() < 2).all(-1)[0]
    degree = make(f + shift).degree[0, 0, inside]
    expected = (2 * torch.pi) ** (d / 2) * (59 / 12) ** d
    mean = degree.mean().item()
    assert abs(mean - expected) < 0.03 * expected, (
        f"in the middle W 1 must be {expected:.1f} on average, got {mean:.1f}; multiply W "
        "by (2 pi)^(d/2) over the volume per lattice point"
    )


def _figures(product, degree, maps):
    product, degree = product.double(), degree.double()
    axes = tuple(range(2, maps.dim()))
    association = (maps * product).sum(axes, keepdim=True)
    size = (degree * maps).sum(axes, keepdim=True)
    return {
        "filtered": product / degree,
        "degree": degree,
        "gradient": degree * association / size**2 - 2 * product / size,
        "cut": (1 - association / size).sum(1).mean(),
    }


def _relative(found, true):
    return ((found - true).norm() / true.norm()).item()


def equal(found, expected, message, tolerance=1e-9):
    """Refuse a difference above the tolerance, relative to the largest entry if that exceeds 1."""
    off = (found - expected).abs().max().item()
    assert off <= tolerance * max(1.0, expected.abs().max().item()), f"{message} (off by {off:.3g})"
