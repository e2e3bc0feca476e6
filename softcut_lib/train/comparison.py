"""Cuts side by side: the same small training, the same image, the same finite differences.

A cut is judged by what a network learns through it in a fixed number of steps, by the time of a
forward and a backward pass, and by its gradient's direction: the cosine with central differences of
a finite step of the loss, which see across a jump where a derivative sees a flat. Chapters 7 and 8.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch

from softcut_lib.models.basic import BasicNet, EdgeNet
from softcut_lib.models.cutnet import CutNet, ScoreAndEdges, output_kind
from softcut_lib.train.evaluation import evaluate, summarize


@dataclass(frozen=True)
class Brier:
    """Mean squared error of the probabilities, finite for every cut, also for one of samples."""

    def training(self, prediction, target, generator=None):
        return self.evaluation(prediction, target).mean()

    def evaluation(self, prediction, target):
        return (prediction.prob[:, 0] - target).square().flatten(1).mean(1)


def small_training(cut, train, test, *, loss=None, steps=400, seed=0, lr=5e-3) -> dict:
    """Train a small score net and edge net through a cut, and test it.

    Two hidden layers of 8 channels for the scores, one for the conductances, which start near 0.1.
    It runs on one thread: for layers this small a second one costs more than it gives.

    Args:
        cut: called as ``cut(scores, weights)``; None for no cut.
        train, test: lists of items (image, target, name) without void pixels; the training images
            are taken in turn, one a step.
        loss: called as ``loss(scores, weights, target)``, a loss of a cut's input such as
            `fenchel_young_loss`; the squared error of the probabilities if None.
        steps: of Adam.
        seed: of the networks' start, the same for every cut.
        lr: learning rate.

    Returns:
        dict: iou, iou_bracket, loss, figures, ... of the test, and seconds of training.

    Example:
        >>> from softcut_lib import SoftCut, SyntheticHorses
        >>> train, test = SyntheticHorses("train", count=2), SyntheticHorses("test", count=1)
        >>> row = small_training(SoftCut(), list(train), list(test), steps=2)
        >>> 0 <= row["iou"] <= 1
        True
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = ScoreAndEdges(BasicNet(channels=(8, 8)), EdgeNet(channels=8, initial=0.1))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _train_and_test(net, cut, train, test, loss, steps, lr)
    finally:
        torch.set_num_threads(threads)


def _train_and_test(net, cut, train, test, loss, steps, lr):
    network = CutNet(net, cut)
    optimizer = torch.optim.Adam(network.parameters(), lr)
    objective = Brier()
    started = time.perf_counter()
    for step in range(steps):
        item = train[step % len(train)]
        image, target = item["image"][None], item["target"][None]
        if loss is None:
            value = objective.training(network(image), target)
        else:
            value = loss(*net(image), target) / target.numel()
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    seconds = time.perf_counter() - started
    return {**summarize(evaluate(network, test, objective)), "seconds": seconds}


def gradient_quality(cut, scores, weights, target, *, step=0.5, redraw=None) -> dict:
    """Cosine of a cut's gradient with central differences of the loss, for scores and for weights.

    difference_i = (loss(theta + h e_i) - loss(theta - h e_i)) / 2h,     weights kept at least 0.

    A difference of a finite step h is the derivative of the loss averaged over a window of width
    2h. All these problems are solved as one batch.

    Args:
        cut: called as ``cut(scores, weights)``.
        scores: (1, 1, *grid); a few hundred pixels at most.
        weights: one tensor (1, *edge_shape) per offset.
        target: long (1, *grid).
        step: h, in the units of scores and weights.
        redraw: for a random cut: called before every problem to set its generator back, so that all
            differences, taken one by one then, see the noise that the gradient saw.

    Returns:
        dict: scores and weights, cosines in [-1, 1]; NaN where a gradient vanishes.
    """
    leaves = [t.detach().clone().requires_grad_() for t in (scores, *weights)]
    if redraw is not None:
        redraw()
    loss = _brier(cut, leaves[0], leaves[1:], target).mean()
    gradients = torch.autograd.grad(loss, leaves)
    differences = []
    with torch.no_grad():
        for k, leaf in enumerate(leaves):
            many = [t.expand(2 * leaf.numel(), *t.shape[1:]) for t in leaves]
            move = step * torch.eye(leaf.numel(), dtype=leaf.dtype).view(-1, *leaf.shape[1:])
            moved = torch.cat([leaf + move, leaf - move])
            width = torch.full((leaf.numel(),), 2 * step, dtype=leaf.dtype)
            if k:
                moved = moved.clamp(min=0)
                width = step + leaf.flatten().clamp(max=step)
            many[k] = moved
            if redraw is None:
                values = _brier(cut, many[0], many[1:], target)
            else:
                values = _one_by_one(cut, many, target, redraw)
            up, down = values.chunk(2)
            differences.append((up - down) / width)
    flat = [g.flatten() for g in gradients]
    return {
        "scores": _cosine(flat[0], differences[0]),
        "weights": _cosine(torch.cat(flat[1:]), torch.cat(differences[1:])),
    }


def _brier(cut, scores, weights, target):
    output = cut(scores, weights)
    prob = output if output_kind(cut) == "probabilities" else output.sigmoid()
    return (prob[:, 0] - target).square().flatten(1).mean(1)


def _one_by_one(cut, many, target, redraw):
    values = []
    for k in range(len(many[0])):
        redraw()
        values.append(_brier(cut, many[0][k : k + 1], [t[k : k + 1] for t in many[1:]], target))
    return torch.cat(values)


def _cosine(a, b):
    size = float(a.norm() * b.norm())
    return float(a @ b) / size if size else float("nan")


def pass_times(cut, scores, weights, *, repeats=5) -> dict:
    """Seconds of a forward and of a backward pass, the least of several.

    Example:
        >>> import torch
        >>> from softcut_lib import SoftCut
        >>> edges = [torch.ones(1, 3, 4), torch.ones(1, 4, 3)]
        >>> sorted(pass_times(SoftCut(), torch.zeros(1, 1, 4, 4), edges, repeats=1))
        ['backward', 'forward']
    """
    forward, backward = [], []
    for _ in range(repeats):
        leaves = [t.detach().clone().requires_grad_() for t in (scores, *weights)]
        started = time.perf_counter()
        output = cut(leaves[0], leaves[1:])
        between = time.perf_counter()
        torch.autograd.grad(output.square().sum(), leaves)
        forward.append(between - started)
        backward.append(time.perf_counter() - between)
    return {"forward": min(forward), "backward": min(backward)}
