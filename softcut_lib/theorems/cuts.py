"""Theorems about cuts and flows, chapter 1, and about the random walker.

Each function takes the thing it speaks of, called as the library's own, and raises an
AssertionError that says what was expected and the likely reason.
"""

import itertools
import math

import numpy as np
import torch

from softcut_lib.grid.edges import axis_offsets, head, tail
from softcut_lib.theorems.linear_system import random_scores, random_system


def _problem(generator, grid, offsets, batch=2):
    system = random_system(grid, generator=generator, offsets=offsets, batch=batch)
    return 2 * random_scores(system, generator=generator, labels=1), system.weights, system.offsets


def brute_force(scores, weights, offsets=None):
    """Energy of every labeling of one small grid, (2^N,), and the labelings, bool (2^N, *grid).

    scores (*grid), weights (*edge_shape) each. Nothing of the library's cuts is used.
    """
    scores = np.asarray(scores, dtype=float)
    if scores.size > 16:
        raise ValueError(f"scores must have at most 16 pixels for brute force, got {scores.size}")
    offsets = axis_offsets(scores.ndim) if offsets is None else offsets
    every = np.array(list(itertools.product((False, True), repeat=scores.size)))
    energy = every @ np.maximum(-scores, 0).ravel() + ~every @ np.maximum(scores, 0).ravel()
    node = torch.arange(scores.size).view(scores.shape)
    for w, offset in zip(weights, offsets):
        ends = tail(node, offset).flatten(), head(node, offset).flatten()
        differ = every[:, ends[0].numpy()] != every[:, ends[1].numpy()]
        energy = energy + differ @ np.asarray(w, dtype=float).ravel()
    return energy, every.reshape(-1, *scores.shape)


def energy_adds_up(cut_energy, *, generator, grid=(4, 5)):
    """The energy term by term: the pixels alone, each direction's edges alone, everything.

    ``cut_energy(labels, scores, weights) -> (B,)`` with labels bool (B, 1, h, w).
    """
    scores, weights, offsets = _problem(generator, grid, None)
    labels = torch.rand(scores.shape, generator=generator) < 0.5
    own = lambda s: s.clamp(min=0).flatten(1).sum(1)  # noqa: E731
    pixels, exchanged = own(torch.where(labels, -scores, scores)), own((2 * labels - 1) * scores)
    cut = [w * (head(labels, o) != tail(labels, o))[:, 0] for w, o in zip(weights, offsets)]
    down, right = (c.flatten(1).sum(1) for c in cut)
    zero = [0 * w for w in weights]
    swap = "the prices are exchanged: foreground pays b = max(-p, 0), background f = max(p, 0)"
    cases = (
        ("the pixels alone (weights 0)", scores, zero, pixels, {swap: exchanged}),
        ("edges downwards alone", 0 * scores, [weights[0], zero[1]], down, _slips(cut[0])),
        ("edges to the right alone", 0 * scores, [zero[0], weights[1]], right, _slips(cut[1])),
        ("pixels and edges together", scores, weights, pixels + down + right, {}),
    )
    for name, s, w, expected, slips in cases:
        arrived = torch.as_tensor(cut_energy(labels, s, w)).double()
        assert arrived.shape == expected.shape, (
            f"one energy for each of the {len(expected)} images was expected, shape "
            f"{tuple(expected.shape)}, got {tuple(arrived.shape)}"
            + ("; is the batch summed as well?" if arrived.ndim == 0 else "")
        )
        near = lambda value: float((arrived - value).abs().max()) <= 1e-9  # noqa: B023, E731
        reason = next((text for text, value in slips.items() if near(value)), "which terms count?")
        k = int((arrived - expected).abs().argmax())
        assert near(expected), (
            f"{name}: expected {float(expected[k]):.6g} for image {k}, got "
            f"{float(arrived[k]):.6g}, off by {float((arrived - expected).abs()[k]):.2g}; {reason}"
        )


def _slips(cut):
    """{likely mistake: the sum it gives} for the cut edges of one direction, (B, *edge_shape)."""
    total = cut.flatten(1).sum(1)
    return {
        "every edge is counted twice": 2 * total,
        "every edge is counted half": total / 2,
        "the sign is flipped: a cut edge costs": -total,
        "the edges at the lower border are left out": cut[:, :-1].flatten(1).sum(1),
        "the edges at the right border are left out": cut[:, :, :-1].flatten(1).sum(1),
    }


def least_energy_has_slopes(slopes, *, generator, grid=(3, 3), step=1e-6):
    """The envelope theorem: derivatives of min E are those of E at the best labeling held fixed.

    ``slopes(scores, weights) -> (d scores (1, 1, h, w), [d C, d R])`` against differences of the
    minimum over all labelings. With -scores the labels change places, so that every edge that is
    cut is tried with its foreground at either end.
    """
    scores, weights, _ = _problem(generator, grid, None, batch=1)
    scores = scores - scores.mean()  # both signs, so that small enough weights leave both labels
    while _is_uniform(scores, weights):
        weights = [w / 2 for w in weights]
    for signed in (scores, -scores):
        _slopes_are_differences(slopes, signed, weights, step)


