"""Eigenvectors and kernel k-means: bounds, descent, known answers, every affinity, refusals."""

import os

import numpy as np
import pytest
import torch

import softcut_lib as sc
from softcut_lib.losses.balanced import normalized_cut_gradient
from softcut_lib.theorems import spectral as theorem
from softcut_lib.theorems.balanced import Hollow
from softcut_lib.weak.spectral import best_threshold

AFFINITIES = {
    "dense": sc.DenseAffinity,
    "nystrom": sc.NystromAffinity,
    "lattice": sc.LatticeAffinity,
    "lattice, psd": lambda *a, **k: sc.LatticeAffinity(*a, **k, mode="psd"),
}
every_affinity = pytest.mark.parametrize("kind", AFFINITIES.values(), ids=AFFINITIES)


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(3)


@pytest.fixture
def scene(generator):
    """A disc on a ground, 24 x 32 pixels in 0..255, and its mask (1 is the smaller set)."""
    image, target = sc.toy_scene("disc", size=(24, 32), noise=0.03, generator=generator)
    return 255 * image[None], target[None]


def test_eigenvectors(generator):
    theorem.eigenvectors_solve_the_relaxation(sc.normalized_eigenvectors, generator=generator)


def test_bounds(generator):
    for _ in range(5):
        theorem.eigenvalues_bound_the_cut(
            sc.normalized_eigenvectors, best_threshold, generator=generator
        )


def test_a_wrong_normalization_is_noticed(generator):
    def plain(affinity, count):
        """Eigenvectors of D - W, not of D^-1/2 (D - W) D^-1/2."""
        matrix = theorem.written_out(affinity, torch.zeros(1, 1, 3, 4).double())[0]
        values, vectors = torch.linalg.eigh(torch.diag(matrix.sum(1)) - matrix)
        return values[None, :count], vectors.mT[None, :count].reshape(1, count, 3, 4)

    with pytest.raises(AssertionError, match="lambda D y"):
        theorem.eigenvectors_solve_the_relaxation(plain, generator=generator)
    with pytest.raises(AssertionError, match="below every hard cut"):
        theorem.eigenvalues_bound_the_cut(plain, best_threshold, generator=generator)


def test_slopes(generator):
    theorem.slope_steps_never_climb(generator=generator)
    theorem.slopes_are_distances_to_means(normalized_cut_gradient, generator=generator)


def nearly(labels, target):
    """Equal but for pixels on the outline, which are mixtures of both colours."""
    return (labels == target).float().mean() > 0.98


def energy(labels, affinity):
    hot = torch.nn.functional.one_hot(labels, 2).movedim(-1, 1).double()
    return sc.normalized_cut_loss(hot, affinity)


@every_affinity
def test_two_regions_are_found(kind, scene):
    image, target = scene
    affinity = kind(image, sigma_color=40, sigma_space=20)
    labels = sc.spectral_cut(affinity)
    assert nearly(labels, target)
    assert energy(labels, affinity) <= energy(target, affinity)
    rough = torch.zeros_like(target)
    rough[:, 6:14, 10:20] = 1
    found = sc.kernel_kmeans(affinity, rough)
    assert nearly(found.labels, target)
    assert found.energies[-1] <= energy(target, affinity)
    assert (found.energies.diff(dim=0) <= 0).all()


def test_three_regions_are_found():
    image = torch.zeros(1, 1, 12, 15)
    image[..., :6] = 120
    image[..., 10:] = 240
    affinity = sc.DenseAffinity(image, sigma_color=30, sigma_space=8)
    found = sc.spectral_cut(affinity, 3)
    expected = torch.ones(1, 12, 15).long()
    expected[..., :6], expected[..., 6:10] = 0, 2  # by size: 72, 60 and 48 pixels
    assert torch.equal(found, expected)


@every_affinity
def test_kernel_kmeans_reports_what_it_found(kind, scene, generator):
    image, target = scene
    affinity = kind(image, sigma_color=25, sigma_space=15)
    start = torch.randint(0, 3, target.shape, generator=generator)
    found = sc.kernel_kmeans(affinity, start)
    hot = torch.nn.functional.one_hot(found.labels, 3).movedim(-1, 1).double()
    value = sc.normalized_cut_loss(hot, affinity)
    torch.testing.assert_close(found.energies[-1, 0], value, rtol=0, atol=1e-6)
    assert found.energies[-1] < found.energies[0]
    again = sc.kernel_kmeans(affinity, start)
    assert torch.equal(found.labels, again.labels)


