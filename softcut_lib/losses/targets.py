"""Reading a target: which pixels are labelled, and with what (chapter 9).

Every loss and metric takes maps (B, L, *grid) beside a target (B, *grid) of long labels, in
which 255 means void. With L = 1 the labels are 0 and 1; with L > 1 they are 0 .. L-1.
A void pixel takes part in nothing: its values are replaced before anything is computed.
"""

import torch

from softcut_lib import _checks as check


def maps_and_labels(name, maps, target, ignore_index=255, *, values=True):
    """Check one pair of maps and target, and clear the void pixels of both.

    Args:
        name: what the maps are called in messages.
        maps: (B, L, *grid) floating, one map per label, or one for foreground (L = 1).
        target: (B, *grid) long labels.
        ignore_index: the label that means void.
        values: whether the label values are checked too (one reduction).

    Returns:
        maps (at least float32, zero where void), labels (long, zero where void) and
        known (bool), the last two (B, *grid).

    Raises:
        TypeError: if either is no tensor or of the wrong dtype.
        ValueError: if the shapes, the devices or the labels do not fit.
    """
    maps = wide_maps(name, maps)
    labels, known = known_labels("target", target, name, maps, ignore_index, values=values)
    # Replaced, not multiplied by zero: a void pixel may hold an infinity (padding).
    return torch.where(known[:, None], maps, 0), labels, known


def wide_maps(name, maps):
    """Refuse anything but floating maps (B, L, *grid); float32 or wider comes back."""
    check.is_tensor(name, maps)
    if not maps.is_floating_point():
        raise TypeError(f"{name} must be floating point, got {maps.dtype}; call .float()")
    if maps.dim() < 3 or maps.numel() == 0:
        raise ValueError(
            f"{name} must have shape (B, L, *grid) with every size at least 1, "
            f"got {tuple(maps.shape)}; a single map needs its batch and label axes: x[None, None]"
        )
    # Half precision holds neither a sum over an image nor the log of a small probability.
    return maps.float() if maps.dtype in (torch.float16, torch.bfloat16) else maps


def known_labels(name, target, maps_name, maps, ignore_index=255, *, values=True):
    """Check long labels (B, *grid) beside their maps; void becomes 0, and which are known."""
    check.is_tensor(name, target)
    if target.dtype != torch.long:
        raise TypeError(f"{name} must be torch.int64 labels, got {target.dtype}; call .long()")
    pixel_shape(name, target, maps_name, maps)
    if isinstance(ignore_index, bool) or not isinstance(ignore_index, int):
        raise TypeError(f"ignore_index must be an integer, got {ignore_index!r}")
    known = target != ignore_index
    labels = torch.where(known, target, 0)
    if values:
        _labels_in_range(name, maps.shape[1], labels, ignore_index)
    return labels, known


def membership(labels, known, like):
    """Each label's set as 0/1 maps (B, L, *grid) of the dtype of `like`, void in no set."""
    classes = torch.arange(like.shape[1], device=labels.device)
    if like.shape[1] == 1:
        classes = classes + 1  # a single map speaks of label 1, the foreground
    classes = classes.reshape(-1, *(1 for _ in labels.shape[1:]))
    return ((labels[:, None] == classes) & known[:, None]).to(like.dtype)


def in_unit_interval(name, prob):
    """Refuse NaN and values clearly outside [0, 1]: somebody passed scores."""
    low, high = torch.aminmax(prob.detach())
    # Rounding of a softmax or a solver may leave the interval by a little.
    if not (low >= -1e-3 and high <= 1 + 1e-3):
        raise ValueError(
            f"{name} must be probabilities in [0, 1], got values from {float(low):g} to "
            f"{float(high):g}; pass scores through sigmoid (L = 1) or softmax over dim 1 first"
        )


def is_finite(name, maps):
    """Refuse NaN and infinity at labelled pixels."""
    check.finite(name, maps)


def reduce(values, reduction):
    """The mean, the sum, or the values themselves."""
    check.one_of("reduction", reduction, ("mean", "sum", "none"))
    return values if reduction == "none" else getattr(values, reduction)()


def pixel_shape(name, target, maps_name, maps):
    """Refuse anything but one value per pixel of the maps, (B, *grid), on their device."""
    expected = (maps.shape[0], *maps.shape[2:])
    if tuple(target.shape) != expected:
        advice = f"the {name} has no label axis"
        if tuple(target.shape) == (expected[0], 1, *expected[1:]):
            advice = f"drop its label axis: {name}[:, 0]"
        elif tuple(target.shape) == tuple(maps.shape):
            advice = f"pass labels, not one map per label: {name}.argmax(dim=1)"
        elif tuple(target.shape) == expected[1:]:
            advice = f"add its batch axis: {name}[None]"
        raise ValueError(
            f"{name} must have shape {expected}, that of {maps_name} {tuple(maps.shape)} without "
            f"its label axis, got {tuple(target.shape)}; {advice}"
        )
    if maps.device != target.device:
        raise ValueError(
            f"{name} must be on the device of {maps_name}, {maps.device}, got {target.device}; "
            "move one of them with .to(...)"
        )


def _labels_in_range(name, count, labels, ignore_index):
    highest = max(count - 1, 1)
    low, high = (int(v) for v in torch.aminmax(labels))
    if low < 0 or high > highest:
        kind = "one map: background 0, foreground 1" if count == 1 else f"{count} maps"
        advice = "remap them, or mark them void"
        if low < 0 and name == "target":
            advice = f"pass ignore_index={low} if that is your void, else remap them"
        raise ValueError(
            f"{name} must hold labels 0..{highest} ({kind}) or {ignore_index} for void, "
            f"got labels from {low} to {high}; {advice}"
        )
