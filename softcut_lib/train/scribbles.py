"""Training from scribbles: what each way of it minimizes, and the network that tells (chapter 15).

    loss = partial cross-entropy on the scribbles + weight * regularizer(S, image) + NEL,

the regularizer from a given step on (first cross-entropy alone, then both), or from the start. A
proposal in place of the scribbles makes it an ordinary training. Tang et al. 2018, eq. 6.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import NamedTuple

import torch

from softcut_lib import _checks as check
from softcut_lib.affinity.lattice import LatticeAffinity
from softcut_lib.losses.clustering import absent_label_loss
from softcut_lib.losses.pointwise import partial_cross_entropy
from softcut_lib.models.cutnet import CutNet, harden, output_kind
from softcut_lib.train.metrics import mean_iou
from softcut_lib.train.regularizers import PROPOSALS, REGULARIZERS, proposal
from softcut_lib.train.scribbled import unpack
from softcut_lib.weak.inference import crf_kernels, mean_field


@dataclass(frozen=True)
class Supervision:
    """What a network is shown and what it is told about the rest.

    Args:
        shown: "scribbles", "masks" (full supervision), one of `PROPOSALS` (made once from the
            scribbles), or "alternating" (graph cuts of the network's own scores, made anew at every
            step after the start).
        regularizer: a name in `REGULARIZERS`, or None.
        weight: of the regularizer, beside mean cross-entropy.
        absent: weight of the penalty on labels that no scribble of the image names (NEL).
        joint: the regularizer acts from the first step on.
        clamp: scribbles are held inside the regularizer.
        alone: once the regularizer acts nothing is shown any more, it is all there is.
        options: of the regularizer or the proposals, such as sigma_color and sigma_space.
    """

    shown: str = "scribbles"
    regularizer: str | None = None
    weight: float = 1.0
    absent: float = 0.0
    joint: bool = False
    clamp: bool = True
    alone: bool = False
    options: dict = field(default_factory=dict)
    made: dict = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self):
        check.one_of("shown", self.shown, ("scribbles", "masks", *PROPOSALS, ALTERNATE))
        check.one_of("regularizer", self.regularizer, (None, *REGULARIZERS))
        check.positive_number("weight", self.weight)
        if self.alone and self.regularizer is None:
            raise ValueError("regularizer must be named where alone=True: else there is no loss")

    def loss(self, prediction, code, *, started):
        """The loss of one batch; ``started`` says whether the second part has begun."""
        mask, seeds = unpack(code)
        started = started or self.joint
        if self.alone and started:
            return self.weight * self.energy(prediction.prob, prediction.image)
        total = cross_entropy(prediction, self._target(prediction, mask, seeds, started))
        if self.regularizer is not None and started:
            held = seeds if self.clamp else None
            total = total + self.weight * self.energy(prediction.prob, prediction.image, held)
        if self.absent and started:
            total = total + self.absent * absent_label_loss(prediction.prob, seeds)
        return total

    def energy(self, prob, image, seeds=None):
        """The regularizer of images in [0, 1], averaged over them."""
        return REGULARIZERS[self.regularizer](prob, 255 * image, seeds, **self.options)

    def _target(self, prediction, mask, seeds, started):
        if self.shown == "masks":
            return mask
        if self.shown == "scribbles" or (self.shown == ALTERNATE and not started):
            return seeds
        if self.shown == ALTERNATE:
            return proposal(ALTERNATE, prediction.image, seeds, prob=prediction.prob)
        targets = []
        for image, marks in zip(prediction.image, seeds, strict=True):
            key = sha256(b"".join(x.detach().cpu().numpy().tobytes() for x in (image, marks)))
            key = key.digest()
            if key not in self.made:
                made = proposal(self.shown, image[None], marks[None], **self.options)[0]
                self.made[key] = made.byte().cpu()  # labels are in 0..255
            targets.append(self.made[key])
        return torch.stack(targets).to(seeds)


ALTERNATE = "alternating"


class ScribbleOutput(NamedTuple):
    """A `CutOutput` that also says from which image, after how many steps, under what it stands."""

    scores: torch.Tensor
    weights: list[torch.Tensor] | None
    output: torch.Tensor
    prob: torch.Tensor
    image: torch.Tensor
    step: int
    supervision: Supervision


class ScribbleNet(CutNet):
    """A `CutNet` that carries its supervision, counts its steps, and hands on the image.

    The count is a buffer, so that a resumed training goes on where it stopped.

    Args:
        net, cut: as in `CutNet`.
        supervision: `Supervision`.
        decode: None, "mean_field" for a dense CRF (`crf_options` to `crf_kernels`, the strengths of
            both kernels times the attribute `strength`, 1 at first), or as in `CutNet`.

    Example:
        >>> from softcut_lib import BasicNet
        >>> net, image = ScribbleNet(BasicNet(), supervision=Supervision()), torch.zeros(1, 3, 8, 8)
        >>> net(image).step, net.eval()(image).step, net(image).step
        (0, 1, 1)
    """

    def __init__(self, net, cut=None, *, supervision, decode=None, crf_options=None):
        super().__init__(net, cut, None if decode == MEAN_FIELD else decode)
        self.decode = decode
        self.supervision = supervision
        self.crf_options = crf_options or {}
        self.strength = 1.0
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))

    def forward(self, image):
        step = int(self.steps)
        if self.training:
            self.steps += 1
        return ScribbleOutput(*super().forward(image), image, step, self.supervision)

    @property
    def decodes_with_weights(self):
        """Whether the decoder needs conductances: the dense CRF has its own."""
        return self.decode not in (None, MEAN_FIELD)

    @torch.no_grad()
    def predict(self, image):
        return self.decide(self(image)) if self.decode == MEAN_FIELD else super().predict(image)

    @torch.no_grad()
    def decide(self, prediction):
        if self.decode != MEAN_FIELD:
            return super().decide(prediction)
        from_logits = output_kind(self.cut) == "scores"
        maps = prediction.output if from_logits else prediction.prob
        options = {"kind": LatticeAffinity, **self.crf_options}
        kernels = crf_kernels(255 * prediction.image, **options)
        kernels = [(self.strength * strength, kernel) for strength, kernel in kernels]
        return harden(mean_field(maps, kernels, from_logits=from_logits))


MEAN_FIELD = "mean_field"


@dataclass(frozen=True)
class FromScribbles:
    """The objective of all rows: each network's own supervision, its second part after ``first``
    steps.

    Evaluation is 1 - mean IoU of the image, so that the network kept is the one of the best
    validation IoU. Until a step of the second part has been taken, the number of channels is added:
    no network of the first part, its last one included, is kept where a later one exists.
    (Validation has masks, which training has not.) Where the regularizer is alone in the second
    part, evaluation is the regularizer itself.

    Args:
        first: steps of partial cross-entropy alone, at least 0.
    """

    first: int = 300

    def training(self, prediction, target, generator=None):
        started = prediction.step >= self.first
        return prediction.supervision.loss(prediction, target, started=started)

    def evaluation(self, prediction, target):
        told = prediction.supervision
        if told.alone:
            pairs = zip(prediction.prob.split(1), prediction.image.split(1), strict=True)
            values = torch.stack([told.energy(prob, image) for prob, image in pairs])
        else:
            values = 1 - mean_iou(prediction.prob, target, per_image=True)
        early = prediction.step <= self.first  # the steps behind it: `first` are the first part's
        return values + prediction.prob.shape[1] if early else values


def cross_entropy(prediction, target):
    """Mean over the labelled pixels, whether the cut gives scores or probabilities."""
    if prediction.output is prediction.prob:
        return partial_cross_entropy(prediction.prob, target, from_logits=False)
    return partial_cross_entropy(prediction.output, target)
