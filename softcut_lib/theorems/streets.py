"""Properties of chapters 11 and 12: one decoder for two directions, marks, softmax, seams."""

import torch

from softcut_lib.grid.edges import at_head, at_tail, axis_offsets, edge_shape


@torch.no_grad()
def one_decoder_serves_both(edge_maps, features):
    """Transposed features give the column and the row map transposed and exchanged.

        edge_maps(f) = (column, row)   implies   edge_maps(f^T) = (row^T, column^T)

    Args:
        edge_maps: function (list of feature maps) -> (column (B, K, h, w), row (B, K, h, w)), the
            raw maps before cropping and activation.
        features: feature maps (B, C, h, w), one for each level.
    """
    column, row = edge_maps(features)
    turned_column, turned_row = edge_maps([f.mT.contiguous() for f in features])
    for name, arrived, expected in (
        ("column", turned_column, row.mT),
        ("row", turned_row, column.mT),
    ):
        assert arrived.shape == expected.shape, (
            f"the {name} map of the transposed features must have shape {tuple(expected.shape)}, "
            f"got {tuple(arrived.shape)}: is the map transposed back?"
        )
        gap, size = float((arrived - expected).abs().max()), float(expected.abs().max())
        assert gap <= 1e-4 * size, (
            f"the {name} map of the transposed features must be the other map transposed, but they "
            f"differ by {gap:.3g} of {size:.3g}: do both directions use the same weights?"
        )


@torch.no_grad()
def mark_selects(network, pairs, *, least=0.8):
    """A network that answers about the marked object: its probability is higher there.

    For two objects of one tile, each marked once, the mean probability on the marked object is
    compared with that on the other one.

    Args:
        network: a `CutNet` of one label in evaluation mode, for images with a mark as last channel.
        pairs: list of pairs of items of `Tiles` with ``task="object"``, two objects of one tile.
        least: share of the comparisons in which the marked object must be ahead.

    Returns:
        (marked, other): mean probabilities (2 * len(pairs),), for the comparisons one by one.
    """
    marked, other = [], []
    for a, b in pairs:
        assert torch.equal(a["image"][:-1], b["image"][:-1]), "a pair must come from one tile"
        prob = network(torch.stack([a["image"], b["image"]])).prob[:, 0]
        for p, own, foreign in ((prob[0], a, b), (prob[1], b, a)):
            marked.append(p[own["target"] == 1].mean())
            other.append(p[foreign["target"] == 1].mean())
    marked, other = torch.stack(marked), torch.stack(other)
    share = float((marked > other).float().mean())
    assert share >= least, (
        f"the marked object must be ahead of the other one in {least:.0%} of the cases, got "
        f"{share:.0%}: has the network learned to use the mark?"
    )
    return marked, other


def pairs_of_objects(tiles):
    """Pairs of neighboring items that mark two objects of one tile.

    ``tiles`` holds items of `Tiles` with ``task="object"``.
    """
    items = list(tiles)
    tile = [item["name"].rsplit("-", 1)[0] for item in items]
    return [(items[k], items[k + 1]) for k in range(len(items) - 1) if tile[k] == tile[k + 1]]


def softmax_ignores_a_common_map(cut, *, generator, labels=3, grid=(5, 6)):
    """With shared conductances, one map added to the scores of all labels changes no probability.

        softmax(cut(s + c 1)) = softmax(cut(s)),

    and for two labels softmax is the sigmoid of the cut of the difference of their scores.

    Args:
        cut: function (scores (1, L, h, w), weights) -> (1, L, h, w), linear in the scores.
        generator: of scores, conductances and the common map.
        labels, grid: sizes.
    """
    draw = {"generator": generator, "dtype": torch.float64}
    scores, common = torch.randn(1, labels, *grid, **draw), torch.randn(1, 1, *grid, **draw)
    weights = [
        torch.rand(1, *edge_shape(grid, o), **draw) + 0.1 for o in axis_offsets(2)
    ]  # shared by all labels
    plain, shifted = (cut(s, weights).softmax(1) for s in (scores, scores + common))
    gap = float((plain - shifted).abs().max())
    assert gap < 1e-3, (
        f"a map added to all labels must change no probability, but it changes one by {gap:.3g}: "
        "is the cut linear, with one system for all labels?"
    )
    pair = scores[:, :2]
    two = cut(pair, weights).softmax(1)[:, 1:]
    one = cut(pair[:, 1:] - pair[:, :1], weights).sigmoid()
    gap = float((two - one).abs().max())
    assert gap < 1e-3, f"two labels must equal one of the difference, but they differ by {gap:.3g}"


def fewer_solves_suffice(solved, *, generator, labels=4, grid=(5, 6)):
    """The cuts of L labels up to a common map, whose softmax is that of the L cuts.

    Args:
        solved: function (scores (1, L, h, w), weights) -> (1, L, h, w).
        generator: of scores and conductances.
        labels, grid: sizes.
    """
    from softcut_lib.layers.softcut import soft_cut

    draw = {"generator": generator, "dtype": torch.float64}
    scores = torch.randn(1, labels, *grid, **draw)
    weights = [torch.rand(1, *edge_shape(grid, o), **draw) + 0.1 for o in axis_offsets(2)]
    arrived, expected = solved(scores, weights), soft_cut(scores, weights)
    assert arrived.shape == scores.shape, (
        f"a map for every label is wanted, shape {tuple(scores.shape)}, got {tuple(arrived.shape)}"
    )
    gap = float((arrived.softmax(1) - expected.softmax(1)).abs().max())
    assert gap < 1e-3, (
        f"the softmax must be that of the {labels} cuts, but it differs by {gap:.3g}: which map "
        "may be subtracted from the scores of all labels?"
    )


@torch.no_grad()
def seams_are_bounded(cut, scores, weights, *, corner, window, margin):
    """What a window hides from a soft cut decays like a power of its margin.

        |x - x_window| <= theta^m (max s - min s),      theta = max_p d_p / (1 + d_p),

    on the pixels that are at least m pixels from the window's outermost ones; d_p is the sum of the
    conductances at pixel p.

    Args:
        cut: function (scores (1, 1, h, w), weights) -> (1, 1, h, w), the soft cut with ground 1.
        scores: (1, 1, h, w), float64.
        weights: [column (1, h-1, w), row (1, h, w-1)].
        corner: (y, x) of the window's first pixel.
        window: its side n.
        margin: m, below n / 2.

    Returns:
        (error, bound): the largest difference on those pixels, and the right-hand side.
    """
    (y, x), n = corner, window
    inside = scores[..., y : y + n, x : x + n]
    column, row = weights
    cropped = [column[..., y : y + n - 1, x : x + n], row[..., y : y + n, x : x + n - 1]]
    part, whole = cut(inside, cropped), cut(scores, weights)[..., y : y + n, x : x + n]
    kept = (..., slice(margin, n - margin), slice(margin, n - margin))
    error = float((part - whole)[kept].abs().max())
    grid = scores.shape[-2:]
    degree = sum(
        at_tail(w, o, grid) + at_head(w, o, grid)
        for w, o in zip(weights, axis_offsets(2), strict=True)
    )
    theta = float((degree / (1 + degree)).max())
    bound = theta**margin * float(scores.max() - scores.min())
    assert error <= bound + 1e-5, (
        f"at a margin of {margin} the window may err by {bound:.3g}, but it errs by {error:.3g}"
    )
    return error, bound
