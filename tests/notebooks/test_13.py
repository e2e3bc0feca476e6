"""Chapter 13's from-scratch code against the library and the theorems."""

import pytest
import torch

import softcut_lib as sc
from softcut_lib.losses.balanced import normalized_cut_gradient
from softcut_lib.theorems import balanced as theorem
from softcut_lib.theorems import spectral
from tests.notebooks.scratch import load_scratch


@pytest.fixture(scope="module")
def chapter():
    return load_scratch("13_normalized_cut")


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(13)


@pytest.fixture
def case(generator):
    """An image, its affinity, its matrix, and three soft sets as maps and as rows."""
    image = 255 * torch.rand(1, 3, 6, 7, generator=generator, dtype=torch.float64)
    affinity = sc.DenseAffinity(image, sigma_color=60, sigma_space=4)
    sets = torch.randn(1, 3, 6, 7, generator=generator, dtype=torch.float64).softmax(1)
    return image, affinity, theorem.written_out(affinity, sets)[0], sets


def test_the_matrix_is_the_affinity(chapter, case):
    image, _, matrix, _ = case
    torch.testing.assert_close(chapter.affinity_matrix(image[0], 60, 4), matrix)


def test_the_value_is_the_library_s(chapter, case):
    _, affinity, matrix, sets = case
    by_hand = chapter.normalized_cut(sets[0].flatten(1), matrix)
    torch.testing.assert_close(by_hand, sc.normalized_cut_loss(sets, affinity))


def as_loss(function):
    """A chapter's function of sets (K, N) and a matrix, called as the library's losses are."""

    def loss(prob, affinity, **_):
        matrix = theorem.written_out(affinity, prob.detach())
        values = [function(s.flatten(1), w) for s, w in zip(prob, matrix, strict=True)]
        return torch.stack(values).mean()

    return loss


def test_the_value_has_the_properties(chapter, generator):
    loss = as_loss(chapter.normalized_cut)
    for check in (
        theorem.value_is_the_cut,
        theorem.gradient_is_eq_8,
        theorem.scale_changes_nothing,
        theorem.concave_in_the_sets,
    ):
        check(loss, generator=generator)


def test_the_misreadings_are_wrong(chapter, case, generator):
    _, affinity, matrix, sets = case
    rows = sets[0].flatten(1)
    torch.testing.assert_close(chapter.pooled(rows, matrix), sc.dense_crf_loss(sets, affinity))
    with pytest.raises(AssertionError, match="sum_k"):
        theorem.value_is_the_cut(as_loss(chapter.pooled), generator=generator)
    gap = chapter.elementwise(rows, matrix) - chapter.gradient(rows, matrix)
    assert gap.norm() > 0.5 * chapter.gradient(rows, matrix).norm()


def test_the_gradient_is_the_library_s(chapter, case):
    _, affinity, matrix, sets = case
    by_hand = chapter.gradient(sets[0].flatten(1), matrix).reshape(sets.shape)
    torch.testing.assert_close(by_hand, normalized_cut_gradient(sets, affinity))


def test_the_eigenvectors_solve_the_relaxation(chapter, generator):
    def eigenvectors(affinity, count):
        like = torch.zeros(1, 1, 3, 4, dtype=torch.float64)
        values, rows = chapter.smoothest(spectral.written_out(affinity, like)[0], count)
        signs = rows.gather(1, rows.abs().argmax(1, keepdim=True)).sign()
        return values[None], (rows * signs).reshape(1, count, 3, 4)

    spectral.eigenvectors_solve_the_relaxation(eigenvectors, generator=generator)


def test_answers_given_in_the_exercises(chapter, generator):
    pair = torch.tensor([[0.0, 1.0], [1.0, 0.0]])  # ex-13-diagonal
    assert chapter.normalized_cut(torch.eye(2), pair) == 2
    assert chapter.normalized_cut(torch.full((2, 2), 0.5), pair) == 1
    alike = torch.ones(8, 8)  # ex-13-lonely
    for size in (1, 4):
        side = (torch.arange(8) < size).float()
        value = chapter.normalized_cut(torch.stack([side, 1 - side]), alike)
        torch.testing.assert_close(value, torch.tensor(1.0))
    scene, mask = sc.toy_scene("disc", size=(14, 18), noise=0.12, generator=generator)
    matrix = chapter.affinity_matrix(255 * scene.double(), 40, 20)  # ex-13-window
    places = torch.stack(torch.meshgrid(torch.arange(14), torch.arange(18), indexing="ij"), -1)
    apart = (places.reshape(-1, 1, 2) - places.reshape(1, -1, 2)).abs().amax(-1)
    gain = {}
    for name, side in {
        "disc": mask > 0,
        "pixel": apart[0] == 0,
        "middle": places[..., 1] > 8,
    }.items():
        sets = torch.stack([~side.flatten(), side.flatten()]).double()
        dense, window = (chapter.normalized_cut(sets, w) for w in (matrix, matrix * (apart <= 2)))
        assert window < dense
        gain[name] = dense / window
    assert gain["middle"] == max(gain.values())
