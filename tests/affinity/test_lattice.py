"""The lattice: both kernels agree, it stands in for the exact kernel, its scale, its limits."""

import os

import numpy as np
import pytest
import torch
from skimage import data
from torch.nn.functional import interpolate

import softcut_lib as sc
from softcut_lib.affinity import hashed, kernels_apply, kernels_build, tables
from softcut_lib.theorems import affinity as theorem
from tests.affinity.kinds import random_image, random_maps

SIGMAS = {"sigma_color": 15, "sigma_space": 100}


def photograph(name, height=80, width=104):
    image = torch.from_numpy(getattr(data, name)()).permute(2, 0, 1)[None].float()
    return interpolate(image, (height, width), mode="area")


def sets(mask):
    return torch.cat([mask, 1 - mask], 1).float()


@pytest.mark.parametrize("name", ["astronaut", "coffee"])
def test_stands_in_for_the_exact_kernel(name):
    image = photograph(name)
    bright = image.mean(1, keepdim=True) > image.mean()
    exact = sc.DenseAffinity(image, **SIGMAS)
    theorem.stands_in_for_the_exact_kernel(
        sc.LatticeAffinity(image, **SIGMAS), exact, sets(1 * bright)
    )
    with pytest.raises(AssertionError):
        twice = sc.LatticeAffinity(image, sigma_color=30, sigma_space=100)
        theorem.stands_in_for_the_exact_kernel(twice, exact, sets(1 * bright))
    # the common factor: too small before, right on average after
    lattice = sc.LatticeAffinity(image, **SIGMAS)
    total = exact.degree.sum()
    assert lattice.degree.sum() < 0.9 * total
    before = lattice.degree
    torch.testing.assert_close(lattice.calibrate(rows=400).degree.sum(), total, rtol=0.03, atol=0)
    ratio = lattice.degree / before
    torch.testing.assert_close(ratio, ratio.mean().expand_as(ratio))


def test_every_image_of_a_batch_is_calibrated_by_itself():
    images = torch.cat([photograph(name, 20, 26) for name in ("astronaut", "coffee")])
    lattice = sc.LatticeAffinity(images, **SIGMAS).calibrate(rows=20 * 26)
    exact = sc.DenseAffinity(images, **SIGMAS).degree.sum((1, 2, 3))
    torch.testing.assert_close(lattice.degree.sum((1, 2, 3)), exact)
    assert abs(exact[0] / exact[1] - 1) > 0.1, "else one factor would serve both"


@pytest.mark.skipif(not os.environ.get("SOFTCUT_DATA"), reason="SOFTCUT_DATA is not set")
def test_stands_in_on_horses():
    horses = sc.WeizmannHorses(None, "test")
    for k in (0, 60):
        item = horses[k]
        image = interpolate(255 * item["image"][None], (80, 104), mode="area")
        mask = interpolate(item["target"][None, None].float(), (80, 104), mode="area") > 0.5
        exact = sc.DenseAffinity(image, **SIGMAS)
        for fast in (sc.LatticeAffinity(image, **SIGMAS), sc.NystromAffinity(image, **SIGMAS)):
            theorem.stands_in_for_the_exact_kernel(fast, exact, sets(1 * mask))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("mode", ["sym", "plain", "psd"])
def test_kernels_agree(mode, dtype):
    """Any size around the tiles of 64 pixels, any number of labels around the panels of 8."""
    close = {"rtol": 1e-4, "atol": 1e-4} if dtype == torch.float32 else {}
    for count, labels in ((1, 1), (63, 2), (64, 7), (65, 8), (200, 9), (129, 24), (300, 33)):
        points = random_image(2, count, 3, dtype=dtype) / 50
        maps = random_maps(2, labels, count)
        torch_, fused = (
            sc.LatticeAffinity.from_features(points, mode=mode, kernel=k)
            for k in ("torch", "fused")
        )
        assert (torch_.kernel, fused.kernel) == ("torch", "fused")
        assert torch_.vertices == fused.vertices
        torch.testing.assert_close(fused.matmul(maps), torch_.matmul(maps), **close)
        torch.testing.assert_close(
            fused.matmul(maps, transpose=True), torch_.matmul(maps, transpose=True), **close
        )


@pytest.mark.parametrize("d", [1, 2, 4, 6])
def test_kernels_agree_in_any_dimension(d):
    points, maps = random_image(1, 150, d) / 60, random_maps(1, 3, 150)
    expected = sc.LatticeAffinity.from_features(points, kernel="torch").matmul(maps)
    torch.testing.assert_close(
        sc.LatticeAffinity.from_features(points, kernel="fused").matmul(maps), expected
    )


def test_the_number_of_threads_changes_nothing():
    image = photograph("coffee").repeat(2, 1, 1, 1)
    maps = random_maps(2, 11, 80, 104, dtype=torch.float32)
    threads = torch.get_num_threads()
    results = []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            results.append(sc.LatticeAffinity(image, **SIGMAS).matmul(maps))
            assert torch.get_num_threads() == count
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(*results)


