"""The systems that are timed: four kinds of weights on grids of any size, and their exact answers.

A problem is what one application of the layer gets, in float32: scores, weights, and the gradient
that a loss averaged over the pixels sends back, a random smooth field divided by their number.
"""

from dataclasses import dataclass, replace
from functools import cache, lru_cache

import numpy as np
import torch
from torch.nn.functional import interpolate

import softcut_lib as sc
from softcut_lib.grid.edges import jump

INSIDE, ACROSS = 1e3, 1e-6  # conductances of the hard kind: within a region, between regions
REGIONS = 12
OFFSETS = ((1, 0), (0, 1))

KINDS = {
    "untrained": "edge network with PyTorch's initial weights, on synthetic horses",
    "photograph": "image_weights of scikit-image's astronaut, sigma 0.1; the scores are 0 or 1",
    "trained": "edge network after its training on synthetic horses, on new ones",
    "piecewise": f"{REGIONS} regions, {INSIDE:g} within and {ACROSS:g} between them",
}
MILD, HARD = ("untrained", "photograph"), ("trained", "piecewise")


@dataclass(frozen=True)
class Problem:
    """One application of the layer: scores and gradient (B, 1, h, w), weights [C, R]."""

    kind: str
    scores: torch.Tensor
    weights: list
    gradient: torch.Tensor

    @property
    def size(self):
        return tuple(self.scores.shape[2:])

    @property
    def batch(self):
        return self.scores.shape[0]

    def first(self, count=1):
        """The first samples alone. (The gradient keeps its scale.)"""
        cut = [w[:count] for w in self.weights]
        return replace(
            self, scores=self.scores[:count], weights=cut, gradient=self.gradient[:count]
        )

    def to(self, dtype):
        weights = [w.to(dtype) for w in self.weights]
        return replace(
            self, scores=self.scores.to(dtype), weights=weights, gradient=self.gradient.to(dtype)
        )


@dataclass(frozen=True)
class Answer:
    """What the layer gives: x, the gradients of scores and weights, and the steps it took."""

    x: torch.Tensor
    scores: torch.Tensor | None = None
    weights: list | None = None
    forward: tuple = ()
    backward: tuple = ()


def make(kind, size, batch, *, seed=0):
    """The problem of this kind, size (h, w) and batch; it depends on the arguments alone."""
    generator = torch.Generator().manual_seed(seed)
    scores, weights = _SOURCES[kind](size, batch, generator)
    gradient = smooth(size, batch, generator) / (batch * size[0] * size[1])
    return Problem(kind, scores.contiguous(), [w.contiguous() for w in weights], gradient)


def exact(problem):
    """The float64 answer: `Direct` with refinement, sample by sample; its residual is checked."""
    parts = []
    for b in range(problem.batch):
        weights = [w[b : b + 1].double() for w in problem.weights]
        system = sc.GridSystem(weights)
        factor = sc.Direct(refine=2).factor(system)
        pair = []
        for rhs in (problem.scores, problem.gradient):
            x, info = factor(system, rhs[b : b + 1].double())
            if not float(info.residual.max()) < 1e-10:
                raise RuntimeError(f"the reference of {problem.kind} is not exact: {info.residual}")
            pair.append(x)
        parts.append(pair)
    x, adjoint = (torch.cat(column) for column in zip(*parts))
    return Answer(x, adjoint, edge_gradients(adjoint, x))


def edge_gradients(adjoint, x):
    """dL/dw_pq = -(lambda_q - lambda_p)(x_q - x_p) for one label."""
    return [-(jump(adjoint, o) * jump(x, o)).squeeze(1) for o in OFFSETS]


def smooth(size, batch, generator, *, coarse=8):
    """A random field of standard deviation 1 that changes over an eighth of the picture."""
    field = torch.randn(batch, 1, coarse, coarse, generator=generator)
    field = interpolate(field, size=size, mode="bicubic", align_corners=False)
    return field / field.std()


def _noisy(size, batch, generator):
    noise = torch.randn(batch, 1, *size, generator=generator)
    return smooth(size, batch, generator) + noise


def _through(network, size, batch):
    """Scores and weights of a network on synthetic horses of this size."""
    with torch.no_grad():
        outputs = [network(image[None]) for image in _horses(size, batch)]
    scores = torch.cat([scores for scores, _ in outputs])
    return scores, [torch.cat(column) for column in zip(*(weights for _, weights in outputs))]


@lru_cache(maxsize=1)
def _horses(size, batch):
    images = sc.SyntheticHorses("test", count=batch, size=size, seed=1)
    return [images[b]["image"] for b in range(batch)]


def _untrained(size, batch, generator):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = sc.ScoreAndEdges(sc.BasicNet(), sc.EdgeNet())
    return _through(network, size, batch)


@cache
def trained_network():
    """The network that comes with the library, and where it comes from."""
    from softcut_lib.train.shipped import trained_model

    return trained_model("horses-softcut-synthetic")


def _trained(size, batch, generator):
    return _through(trained_network()[0].net, size, batch)


def photographs(size, batch):
    """The astronaut, float (B, 3, h, w) in [0, 1], each copy moved and every other one mirrored."""
    import skimage.data
    import skimage.transform

    picture = skimage.transform.resize(skimage.data.astronaut(), size, anti_aliasing=True)
    copies = [np.roll(picture, (37 * b, 61 * b), (0, 1))[:, :: -1 if b % 2 else 1]
              for b in range(batch)]  # fmt: skip
    return torch.from_numpy(np.stack(copies)).permute(0, 3, 1, 2).float()


def _photograph(size, batch, generator):
    # Scores of 0 and 1, so that scikit-image's random walker, which knows only labels, can solve
    # the same system.
    images = photographs(size, batch)
    return (images.mean(1, keepdim=True) > 0.5).float(), sc.image_weights(images, sigma=0.1)


def _piecewise(size, batch, generator):
    """Regions around random points (the nearest one), with sharp borders."""
    points = torch.rand(batch, REGIONS, 2, generator=generator)
    rows = (torch.arange(size[0]) + 0.5)[:, None] / size[0]
    columns = (torch.arange(size[1]) + 0.5)[None] / size[1]
    nearest = torch.full((batch, *size), torch.inf)
    region = torch.zeros(batch, *size, dtype=torch.long)
    for k in range(REGIONS):
        row, column = (points[:, k, axis, None, None] for axis in (0, 1))
        distance = (rows - row).square() + (columns - column).square()
        region[distance < nearest] = k
        nearest = torch.minimum(nearest, distance)
    labels = region[:, None]
    weights = [torch.where(jump(labels, o) == 0, INSIDE, ACROSS).squeeze(1) for o in OFFSETS]
    return _noisy(size, batch, generator), weights


_SOURCES = {
    "untrained": _untrained,
    "photograph": _photograph,
    "trained": _trained,
    "piecewise": _piecewise,
}
