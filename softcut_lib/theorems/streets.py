"""Properties of the street networks of chapters 11 and 12: one decoder for both edge directions."""

import torch


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
