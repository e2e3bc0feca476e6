"""What a soft set holds together: S'W S for every class, and its derivatives (chapter 13).

    d (S'W S) = (W + W') S dS,      which is 2 W S for a symmetric W.

The product W S is nearly all the work of the losses built on it, and the gradient needs no other:
this function keeps it from the forward pass. For second derivatives the gradient is computed
anew, by operations that can be differentiated once more.
"""

import torch


def association(sets, affinity):
    """S_k'W S_k for every image and class, in float32 or wider also under autocast.

    Args:
        sets: S, (B, K, *grid), float32 or float64.
        affinity: any object with `matmul`, `symmetric` (see `DenseAffinity`); a constant.

    Returns:
        (B, K), differentiable in S as often as wanted.
    """
    with torch.autocast(sets.device.type, enabled=False):
        return _Association.apply(sets, affinity)[0]


def check_affinity(affinity):
    """Refuse what cannot multiply maps, a matrix above all."""
    if not all(hasattr(affinity, name) for name in ("matmul", "degree", "symmetric")):
        raise TypeError(
            "affinity must have matmul, degree and symmetric, such as DenseAffinity(image, "
            f"sigma_color=15, sigma_space=100), got {type(affinity).__name__}"
        )


class _Association(torch.autograd.Function):
    @staticmethod
    def forward(sets, affinity):
        product = affinity.matmul(sets)
        return (sets * product).flatten(2).sum(2), product

    @staticmethod
    def setup_context(ctx, inputs, output):
        sets, ctx.affinity = inputs
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(sets, output[1])

    @staticmethod
    def backward(ctx, grad, _):
        sets, product = ctx.saved_tensors
        affinity = ctx.affinity
        if torch.is_grad_enabled():  # create_graph: W S as a function of S
            product = affinity.matmul(sets)
        if affinity.symmetric:
            both = 2 * product
        else:
            both = product + affinity.matmul(sets, transpose=True)
        return grad[(...,) + (None,) * (sets.dim() - 2)] * both, None

    @staticmethod
    def vmap(info, axes, sets, affinity):
        # one affinity for all: what is mapped over is so many classes more of the same images
        sets = sets.movedim(axes[0], 1)
        found = _Association.apply(sets.flatten(1, 2), affinity)
        return tuple(part.unflatten(1, sets.shape[1:3]) for part in found), (1, 1)