def test_a_round_that_raises_the_cut_is_undone():
    """Without its diagonal W is indefinite, and steps climb: each image stops before its first."""
    images = 255 * torch.rand(6, 3, 3, 4, generator=torch.Generator().manual_seed(0)).double()
    affinity = Hollow(sc.DenseAffinity(images, sigma_color=60, sigma_space=3))
    labels = torch.randint(0, 2, (6, 3, 4), generator=torch.Generator().manual_seed(1))
    values = []
    found = sc.kernel_kmeans(affinity, labels)
    for _ in range(8):
        sets = torch.nn.functional.one_hot(labels, 2).movedim(-1, 1).double()
        slopes = normalized_cut_gradient(sets, affinity)
        values.append(2 + (slopes * sets).flatten(1).sum(1))
        labels = slopes.argmin(1)
    climbs = torch.stack(values).diff(dim=0) > 1e-3
    assert climbs.any(0).sum() >= 3, "else nothing is undone here"
    assert (found.energies.diff(dim=0) <= 0).all()
    for b, climb in enumerate(climbs.T):
        first = int(climb.nonzero()[0]) if climb.any() else -1
        assert found.energies[-1, b] == pytest.approx(float(values[first][b]))


def test_images_of_a_batch_do_not_meet(generator):
    scenes = [
        sc.toy_scene(kind, size=(16, 20), noise=0.05, generator=generator)
        for kind in ("disc", "rectangles")
    ]
    images = 255 * torch.stack([image for image, _ in scenes])
    options = {"sigma_color": 40, "sigma_space": 12}
    both = sc.DenseAffinity(images, **options)
    start = torch.randint(0, 2, (2, 16, 20), generator=generator)
    together = sc.spectral_cut(both), sc.kernel_kmeans(both, start).labels
    for b in range(2):
        alone = sc.DenseAffinity(images[b : b + 1], **options)
        assert torch.equal(together[0][b], sc.spectral_cut(alone)[0])
        assert torch.equal(together[1][b], sc.kernel_kmeans(alone, start[b : b + 1]).labels[0])


def test_agrees_with_scikit_learn(scene):
    cluster = pytest.importorskip("sklearn.cluster")
    image, target = scene
    affinity = sc.DenseAffinity(image.double(), sigma_color=40, sigma_space=20)
    matrix = theorem.written_out(affinity, torch.zeros(1, 1, 24, 32).double())[0].numpy()
    peer = cluster.SpectralClustering(
        2, affinity="precomputed", assign_labels="cluster_qr", random_state=0
    ).fit_predict(matrix)
    agree = (peer == sc.spectral_cut(affinity).numpy().ravel()).mean()
    assert max(agree, 1 - agree) > 0.99


def test_a_photograph():
    """Coins of scikit-image, 38 x 48: the cut found beats random masks and respects the bound."""
    from skimage.data import coins
    from skimage.transform import resize

    image = torch.from_numpy(resize(coins()[:, :384].astype(float), (38, 48)))[None, None]
    affinity = sc.DenseAffinity(image, sigma_color=20, sigma_space=15)
    values, vectors = sc.normalized_eigenvectors(affinity)
    labels = sc.spectral_cut(affinity)
    better = sc.kernel_kmeans(affinity, labels)
    value = energy(labels, affinity)
    assert values[0, 1] <= better.energies[-1, 0] <= value <= 2 * (2 * values[0, 1]) ** 0.5
    rng = np.random.default_rng(0)
    shuffled = torch.from_numpy(rng.permutation(labels.numpy().ravel())).reshape(labels.shape)
    assert value < 0.6 * energy(shuffled, affinity)


@pytest.mark.skipif(not os.environ.get("SOFTCUT_DATA"), reason="SOFTCUT_DATA is not set")
def test_real_horses():
    """On photographs the bound and the descent hold, and the least cut is not the horse."""
    horses, resize = sc.WeizmannHorses(None, "test"), torch.nn.functional.interpolate
    for k in range(2):
        item = horses[k]
        image = resize(255 * item["image"][None], size=(80, 104), mode="area")
        target = resize(item["target"][None, None].float(), size=(80, 104))[0].long()
        affinity = sc.NystromAffinity(image, sigma_color=15, sigma_space=20, landmarks=300)
        values, _ = sc.normalized_eigenvectors(affinity)
        found = sc.kernel_kmeans(affinity, target)
        start, end = found.energies[0, 0], found.energies[-1, 0]
        assert values[0, 1] <= end < 0.6 * start
        iou = sc.mean_iou(
            torch.nn.functional.one_hot(found.labels, 2).movedim(-1, 1).float(), target
        )
        assert iou < 0.9


def test_refusals(scene):
    image, target = scene
    affinity = sc.DenseAffinity(image, sigma_color=40, sigma_space=20)
    skew = sc.LatticeAffinity(image, sigma_color=40, sigma_space=20, mode="plain")
    for call, words in (
        (lambda: sc.spectral_cut(affinity, 1), "labels must be"),
        (lambda: sc.spectral_cut(skew), "symmetric"),
        (lambda: sc.kernel_kmeans(skew, target), "symmetric"),
        (lambda: sc.normalized_eigenvectors(affinity, 24 * 32), "number of pixels"),
        (lambda: sc.kernel_kmeans(affinity, target[0]), "start must have shape"),
        (lambda: sc.kernel_kmeans(affinity, target, classes=1), "classes must be"),
        (lambda: sc.kernel_kmeans(affinity, target + 1, classes=2), "start must hold"),
        (lambda: sc.kernel_kmeans(affinity, 255 * target, classes=2), "label every pixel"),
    ):
        with pytest.raises(ValueError, match=words):
            call()
