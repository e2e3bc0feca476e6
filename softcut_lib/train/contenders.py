"""The differentiable cuts of the book in one table: what each learns and what it costs.

All go through `softcut_lib.train.comparison`: the same small network on the same synthetic horses,
the same finite differences, the same picture for the clock. Chapters 1, 7 and 8 end with the table.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import torch

from softcut_lib.cuts.flow import min_cut
from softcut_lib.data.synthetic_horses import SyntheticHorses
from softcut_lib.grid.edges import axis_offsets, edge_shape
from softcut_lib.grid.weights import image_weights
from softcut_lib.layers.perturbation import fenchel_young_loss, perturbed
from softcut_lib.layers.program import linear_program_cut
from softcut_lib.layers.softcut import SoftCut
from softcut_lib.layers.variation import TotalVariation
from softcut_lib.train.comparison import gradient_quality, pass_times, small_training

SIZE = (48, 64)
TINY = (8, 10)


@dataclass(frozen=True)
class Contender:
    """One row of the table.

    Attributes:
        cut: called as ``cut(scores, weights)``; None for no cut.
        loss: a loss of the cut's input, ``loss(scores, weights, target)``, to train with; the
            squared error of the probabilities if None.
        redraw: of a random cut: sets its noise back.
        tiny: too slow for pictures: nothing is trained, and its times are those of the grid `TINY`.
    """

    cut: Callable | None
    loss: Callable | None = None
    redraw: Callable | None = None
    tiny: bool = False


def _average(loss=None):
    noise = torch.Generator().manual_seed(0)
    cut = perturbed(min_cut, sigma=0.5, num_samples=8, generator=noise)
    return Contender(cut, loss, lambda: noise.manual_seed(0))


def _fenchel_young():
    generator = torch.Generator().manual_seed(1)
    return _average(fenchel_young_loss(min_cut, sigma=0.5, num_samples=2, generator=generator))


CONTENDERS: dict[str, Callable[[], Contender]] = {
    "no cut": lambda: Contender(None),
    "soft cut": lambda: Contender(SoftCut()),
    "TV, 35 steps": lambda: Contender(TotalVariation(method="published", refine=False)),
    "TV with isotonic refinement": lambda: Contender(TotalVariation(method="published")),
    "TV, exact": lambda: Contender(TotalVariation()),
    "perturbed minimum cut": _average,
    "perturbed, Fenchel-Young loss": _fenchel_young,
    "quadratic program (8 by 10 only)": lambda: Contender(
        partial(linear_program_cut, smoothing=2.0), tiny=True
    ),
}


def side_by_side(names: Iterable[str] | None = None, *, steps: int = 400) -> list[dict]:
    """Train, test and time the cuts of the book on synthetic horses of 48 by 64 pixels.

    Args:
        names: rows, in this order; all of `CONTENDERS` if None.
        steps: of Adam, one picture each, see `small_training`.

    Returns:
        One dict per row: name; iou, iou_bracket and figures over 30 test pictures; the cosines
        scores and weights of `gradient_quality` on a grid of 8 by 10 pixels; seconds forward and
        backward for one training picture. None where a row has no such number: a row without a cut
        has no cut's gradient, a program is too slow to be trained, and a loss of the cut's input
        is judged by what it trains.

    Raises:
        ValueError: an unknown name.

    Example:
        >>> (row,) = side_by_side(["soft cut"], steps=1)
        >>> row["name"], row["scores"] > 0.9, row["backward"] > 0
        ('soft cut', True, True)
    """
    names = list(CONTENDERS if names is None else names)
    unknown = [name for name in names if name not in CONTENDERS]
    if unknown:
        raise ValueError(f"names must be among {', '.join(CONTENDERS)}; got {unknown[0]!r}")
    horses = {
        split: [SyntheticHorses(split, count=count, size=SIZE)[k] for k in range(count)]
        for split, count in (("train", 40), ("test", 30))
    }
    return [_row(name, CONTENDERS[name](), horses, steps) for name in names]


def _row(name, contender, horses, steps):
    row = dict.fromkeys(
        ("iou", "iou_bracket", "figures", "scores", "weights", "forward", "backward")
    )
    if not contender.tiny:
        learned = small_training(
            contender.cut, horses["train"], horses["test"], loss=contender.loss, steps=steps
        )
        row |= {key: learned[key] for key in ("iou", "iou_bracket", "figures")}
    if contender.cut is not None and contender.loss is None:
        scores, weights, target = _tiny_problem()
        picture = horses["train"][0]["image"][None]
        large = picture.mean(1, keepdim=True) - 0.4, image_weights(picture)
        timed = (scores, weights) if contender.tiny else large
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=DeprecationWarning, module="cvxpylayers")
            row |= gradient_quality(contender.cut, scores, weights, target, redraw=contender.redraw)
            row |= pass_times(contender.cut, *timed)
    return {"name": name, **row}


def _tiny_problem():
    """Scores, weights and a target that nothing made for each other, float64."""
    draw = {"generator": torch.Generator().manual_seed(3), "dtype": torch.float64}
    scores = torch.randn(1, 1, *TINY, **draw)
    weights = [0.5 * torch.rand(1, *edge_shape(TINY, o), **draw) for o in axis_offsets(2)]
    return scores, weights, (torch.randn(1, *TINY, **draw) > 0).long()
