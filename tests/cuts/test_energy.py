"""The energy of a cut: its value by hand, its symmetries, its refusals."""

import pytest
import torch

import softcut_lib as sc
from softcut_lib.theorems import cuts as theorem
from tests.grids import GRIDS, arguments, every_grid


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(3)


def test_value_by_hand():
    scores = torch.tensor([[[[3.0, -1.0], [2.0, -4.0]]]])
    weights = [torch.tensor([[[5.0, 7.0]]]), torch.tensor([[[0.5], [0.25]]])]
    left = scores > 0
    assert sc.cut_energy(left, scores, weights).tolist() == [0.75]  # both rows are cut
    top = torch.tensor([[[[True, True], [False, False]]]])
    assert sc.cut_energy(top, scores, weights).tolist() == [1 + 2 + 5 + 7]


def test_several_labels_are_potts():
    scores = torch.tensor([[[[1.0, 0.0]], [[4.0, 0.0]], [[0.0, 2.0]]]])
    weights = [torch.zeros(1, 0, 2), torch.full((1, 1, 1), 10.0)]
    labels = torch.tensor([[[0, 2]]])
    assert sc.cut_energy(labels, scores, weights).tolist() == [3 + 0 + 10]


@pytest.mark.parametrize("kind", [kind for kind in GRIDS if kind != "2d-pixel"])
def test_two_labels_are_one_score_difference(kind):
    scores, weights, options = arguments(kind, labels=1)
    labels = scores > 0.3
    two = torch.cat([torch.zeros_like(scores), scores], 1)
    one = sc.cut_energy(labels, scores, weights, offsets=options["offsets"])
    both = sc.cut_energy(labels[:, 0].long(), two, weights, offsets=options["offsets"])
    assert torch.allclose(one, both)


@every_grid
def test_long_and_bool_labels_agree(kind):
    scores, weights, options = arguments(kind, labels=1)
    labels = scores > 0.3
    assert torch.equal(
        sc.cut_energy(labels, scores, weights, offsets=options["offsets"]),
        sc.cut_energy(labels[:, 0].long(), scores, weights, offsets=options["offsets"]),
    )


def test_exchanging_foreground_and_background():
    scores, weights, _ = arguments("2d", labels=1)
    labels = scores > 0.3
    assert torch.allclose(
        sc.cut_energy(labels, scores, weights), sc.cut_energy(~labels, -scores, weights)
    )


def test_gradient_counts_the_cut():
    scores, weights, _ = arguments("2d", labels=1)
    weights = [w.requires_grad_() for w in weights]
    labels = scores > 0
    sc.cut_energy(labels, scores, weights).sum().backward()
    for w, offset in zip(weights, sc.axis_offsets(2)):
        assert torch.equal(w.grad, sc.jump(labels[:, 0].double(), offset).abs())


@pytest.mark.parametrize("kind", ["2d", "2d-diagonals", "3d"])
def test_is_submodular(kind, generator):
    grid, offsets = GRIDS[kind]
    theorem.cuts_meet_and_join(sc.cut_energy, generator=generator, grid=grid, offsets=offsets)


def test_negative_coupling_is_not_submodular(generator):
    def wrong(labels, scores, weights, offsets):
        unary = sc.cut_energy(labels, scores, [0 * w for w in weights], offsets=offsets)
        return 2 * unary - sc.cut_energy(labels, scores, weights, offsets=offsets)

    with pytest.raises(AssertionError, match="weights >= 0"):
        theorem.cuts_meet_and_join(wrong, generator=generator)


LABELS = torch.zeros(2, 1, 4, 5, dtype=torch.bool)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"labels": LABELS.float()}, ValueError, "labels must be long .* or bool"),
        ({"labels": LABELS[:1]}, ValueError, "labels must be"),
        ({"labels": torch.full((2, 4, 5), 255)}, ValueError, "labels must lie in 0..1"),
        ({"labels": [[1]]}, TypeError, "labels must be a torch.Tensor"),
        ({"scores": LABELS}, TypeError, "scores must be float32 or float64"),
        ({"scores": torch.full((2, 1, 4, 5), float("nan")).double()}, ValueError, "scores .* fin"),
        ({"scores": torch.zeros(2, 1, 4, 5)}, TypeError, "weights.* dtype of scores"),
        ({"scores": torch.zeros(3, 1, 4, 5).double()}, ValueError, "batch size of scores, 3"),
        ({"scores": torch.zeros(0, 1, 4, 5).double()}, ValueError, "at least one sample, label"),
        ({"weights": [-torch.ones(2, 3, 5), torch.ones(2, 4, 4)]}, ValueError, "at least 0"),
        ({"weights": [torch.ones(2, 4, 4), torch.ones(2, 3, 5)]}, ValueError, "swapped"),
        (
            {"weights": [torch.ones(2, 3, 3, 5).double(), torch.ones(2, 3, 4, 4).double()]},
            ValueError,
            "shared by all labels",
        ),
    ],
)
def test_refuses(change, error, words):
    scores, weights, _ = arguments("2d", labels=1)
    given = {"labels": LABELS, "scores": scores, "weights": weights} | change
    with pytest.raises(error, match=words):
        sc.cut_energy(**given)
