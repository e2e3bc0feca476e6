"""Any decoder as a layer: average it under noise, and learn from how the answers vary (chapter 8).

With theta = (scores, weights), noise Z of density proportional to exp(-nu(z)), temperature sigma:

    F_sigma(theta) = E[F(theta + sigma Z)],
    dF_sigma / dtheta = E[F(theta + sigma Z) grad nu(Z)' ] / sigma.

F may jump; its average does not. Both expectations are means over a few samples.
"""

from dataclasses import dataclass

import torch
from torch.autograd.function import once_differentiable

from softcut_lib import _checks as check
from softcut_lib.cuts.energy import cut_system
from softcut_lib.cuts.flow import check_seeds, min_cut
from softcut_lib.grid.edges import jump

EULER = 0.5772156649015329  # mean of the standard Gumbel distribution


def perturbed(
    decode=min_cut, *, sigma, num_samples, noise="gaussian", offsets=None, generator=None
):
    """Average a decoder over perturbed scores and weights; the result is a cut with a gradient.

    out = 1/M sum_m F(scores + sigma Z_m, max(weights + sigma Z'_m, 0))

    The gradient is the unbiased estimate from the same samples, sum_m <g, F_m - mean of the others>
    grad nu(Z_m) / (sigma M): the mean of the other samples is independent of Z_m and grad nu(Z_m)
    has mean 0, so subtracting it leaves the expectation and takes away most of the variance.

    Args:
        decode: called as ``decode(scores, weights)`` on a batch of M B problems; bool (.., L,
            *grid), long (.., *grid), or real. `min_cut` by default; `alpha_expansion` for several
            labels.
        sigma: temperature > 0, in the units of scores and weights.
        num_samples: M, at least 1; with 1 there are no others to subtract, and much variance.
        noise: "gaussian", or "gumbel" (centered, so that its mean is 0).
        offsets: edge directions, handed on to the decoder as ``offsets=``; the unit offsets if
            None.
        generator: `torch.Generator` on the scores' device; PyTorch's own if None.

    Returns:
        A cut: called with scores (B, L, *grid) and weights, shared by all labels, it returns
        probabilities (B, L, *grid). Differentiable once. `cut.output` is "probabilities".

    Raises:
        ValueError, TypeError: options out of range; when called, arguments that do not fit.

    Source: thesis, eq. 12; Berthet et al. 2020.

    Example:
        >>> import torch
        >>> generator = torch.Generator().manual_seed(0)
        >>> cut = perturbed(sigma=1.0, num_samples=200, generator=generator)
        >>> scores = torch.tensor([[[[5.0, 0.0]]]], requires_grad=True)
        >>> prob = cut(scores, [torch.zeros(1, 0, 2), torch.zeros(1, 1, 1)])
        >>> bool(prob[0, 0, 0, 0] > 0.99), bool(0.3 < prob[0, 0, 0, 1] < 0.7)
        (True, True)
    """
    return Perturbed(decode, sigma, num_samples, noise, offsets, generator)


@dataclass(frozen=True)
class Perturbed:
    """What `perturbed` returns."""

    decode: object
    sigma: float
    num_samples: int
    noise: str = "gaussian"
    offsets: tuple | None = None
    generator: torch.Generator | None = None
    output = "probabilities"

    def __post_init__(self):
        if not callable(self.decode):
            raise TypeError(
                f"decode must be callable as decode(scores, weights), got {self.decode!r}"
            )
        check.positive_number("sigma", self.sigma)
        check.positive_integer("num_samples", self.num_samples)
        check.one_of("noise", self.noise, tuple(_NOISE))

    def __call__(self, scores, weights):
        cut_system(scores, weights, self.offsets)
        with torch.no_grad():
            theta, slope = self.draw(scores, weights)
            answers = self.answers(theta)
        return _Average.apply(answers, slope, self.sigma, scores, *weights)

    def draw(self, scores, weights):
        """Perturbed (scores, weights), each with M in front, and grad nu of their noise."""
        draw = _NOISE[self.noise]
        noise, slope = zip(
            *(draw((self.num_samples, *t.shape), t, self.generator) for t in (scores, *weights)),
            strict=True,
        )
        first, *rest = (
            t.detach() + self.sigma * z for t, z in zip((scores, *weights), noise, strict=True)
        )
        return (first, [w.clamp(min=0) for w in rest]), slope

    def answers(self, theta):
        """The decoder's answers on M perturbed problems at once, real (M, B, L, *grid)."""
        many, weights = theta
        answer = self.solve(many.flatten(0, 1), [w.flatten(0, 1) for w in weights])
        return indicators(answer, many.shape[2]).to(many.dtype).view(many.shape)

    def solve(self, scores, weights, **options):
        """One call of the decoder."""
        if self.offsets is not None:
            options["offsets"] = self.offsets
        return self.decode(scores, weights, **options)


