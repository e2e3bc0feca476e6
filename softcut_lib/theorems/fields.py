"""Theorems about the circuit as a Gaussian distribution, and about questions (chapter 16).

A system's samples have the mean A^-1 p and the covariance C = A^-1. Each function takes what is
under test and compares it with a second method on small grids, in float64.
"""

import math

import numpy as np
import torch

from softcut_lib.circuits.network import GROUND, effective_resistance, grid_circuit
from softcut_lib.cuts.walker import random_walker
from softcut_lib.solvers.dissection import Direct
from softcut_lib.theorems.linear_system import random_scores, random_system


def _matrix(system, label=0):
    return system.to_scipy(0, label).toarray()


def answer_is_a_held_node(condition, *, generator, grid=(3, 4)):
    """Conditioning on x_j = y is holding node j at y volts.

    ``condition(mean, C, j, y) -> (mean, C)``, all NumPy, is compared with the circuit without
    Kirchhoff's equation at j: voltages that obey the others, and the inverse of their matrix.
    """
    system = random_system(grid, generator=generator, batch=1, grounded=True)
    A, p = _matrix(system), random_scores(system, generator=generator, labels=1).flatten().numpy()
    C = np.linalg.inv(A)
    for j in range(0, len(A), 3):
        volts = 2.0 - j
        mean, covariance = condition(C @ p, C, j, volts)
        rest = np.arange(len(A)) != j
        inner = np.linalg.inv(A[rest][:, rest])
        held = np.full(len(A), volts)
        held[rest] = inner @ (p[rest] - A[rest, j] * volts)
        whole = np.zeros_like(C)
        whole[np.ix_(rest, rest)] = inner
        for name, arrived, expected in (("mean", mean, held), ("covariance", covariance, whole)):
            gap = abs(np.asarray(arrived) - expected).max()
            assert gap <= 1e-8 * max(1, abs(expected).max()), (
                f"given x_{j} = {volts:g}, the {name} must be that of the circuit whose node {j} "
                f"is held; off by {gap:.2g}"
            )


def reach_is_a_walk(reach, *, generator, grid=(3, 4)):
    """C_ij / C_jj is the probability that a walk from i comes to j before the ground stops it.

    ``reach(system) -> (N, N)``, row i, column j. The second method follows the walk: a step goes
    to a neighbor or to the ground in proportion to the conductances.
    """
    system = random_system(grid, generator=generator, batch=1, grounded=True)
    A, arrived = _matrix(system), np.asarray(reach(system))
    steps = np.diag(np.diag(A)) - A
    steps /= np.diag(A)[:, None]
    for j in range(len(A)):
        chance = np.eye(len(A))[j]
        for _ in range(20_000):
            before, chance = chance, steps @ chance
            chance[j] = 1
            if abs(chance - before).max() < 1e-13:
                break
        gap = abs(arrived[:, j] - chance).max()
        assert gap <= 1e-7, (
            f"column {j} must hold the probabilities to come to pixel {j} before the ground; off "
            f"by {gap:.2g}"
        )


def gains_are_expected_changes(gains, *, generator, grid=(3, 4), labels=2):
    """Every question asked: the expected squared change of the walker's answer, label by label.

    ``gains(seeds, weights) -> (1, *grid)``, 0 at the seeds. The second method makes each free
    pixel a seed of each label, solves again, and averages over the label by the walker's
    probability the square of the change of sum_i q_li, summed over l.
    """
    weights = [w + 0.05 for w in random_system(grid, generator=generator, batch=1).weights]
    seeds = torch.full((1, *grid), 255)
    places = torch.randperm(math.prod(grid), generator=generator)[: labels + 1]
    seeds.view(-1)[places] = torch.arange(labels + 1) % labels
    arrived = torch.as_tensor(gains(seeds, weights)).reshape(grid)

    def walk(seeds):
        return random_walker(seeds, weights, labels=labels, solver=Direct())[0]

    before = walk(seeds)
    for place in np.ndindex(grid):
        expected = 0.0
        for label in range(labels if int(seeds[0][place]) == 255 else 0):
            more = seeds.clone()
            more[0][place] = label
            change = (walk(more) - before).flatten(1).sum(1)
            expected += float(before[label][place] * change.square().sum())
        gap = abs(float(arrived[place]) - expected)
        assert gap <= 1e-7 * max(1, expected), (
            f"the gain of a question at {place} must be {expected:.6g}, the expected squared "
            f"change; got {float(arrived[place]):.6g}"
        )


