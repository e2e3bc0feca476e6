"""Chapter 14's from-scratch code against the library and the theorems."""

import pytest
import torch

import softcut_lib as sc
from softcut_lib.theorems import affinity as theorem
from tests.notebooks.scratch import load_scratch

SIGMAS = {"sigma_color": 20, "sigma_space": 8}


@pytest.fixture(scope="module")
def chapter():
    return load_scratch("14_gaussian_filtering")


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(4)


@pytest.fixture
def case(generator):
    """A smooth image of three colors, and maps (N, 2)."""
    coarse = 255 * torch.rand(1, 3, 3, 4, generator=generator, dtype=torch.float64)
    image = torch.nn.functional.interpolate(coarse, (9, 11), mode="bilinear", align_corners=True)
    return image, torch.rand(99, 2, generator=generator, dtype=torch.float64)


def columns(product):
    return product[0].flatten(1).T


def test_dense_and_nystrom(chapter, case, generator):
    image, S = case
    f = chapter.features(image, 20, 8)
    maps = S.T.reshape(1, 2, 9, 11)
    exact = sc.DenseAffinity(image, **SIGMAS)
    torch.testing.assert_close(exact.features[0], f)
    torch.testing.assert_close(chapter.kernel(f, f) @ S, columns(exact.matmul(maps)))
    chosen = torch.randperm(99, generator=torch.Generator().manual_seed(0))[:20]
    library = sc.NystromAffinity(image, **SIGMAS, landmarks=20).matmul(maps)
    torch.testing.assert_close(chapter.nystrom(f, S, chosen), columns(library))
    # exact in the landmarks' rows but for the jitter, and never above W
    units = torch.eye(99, dtype=torch.float64)
    W, low = chapter.kernel(f, f), chapter.nystrom(f, units, chosen)
    assert (W - low)[chosen].abs().max() < 0.01
    assert torch.linalg.eigvalsh(W - low).min() > -1e-9


def test_geometry(chapter, generator):
    for d in (1, 2, 5):
        theorem.elevation_is_an_isometry(lambda f: chapter.elevate(f.T).T, generator=generator, d=d)
        theorem.weights_are_barycentric(
            lambda y: ((y, chapter.simplex(y.T)[0]), _ranks(y), chapter.simplex(y.T)[1].T),
            lambda pair, _: pair[1].permute(2, 1, 0),
            generator=generator,
            d=d,
        )


def _ranks(y):
    """Any permutation: the notebook's function keeps its ranks to itself."""
    return torch.arange(len(y))[:, None].expand_as(y)


@pytest.mark.parametrize("mode", ["sym", "plain", "psd"])
def test_lattice(mode, chapter, case):
    image, S = case
    f = chapter.features(image, 20, 8)
    P, neighbors = chapter.lattice(f - (f.amin(0) + f.amax(0)) / 2)
    there, back = neighbors, neighbors[::-1]
    table = P.T @ S
    if mode == "psd":
        table = chapter.blur(chapter.blur(table, there, 1 / 8), back, 1 / 8)
    elif mode == "sym":
        table = (chapter.blur(table, there, 1 / 4) + chapter.blur(table, back, 1 / 4)) / 2
    else:
        table = chapter.blur(table, there, 1 / 4)
    library = sc.LatticeAffinity(image, **SIGMAS, mode=mode)
    product = library.matmul(S.T.reshape(1, 2, 9, 11))
    torch.testing.assert_close(chapter.scale(5) * (P @ table), columns(product))
    assert library.vertices == P.shape[1]


def test_answers_given_in_the_exercises(chapter):
    # one dimension: neighbors sqrt(3)/2 apart, the variance of the whole filter is 1
    one = chapter.elevate(torch.tensor([[1.0]], dtype=torch.float64)).norm()
    assert abs(2**0.5 / one - 3**0.5 / 2) < 1e-12
    f = torch.linspace(-8, 8, 3201, dtype=torch.float64)[:, None]
    W = sc.LatticeAffinity.from_features(f[None])
    # a spot of one cell's width in the middle, so that all places within a cell are met
    spot = (f[:, 0].abs() < 3**0.5 / 4).double()
    answer = W.matmul(spot[None, None])[0, 0]
    spread = (answer * f[:, 0] ** 2).sum() / answer.sum()
    width = (spot * f[:, 0] ** 2).sum() / spot.sum()
    assert abs(spread - width - 1) < 0.01
    # corners
    assert 2**14 > 1000 * 15 and 2**13 < 1000 * 14
