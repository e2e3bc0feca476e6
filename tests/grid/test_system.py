import pytest
import torch

import softcut_lib as sc
from tests.grids import GRIDS, arguments, dense, every_grid, random, system_of


@every_grid
@pytest.mark.parametrize("per_label", [False, True])
def test_matrix_product_and_diagonal_agree_with_the_assembled_matrix(kind, per_label):
    scores, weights, options = arguments(kind, per_label=per_label)
    system = system_of(scores, weights, options)
    product, diagonal = system @ scores, system.diagonal()
    for b in range(2):
        for label in range(2):
            A = dense(system, b, label)
            torch.testing.assert_close(A, A.T, rtol=0, atol=0)
            torch.testing.assert_close(product[b, label].flatten(), A @ scores[b, label].flatten())
            kept = diagonal[b, label if per_label else 0]
            torch.testing.assert_close(kept.flatten(), A.diagonal())


def test_row_sums_are_the_ground():
    scores, weights, options = arguments("3d")
    system = system_of(scores, weights, options)
    torch.testing.assert_close(
        system @ torch.ones_like(scores), system.ground[:, None].expand_as(scores)
    )


def test_a_product_is_not_broadcast():
    """Without its label axis x would be multiplied by every sample's matrix."""
    scores, weights, options = arguments("2d")
    system = system_of(scores, weights, options)
    for x in (scores[:, 0], scores[..., :1]):
        with pytest.raises(
            ValueError, match=r"x must have shape \(B, L, \*grid\) with grid = \(4, 5\)"
        ):
            system @ x


def test_ground_defaults_to_one():
    system = sc.GridSystem([torch.rand(2, 3, generator=torch.Generator().manual_seed(0))])
    assert torch.equal(system.ground, torch.ones(2, 4))


@every_grid
def test_seeds_hold_their_values_and_free_pixels_obey_the_old_equations(kind):
    scores, weights, options = arguments(kind)
    system = system_of(scores, weights, options)
    seeds = random(2, *scores.shape[2:], seed=3) > 0.3
    held, rhs = system.with_seeds(seeds, scores)
    x, _ = sc.solve(held, rhs + torch.where(seeds[:, None], 0, 2.0), sc.SuperLU())
    fixed = seeds[:, None].expand_as(x)
    torch.testing.assert_close(x[fixed], scores[fixed])
    torch.testing.assert_close((system @ x)[~fixed], torch.full_like(x, 2.0)[~fixed])


def test_seeds_keep_per_label_weights():
    scores, weights, options = arguments("2d", per_label=True)
    system = system_of(scores, weights, options)
    seeds = torch.zeros(2, 4, 5, dtype=torch.bool)
    seeds[:, 0, 0] = True
    held, rhs = system.with_seeds(seeds, scores)
    x, _ = sc.solve(held, rhs, sc.SuperLU())
    assert held.labels == 2
    torch.testing.assert_close(x[:, :, 0, 0], scores[:, :, 0, 0])


def test_values_at_free_pixels_are_not_read():
    chain = sc.GridSystem([torch.ones(1, 3)], ground=torch.zeros(1, 4))
    seeds = torch.tensor([[True, False, False, True]])
    values = torch.tensor([[[0.0, float("nan"), float("inf"), 3.0]]])
    held, rhs = chain.with_seeds(seeds, values)
    x, _ = sc.solve(held, rhs, sc.SuperLU())
    torch.testing.assert_close(x[0, 0], torch.arange(4.0))


def test_one_seed_holds_a_grid_in_one_piece_and_no_seed_or_a_gap_does_not():
    """The quick way out, and that each of its conditions is needed."""
    weights = [torch.ones(2, 2, 4), torch.ones(2, 3, 3)]
    seeds = torch.zeros(2, 3, 4, dtype=torch.bool)
    seeds[0, 1, 1] = True

    def hold(seeds, weights):
        bare = sc.GridSystem(weights, ground=torch.zeros(2, 3, 4))
        return bare.with_seeds(seeds, torch.ones(2, 1, 3, 4))

    with pytest.raises(ValueError, match="sample 1 without any seed"):
        hold(seeds, weights)
    seeds[1, 0, 0] = True
    hold(seeds, weights)
    weights[1][1, :, 1] = 0
    with pytest.raises(ValueError, match=r"sample 1 .* first at pixel \(0, 2\)"):
        hold(seeds, weights)