class _Average(torch.autograd.Function):
    @staticmethod
    def forward(ctx, answers, slope, sigma, scores, *weights):
        ctx.sigma = sigma
        ctx.save_for_backward(answers, *slope)
        return answers.mean(0)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        answers, *slope = ctx.saved_tensors
        count = len(answers)
        if count > 1:
            answers = (answers - answers.mean(0)) * (count / (count - 1))
        agreement = (gradient * answers).flatten(2).sum(2) / (ctx.sigma * count)  # (M, B)
        estimates = (torch.einsum("mb,mb...->b...", agreement, s) for s in slope)
        return None, None, None, *estimates


def _gaussian(shape, like, generator):
    z = torch.randn(shape, generator=generator, dtype=like.dtype, device=like.device)
    return z, z  # nu(z) = z^2 / 2


def _gumbel(shape, like, generator):
    z = torch.empty(shape, dtype=like.dtype, device=like.device).exponential_(generator=generator)
    # u = -log(exponential) is a Gumbel number: nu(u) = u + exp(-u), grad nu = 1 - exponential
    return -z.log() - EULER, 1 - z


_NOISE = {"gaussian": _gaussian, "gumbel": _gumbel}


def indicators(labels, count):
    """Hard labels as 0 and 1 in (B, L, *grid); real answers are left as they are."""
    if labels.dtype != torch.long:
        return labels
    if count == 1:
        return labels.unsqueeze(1)
    return torch.nn.functional.one_hot(labels, count).movedim(-1, 1)


def fenchel_young_loss(
    decode=min_cut, *, sigma, num_samples, noise="gaussian", offsets=None, generator=None
):
    """The loss whose gradient is (average answer) - (target): learning from masks through a cut.

    With the decoder's objective <theta, y> = sum_p s_p y_p - sum_pq w_pq |y_p - y_q|,

        loss(theta, y) = 1/M sum_m max_y' <theta + sigma Z_m, y'> - <theta, y>,

    whose gradient is 1/M sum_m y'_m - y for the scores, and for the weights the number of times
    that an edge is cut in the target less its mean in the samples (where the noise left a weight
    above 0). Value and gradient belong together: same samples, same decoder. The loss is convex in
    the scores; its minimum is not 0.

    Args:
        decode: as for `perturbed`, a maximizer of the objective above such as `min_cut`; with void
            target pixels it must take ``seeds=`` too.
        sigma, num_samples, noise, offsets, generator: as for `perturbed`.

    Returns:
        ``loss(scores, weights, target) -> ()``, the mean over images. The target is
        long (B, *grid), 0 and 1 for L = 1, 255 void: there the best completion under theta counts.

    Raises:
        ValueError, TypeError: options out of range; when called, arguments that do not fit.

    Source: Berthet et al. 2020, section 4; Blondel, Martins and Niculae 2020.

    Example:
        >>> import torch
        >>> loss = fenchel_young_loss(sigma=0.1, num_samples=8)
        >>> scores = torch.tensor([[[[5.0, -5.0]]]], requires_grad=True)
        >>> edges = [torch.zeros(1, 0, 2), torch.zeros(1, 1, 1)]
        >>> loss(scores, edges, torch.tensor([[[1, 1]]])).backward()
        >>> scores.grad                              # only the wrong pixel is pushed, upwards
        tensor([[[[ 0., -1.]]]])
    """
    return FenchelYoungLoss(Perturbed(decode, sigma, num_samples, noise, offsets, generator))


@dataclass(frozen=True)
class FenchelYoungLoss:
    """What `fenchel_young_loss` returns."""

    average: Perturbed

    def __call__(self, scores, weights, target):
        run, count = self.average, scores.shape[1]
        system = cut_system(scores, weights, run.offsets)
        weights = [w.squeeze(1) if w.dim() == scores.dim() else w for w in weights]
        check_seeds(target, (system.batch, *system.grid), max(count, 2), name="target")
        with torch.no_grad():
            theta, _ = run.draw(scores, weights)
            answers = run.answers(theta)
            if bool((target == 255).any()):
                target = run.solve(scores, weights, seeds=target)
            wanted = indicators(target, count).to(scores.dtype)
        # theta + sigma Z again, now with the gradient of theta: the noise is a constant
        many = scores + (theta[0] - scores.detach())
        loose = [(w + (z - w.detach())) * (z > 0) for w, z in zip(weights, theta[1], strict=True)]
        best = _objective(answers, many, loose, system.offsets).mean(0)
        return (best - _objective(wanted, scores, weights, system.offsets)).mean()


def _objective(y, scores, weights, offsets):
    """<theta, y> = sum s y - sum w |y_p - y_q|; Potts for several labels. (..., B)."""
    grid = scores.dim() - len(offsets[0])
    value = (scores * y).flatten(grid - 1).sum(-1)
    # with several labels a cut edge changes two indicators
    share = 1.0 if scores.shape[grid - 1] == 1 else 0.5
    for w, offset in zip(weights, offsets, strict=True):
        cut = share * jump(y, offset).abs().sum(grid - 1)
        value = value - (w * cut).flatten(grid - 1).sum(-1)
    return value
