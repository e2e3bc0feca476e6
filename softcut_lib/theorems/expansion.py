"""Theorems about cuts between several labels, chapter 1.

Each function takes the thing it speaks of, called as the library's own, and raises an
AssertionError that says what was expected and the likely reason.
"""

import itertools

import torch

from softcut_lib.theorems.linear_system import random_scores, random_system


def _problem(generator, grid, offsets, labels, batch=1):
    system = random_system(grid, generator=generator, offsets=offsets, batch=batch)
    scores = 2 * random_scores(system, generator=generator, labels=labels)
    return scores, system.weights, system.offsets


def is_within_twice_the_minimum(
    alpha_expansion, cut_energy, *, generator, grid=(2, 4), labels=3, offsets=None
):
    """E(expansion) <= 2 min E, the minimum found by trying every labeling of a tiny grid.

    ``alpha_expansion(scores, weights, offsets=...)`` returns long (B, *grid). Returns the ratio.
    """
    scores, weights, offsets = _problem(generator, grid, offsets, labels)
    every = torch.tensor(list(itertools.product(range(labels), repeat=scores[0, 0].numel())))
    many = len(every)
    energies = cut_energy(
        every.view(many, *grid), scores.expand(many, *scores.shape[1:]),
        [w.expand(many, *w.shape[1:]) for w in weights], offsets=offsets,
    )  # fmt: skip
    found = alpha_expansion(scores, weights, offsets=offsets)
    energy, least = float(cut_energy(found, scores, weights, offsets=offsets)), energies.min()
    assert energy >= float(least) - 1e-9, "no labeling can cost less than the minimum"
    assert energy <= 2 * float(least) + 1e-9, (
        f"energy {energy:.4f}, minimum {float(least):.4f}: an expansion that no label improves is "
        "within twice the minimum; was every label tried until a whole cycle changed nothing?"
    )
    return energy / float(least) if float(least) else 1.0


def no_single_label_improves(
    alpha_expansion, cut_energy, *, generator, grid=(8, 9), labels=4, offsets=None, trials=200
):
    """Changing any set of pixels to one label does not make the energy lower.

    Tried with random sets: blocks, single pixels and scattered ones.
    """
    scores, weights, offsets = _problem(generator, grid, offsets, labels)
    found = alpha_expansion(scores, weights, offsets=offsets)
    energy = float(cut_energy(found, scores, weights, offsets=offsets))
    share = torch.rand(trials, generator=generator)
    for trial in range(trials):
        label = int(torch.randint(labels, (1,), generator=generator))
        chosen = torch.rand(found.shape, generator=generator) < share[trial] ** 2
        changed = torch.where(chosen, label, found)
        other = float(cut_energy(changed, scores, weights, offsets=offsets))
        assert other >= energy - 1e-9, (
            f"giving label {label} to {int(chosen.sum())} pixels lowers the energy from "
            f"{energy:.4f} to {other:.4f}: that was an expansion, and it was missed"
        )


def never_rises(alpha_expansion, cut_energy, *, generator, grid=(8, 9), labels=4, offsets=None):
    """More cycles never cost more, and none costs more than each pixel's own best label."""
    scores, weights, offsets = _problem(generator, grid, offsets, labels, batch=3)
    before = cut_energy(scores.argmax(1), scores, weights, offsets=offsets)
    for cycles in (1, 2, 3, 10):
        found = alpha_expansion(scores, weights, offsets=offsets, max_cycles=cycles)
        after = cut_energy(found, scores, weights, offsets=offsets)
        assert bool((after <= before + 1e-9).all()), (
            f"after {cycles} cycles the energy is {after.tolist()}, before {before.tolist()}: an "
            "expansion is taken only if it helps"
        )
        before = after
