"""A function that is constant on blocks, and its derivative: the mean over every block (chapter 7).

On every block S of a total variation solution x, as long as blocks and order stay as they are,

    x_S = mean over S of (z - D'(w s)),        s_pq = sign(x_q - x_p),

so with g = dL/dx and its block means G, the block mean being a symmetric projection,

    dL/dz = G,        dL/dw_pq = -sign(x_q - x_p) (G_q - G_p).
"""

import torch

from softcut_lib.grid.edges import jump
from softcut_lib.layers import batching

_refuse_forward_mode = batching.refuse_forward_mode("total_variation")


class Blockwise(torch.autograd.Function):
    """(x, x in float64, block numbers) of ``solve(scores, weights) -> (x, block numbers)``.

    Everything that looks at values is inside, where they are real numbers also under torch.func.
    """

    @staticmethod
    def forward(scores, offsets, solve, *weights):
        x, labels = solve(scores, weights)
        return x.to(scores.dtype, copy=True), x, labels

    @staticmethod
    def setup_context(ctx, inputs, output):
        _, ctx.offsets, _, *weights = inputs
        answer, x, labels = output
        ctx.shared = [w.dim() < answer.dim() for w in weights]
        ctx.mark_non_differentiable(x, labels)
        ctx.save_for_backward(x, labels)

    @staticmethod
    def backward(ctx, gradient, *_):
        x, labels = ctx.saved_tensors
        mean = block_mean(gradient, labels)
        to_weights = []
        for k, (offset, shared) in enumerate(zip(ctx.offsets, ctx.shared, strict=True)):
            slope = None
            if ctx.needs_input_grad[3 + k]:
                slope = -jump(x, offset).sign().to(mean.dtype) * jump(mean, offset)
                slope = slope.sum(1) if shared else slope
            to_weights.append(slope)
        return mean, None, None, *to_weights

    @staticmethod
    def vmap(info, axes, scores, offsets, solve, *weights):
        scores, _, weights, unfold = batching.fold(
            info.batch_size, (axes[0], None, *axes[3:]), scores, None, weights
        )
        parts = [unfold(t) for t in Blockwise.apply(scores, offsets, solve, *weights)]
        return tuple(zip(*parts, strict=True))

    jvp = staticmethod(_refuse_forward_mode)


def block_mean(values, labels):
    """The mean of the values over every block, placed at all its pixels.

    Args:
        values: (B, L, *grid).
        labels: long (B, L, *grid), block numbers from 0 in every sample and label.

    Returns:
        Tensor like values. As a matrix it is symmetric and a projection.

    Source: thesis, Algorithm 1, lines 3-5 (with a plus sign).

    Example:
        >>> import torch
        >>> from softcut_lib.layers.blockwise import block_mean
        >>> block_mean(torch.tensor([[[1.0, 3.0, 5.0]]]), torch.tensor([[[0, 0, 1]]]))
        tensor([[[2., 2., 5.]]])
    """
    return _BlockMean.apply(values, labels)


class _BlockMean(torch.autograd.Function):
    @staticmethod
    def forward(values, labels):
        flat, number = values.flatten(2), labels.flatten(2)
        empty = flat.new_zeros(*flat.shape[:2], int(number.max()) + 1)
        size = empty.scatter_add(2, number, torch.ones_like(flat))
        mean = empty.scatter_add(2, number, flat) / size.clamp(min=1)
        return mean.gather(2, number).view(values.shape)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(inputs[1])

    @staticmethod
    def backward(ctx, gradient):  # the matrix is symmetric
        return _BlockMean.apply(gradient, *ctx.saved_tensors), None

    @staticmethod
    def vmap(info, axes, values, labels):
        size = info.batch_size
        values, labels = (
            batching.joined(size, t, axis) for t, axis in zip((values, labels), axes, strict=True)
        )
        return batching.parted(size, _BlockMean.apply(values, labels))

    jvp = staticmethod(_refuse_forward_mode)
