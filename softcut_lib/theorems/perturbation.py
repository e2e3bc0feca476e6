"""Theorems about averaging a decoder under noise, chapter 8.

Each function takes the thing it speaks of, called as the library's own, and raises an
AssertionError that says what was expected and the likely reason.
"""

import math

import torch

from softcut_lib.grid.edges import axis_offsets, jump


def exhaustive(shape=(2, 3)):
    """A maximizer of sum s y - sum w |y_p - y_q| by trying all labelings: many at once, tiny grids.

    Returns ``decode(scores (B, 1, *shape), weights) -> bool (B, 1, *shape)``.
    """
    count = math.prod(shape)
    if count > 12:
        raise ValueError(f"shape must have at most 12 pixels to try all labelings, got {shape}")
    every = (torch.arange(2**count)[:, None] >> torch.arange(count)) & 1
    every = every.view(-1, *shape).bool()
    offsets = axis_offsets(len(shape))

    def decode(scores, weights):
        value = scores.flatten(1) @ every.flatten(1).to(scores.dtype).T
        for w, offset in zip(weights, offsets, strict=True):
            cut = jump(every.to(scores.dtype), offset).abs().flatten(1)
            value = value - w.flatten(1) @ cut.T
        return every[value.argmax(1)].unsqueeze(1)

    return decode


def single_pixels_follow_the_normal_law(perturbed, *, generator, num_samples=20_000):
    """Without edges E[y] = P(s + sigma Z > 0) = Phi(s / sigma), with slope phi(s / sigma) / sigma.

    ``perturbed(decode, sigma=, num_samples=, generator=) -> cut``.
    """
    sigma = 0.7
    scores = torch.tensor([[[-1.0, 0.0, 0.4, 2.0]]], dtype=torch.float64, requires_grad=True)
    cut = perturbed(lambda s, w: s > 0, sigma=sigma, num_samples=num_samples, generator=generator)
    prob = cut(scores, [torch.zeros(1, 3, dtype=torch.float64)])
    normal = torch.distributions.Normal(0.0, 1.0)
    ratio = scores.detach() / sigma
    wide = 5 * 0.5 / num_samples**0.5
    gap = float((prob.detach() - normal.cdf(ratio)).abs().max())
    assert gap < wide, (
        f"each pixel alone is positive with probability Phi(s / sigma); off by {gap:.3g}, "
        f"{wide:.3g} is five standard errors: is the noise scaled by sigma?"
    )
    (slope,) = torch.autograd.grad(prob.sum(), scores)
    expected = normal.log_prob(ratio).exp() / sigma
    # the estimate sums over all pixels of one sample, so its spread is that of four products
    wide = 5 * 2 / (sigma * num_samples**0.5)
    gap = float((slope - expected).abs().max())
    assert gap < wide, (
        f"its slope is phi(s / sigma) / sigma; off by {gap:.3g}, {wide:.3g} is five standard "
        "errors: is the estimate divided by sigma once, and by the number of samples?"
    )


def gradient_is_that_of_the_mean(perturbed, *, generator, noise="gaussian", num_samples=40_000):
    """The estimated gradient of a functional of E[F] agrees with differences of the mean itself.

    The mean is taken with the same noise on both sides of the difference (common random numbers);
    both estimates have their own standard error, found from independent repetitions.
    """
    shape, sigma, step = (2, 3), 0.8, 0.1
    decode = exhaustive(shape)
    draw = {"generator": generator, "dtype": torch.float64}
    scores = torch.randn(1, 1, *shape, **draw)
    weights = [0.6 + torch.rand(1, 1, 3, **draw), 0.6 + torch.rand(1, 2, 2, **draw)]
    aim = torch.randn(1, 1, *shape, **draw)
    seed = int(torch.randint(2**31, (1,), generator=generator))

    def value(repeat, scores, weights):
        own = torch.Generator().manual_seed(seed + repeat)
        cut = perturbed(
            decode, sigma=sigma, num_samples=num_samples // 8, noise=noise, generator=own
        )
        return (cut(scores, weights) * aim).sum()

    def gradient(repeat):
        leaves = [t.clone().requires_grad_() for t in (scores, *weights)]
        return torch.autograd.grad(value(repeat, leaves[0], leaves[1:]), leaves)

    # along the gradient itself, by an estimate of its own: there the slope is largest
    along = gradient(200)
    along = [a / torch.cat([b.flatten() for b in along]).norm() for a in along]
    slopes, differences = [], []
    for repeat in range(8):
        slopes.append(sum((g * a).sum() for g, a in zip(gradient(repeat), along, strict=True)))
        ends = []
        for sign in (1, -1):
            moved = [t + sign * step * a for t, a in zip((scores, *weights), along, strict=True)]
            ends.append(value(100 + repeat, moved[0], moved[1:]))
        differences.append((ends[0] - ends[1]) / (2 * step))
    slopes, differences = torch.stack(slopes), torch.stack(differences)
    spread = float((slopes.var() / 8 + differences.var() / 8).sqrt())
    gap = float((slopes.mean() - differences.mean()).abs())
    # the central difference itself is off by step^2 / 6 times a third derivative of order 1/sigma^3
    allowed = 4 * spread + step**2 / 6 / sigma**3
    assert gap < allowed, (
        f"gradient along a direction {float(slopes.mean()):.4f}, differences of the mean "
        f"{float(differences.mean()):.4f}, spread {spread:.4f}: the estimate must be unbiased; "
        "check grad nu of the noise, and that a control variate is independent of its sample"
    )


