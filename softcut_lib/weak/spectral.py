"""Normalized cut without a network: by eigenvectors, and by kernel k-means (chapter 13).

Shi and Malik relax the two-way cut to (D - W) y = lambda D y and cut the second eigenvector at a
threshold. Kernel k-means keeps hard labels and gives each pixel to the class whose slope (eq. 8)
is least: NC lies below its tangent, so for a positive semidefinite W no step raises it.
"""

import numpy as np
import scipy.linalg
import scipy.sparse.linalg
import torch
from torch.nn.functional import one_hot

from softcut_lib import _checks as check
from softcut_lib.losses.balanced import normalized_cut_gradient
from softcut_lib.losses.targets import known_labels
from softcut_lib.weak.proposals import Proposal


def normalized_eigenvectors(affinity, count=2, *, tol=1e-6):
    """The smoothest vectors of a weighted graph: (D - W) y = lambda D y, lambda ascending.

    With z = D^(1/2) y it is an ordinary eigenproblem, D^(-1/2) W D^(-1/2) z = (1 - lambda) z, whose
    largest eigenvalues the Lanczos method finds from products with W alone. The first pair is
    lambda = 0, y constant; the sum of the first K eigenvalues is a lower bound of every K-way
    normalized cut.

    Args:
        affinity: a symmetric affinity, any kind; images of a batch are treated one by one.
        count: number of pairs, below the number of pixels.
        tol: relative accuracy of the eigenvalues.

    Returns:
        values (B, count), at least 0 up to tol and at most 1 for a positive semidefinite W, and
        vectors (B, count, *grid), y'D y = 1, the entry of largest size positive; float64.

    Raises:
        ValueError: an affinity that is not symmetric, a degree that is not positive, a count that
            does not fit.
        scipy.sparse.linalg.ArpackNoConvergence: the accuracy was not reached.

    Source: Shi and Malik (2000), eqs. 6-11.

    Example:
        >>> import torch, softcut_lib as sc
        >>> image = torch.tensor([[[[0.0, 0.0, 255.0, 255.0, 255.0]]]])
        >>> W = sc.DenseAffinity(image, sigma_color=60, sigma_space=100)
        >>> values, vectors = sc.normalized_eigenvectors(W)
        >>> (vectors[0, 1, 0] > 0).tolist()
        [True, True, False, False, False]
    """
    check.positive_integer("count", count)
    batch, *grid = affinity.degree[:, 0].shape
    pixels = int(np.prod(grid))
    if not affinity.symmetric:
        raise ValueError(
            "affinity must be symmetric: an eigenproblem of another matrix has complex answers; "
            'use mode="sym" or mode="psd" of LatticeAffinity'
        )
    if count >= pixels:
        raise ValueError(f"count must be below the number of pixels, {pixels}, got {count}")
    check.at_least_zero("affinity.degree", affinity.degree, strict=True)
    pairs = [_one_image(affinity, b, count, tol) for b in range(batch)]
    values = torch.stack([torch.from_numpy(v) for v, _ in pairs])
    vectors = torch.stack([torch.from_numpy(y.T.copy()) for _, y in pairs])
    device = affinity.degree.device
    return values.to(device), vectors.reshape(batch, count, *grid).to(device)


def _one_image(affinity, b, count, tol):
    batch, _, *grid = affinity.degree.shape
    root = affinity.degree[b].flatten().double().cpu().numpy() ** 0.5
    maps = torch.zeros(batch, 1, *grid, dtype=torch.float64, device=affinity.degree.device)

    def multiply(z):
        maps[b] = torch.from_numpy(np.ravel(z) / root).reshape(1, *grid)
        with torch.no_grad():
            return affinity.matmul(maps)[b].flatten().cpu().numpy() / root

    operator = scipy.sparse.linalg.LinearOperator((root.size,) * 2, multiply, dtype=np.float64)
    start = np.random.default_rng(0).normal(size=root.size)  # a fixed one: runs are identical
    similar, z = scipy.sparse.linalg.eigsh(operator, count, which="LA", tol=tol, v0=start)
    order = np.argsort(-similar)
    y = z[:, order] / root[:, None]
    largest = np.abs(y).argmax(0)
    return 1 - similar[order], y * np.sign(y[largest, np.arange(count)])


def spectral_cut(affinity, labels=2, *, splits=64, tol=1e-6):
    """Cut an image into classes by the eigenvectors of its affinity.

    Two classes: of `splits` thresholds of the second eigenvector, the one whose normalized cut is
    least. More: the rotation of the first K eigenvectors in which each pixel has one large entry.

    Args:
        affinity: a symmetric affinity, any kind; images of a batch are treated one by one.
        labels: number of classes K, at least 2.
        splits: thresholds tried, spread over the ranks of the eigenvector's values.
        tol: relative accuracy of the eigenvalues.

    Returns:
        long (B, *grid), labels 0 .. K-1 by size, 0 the largest.

    Raises:
        ValueError: as `normalized_eigenvectors`, or a number of labels below 2.

    Source: Shi and Malik (2000), section 3; for more classes Damle, Minden and Ying (2019).

    Example:
        >>> import torch, softcut_lib as sc
        >>> image = torch.tensor([[[[0.0, 0.0, 255.0, 255.0, 255.0]]]])
        >>> sc.spectral_cut(sc.DenseAffinity(image, sigma_color=60, sigma_space=100))
        tensor([[[1, 1, 0, 0, 0]]])
    """
    check.positive_integer("splits", splits)
    _at_least_two("labels", labels)
    _, vectors = normalized_eigenvectors(affinity, labels, tol=tol)
    if labels == 2:
        return _by_size(best_threshold(affinity, vectors[:, 1], splits), 2)
    rows = vectors.flatten(2) * affinity.degree.flatten(2).double().sqrt()
    found = [_rotate(v.cpu().numpy()) for v in rows]
    found = torch.stack([torch.from_numpy(k) for k in found]).reshape(vectors[:, 0].shape)
    return _by_size(found.to(vectors.device), labels)