def samples_have_the_covariance(sample, *, generator, grid=(3, 3), offsets=None, count=4000):
    """The mean of many samples is the soft cut, their covariance A^-1, as far as chance allows.

    ``sample(scores, weights, offsets=..., ground=..., num_samples=...) -> (M, B, L, *grid)``.
    Every entry has to lie within five standard errors.
    """
    system = random_system(grid, generator=generator, batch=1, grounded=True, offsets=offsets)
    scores = random_scores(system, generator=generator, labels=1)
    options = {"offsets": system.offsets, "ground": system.ground, "num_samples": count}
    x = torch.as_tensor(sample(scores, system.weights, **options)).reshape(count, -1).numpy()
    C = np.linalg.inv(_matrix(system))
    variance = np.diag(C)
    errors = {
        "mean": (x.mean(0) - C @ scores.flatten().numpy()) / np.sqrt(variance / count),
        "covariance": (np.cov(x.T) - C) / np.sqrt((C**2 + np.outer(variance, variance)) / count),
    }
    for name, error in errors.items():
        assert abs(error).max() <= 5, (
            f"the {name} of {count} samples is {abs(error).max():.1f} standard errors from that of "
            "the Gaussian exp(-E)"
        )


def slopes_are_resistances(slopes, *, generator, grid=(3, 4)):
    """d log p(y) / dw_pq = 1/2 (R_pq - (y_p - y_q)^2), d log p / dg_i = 1/2 (C_ii - y_i^2).

    ``slopes(system, y) -> (list of one tensor per offset, tensor (1, *grid))`` for scores 0. The
    resistances R_pq are measured in the circuit, pair by pair.
    """
    system = random_system(grid, generator=generator, batch=1, grounded=True)
    y = random_scores(system, generator=generator, labels=1)
    circuit = grid_circuit(torch.zeros(grid), system.weights, ground=system.ground)
    along, down = slopes(system, y)
    value = y[0, 0]
    for got, offset in zip(along, system.offsets):
        got = torch.as_tensor(got).reshape(tuple(n - o for n, o in zip(grid, offset)))
        for p in np.ndindex(tuple(got.shape)):
            q = tuple(a + o for a, o in zip(p, offset))
            ohms = effective_resistance(circuit, p, q)
            _is_half(got[p], ohms, float((value[p] - value[q]) ** 2), f"edge {p}-{q}")
    for p in np.ndindex(grid):
        ohms = effective_resistance(circuit, p, GROUND)
        _is_half(torch.as_tensor(down).reshape(grid)[p], ohms, float(value[p] ** 2), f"ground {p}")


def _is_half(arrived, ohms, square, where):
    expected = (ohms - square) / 2
    assert abs(float(arrived) - expected) <= 1e-7 * max(1, ohms, square), (
        f"the slope of log p at the {where} must be (resistance - squared voltage) / 2 = "
        f"{expected:.6g}, got {float(arrived):.6g}"
    )


def resistances_share_out_the_pixels(resistances, *, generator, grid=(3, 4), offsets=None):
    """Foster: sum over all resistors, the ground's too, of conductance times resistance is N.

    ``resistances(system) -> (list of one tensor per offset, tensor (1, *grid))``, between the ends
    of each edge and from each pixel to the ground.
    """
    system = random_system(grid, generator=generator, batch=1, grounded=True, offsets=offsets)
    along, down = resistances(system)
    total = float((system.ground.flatten() * torch.as_tensor(down).flatten()).sum())
    for w, ohms in zip(system.weights, along):
        total += float((w.flatten() * torch.as_tensor(ohms).flatten()).sum())
    assert abs(total - math.prod(grid)) <= 1e-7 * math.prod(grid), (
        f"conductance times effective resistance must add up to the {math.prod(grid)} pixels, got "
        f"{total:.8g}"
    )