def _is_uniform(scores, weights):
    energy, every = brute_force(scores[0, 0], [w[0] for w in weights])
    return every[energy.argmin()].all() or not every[energy.argmin()].any()


def _slopes_are_differences(slopes, scores, weights, step):
    arrived = slopes(scores, weights)
    arrived = [torch.as_tensor(t).double() for t in (arrived[0], *arrived[1])]
    inputs = [scores, *weights]

    def least(k, index, sign):
        moved = [t.clone() for t in inputs]
        moved[k][index] += sign * step
        return brute_force(moved[0][0, 0], [w[0] for w in moved[1:]])[0].min()

    for k, name in enumerate(("scores", "weights[0]", "weights[1]")):
        assert arrived[k].shape == inputs[k].shape, (
            f"dE/d{name} must have shape {tuple(inputs[k].shape)}, got {tuple(arrived[k].shape)}"
        )
        for index in itertools.product(*map(range, inputs[k].shape)):
            expected = (least(k, index, 1) - least(k, index, -1)) / (2 * step)
            got = float(arrived[k][index])
            reason = "an edge that is cut has slope 1, one that is not has 0"
            if k == 0:
                reason = "only a pixel that pays has a slope: which way does its price change?"
            if abs(got + expected) <= 1e-3:
                reason = "the sign is flipped"
            assert abs(got - expected) <= 1e-3, (
                f"dE/d{name} at {index}: moving it by {step:g} changes the least energy at rate "
                f"{expected:.3g}, got {got:.3g}; {reason}"
            )


def flow_equals_cut(max_flow, cut_energy, *, generator, grid=(5, 6), offsets=None):
    """Max flow = min cut: the value of the flow is the energy of the labels that come with it.

    ``max_flow(scores, weights, offsets=...) -> (value, labels)``.
    """
    scores, weights, offsets = _problem(generator, grid, offsets)
    value, labels = max_flow(scores, weights, offsets=offsets)
    cut = cut_energy(labels, scores, weights, offsets=offsets)
    gap = float((torch.as_tensor(value) - cut).abs().max())
    assert gap <= 1e-9 * float(cut.abs().max() + 1), (
        f"the flow must equal the energy of its cut, they differ by {gap:.3g}; a smaller flow "
        "means that a path is left, a larger one that a capacity was exceeded"
    )


def every_cut_bounds_every_flow(max_flow, cut_energy, *, generator, grid=(4, 5), offsets=None):
    """Weak duality: no labeling at all costs less than the flow."""
    scores, weights, offsets = _problem(generator, grid, offsets)
    value = torch.as_tensor(max_flow(scores, weights, offsets=offsets)[0])
    for share in (0.0, 0.2, 0.5, 0.8, 1.0):
        labels = torch.rand(scores.shape, generator=generator) < share
        slack = float((cut_energy(labels, scores, weights, offsets=offsets) - value).min())
        assert slack >= -1e-9, (
            f"a cut of energy {-slack:.3g} below the flow was found: all flow has to cross "
            "every cut"
        )


def min_cut_is_brute_force(min_cut, *, generator, grid=(3, 4), offsets=None, ties=False):
    """The minimum cut is the best of all 2^N labelings; of equals, that with least foreground.

    ``min_cut(scores, weights, offsets=...)`` returns bool (B, 1, *grid). With `ties`, scores and
    weights are small integers, so that several labelings are equally good.
    """
    scores, weights, offsets = _problem(generator, grid, offsets, batch=6 if ties else 2)
    if ties:
        scores, weights = scores.round(), [w.clamp(max=2).round() for w in weights]
    labels = min_cut(scores, weights, offsets=offsets)
    for k in range(scores.shape[0]):
        energy, every = brute_force(scores[k, 0], [w[k] for w in weights], offsets)
        best = np.flatnonzero(energy <= energy.min() + 1e-9)
        found = labels[k, 0].numpy()
        reached = energy[(every == found).reshape(len(every), -1).all(1)][0]
        assert reached <= energy.min() + 1e-9, (
            f"all {len(every)} labelings tried: the lowest energy is {energy.min():.6g}, the cut "
            f"returned has {reached:.6g}; is w counted in both directions, f on the source's side?"
        )
        assert (found == every[best].all(0)).all(), (
            f"of {len(best)} minimum cuts the one with the fewest foreground pixels was expected"
        )


def cuts_meet_and_join(cut_energy, *, generator, grid=(4, 5), offsets=None):
    """Submodularity: E(F and G) + E(F or G) <= E(F) + E(G) for any two foregrounds.

    This is what lets a flow find the best of 2^N labelings.
    """
    scores, weights, offsets = _problem(generator, grid, offsets, batch=20)
    one = torch.rand(scores.shape, generator=generator) < 0.5
    two = torch.rand(scores.shape, generator=generator) < 0.5
    energy = lambda labels: cut_energy(labels, scores, weights, offsets=offsets)  # noqa: E731
    excess = float((energy(one & two) + energy(one | two) - energy(one) - energy(two)).max())
    assert excess <= 1e-9, (
        f"meet and join of two cuts may not cost more than the two, they do by {excess:.3g}; this "
        "needs weights >= 0"
    )


