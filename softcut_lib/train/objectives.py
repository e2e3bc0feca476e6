"""What a training run minimizes, as small frozen objects.

An objective offers ``training(prediction, target, generator) -> ()`` and
``evaluation(prediction, target) -> (B,)``, one loss per image, where ``prediction`` is a
`CutOutput` and ``target`` is long (B, *grid) with 255 void. Chapter 10.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from softcut_lib.losses.dice import dice_loss, focal_dice_loss
from softcut_lib.losses.pointwise import partial_cross_entropy

VOID = 255


@dataclass(frozen=True)
class RevealedPixels:
    """Cross-entropy on a few pixels, drawn anew at every step with probability ``fraction``.

    The thesis' first experiment reveals 0.1 % of the pixels at each step; validation and test use
    all pixels, averaged in each image.

    Source: SoftCut thesis, section 4.1; that the draw is repeated at every step is known from the
    published code.
    """

    fraction: float = 0.001

    def training(self, prediction, target, generator):
        revealed = reveal(target, self.fraction, generator=generator)
        return partial_cross_entropy(prediction.output, revealed)

    def evaluation(self, prediction, target):
        return torch.stack(
            [
                partial_cross_entropy(output[None], mask[None])
                for output, mask in zip(prediction.output, target, strict=True)
            ]
        )


@dataclass(frozen=True)
class Dice:
    """Dice loss of the probabilities, one set over the whole batch as the published code has it.

    With ``pooled`` False every image counts alike, and a batch may be shared out over devices and
    accumulated parts without another loss. Evaluation is image by image.

    Source: SoftCut thesis, eqs. 5-7; that the sets are pooled is known from the published code.
    """

    pooled: bool = True

    def training(self, prediction, target, generator=None):
        return dice_loss(prediction.prob, target, pooled=self.pooled)

    def evaluation(self, prediction, target):
        return dice_loss(prediction.prob, target, reduction="none").mean(1)


@dataclass(frozen=True)
class FocalDice:
    """Focal Dice loss with threshold 1/2 and exponent ``gamma``; pooled as in `Dice`.

    Source: SoftCut thesis, appendix B.
    """

    gamma: float = 2.0
    pooled: bool = True

    def training(self, prediction, target, generator=None):
        return focal_dice_loss(prediction.prob, target, gamma=self.gamma, pooled=self.pooled)

    def evaluation(self, prediction, target):
        return focal_dice_loss(prediction.prob, target, gamma=self.gamma, reduction="none").mean(1)


def reveal(target: torch.Tensor, fraction: float, *, generator: torch.Generator) -> torch.Tensor:
    """Hide all but a random fraction of a target's pixels: the others become 255 (void).

    Each pixel is kept with probability ``fraction``, independently. An image that would keep no
    pixel at all is drawn again, so the loss is always defined.

    Args:
        target: long (B, *grid), 255 void; each image needs at least one pixel that is not void.
        fraction: probability in (0, 1] of keeping a pixel.
        generator: a CPU generator, so that a draw is the same on every device.

    Returns:
        A copy of ``target`` with the hidden pixels set to 255.

    Raises:
        ValueError: a fraction outside (0, 1], an image without labelled pixels.

    >>> import torch
    >>> from softcut_lib.train.objectives import reveal
    >>> generator = torch.Generator().manual_seed(0)
    >>> seen = reveal(torch.ones(1, 50, 50).long(), 0.01, generator=generator)
    >>> 0 < (seen == 1).sum().item() < 60
    True
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"fraction: expected a probability in (0, 1], got {fraction}")
    hidden = []
    for mask in target:
        if bool((mask == VOID).all()):
            raise ValueError("target: an image has no labelled pixel, so none can be revealed")
        kept = torch.full_like(mask, VOID)
        while bool((kept == VOID).all()):
            draw = torch.rand(mask.shape, generator=generator) < fraction
            kept = torch.where(draw.to(mask.device), mask, VOID)
        hidden.append(kept)
    return torch.stack(hidden)


def step_generator(seed: int, step: int, *parts: int) -> torch.Generator:
    """The random generator of one training step, a function of (seed, step) alone.

    A run that is killed and resumed at step k therefore draws what the uninterrupted run drew.
    Further numbers tell parts of a step apart.

    >>> from softcut_lib.train.objectives import step_generator
    >>> step_generator(0, 7).initial_seed() == step_generator(0, 7).initial_seed()
    True
    """
    import numpy as np

    state = np.random.SeedSequence([seed, step, *parts]).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state >> np.uint64(1)))