def test_what_a_mode_promises():
    points = random_image(1, 30, 2) / 60
    promises = {"sym": (True, False), "plain": (False, False), "psd": (True, True)}
    for mode, expected in promises.items():
        lattice = sc.LatticeAffinity.from_features(points, mode=mode)
        assert (lattice.symmetric, lattice.psd) == expected


def test_where_the_fused_kernel_ends():
    wide = random_image(1, 40, 20) / 60
    assert sc.LatticeAffinity.from_features(wide).kernel == "torch"
    with pytest.raises(ValueError, match="20 features"):
        sc.LatticeAffinity.from_features(wide, kernel="fused")
    with pytest.raises(ValueError, match="kernel must be"):
        sc.LatticeAffinity.from_features(wide, kernel="c++")
    with pytest.raises(ValueError, match="mode must be"):
        sc.LatticeAffinity.from_features(wide, mode="both")
    with pytest.raises(ValueError, match="sigmas of each other"):
        sc.LatticeAffinity.from_features(1e6 * wide)
    with pytest.raises(ValueError, match="rows must be"):
        sc.LatticeAffinity.from_features(wide).calibrate(rows=0)


def test_far_points_stand_alone():
    """Small sigmas: no pixel touches another's lattice points, and each keeps its own value."""
    points = 100 * torch.arange(6.0, dtype=torch.float64).reshape(1, 6, 1).expand(1, 6, 5)
    maps = random_maps(1, 2, 6)
    lattice = sc.LatticeAffinity.from_features(points.contiguous())
    product = lattice.calibrate(rows=6).matmul(maps)
    torch.testing.assert_close(product / lattice.degree, maps)
    torch.testing.assert_close(lattice.degree.mean(), torch.tensor(1.0, dtype=torch.float64))


def test_an_image_of_nan_leaves_the_others_alone():
    image, maps = random_image(2, 3, 6, 7), random_maps(2, 2, 6, 7)
    for kernel in ("torch", "fused"):
        lattice = sc.LatticeAffinity(image, **SIGMAS, kernel=kernel)
        clean = lattice.matmul(maps)
        spoiled = maps.clone()
        spoiled[0] = torch.nan
        product = lattice.matmul(spoiled)
        assert product[0].isnan().all() and torch.equal(product[1], clean[1])


def test_noise_has_more_vertices_than_the_first_hash_table_holds():
    codes = np.random.default_rng(0).integers(0, 2**60, 50_000)
    codes = np.concatenate([codes, codes[::-1], np.repeat(codes[:10], 3)])
    numbers = np.empty(len(codes), np.uint32)
    distinct, keys, values = kernels_build.number(codes, numbers)
    assert np.array_equal(distinct[numbers], codes)
    assert len(np.unique(distinct)) == len(distinct) == 50_000
    assert np.array_equal(np.unique(numbers, return_index=True)[1], np.arange(50_000))
    full = keys >= 0
    assert full.sum() == 50_000 and np.array_equal(distinct[values[full]], keys[full])


def test_packed_keys_name_the_same_neighbours():
    """The pairs (vertex, right neighbour) of one kernel, by position, are those of the other."""
    points = random_image(1, 3, 400) / 60 - 2
    sorted_ = tables.build_tables(points)
    packed = hashed.build_hashed(points[0].numpy(), np.full(3, 3.0))
    corner = torch.from_numpy(packed.corners[packed.simplex].astype(np.int64))
    name = torch.full((sorted_.vertices + 1,), sorted_.vertices)
    name[sorted_.vertex.long().flatten()] = corner.flatten()
    for side in ("left", "right"):
        ours = torch.from_numpy(getattr(packed, side).astype(np.int64))
        theirs = name[getattr(sorted_, side).long()]
        assert torch.equal(ours[:, name], theirs)
    assert np.allclose(packed.weights, sorted_.weight.numpy(), atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_blocks_are_transposed(dtype):
    for height, width in ((3, 64), (8, 8), (21, 64), (24, 37), (64, 9), (64, 1)):
        source = np.random.default_rng(1).normal(size=(height + 2, width + 3)).astype(dtype)
        target = np.zeros((width + 1, height + 4), dtype)
        kernels_apply._transpose(source, 1, 2, target, 1, 3, height, width)
        assert np.array_equal(target[1:, 3 : 3 + height], source[1 : 1 + height, 2 : 2 + width].T)
        target[1:, 3 : 3 + height] = 0
        assert not target.any(), "written outside the block"


def test_codes_of_many_digits():
    """Where 62 bits do not hold a column it is ranked on the way, and stays unique."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.randint(0, 2, (12, 300), generator=generator) * 2**20
    inverse, first = tables.unique_columns(list(rows))
    expected, unique = torch.unique(rows, dim=1, return_inverse=True)
    assert len(first) == expected.shape[1]
    assert torch.equal(rows[:, first][:, inverse], rows)
    together = torch.stack([inverse, unique])  # the same columns are the same
    assert torch.unique(together, dim=1).shape[1] == len(first)
