"""Every message about shape, dtype, device and finiteness, so that all rooms speak alike.

A check names the argument, says what was expected, what arrived and what to do.
"""

import torch


def positive_integer(name, value):
    """Refuse anything but an integer >= 1."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name} must be an integer of at least 1, got {value!r}")


def positive_number(name, value):
    """Refuse anything but a finite number > 0."""
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not 0 < value < float("inf")
    ):
        raise ValueError(f"{name} must be a finite number above 0, got {value!r}")


def not_empty(name, value):
    """Refuse a tensor without a sample, a label or a pixel."""
    if value.numel() == 0:
        raise ValueError(
            f"{name} must hold at least one sample, label and pixel, got shape {tuple(value.shape)}"
        )


def one_of(name, value, choices):
    """Refuse an option that is not in the list; 1 is not True, which Python holds equal."""
    if not any(
        value is c or (isinstance(value, bool) == isinstance(c, bool) and value == c)
        for c in choices
    ):
        listed = " or ".join(repr(c) for c in choices)
        raise ValueError(f"{name} must be {listed}, got {value!r}")


def is_tensor(name, value):
    """Refuse anything but a tensor."""
    if not isinstance(value, torch.Tensor):
        raise TypeError(
            f"{name} must be a torch.Tensor, got {type(value).__name__}; "
            "convert it first, for example with torch.as_tensor"
        )


def offset(value, dim):
    """Refuse an offset of the wrong length, with non-integers, or zero."""
    if not isinstance(value, tuple | list) or not all(isinstance(o, int) for o in value):
        raise TypeError(f"an offset must be a tuple of integers such as (1, 0), got {value!r}")
    if len(value) != dim:
        raise ValueError(f"an offset of a {dim}-D grid must have {dim} entries, got {tuple(value)}")
    if not any(value):
        raise ValueError("an offset must not be all zero: an edge joins two different pixels")


def grid_axes(name, x, least):
    """Refuse a tensor with too few axes."""
    is_tensor(name, x)
    if x.dim() < least:
        raise ValueError(f"{name} must have at least {least} axes, got shape {tuple(x.shape)}")


def edge_tensor(name, edges, off, grid):
    """Refuse an edge tensor that does not fit the grid, and recognize swapped ones."""
    is_tensor(name, edges)
    offset(off, len(grid))
    expected = tuple(max(n - abs(o), 0) for n, o in zip(grid, off, strict=True))
    arrived = tuple(edges.shape[max(edges.dim() - len(grid), 0) :])
    if arrived != expected:
        raise ValueError(
            f"{name} must end in {expected}, the edges of offset {tuple(off)} on the grid "
            f"{tuple(grid)}, got shape {tuple(edges.shape)}"
        )


def floating(name, x):
    """Refuse everything but float32 and float64."""
    is_tensor(name, x)
    if x.dtype not in (torch.float32, torch.float64):
        advice = "call .float() or .double()"
        if x.dtype in (torch.float16, torch.bfloat16):
            advice = (
                "half precision cannot hold the solve; call .float(), or run under torch.autocast"
            )
        raise TypeError(f"{name} must be float32 or float64, got {x.dtype}; {advice}")


def same_kind(name, x, reference_name, reference):
    """Refuse a tensor whose dtype or device differs from the reference's."""
    if x.dtype != reference.dtype:
        raise TypeError(
            f"{name} must have the dtype of {reference_name}, {reference.dtype}, got {x.dtype}; "
            f"convert one of them with .to(...)"
        )
    if x.device != reference.device:
        raise ValueError(
            f"{name} must be on the device of {reference_name}, {reference.device}, "
            f"got {x.device}; move one of them with .to(...)"
        )


def on_cpu(name, x, who):
    """Refuse a tensor that is not on the CPU."""
    is_tensor(name, x)
    if x.device.type != "cpu":
        raise ValueError(
            f"{who} runs on the CPU, got {name} on {x.device}; move the arguments with .cpu() first"
        )


def finite(name, x):
    """Refuse NaN and infinity."""
    # One reduction: NaN and infinity survive every sum, so a finite sum proves finite terms. Only
    # when the sum is not finite (it may have overflowed) are the values looked at one by one.
    if not bool(torch.isfinite(x.detach().sum())):
        bad = int((~torch.isfinite(x)).sum())
        if bad:
            raise ValueError(
                f"{name} must be finite, got {bad} NaN or infinite of {x.numel()} values; look at "
                "what produced them (learning rate, overflow of exp, division by zero)"
            )


def at_least_zero(name, x, *, strict=False):
    """Refuse negative (or, strictly, non-positive) and non-finite values."""
    finite(name, x)
    if x.numel():
        low = float(x.detach().min())
        if low < 0 or (strict and low == 0):
            bound = "above 0" if strict else "at least 0"
            raise ValueError(
                f"{name} must be {bound}, got a minimum of {low:g}; pass the network's map through "
                "exp or softplus"
            )
