"""What `soft_cut` accepts: types, shapes and values of scores, weights and ground (chapter 4).

Types and shapes are looked at first and hold for a whole graph that PyTorch records; values are
looked at wherever the solve runs.
"""

import torch

from softcut_lib import _checks as checks
from softcut_lib.grid.arguments import one_per_axis
from softcut_lib.grid.system import GridSystem
from softcut_lib.solvers.precision import autocasts


def prepare(scores, ground, weights):
    """Types of the arguments; under autocast, half precision becomes float32."""
    checks.is_tensor("scores", scores)
    if isinstance(weights, torch.Tensor) or not isinstance(weights, tuple | list):
        raise TypeError(
            "weights must be a list with one tensor per offset, such as [C, R] in 2-D, got "
            f"{type(weights).__name__}"
        )
    for k, w in enumerate(weights):
        checks.is_tensor(f"weights[{k}]", w)
    if ground is not None:
        checks.is_tensor("ground", ground)
    if autocasts(scores.device):
        scores, weights = widen(scores), [widen(w) for w in weights]
        ground = None if ground is None else widen(ground)
    return scores, ground, tuple(weights)


def widen(tensor):
    """Half precision as float32, all else as it is."""
    half = tensor.dtype in (torch.float16, torch.bfloat16)
    return tensor.float() if half else tensor


def check_shapes(scores, ground, weights, offsets):
    """Refuse what does not fit together; the offsets, filled in."""
    checks.floating("scores", scores)
    one_per_axis(weights, offsets)
    dim = len(weights) if offsets is None else len(offsets[0]) if len(offsets) else 1
    if scores.dim() != dim + 2:
        raise ValueError(
            f"scores must have shape (B, L, *grid) with {dim} grid axes, as many as the offsets "
            f"have, got shape {tuple(scores.shape)}; a single label still needs its axis: "
            "scores[:, None]"
        )
    checks.not_empty("scores", scores)
    if not weights:
        raise ValueError("weights must hold at least one edge tensor, got an empty list")
    checks.same_kind("weights[0]", weights[0], "scores", scores)
    if weights[0].dim() and weights[0].shape[0] != scores.shape[0]:
        advice = f"; repeat them, w.expand({scores.shape[0]}, *w.shape[1:])"
        raise ValueError(
            f"weights must have the batch size of scores, {scores.shape[0]}, got "
            f"{weights[0].shape[0]}{advice if weights[0].shape[0] == 1 else ''}"
        )
    system = GridSystem(weights, offsets=offsets, ground=ground, grid=scores.shape[2:], check=False)
    if system.labels not in (None, scores.shape[1]):
        raise ValueError(
            f"weights and ground with a label axis must have {scores.shape[1]} labels as scores "
            f"do, got {system.labels}"
        )
    return system.offsets


def check_values(scores, ground, weights):
    """Refuse negative or non-finite weights, non-finite scores, ground that is not above 0."""
    for k, w in enumerate(weights):
        checks.at_least_zero(f"weights[{k}]", w)
    checks.finite("scores", scores)
    if ground is not None:
        checks.at_least_zero("ground", ground, strict=True)
