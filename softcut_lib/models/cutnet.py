"""Any network followed by any cut: image -> (scores, weights) -> cut -> probabilities.

    scores, weights = net(image);   output = cut(scores, weights);   prob = sigmoid(output)

(softmax over the labels when there are several). Chapter 10.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import nn


class CutOutput(NamedTuple):
    """What a `CutNet` returns: every stage of the pipeline."""

    scores: torch.Tensor
    weights: list[torch.Tensor] | None
    output: torch.Tensor
    prob: torch.Tensor


class ScoreAndEdges(nn.Module):
    """Two separate networks on the same image, one for the scores, one for the conductances.

    ``(scores, weights) = (score_net(image), edge_net(image))``; without an edge net the weights are
    None.

    Args:
        score_net: module, image (B, C, *grid) -> scores (B, L, *grid).
        edge_net: module, image -> list of edge tensors, or None.

    >>> import torch
    >>> from softcut_lib import BasicNet, EdgeNet, ScoreAndEdges
    >>> scores, weights = ScoreAndEdges(BasicNet(), EdgeNet())(torch.zeros(1, 3, 6, 6))
    >>> scores.shape, len(weights)
    (torch.Size([1, 1, 6, 6]), 2)
    """

    def __init__(self, score_net: nn.Module, edge_net: nn.Module | None = None):
        super().__init__()
        self.score_net = score_net
        self.edge_net = edge_net

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor] | None]:
        return self.score_net(image), None if self.edge_net is None else self.edge_net(image)


class CutNet(nn.Module):
    """Compose any network with any differentiable cut, and any decoder for the hard mask.

    ``output = cut(scores, weights)``; ``prob = sigmoid(output)`` for one label, softmax over the
    labels for several. A cut with ``cut.output == "probabilities"`` is taken as it is
    (`output_kind`).

    Args:
        net: module, image (B, C, *grid) -> (scores (B, L, *grid), weights); a plain score net
            that returns only a tensor is allowed where neither cut nor decoder needs weights.
        cut: called as ``cut(scores, weights) -> (B, L, *grid)``; None for no cut.
        decode: used by `predict` and `decide` alone, on the scores *before* the cut. "min_cut": the
            minimum cut, by `softcut_lib.min_cut` for one label and by
            `softcut_lib.alpha_expansion` for several, with the cut's offsets, on the CPU wherever
            the network is. A callable ``decode(scores, weights)`` that returns a mask; or None for
            the threshold 1/2 of ``prob`` (several labels: the largest).

    Returns (when called):
        `CutOutput`: scores, weights, output, prob.

    Raises:
        ValueError: a cut or decoder is there but the network returns no weights.
        TypeError: the network returns something else than scores or (scores, weights).

    Source: SoftCut thesis, Fig. 13 and 14; decoding as in its experiments 8 and 9.

    >>> import torch
    >>> from softcut_lib import BasicNet, CutNet, EdgeNet, ScoreAndEdges, SoftCut
    >>> net = CutNet(ScoreAndEdges(BasicNet(), EdgeNet()), SoftCut())
    >>> image = torch.rand(1, 3, 6, 8, generator=torch.Generator().manual_seed(0))
    >>> net(image).prob.shape, net.predict(image).shape
    (torch.Size([1, 1, 6, 8]), torch.Size([1, 6, 8]))
    """

    def __init__(self, net: nn.Module, cut: Callable | None = None, decode=None):
        super().__init__()
        for name, value in (("cut", cut), ("decode", decode)):
            if value is not None and value != "min_cut" and not callable(value):
                raise TypeError(
                    f"{name}: expected a callable (scores, weights) or None, got {value!r}"
                )
        if cut == "min_cut":
            raise ValueError(
                "cut: min_cut has no gradient; pass it as decode='min_cut', "
                "or use SoftCut() as the cut"
            )
        kind = output_kind(cut)
        if kind not in ("scores", "probabilities"):
            raise ValueError(
                f"cut: its attribute `output` must be 'scores' or 'probabilities', got {kind!r}"
            )
        self.net = net
        self.cut = cut
        self.decode = decode

    def forward(self, image: torch.Tensor) -> CutOutput:
        scores, weights = self._run(image)
        if self.cut is None:
            output = scores
        else:
            self._need(weights, "cut")
            output = self.cut(scores, weights)
        return CutOutput(scores, weights, output, self._probabilities(output))

    @torch.no_grad()
    def predict(self, image: torch.Tensor) -> torch.Tensor:
        """Hard mask, long (B, *grid): 0 or 1 for one label, the label's number for several."""
        if self.decode is None:
            return self.decide(self(image))
        return self.decide(CutOutput(*self._run(image), None, None))  # it needs no cut

    @torch.no_grad()
    def decide(self, prediction: CutOutput) -> torch.Tensor:
        """The mask that `predict` gives for an image, from what the network returned for it."""
        if self.decode is None:
            return harden(prediction.prob)
        scores, weights = prediction.scores, prediction.weights
        self._need(weights, "decode")
        decode = self._minimum_cut if self.decode == "min_cut" else self.decode
        mask = decode(scores, weights)
        if mask.dim() == scores.dim():
            mask = mask[:, 0] if mask.shape[1] == 1 else mask.long().argmax(1)
        return mask.long()

    def _minimum_cut(self, scores, weights):
        """The minimum cut, or expansions, of the energy that the network's numbers define."""
        from softcut_lib import alpha_expansion, min_cut

        solve = min_cut if scores.shape[1] == 1 else alpha_expansion
        mask = solve(scores.cpu(), [w.cpu() for w in weights], offsets=offsets_of(self.cut))
        return mask.to(scores.device)

    def _run(self, image):
        result = self.net(image)
        if isinstance(result, torch.Tensor):
            return result, None
        if isinstance(result, tuple) and len(result) == 2:
            return result
        raise TypeError(
            f"net: expected it to return scores or (scores, weights), got {type(result).__name__}"
        )

    def _need(self, weights, what):
        if weights is None:
            raise ValueError(
                f"{what}: it needs conductances but the network returned none; "
                "give the net an edge net, e.g. ScoreAndEdges(score_net, EdgeNet())"
            )

    def _probabilities(self, output):
        if output_kind(self.cut) == "probabilities":
            return output
        return output.sigmoid() if output.shape[1] == 1 else output.softmax(1)


