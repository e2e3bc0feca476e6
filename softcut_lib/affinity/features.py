"""A pixel as a point: f_p = (colour / sigma_color, place / sigma_space), in R^(C + d) (chapter 14).

Two pixels are alike if their points are near. Colours are in 0..255 and places in pixels, as in
the papers that name these sigmas; most mistakes in practice are mistakes of these units.
"""

import torch

from softcut_lib import _checks as check

LEAST_SIGMA = 0.3
"""At this sigma a neighbour at distance 1 weighs exp(-1 / (2 0.3^2)) = 0.004: W is the identity."""


def pixel_features(image, *, sigma_color, sigma_space, check_range=True):
    """The features (B, *grid, C + d) of an image (B, C, *grid) in 0..255.

    f_p = (I_p / sigma_color, p / sigma_space), p counted in pixels.

    Args:
        image: (B, C, *grid) in 0..255, floating or uint8; any C and any d >= 1.
        sigma_color: the colour distance, in the image's units, at which W fell to exp(-1/2).
        sigma_space: the same for the distance in pixels.
        check_range: False accepts an image in other units, with sigma_color in those units.

    Returns:
        float32 (float64 for a float64 image), constant for autograd.

    Raises:
        TypeError: if the image is no tensor, or integer but not uint8.
        ValueError: if it requires a gradient, has an empty axis, is not finite, looks like one
            in [0, 1] or a normalized one, or if a sigma is too small or not a number.

    Source: Tang et al. (2018), section 4.

    Example:
        >>> import torch
        >>> image = torch.tensor([[[[0.0, 30.0]]]])
        >>> pixel_features(image, sigma_color=15, sigma_space=2)
        tensor([[[[0.0000, 0.0000, 0.0000],
                  [2.0000, 0.0000, 0.5000]]]])
    """
    check.grid_axes("image", image, 3)
    image = _constant("image", image)
    check.positive_number("sigma_color", sigma_color)
    check.positive_number("sigma_space", sigma_space)
    if check_range:
        _range(image, sigma_color)
    if sigma_space < LEAST_SIGMA:
        raise ValueError(
            f"sigma_space is in pixels and must be at least {LEAST_SIGMA}, got {sigma_space!r}; "
            "below that no pixel sees its neighbours (usual values are 40 to 100)"
        )
    axes = [torch.arange(n, dtype=image.dtype, device=image.device) for n in image.shape[2:]]
    places = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1) / sigma_space
    colours = image.movedim(1, -1) / sigma_color
    return torch.cat([colours, places.expand(len(image), *places.shape)], -1)


def check_features(features):
    """Refuse what are no features (B, *grid, D); float32 or wider comes back."""
    check.grid_axes("features", features, 3)
    return _constant("features", features)


def _constant(name, x):
    """x as float32 or float64, finite, not empty, and asking for no gradient."""
    if x.dtype == torch.uint8 and name == "image":
        x = x.float()
    if x.dtype in (torch.float16, torch.bfloat16):
        x = x.float()
    check.floating(name, x)
    if x.numel() == 0:
        raise ValueError(f"{name} must have every size at least 1, got {tuple(x.shape)}")
    if x.requires_grad:
        raise ValueError(
            f"{name} must not require a gradient: an affinity is a constant of the loss and "
            f"differentiates only the maps it multiplies; pass {name}.detach()"
        )
    check.finite(name, x)
    return x


def _range(image, sigma_color):
    low, high = (float(v) for v in torch.aminmax(image))
    otherwise = "or pass check_range=False if these are the values you mean"
    if high <= 1 and (low, high) != (0, 0):
        raise ValueError(
            f"image must be in 0..255, as sigma_color is, got values from {low:g} to {high:g}; "
            f"multiply it by 255 (after undoing any normalization), {otherwise}, with "
            "sigma_color in the same units"
        )
    if low < 0 or high > 255:
        raise ValueError(
            f"image must be in 0..255, got values from {low:g} to {high:g}; undo its "
            f"normalization, {otherwise}"
        )
    if sigma_color < LEAST_SIGMA:
        raise ValueError(
            f"sigma_color is in the units of the image, 0..255, and must be at least "
            f"{LEAST_SIGMA}, got {sigma_color!r}; below that no two colours are alike (usual "
            "values are 10 to 20); multiply a sigma meant for [0, 1] by 255"
        )
