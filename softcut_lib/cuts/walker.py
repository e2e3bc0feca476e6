"""The random walker: which seed does a walk from here reach first? (chapter 3)

The probability x_l of reaching a seed of label l solves A x = 0 off the seeds (ground 0), with
x_l = 1 on seeds of l and 0 on the others: voltages of a circuit whose seeds are held.
"""

import warnings

import torch

from softcut_lib import _checks as check
from softcut_lib.cuts.flow import check_seeds
from softcut_lib.grid.system import GridSystem
from softcut_lib.solvers.interface import ConvergenceWarning, solve

# What the labels' answers may miss of their sum, which is 1: a tenth of a probability.
MISSING = 0.1


def random_walker(seeds, weights, *, offsets=None, labels=None, prior=None, solver=None):
    """Probability that a walk from each pixel reaches a seed of each label first.

    (prior_p + sum_q w_pq) x_p - sum_q w_pq x_q = prior_lp off the seeds; x given on them.

    Args:
        seeds: long (B, *grid): a label 0..L-1, or 255 where the pixel is free.
        weights: one tensor (B, *edge_shape) >= 0 per offset, float32 or float64.
        offsets: edge directions; the unit offsets if None.
        labels: their number L; the largest seed plus one if None.
        prior: (B, L, *grid) >= 0, conductance from each pixel to a node of each label, with which
            pixels can be labeled without seeds; none if None.
        solver: ``CG()`` if None. Where only very weak edges lead into a region, its residual is
            small long before the answer is right; ``Direct()`` on the CPU is right at any contrast.

    Returns:
        (B, L, *grid) of the weights' dtype, in [0, 1], summing to one over the labels; NaN at
        pixels that the solver did not reach (with a warning). No gradient: `soft_cut` of the
        system that `GridSystem.with_seeds` returns has one.

    Raises:
        ValueError: shapes or values that do not fit, or a connected part of the grid that has
            neither a seed nor a prior.
        A `ConvergenceWarning` where the solver missed its tolerance, or where the answers of the
        labels, which add up to one, miss a tenth of it.

    Source: Grady 2006; with priors, Grady 2005 (multilabel random walker with prior models).

    Example:
        >>> import torch
        >>> seeds = torch.tensor([[0, 255, 255, 1]])
        >>> random_walker(seeds, [torch.ones(1, 3)])[0, 1]
        tensor([0.0000, 0.3333, 0.6667, 1.0000])
    """
    check.is_tensor("seeds", seeds)
    held = seeds != 255
    if labels is None:
        labels = int(seeds[held].max()) + 1 if bool(held.any()) else 1
    check.positive_integer("labels", labels)
    seeded, rhs = walk_circuit(seeds, weights, offsets=offsets, labels=labels, prior=prior)
    x, _ = solve(seeded, rhs, solver)
    total = x.sum(1, keepdim=True)
    if not getattr(solver, "accept", False):
        _warn_unless_reached(total)
    x = x.clamp(0, 1)
    return x / x.sum(1, keepdim=True)


def walk_circuit(seeds, weights, *, offsets=None, labels, prior=None):
    """The walk as a circuit: (system, currents (B, labels, *grid)), seeds held, no ground else.

    Arguments and errors are those of `random_walker`.
    """
    system = GridSystem(weights, offsets=offsets, grid=tuple(seeds.shape[1:]))
    if system.labels not in (None, 1):
        raise ValueError(
            f"weights must be shared by all labels, got {system.labels} label channels: else the "
            "probabilities of a pixel would not add up to one"
        )
    shared = [w.squeeze(1) if system.labels else w for w in system.weights]
    check_seeds(seeds, (system.batch, *system.grid), labels)
    ground, current = torch.zeros_like(system.ground), 0
    if prior is not None:
        _check_prior(prior, system, labels)
        ground, current = prior.sum(1), prior
    system = GridSystem(
        shared, offsets=system.offsets, ground=ground, grid=system.grid, check=False
    )
    held = seeds != 255
    values = torch.stack([(seeds == label) for label in range(labels)], 1).to(system.dtype)
    seeded, rhs = system.with_seeds(held, values)
    return seeded, torch.where(held.unsqueeze(1), rhs, rhs + current)


def _warn_unless_reached(total):
    """The labels' exact answers add up to 1, so their sum tells what a residual cannot."""
    missed = ~((total - 1).abs() <= MISSING)
    if bool(missed.any()):
        warnings.warn(
            f"random_walker: at {int(missed.sum())} of {missed.numel()} pixels the answers of the "
            f"labels add up to between {float(total.min()):.3g} and {float(total.max()):.3g}, not "
            "to 1: the solver stopped before currents through weak edges had settled; use "
            "Direct() (2-D, 4 neighbors), a smaller tol, or larger least weights",
            ConvergenceWarning,
            stacklevel=3,
        )


def _check_prior(prior, system, labels):
    check.is_tensor("prior", prior)
    check.same_kind("prior", prior, "weights[0]", system.weights[0])
    expected = (system.batch, labels, *system.grid)
    if tuple(prior.shape) != expected:
        raise ValueError(f"prior must have shape {expected}, got {tuple(prior.shape)}")
    check.at_least_zero("prior", prior)
