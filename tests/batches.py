"""What torch.func.vmap should give, and comparisons of trees of tensors."""

import torch
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