def _at_least_two(name, count):
    if not isinstance(count, int) or count < 2:
        raise ValueError(f"{name} must be an integer of at least 2, got {count!r}")


def best_threshold(affinity, vector, splits):
    """Of many thresholds of a map (B, *grid), the mask (B, *grid) with the least normalized cut."""
    flat = vector.flatten(1).sort(1).values
    pixels = flat.shape[1]
    ranks = torch.linspace(0, pixels - 2, min(splits, pixels - 1), dtype=torch.float64).round()
    thresholds = flat[:, ranks.long()]
    masks = vector[:, None] > thresholds[(...,) + (None,) * (vector.dim() - 1)]
    product, degree = affinity.matmul(masks.double()), affinity.degree.double()
    volume = (degree * masks).flatten(2).sum(2)
    rest = degree.flatten(2).sum(2) - volume
    cut = (volume - (masks * product).flatten(2).sum(2)).clamp_min(0)
    value = torch.where((volume > 0) & (rest > 0), cut / volume + cut / rest, torch.inf)
    best = value.argmin(1)
    return torch.stack([m[k] for m, k in zip(masks, best, strict=True)])


def _rotate(rows):
    """The class of each column of `rows` (K, N): K pivots, far from each other, name the classes.

    The polar factor of the pivots' columns turns the eigenvectors so that pivot k points along
    axis k, as nearly as a rotation can; a pixel's class is then its largest entry.
    """
    _, _, order = scipy.linalg.qr(rows, pivoting=True, mode="economic")
    u, _, v = np.linalg.svd(rows[:, order[: len(rows)]])
    return np.abs((u @ v).T @ rows).argmax(0)


def _by_size(labels, count):
    """The same classes, renamed so that 0 is the largest."""
    sizes = one_hot(labels.long().flatten(1), count).sum(1)
    rank = sizes.argsort(dim=1, descending=True, stable=True).argsort(1)
    return rank.gather(1, labels.long().flatten(1)).reshape(labels.shape)


def kernel_kmeans(affinity, start, *, classes=None, max_iter=100):
    """Lower the normalized cut of hard labels: each pixel to the class with the least slope.

    S <- argmin_k g_k(S),   g = eq. 8; stops when no image gets better.

    With points phi_p in the feature space of the kernel W_pq / (d_p d_q) and weights d_p,
    d_p |phi_p - mean_k|^2 is g_k at p plus what does not depend on k: this is weighted k-means. It
    finds a local minimum near its start, so give it a good one. With scribbles that must stay,
    see `seeded_normalized_cut`.

    Args:
        affinity: a symmetric affinity, any kind.
        start: (B, *grid) long labels 0 .. K-1.
        classes: K; one more than the largest label of `start` if None, at least 2.
        max_iter: most rounds, at least 1.

    Returns:
        `Proposal(labels, energies)`: NC (steps + 1, B) of the start and after each round. A round
        that does not lower an image's NC is undone and was its last; for a positive semidefinite W
        none raises it.

    Raises:
        ValueError: labels out of range, shapes that differ, an affinity that is not symmetric.

    Source: Dhillon, Guan and Kulis (2004); as a bound, Tang et al. (2016).

    Example:
        >>> import torch, softcut_lib as sc
        >>> image = torch.tensor([[[[0.0, 0.0, 0.0, 255.0, 255.0, 255.0]]]])
        >>> W = sc.DenseAffinity(image, sigma_color=60, sigma_space=2)
        >>> sc.kernel_kmeans(W, torch.tensor([[[0, 0, 1, 1, 1, 1]]])).labels
        tensor([[[0, 0, 0, 1, 1, 1]]])
    """
    check.positive_integer("max_iter", max_iter)
    check.is_tensor("start", start)
    if not affinity.symmetric:
        raise ValueError('affinity must be symmetric; use mode="sym" or "psd" of LatticeAffinity')
    classes = max(int(start.max()) + 1, 2) if classes is None else classes
    _at_least_two("classes", classes)
    like = affinity.degree.double().expand(-1, classes, *affinity.degree.shape[2:])
    labels, named = known_labels("start", start, "the affinity's maps", like)
    if not bool(named.all()):
        raise ValueError("start must label every pixel, got 255 (free)")
    best, energies, going = labels, [], torch.ones_like(labels.flatten(1)[:, 0], dtype=torch.bool)
    for _ in range(max_iter + 1):
        sets = one_hot(labels, classes).movedim(-1, 1).double()
        slopes = normalized_cut_gradient(sets, affinity)
        energy = classes + (slopes * sets).flatten(1).sum(1)  # g_k'S_k = -S_k'W S_k / d'S_k
        if energies:
            going = going & (energy < energies[-1])
            energy = torch.where(going, energy, energies[-1])
            best = torch.where(going[(...,) + (None,) * (best.dim() - 1)], labels, best)
            if not bool(going.any()):
                break
        energies.append(energy)
        labels = slopes.argmin(1)
    return Proposal(best, torch.stack(energies))
