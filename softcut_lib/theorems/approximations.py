"""What a Gaussian kernel's two approximations keep of it, on a handful of points (chapter 14).

Landmarks: W ~ C A^-1 C', C between all points and the landmarks, A among the landmarks.
A lattice on a line: values are splatted to the two grid points beside each point, blurred there,
and read off again, W = S' B S.
"""

import torch


def _points(generator, count, dim=2):
    return 2 * torch.randn(count, dim, generator=generator, dtype=torch.float64)


def _kernel(a, b):
    return torch.exp(-torch.cdist(a, b).square() / 2)


def landmarks_speak_for_all(nystrom, *, generator, count=25, landmarks=5):
    """Landmarks' rows are exact, W is symmetric, psd, of their rank; with all points the kernel.

    ``nystrom(features (N, d), landmarks (M,) long, maps (N, L)) -> (N, L)``.
    """
    points = _points(generator, count)
    chosen = torch.randperm(count, generator=generator)[:landmarks]
    unit, exact = torch.eye(count, dtype=torch.float64), _kernel(points, points)
    W = nystrom(points, chosen, unit)
    assert W.shape == unit.shape, f"maps {tuple(unit.shape)} must keep their shape, got {W.shape}"
    gap = float((W[chosen] - exact[chosen]).abs().max())
    reason = "is it C A^-1 C', with the inverse of the kernel among the landmarks?"
    if float((W[chosen] ** 2 - exact[chosen]).abs().max()) < 1e-6:
        reason = "the exponent lacks its 1/2: exp(-|f - g|^2 / 2)"
    assert gap <= 1e-6, (
        f"what a landmark says must be exact, k(f_z, f_q), one entry is off by {gap:.3g}; {reason}"
    )
    gap = float((W - W.T).abs().max())
    assert gap <= 1e-8, f"C A^-1 C' is symmetric, W and W' differ by {gap:.3g}"
    least = float(torch.linalg.eigvalsh(W)[0])
    assert least >= -1e-8, f"C A^-1 C' is positive semidefinite, an eigenvalue is {least:.3g}"
    spectrum = torch.linalg.svdvals(W)
    assert spectrum[landmarks] <= 1e-6 * spectrum[0], (
        f"{landmarks} landmarks leave W the rank {landmarks}, got more: every pair of points must "
        "be joined through the landmarks, not by the whole kernel"
    )
    few = points[:6]
    W = nystrom(few, torch.randperm(6, generator=generator), unit[:6, :6])
    gap = float((W - _kernel(few, few)).abs().max())
    assert gap <= 1e-5, f"with every point a landmark W is the kernel itself, off by {gap:.3g}"


def splatting_is_linear_interpolation(line_filter, *, generator, count=20):
    """On grid points (1, 2, 1) / 4; between them linear; the matrix symmetric and psd.

    ``line_filter(features (N,), values (N, L)) -> (N, L)``, features in units of the spacing.
    """
    x = 3 * torch.randn(count, generator=generator, dtype=torch.float64)
    unit = torch.eye(count, dtype=torch.float64)
    places = torch.arange(-2.0, 3.0, dtype=torch.float64)
    W = line_filter(places, unit[:5, :5])
    near = (places[:, None] - places).abs()
    expected = torch.where(near == 0, 0.5, torch.where(near == 1, 0.25, 0.0)).double()
    gap = float((W - expected).abs().max())
    assert gap <= 1e-9, (
        f"points on the grid see themselves with 1/2 and their neighbors with 1/4, row of the "
        f"middle one {[round(v, 4) for v in W[2].tolist()]}; is the blur (1, 2, 1) / 4, the two "
        "ends included?"
    )
    W = line_filter(x, unit)
    gap = float((W - W.T).abs().max())
    assert gap <= 1e-9, (
        f"slicing must be the transpose of splatting, W and W' differ by {gap:.3g}: are the same "
        "two grid points used with the same two weights?"
    )
    low, high = x.floor(), x.floor() + 1
    share = x - low
    grid = torch.cat([low, high])
    spread = torch.cat([torch.diag(1 - share), torch.diag(share)])
    apart = (grid[:, None] - grid).abs()
    blur = torch.where(apart == 0, 0.5, torch.where(apart == 1, 0.25, 0.0)).double()
    gap = float((W - spread.T @ blur @ spread).abs().max())
    assert gap <= 1e-9, (
        f"between grid points a value is shared in the proportion of nearness, 1 - t and t; an "
        f"entry is off by {gap:.3g}; is the nearer point given the larger share, do points below "
        "zero go to the right cell (floor, not truncation)?"
    )
    least = float(torch.linalg.eigvalsh(W)[0])
    assert least >= -1e-9, f"(1, 2, 1) / 4 is positive semidefinite, an eigenvalue is {least:.3g}"
