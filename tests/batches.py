"""What torch.func.vmap should give, comparisons of trees of tensors, ways to forward mode."""

import torch
from torch.autograd import forward_ad
from torch.func import grad, jacfwd, jvp, linearize
from torch.utils._pytree import tree_leaves, tree_map


def entry(tree, i):
    """Entry i of the first axis of every tensor."""
    return tree_map(lambda t: t[i], tree)


def loop(call, count, *trees):
    """What vmap should give: one call after the other."""
    found = [call(*(entry(t, i) for t in trees)) for i in range(count)]
    return tree_map(lambda *t: torch.stack(t), *found)


def same(got, expected, tolerance=1e-12):
    """All tensors of both trees are close."""
    for a, b in zip(tree_leaves(got), tree_leaves(expected), strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


FORWARD_MODE = (jvp, linearize, jacfwd, "jvp of grad", "dual numbers")


def differentiate_forward(transform, call, p):
    """Ask for the derivative of call at p by a way of `FORWARD_MODE`."""
    if transform == "dual numbers":
        with forward_ad.dual_level():
            call(forward_ad.make_dual(p, p))
    elif transform == "jvp of grad":
        jvp(grad(lambda p: call(p).square().sum()), (p,), (p,))
    elif transform is jacfwd:
        jacfwd(call)(p)
    else:
        transform(call, *((p,), (p,)) if transform is jvp else (p,))