def min_cut_is_locally_constant(min_cut, *, generator, grid=(3, 4), offsets=None):
    """Scores and weights may move by half the gap to the second best labeling; no label changes.

    So the minimum cut's derivative is zero wherever it exists: it cannot be trained.
    """
    scores, weights, offsets = _problem(generator, grid, offsets, batch=1)
    energy, _ = brute_force(scores[0, 0], [w[0] for w in weights], offsets)
    best, second = np.sort(energy)[:2]
    labels = min_cut(scores, weights, offsets=offsets)
    for _ in range(5):
        steps = [
            torch.randn(t.shape, generator=generator, dtype=t.dtype) for t in (scores, *weights)
        ]
        factor = 0.49 * float(second - best) / sum(float(s.abs().sum()) for s in steps)
        # a weight that stops at 0 moves less than it might
        others = [(w + factor * s).clamp(min=0) for w, s in zip(weights, steps[1:])]
        moved = min_cut(scores + factor * steps[0], others, offsets=offsets)
        assert torch.equal(moved, labels), (
            f"the best labeling leads by {second - best:.3g}, scores and weights moved by at most "
            f"{0.49 * (second - best):.3g} in all: no label may change"
        )


def without_edges_it_is_a_threshold(min_cut, *, generator, grid=(5, 6)):
    """With all weights zero every pixel follows its own score, as does the soft cut."""
    scores, weights, offsets = _problem(generator, grid, None)
    labels = min_cut(scores, [0 * w for w in weights], offsets=offsets)
    assert torch.equal(labels, scores > 0), "with no edges the cut must be scores > 0"


def seeds_are_kept(max_flow, cut_energy, *, generator, grid=(3, 4), offsets=None):
    """Hard seeds: the best labeling among those that obey the seeds, whatever the scores say.

    ``max_flow(scores, weights, offsets=..., seeds=...) -> (value, labels)``.
    """
    scores, weights, offsets = _problem(generator, grid, offsets, batch=1)
    seeds = torch.full((1, *grid), 255)
    chosen = torch.randperm(math.prod(grid), generator=generator)[:3]
    seeds.view(-1)[chosen] = (scores.view(-1)[chosen] < 0).long()  # against the scores
    value, labels = max_flow(scores, weights, offsets=offsets, seeds=seeds)
    held = seeds != 255
    assert torch.equal(labels[:, 0][held].long(), seeds[held]), "a seed must keep its label"
    energy, every = brute_force(scores[0, 0], [w[0] for w in weights], offsets)
    obey = (every[:, held[0].numpy()] == (seeds[held] == 1).numpy()).all(1)
    reached = float(cut_energy(labels, scores, weights, offsets=offsets)[0])
    assert abs(reached - energy[obey].min()) <= 1e-9, (
        f"of the {obey.sum()} labelings that obey the seeds the best has {energy[obey].min():.6g}, "
        f"got {reached:.6g}"
    )
    assert abs(float(value[0]) - reached) <= 1e-9, "the flow must be the energy of the seeded cut"


def walker_is_harmonic(random_walker, *, generator, grid=(4, 5), labels=3, offsets=None):
    """Off the seeds every probability is the weighted mean of its neighbors'; they add up to one.

    ``random_walker(seeds, weights, offsets=..., labels=...) -> (B, L, *grid)``.
    """
    _, weights, offsets = _problem(generator, grid, offsets)
    weights = [w + 0.05 for w in weights]  # connected, so that every pixel reaches a seed
    seeds = torch.full((2, *grid), 255)
    for k in range(2):
        chosen = torch.randperm(seeds[k].numel(), generator=generator)[: 2 * labels]
        seeds[k].view(-1)[chosen] = torch.arange(2 * labels) % labels
    x = random_walker(seeds, weights, offsets=offsets, labels=labels)
    free = (seeds == 255).unsqueeze(1)
    one_hot = torch.stack([seeds == label for label in range(labels)], 1).to(x)
    assert torch.equal(torch.where(free, 0, x), one_hot), "at a seed the probability is 0 or 1"
    assert float((x.sum(1) - 1).abs().max()) <= 1e-9, "a walk ends at some seed: the sum must be 1"
    system = type(random_system((2,), generator=generator))(
        weights, offsets=offsets, ground=torch.zeros(2, *grid, dtype=x.dtype), grid=grid
    )
    gap = float((torch.where(free, system @ x, 0) / system.diagonal()).abs().max())
    assert gap <= 1e-6, (
        f"off the seeds x must be the weighted mean of its neighbors, off by {gap:.3g}"
    )
