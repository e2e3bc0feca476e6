"""Scribbles drawn over a photograph, for `images` (chapter 15)."""

import torch
from torch.nn.functional import interpolate

__all__ = ["with_scribbles"]

# background, then the labels 1, 2, ... (colors that differ for every kind of color vision)
_PENS = torch.tensor(
    [
        [0.0, 0.45, 0.70],
        [0.90, 0.62, 0.0],
        [0.0, 0.62, 0.45],
        [0.80, 0.47, 0.65],
        [0.94, 0.89, 0.26],
    ]
)


def with_scribbles(image, seeds, *, mask=None, enlarge=1):
    """A copy of an image on which scribbles, and perhaps a mask, are drawn in color.

    Args:
        image: (3, h, w) or (1, 3, h, w) in [0, 1].
        seeds: long (h, w) or (1, h, w), 255 free; None for none.
        mask: long labels of the same size, laid over half transparent; 255 stays as it is.
        enlarge: integer factor, for small images.

    Returns:
        (3, enlarge h, enlarge w), to be passed to `images`.

    Example:
        >>> import torch
        >>> with_scribbles(torch.zeros(3, 1, 2), torch.tensor([[255, 1]]))[:, 0].T
        tensor([[0.0000, 0.0000, 0.0000],
                [0.9000, 0.6200, 0.0000]])
    """
    image = (image[0] if image.dim() == 4 else image).clone().float()
    for labels, strength in ((mask, 0.55), (seeds, 1.0)):
        if labels is None:
            continue
        labels = labels[0] if labels.dim() == 3 else labels
        pens = _PENS[torch.where(labels == 255, 0, labels) % len(_PENS)].movedim(-1, 0)
        image = torch.where(labels == 255, image, (1 - strength) * image + strength * pens)
    if enlarge > 1:
        image = interpolate(image[None], scale_factor=enlarge, mode="nearest")[0]
    return image
