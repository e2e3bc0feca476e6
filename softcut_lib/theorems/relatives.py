"""What the linear system of chapter 3 shares with min cut and random walks.

The energy of the soft cut, restricted to x in {-1, +1}, is the energy of a cut; with pixels held
at given values the system's answer is the probability of a random walk.
"""

from itertools import product

import numpy as np
import torch

from softcut_lib.theorems.linear_system import energy, random_scores, random_system


def energy_on_signs_is_the_cut(cut_energy, *, generator, offsets=None, grounded=False):
    """E(x) = 2 cut_energy + 1/2 sum ground - sum |scores| for x in {-1, +1}.

    ``cut_energy(labels, scores, weights, offsets=...)`` with labels bool (B, 1, *grid).
    """
    system = random_system((3, 4), generator=generator, batch=3, offsets=offsets, grounded=grounded)
    scores = random_scores(system, generator=generator, labels=1)
    labels = torch.rand(scores.shape, generator=generator) < 0.5
    cut = cut_energy(labels, scores, system.weights, offsets=system.offsets)
    constant = system.ground.flatten(1).sum(1) / 2 - scores.flatten(1).abs().sum(1)
    x = 2 * labels.to(scores) - 1
    gap = float((energy(system, scores, x)[:, 0] - 2 * cut - constant).abs().max())
    assert gap < 1e-9, (
        "for x in {-1, +1} the soft cut's energy must be twice the cut energy plus a constant, "
        f"off by {gap:.3g}: a cut edge costs w/2 * 2^2 = 2 w, a pixel against its score 2 |score|"
    )


def min_cut_minimizes_energy_on_signs(min_cut, *, generator, offsets=None):
    """No x in {-1, +1} has a lower energy than the minimum cut: all 2^9 tried on a 3x3 grid.

    ``min_cut(scores, weights, offsets=...)`` returns labels bool (B, 1, *grid).
    """
    system = random_system((3, 3), generator=generator, offsets=offsets)
    scores = 3 * random_scores(system, generator=generator, labels=1)
    labels = min_cut(scores, system.weights, offsets=system.offsets)
    reached = energy(system, scores, 2 * labels.to(scores) - 1)
    for signs in product((-1.0, 1.0), repeat=9):
        x = torch.tensor(signs, dtype=scores.dtype).view(1, 1, 3, 3).expand_as(scores)
        gain = float((reached - energy(system, scores, x)).max())
        assert gain < 1e-9, (
            f"the minimum cut must have the lowest energy of all signs, {signs} is lower by "
            f"{gain:.3g}"
        )


def seeded_answer_is_a_random_walk(solve, *, generator, offsets=None):
    """With seeds and no other ground, x is the chance to meet a seed of value 1 first.

    The second method is the fundamental matrix of the absorbing Markov chain whose steps go to a
    neighbor with probability w / (sum of the pixel's weights). ``solve(system, rhs) -> x``.
    """
    system = random_system((3, 4), generator=generator, offsets=offsets, batch=1)
    # every weight positive, so that every pixel reaches a seed, and no ground
    weights = [w + 0.1 for w in system.weights]
    free = type(system)(
        weights, offsets=system.offsets, ground=torch.zeros_like(system.ground), grid=system.grid
    )
    seeds = torch.zeros(1, *system.grid, dtype=torch.bool)
    chosen = torch.randperm(12, generator=generator)[:4]
    seeds.view(-1)[chosen] = True
    values = torch.zeros(1, 1, *system.grid, dtype=system.dtype)
    values.view(-1)[chosen[:2]] = 1
    x = solve(*free.with_seeds(seeds, values)).flatten().numpy()
    laplacian = free.to_scipy().toarray()
    step = np.eye(12) - laplacian / laplacian.diagonal()[:, None]
    held = seeds.flatten().numpy()
    target = values.flatten().numpy()[held]
    among, absorbed = step[~held][:, ~held], step[~held][:, held]
    chance = np.linalg.inv(np.eye(8) - among) @ absorbed @ target
    gap = float(abs(x[~held] - chance).max())
    assert gap < 1e-8, (
        f"a free pixel must get its walk's chance to meet a seed of value 1 first, off by {gap:.3g}"
    )
    assert (x[held] == target).all() or abs(x[held] - target).max() < 1e-12, (
        "a seed must keep its value"
    )