def test_a_component_without_seed_or_ground_is_refused():
    system = sc.GridSystem([torch.tensor([[1.0, 0.0, 1.0]])], ground=torch.zeros(1, 4))
    seeds = torch.tensor([[True, False, False, False]])
    with pytest.raises(ValueError, match=r"without any seed or ground, the first at pixel \(2,\)"):
        system.with_seeds(seeds, torch.zeros(1, 1, 4))


REFUSALS = {
    "not a list": (lambda w: sc.GridSystem(w[0]), TypeError, "weights must be a list"),
    "empty": (lambda w: sc.GridSystem([]), ValueError, "at least one edge tensor"),
    "swapped": (lambda w: sc.GridSystem(w[::-1]), ValueError, "they look swapped"),
    "offsets": (
        lambda w: sc.GridSystem(w[:1], offsets=(1,)),
        TypeError,
        r"one tuple of integers for each edge direction, .* got \(1,\)",
    ),
    "count": (
        lambda w: sc.GridSystem(w, offsets=((1, 0), (0, 1), (1, 1))),
        ValueError,
        "expected 3 for offsets",
    ),
    "shape": (
        lambda w: sc.GridSystem([w[0], w[1][..., :-1]]),
        ValueError,
        r"weights\[1\] must end in \(4, 4\) for offset \(0, 1\)",
    ),
    "no batch": (lambda w: sc.GridSystem([t[0] for t in w]), ValueError, "needs a batch axis"),
    "batch": (lambda w: sc.GridSystem([w[0], w[1][:1]]), ValueError, "batch size of weights"),
    "negative": (
        lambda w: sc.GridSystem([-w[0], w[1]]),
        ValueError,
        r"weights\[0\] must be at least 0",
    ),
    "nan": (
        lambda w: sc.GridSystem([w[0], w[1] / 0 * 0]),
        ValueError,
        r"weights\[1\] must be finite",
    ),
    "infinite": (
        lambda w: sc.GridSystem([w[0], w[1] / 0]),
        ValueError,
        r"weights\[1\] must be finite",
    ),
    "integer": (lambda w: sc.GridSystem([w[0].long(), w[1]]), TypeError, "float32 or float64, got"),
    "half": (lambda w: sc.GridSystem([t.half() for t in w]), TypeError, "half precision cannot"),
    "mixed": (lambda w: sc.GridSystem([w[0].float(), w[1]]), TypeError, "must have the dtype of"),
    "ground shape": (
        lambda w: sc.GridSystem(w, ground=torch.ones(2, 5, 5).double()),
        ValueError,
        "ground must have shape",
    ),
    "ground negative": (
        lambda w: sc.GridSystem(w, ground=-torch.ones(2, 4, 5).double()),
        ValueError,
        "ground must be at least 0",
    ),
    "labels": (
        lambda w: sc.GridSystem(
            [w[0][:, None].expand(2, 3, 3, 5), w[1][:, None].expand(2, 2, 4, 4)]
        ),
        ValueError,
        "agree on the number of labels",
    ),
    "empty grid": (lambda w: sc.GridSystem(w, grid=(0, 5)), ValueError, "at least one pixel"),
    "seeds dtype": (
        lambda w: sc.GridSystem(w).with_seeds(torch.zeros(2, 4, 5), torch.zeros(2, 1, 4, 5)),
        ValueError,
        "seeds must be a bool tensor",
    ),
    "seeds' labels": (
        lambda w: sc.GridSystem([t[:, None].expand(-1, 2, -1, -1) for t in w]).with_seeds(
            torch.zeros(2, 4, 5, dtype=torch.bool), torch.zeros(2, 3, 4, 5).double()
        ),
        ValueError,
        "values must have as many labels as the system, 2, or one for all, got 3",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refusals(case):
    call, error, message = REFUSALS[case]
    _, weights, _ = arguments("2d")
    with pytest.raises(error, match=message):
        call(weights)


def test_check_false_skips_the_values():
    _, weights, _ = arguments("2d")
    assert sc.GridSystem([-weights[0], weights[1]], check=False).grid == GRIDS["2d"][0]


def test_repr_names_grid_and_labels():
    _, weights, _ = arguments("2d")
    assert "grid=(4, 5)" in repr(sc.GridSystem(weights))
