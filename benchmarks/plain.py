"""The thesis' algorithm in plain tensor operations: conjugate gradients without preconditioner.

This is what the layer costs when it is written in PyTorch as one reads it (thesis, Algorithm 2, its
last sign corrected). It starts at the right-hand side as the thesis does, and stops by a relative
rule, so that it can be brought to a given error.
"""

import torch


def multiply(x, down, right):
    """A x with ground 1, for weights (B, 1, h-1, w) and (B, 1, h, w-1)."""
    out = x.clone()
    flow = down * (x[:, :, 1:] - x[:, :, :-1])
    out[:, :, 1:] += flow
    out[:, :, :-1] -= flow
    flow = right * (x[:, :, :, 1:] - x[:, :, :, :-1])
    out[:, :, :, 1:] += flow
    out[:, :, :, :-1] -= flow
    return out


def dot(a, b):
    return (a * b).sum((2, 3), keepdim=True)


def advance(x, r, p, square, active, down, right):
    """One step of every system that is still active."""
    q = multiply(p, down, right)
    curvature = dot(p, q)
    alpha = torch.where(active, square / torch.where(active, curvature, 1), 0)
    x = x + alpha * p
    r = r - alpha * q
    new = dot(r, r)
    p = r + torch.where(active, new / torch.where(active, square, 1), 0) * p
    return x, r, p, new


def solve(rhs, weights, *, tol, max_iter, step=advance):
    """(x, steps of each sample)."""
    down, right = (w.unsqueeze(1) for w in weights)
    x = rhs.clone()
    r = rhs - multiply(x, down, right)
    p, square, target = r, dot(r, r), tol**2 * dot(rhs, rhs)
    steps = torch.zeros_like(square, dtype=torch.long)
    active = square > target
    for _ in range(max_iter):
        if not bool(active.any()):
            break
        x, r, p, new = step(x, r, p, square, active, down, right)
        square = torch.where(active, new, square)
        steps += active
        active = active & (square > target)
    return x, steps.flatten()