def value_and_gradient_belong_together(loss_of, *, generator, grid=(3, 4), labels=1, void=False):
    """The Fenchel-Young loss' gradient is the derivative of its value, for the same samples.

    ``loss_of(generator) -> loss(scores, weights, target)``. Between ties the value is linear, so
    central differences are exact.
    """
    draw = {"generator": generator, "dtype": torch.float64}
    scores = torch.randn(2, labels, *grid, **draw, requires_grad=True)
    weights = [
        torch.rand(2, *(n - o for n, o in zip(grid, offset, strict=True)), **draw)
        .mul(0.5)
        .requires_grad_()
        for offset in axis_offsets(len(grid))
    ]
    target = torch.randint(max(labels, 2), (2, *grid), generator=generator)
    if void:
        target[:, 0] = 255
    seed = int(torch.randint(2**31, (1,), generator=generator))

    def value(scores, weights):
        return loss_of(torch.Generator().manual_seed(seed))(scores, weights, target)

    leaves = [scores, *weights]
    gradients = torch.autograd.grad(value(scores, weights), leaves)
    step = 1e-6
    for k, (leaf, gradient) in enumerate(zip(leaves, gradients, strict=True)):
        along = torch.randn(leaf.shape, **draw)
        ends = []
        for sign in (1, -1):
            moved = [t.detach() for t in leaves]
            moved[k] = moved[k] + sign * step * along
            ends.append(float(value(moved[0], moved[1:])))
        difference = (ends[0] - ends[1]) / (2 * step)
        slope = float((gradient * along).sum())
        assert abs(slope - difference) < 1e-5 * (1 + abs(slope)), (
            f"{'scores' if k == 0 else f'weights[{k - 1}]'}: gradient {slope:.8f}, difference of "
            f"the value {difference:.8f}; the loss must be an antiderivative of its gradient"
        )


def fenchel_young_follows_the_normal_law(loss, *, generator, num_samples=20_000):
    """Without edges, per pixel: E max(s + sigma Z, 0) - s y, with the slope Phi(s / sigma) - y.

    ``loss(decode, scores (1, 1, h, w), weights, target bool, sigma=, num_samples=, generator=)``
    returns (value, d value / d scores, ...); E max(s + sigma Z, 0) is s Phi + sigma phi.
    """
    sigma = 0.7
    scores = torch.tensor([[[[-1.0, 0.0, 0.4, 2.0]]]], dtype=torch.float64)
    weights = [scores.new_zeros(1, 0, 4), scores.new_zeros(1, 1, 3)]
    target = torch.rand(scores.shape, generator=generator) < 0.5
    options = {"sigma": sigma, "num_samples": num_samples, "generator": generator}
    value, slope = loss(lambda s, w: s > 0, scores, weights, target, **options)[:2]
    normal, ratio = torch.distributions.Normal(0.0, 1.0), scores / sigma
    expected = normal.cdf(ratio) - target.double()
    gap, wide = float((slope - expected).abs().max()), 5 * 0.5 / num_samples**0.5
    reason = "is the noise scaled by sigma, and is it the mean over the samples?"
    if float((slope + expected).abs().max()) < wide:
        reason = "the sign is flipped: the mean answer minus the target"
    assert gap < wide, (
        f"pixel by pixel the gradient must be Phi(s / sigma) - target, "
        f"{float(expected.flatten()[1]):.3g} at the second pixel, got "
        f"{float(slope.flatten()[1]):.3g}; off by {gap:.3g} where {wide:.3g} is five standard "
        f"errors; {reason}"
    )
    best = scores * normal.cdf(ratio) + sigma * normal.log_prob(ratio).exp()
    expected = float((best - scores * target).sum())
    gap, wide = abs(float(value) - expected), 5 * 2 * sigma / num_samples**0.5
    assert gap < wide, (
        f"the value must be near {expected:.4f}, got {float(value):.4f}; off by {gap:.3g} where "
        f"{wide:.3g} is five standard errors; are the decoder's answers valued with the noisy "
        "scores that they are best for, the target with the scores themselves?"
    )