def output_kind(cut: Callable | None) -> str:
    """What a cut returns, "scores" or "probabilities": its attribute ``output``, "scores" without.

    `functools.partial`, which stores options, has no attributes of the function inside: that one's
    count.

    >>> from functools import partial
    >>> from softcut_lib import linear_program_cut, soft_cut
    >>> output_kind(partial(linear_program_cut, smoothing=2.0)), output_kind(soft_cut)
    ('probabilities', 'scores')
    """
    while isinstance(cut, partial):
        cut = cut.func
    return getattr(cut, "output", "scores")


def offsets_of(cut: Callable | None) -> tuple | None:
    """The edge directions of a cut, its attribute or stored option ``offsets``; None for the axes.

    >>> from functools import partial
    >>> from softcut_lib import SoftCut, soft_cut
    >>> offsets_of(SoftCut(offsets=((1, 1),))), offsets_of(partial(soft_cut, offsets=((1, 1),)))
    (((1, 1),), ((1, 1),))
    """
    while isinstance(cut, partial):
        if "offsets" in cut.keywords:
            return cut.keywords["offsets"]
        cut = cut.func
    return getattr(cut, "offsets", None)


def harden(prob: torch.Tensor) -> torch.Tensor:
    """Hard labels of probabilities, (B, L, *grid) -> long (B, *grid).

    One label: 1 where ``prob > 1/2``. Several: the number of the most probable one.

    >>> import torch
    >>> from softcut_lib.models.cutnet import harden
    >>> harden(torch.tensor([[[0.2, 0.5, 0.7]]]))
    tensor([[0, 0, 1]])
    """
    return (prob[:, 0] > 0.5).long() if prob.shape[1] == 1 else prob.argmax(1)
