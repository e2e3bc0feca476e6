"""Functions of the assignments in the form that the property functions of the theorems call.

A student's function has few arguments; an adapter supplies the rest: offsets that a 2-D function
does not know, a batch, a gradient returned as a value where PyTorch keeps it out of sight.
"""

from functools import partial

import torch

from softcut_lib.grid.system import GridSystem
from softcut_lib.solvers.superlu import SuperLU
from softcut_lib.theorems.perturbation import exhaustive


def on_axes(function):
    """A function of (.., weights) for the two axes, where statements also pass offsets."""
    return lambda *arguments, offsets=None: function(*arguments)


def labels_of(function):
    """One image at a time, and the second of two answers if there are two."""

    def cut(scores, weights, offsets=None):
        found = []
        for k in range(len(scores)):
            answer = function(scores[k : k + 1], [w[k : k + 1] for w in weights])
            answer = answer[1] if isinstance(answer, tuple) else answer
            found.append(_labels(answer, scores))
        return torch.cat(found)

    return cut


def _labels(answer, scores):
    """An answer as the labels of one image, refused if it is not shaped like its scores."""
    labels, expected = torch.as_tensor(answer), (1, *scores.shape[1:])
    assert labels.shape == expected, (
        f"labels must have the shape of the scores, {expected}, got {tuple(labels.shape)}"
    )
    return labels


def flow_of(function):
    """One image at a time: (values (B,), labels (B, 1, h, w))."""

    def flow(scores, weights, offsets=None):
        answers = [
            function(scores[k : k + 1], [w[k : k + 1] for w in weights]) for k in range(len(scores))
        ]
        values = torch.tensor([float(value) for value, _ in answers], dtype=torch.float64)
        return values, torch.cat([_labels(labels, scores) for _, labels in answers])

    return flow


def grounded(function):
    """Voltages of a circuit whose ground alone is held."""
    return lambda circuit, held=None: function(circuit, {"ground": 0.0} if held is None else held)


def with_value(function, *arguments):
    """A scalar whose gradients are those that the function returns beside it."""

    class Returned(torch.autograd.Function):
        @staticmethod
        def forward(ctx, *inputs):
            value, *gradients = function(*inputs)
            assert len(gradients) == len(inputs), (
                f"{len(inputs)} gradients were expected, one for each tensor that the value "
                f"depends on, got {len(gradients)}"
            )
            for k, (gradient, given) in enumerate(zip(gradients, inputs, strict=True)):
                assert gradient.shape == given.shape, (
                    f"gradient {k + 1} must have the shape of what it belongs to, "
                    f"{tuple(given.shape)}, got {tuple(gradient.shape)}"
                )
            ctx.gradients = gradients
            return torch.as_tensor(value, dtype=inputs[0].dtype).clone()

        @staticmethod
        def backward(ctx, outer):
            return tuple(outer * gradient for gradient in ctx.gradients)

    return Returned.apply(*arguments)


def backward_pass(function):
    """An exact cut whose backward pass is the function."""

    class Cut(torch.autograd.Function):
        @staticmethod
        def forward(ctx, scores, *weights):
            ctx.solve = partial(_solved, GridSystem(weights))
            x = ctx.solve(scores)
            ctx.save_for_backward(x, *weights)
            return x

        @staticmethod
        def backward(ctx, gradient):
            x, *weights = ctx.saved_tensors
            scores, edges = function(gradient, x, weights, ctx.solve)
            return scores, *edges

    return lambda scores, weights: Cut.apply(scores, *weights)


def _solved(system, rhs):
    return SuperLU()(system, rhs)[0]


def repeated_step(function):
    """x after k steps from zero."""

    def iterate(system, rhs, k):
        x, r, p = torch.zeros_like(rhs), rhs.clone(), rhs.clone()
        for _ in range(k):
            x, r, p = function(lambda v: system @ v, x, r, p)
        return x

    return iterate


def soldered(function):
    """A coarse system from the weights and the ground that the function returns."""

    def solder(system):
        weights, ground = function(system.weights, system.ground)
        return GridSystem(weights, ground=ground)

    return solder


def dice_of(function):
    """The mean over images of a Dice loss of one image, its gradient as returned."""

    def loss(prob, target, *, squared=False):
        def one(p, labels):
            return with_value(lambda q: function(q, labels, squared=squared), p)

        return torch.stack([one(p, t) for p, t in zip(prob[:, 0], target)]).mean()

    return loss


def focal_dice_of(function):
    def loss(prob, target, *, threshold=0.5, gamma=2.0):
        return function(prob, target, threshold=threshold, gamma=gamma)

    return loss


def counts_of(function):
    """A count for each image, (B, 1)."""
    return lambda mask: torch.tensor([[int(function(m))] for m in mask[:, 0]])


def loss_of_sets(function):
    """A loss of soft sets, its gradient as returned."""
    return lambda prob, affinity: with_value(lambda p: function(p, affinity), prob)


def fenchel_young_of(function):
    """The sum over images of the loss, for the decoder that tries all labelings of 3 x 4 pixels."""
    decode = exhaustive((3, 4))

    def loss_of(generator):
        def loss(scores, weights, target):
            def one(k, s, *edges):
                value, slope, slopes = function(
                    decode, s, list(edges), target[k : k + 1, None] == 1,
                    sigma=0.5, num_samples=8, generator=generator,
                )  # fmt: skip
                return value, slope, *slopes

            images = range(len(scores))
            return sum(
                with_value(partial(one, k), scores[k : k + 1], *[w[k : k + 1] for w in weights])
                for k in images
            )

        return loss

    return loss_of
