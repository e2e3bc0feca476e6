"""Eigenvectors and kernel k-means against the normalized cut they approximate (chapter 13).

Each function takes what it speaks of, called as the library's own, and raises an AssertionError
that says what was expected and the likely reason.
"""

from itertools import product

import torch
from torch.nn.functional import one_hot

from softcut_lib.affinity.dense import DenseAffinity
from softcut_lib.losses.balanced import normalized_cut_gradient
from softcut_lib.theorems.balanced import written_out


def two_groups(generator, *, grid=(3, 4), sigma_space=4.0):
    """A small picture of two colours in random places, and its affinity."""
    device = generator.device
    image = 110 + 25 * torch.randn(1, 3, *grid, generator=generator, device=device).double()
    side = torch.rand(1, 1, *grid, generator=generator, device=device) < 0.4
    image = (image + 60 * side).clamp(0, 255)
    return DenseAffinity(image, sigma_color=60.0, sigma_space=sigma_space)


def cut_of(labels, matrix, classes):
    """Normalized cut of hard labels (M, N), one value each, from the matrix W (N, N) itself."""
    sets = one_hot(labels, classes).mT.double()
    volume = sets @ matrix.sum(1)
    cut = torch.einsum("mkp,pq,mkq->mk", sets, matrix, 1 - sets)
    return torch.where(volume > 0, cut / volume.clamp_min(1e-300), 1).sum(1)


def eigenvectors_solve_the_relaxation(normalized_eigenvectors, *, generator):
    """(D - W) y = lambda D y, y'D y = 1; first lambda 0 with constant y; all in [0, 1]."""
    affinity = two_groups(generator)
    values, vectors = normalized_eigenvectors(affinity, 4)
    like = vectors.new_zeros(1, 1, 3, 4)
    matrix = written_out(affinity, like)[0]
    degree, y = matrix.sum(1), vectors[0].flatten(1)
    left = degree * y - y @ matrix
    _close(left, values[0, :, None] * degree * y, "each pair must satisfy (D - W) y = lambda D y")
    _close(y * degree @ y.mT, torch.eye(4), "the vectors must be orthonormal under D")
    _close(values[0, 0], 0, "the smallest eigenvalue must be 0")
    _close(y[0], degree.sum() ** -0.5, "its vector must be constant")
    assert bool((values.diff() >= -1e-9).all()), "eigenvalues must ascend"
    assert bool((values <= 1 + 1e-9).all()), "for psd W no eigenvalue exceeds 1"
    root = degree.sqrt()
    every = torch.linalg.eigvalsh(torch.eye(12).double() - matrix / root / root[:, None])
    _close(values[0], every[:4], "they must be the four smallest eigenvalues")


def eigenvalues_bound_the_cut(normalized_eigenvectors, best_threshold, *, generator):
    """lambda_2 <= the least NC of all masks <= that of the best threshold <= 2 (2 lambda_2)^0.5.

    The sum of the first K eigenvalues bounds every K-way cut from below in the same way.
    """
    affinity = two_groups(generator)
    values, vectors = normalized_eigenvectors(affinity, 3)
    matrix = written_out(affinity, vectors[:, :1])[0]
    masks = torch.tensor(list(product([0, 1], repeat=11)))[1:]
    masks = torch.cat([torch.zeros(len(masks), 1).long(), masks], 1)
    least = cut_of(masks, matrix, 2).min()
    assert values[0, 1] <= least + 1e-9, "the relaxation must lie below every hard cut"
    swept = best_threshold(affinity, vectors[:, 1], 11)
    found = cut_of(swept.long().flatten(1), matrix, 2)[0]
    assert found >= least - 1e-9, "no mask can beat the best of all masks"
    assert found <= 2 * (2 * values[0, 1]) ** 0.5 + 1e-9, "Cheeger's bound holds for all thresholds"
    labels = torch.randint(0, 3, (500, 12), generator=generator, device=generator.device)
    least = cut_of(labels, matrix, 3).min()
    assert values[0].sum() <= least + 1e-9, "three eigenvalues must bound every three-way cut"


def slope_steps_never_climb(*, generator, steps=6):
    """For psd W, giving each pixel to the class with the least slope (eq. 8) never raises NC."""
    for classes in (2, 3):
        affinity = two_groups(generator, grid=(5, 6))
        labels = torch.randint(0, classes, (1, 5, 6), generator=generator, device=generator.device)
        matrix = written_out(affinity, torch.zeros(1, 1, 5, 6).double())[0]
        last = torch.tensor(float("inf"))
        for _ in range(steps):
            value = cut_of(labels.flatten(1), matrix, classes)[0]
            assert value <= last + 1e-9, "NC is concave, so it lies below its tangent"
            sets = one_hot(labels, classes).movedim(-1, 1).double()
            labels, last = normalized_cut_gradient(sets, affinity).argmin(1), value


def slopes_are_distances_to_means(normalized_cut_gradient, *, generator):
    """g_k at p is d_p |phi_p - mean_k|^2 minus W_pp / d_p, with phi'phi = W_pq / (d_p d_q)."""
    affinity = two_groups(generator)
    matrix = written_out(affinity, torch.zeros(1, 1, 3, 4).double())[0]
    degree = matrix.sum(1)
    values, vectors = torch.linalg.eigh(matrix / degree / degree[:, None])
    points = vectors * values.clamp_min(0).sqrt()  # (pixels, features)
    labels = torch.arange(12) % 3
    sets = one_hot(labels, 3).double().mT
    weights = sets * degree
    means = weights @ points / weights.sum(1, keepdim=True)
    distance = degree * (points[None] - means[:, None]).square().sum(2)
    slopes = normalized_cut_gradient(sets.reshape(1, 3, 3, 4), affinity)[0].flatten(1)
    _close(slopes, distance - matrix.diagonal() / degree, "eq. 8 must be the k-means distance")


def _close(arrived, expected, message, tol=1e-6):
    arrived, expected = (torch.as_tensor(x).double() for x in (arrived, expected))
    gap = float((arrived - expected).abs().max())
    assert gap <= tol, f"{message} (they differ by {gap:.3g})"
