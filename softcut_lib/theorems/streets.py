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
