"""The theorems of chapter 14 hold for the library, and fail for what breaks them."""

import pytest
import torch

import softcut_lib as sc
from softcut_lib.affinity import permutohedral as lattice
from softcut_lib.theorems import affinity as theorem
from tests.affinity.kinds import build, every_kind, random_image


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(14)


@pytest.mark.parametrize("d", [1, 2, 3, 5, 8, 20])
def test_geometry(d, generator):
    theorem.elevation_is_an_isometry(lattice.elevate, generator=generator, d=d)
    theorem.weights_are_barycentric(
        lattice.enclosing_simplex, lattice.vertex_keys, generator=generator, d=d
    )


def test_geometry_can_fail(generator):
    with pytest.raises(AssertionError, match="inner products"):
        theorem.elevation_is_an_isometry(lambda f: 1.1 * lattice.elevate(f), generator=generator)

    def nearest_only(y):
        v, rank, weights = lattice.enclosing_simplex(y)
        return v, rank, torch.zeros_like(weights).index_fill_(0, torch.tensor(0), 1)

    with pytest.raises(AssertionError, match="weighted mean"):
        theorem.weights_are_barycentric(nearest_only, lattice.vertex_keys, generator=generator)


@every_kind
def test_symmetries(kind, generator):
    affinity = build(kind, random_image(1, 3, 6, 7))
    theorem.adjoint_is_exact(affinity, generator=generator)
    if affinity.symmetric:
        theorem.is_symmetric(affinity)
    else:
        with pytest.raises(AssertionError, match="both orders"):
            theorem.is_symmetric(affinity)
    if affinity.psd:
        theorem.is_positive_semidefinite(affinity)


@pytest.mark.parametrize("kernel", ["torch", "fused"])
def test_modes(kernel, generator):
    image = random_image(2, 3, 7, 6)
    make = {
        mode: build("lattice-sym-auto", image, mode=mode, kernel=kernel)
        for mode in ("sym", "plain", "psd")
    }
    theorem.sym_is_the_mean_of_both_orders(make["sym"], make["plain"], generator=generator)
    with pytest.raises(AssertionError, match="averaged"):
        theorem.sym_is_the_mean_of_both_orders(make["psd"], make["plain"], generator=generator)


def test_sym_need_not_be_positive():
    """The reason for the mode 'psd': these points give 'sym' a negative eigenvalue."""
    generator = torch.Generator().manual_seed(12)
    points = 4 * torch.randn(1, 60, 2, generator=generator, dtype=torch.float64)
    theorem.is_symmetric(sc.LatticeAffinity.from_features(points))
    with pytest.raises(AssertionError, match="palindrome"):
        theorem.is_positive_semidefinite(sc.LatticeAffinity.from_features(points))
    theorem.is_positive_semidefinite(sc.LatticeAffinity.from_features(points, mode="psd"))


@pytest.mark.parametrize("mode", ["sym", "plain", "psd"])
@pytest.mark.parametrize("d", [1, 2, 3])
def test_scale(d, mode, generator):
    def make(features):
        return sc.LatticeAffinity.from_features(features, mode=mode)

    theorem.scale_is_the_gaussians_integral(make, generator=generator, d=d)
    theorem.scale_is_the_gaussians_integral(
        lambda f: sc.DenseAffinity.from_features(f) if d < 3 else make(f), generator=generator, d=d
    )


@pytest.mark.parametrize("mode", ["sym", "plain", "psd"])
def test_the_whole_filter_spreads_like_the_gaussian(mode):
    """In one dimension, where pixels are dense: a spot as wide as a cell gains a variance of 1."""
    f = torch.linspace(-8, 8, 3201, dtype=torch.float64)
    W = sc.LatticeAffinity.from_features(f[None, :, None], mode=mode)
    spot = (f.abs() < 3**0.5 / 4).double()  # cells are sqrt(3) / 2 wide: all places within one
    answer = W.matmul(spot[None, None])[0, 0]
    before, after = ((m * f**2).sum() / m.sum() for m in (spot, answer))
    assert abs(after - before - 1) < 0.01
