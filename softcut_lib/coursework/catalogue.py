"""Which statements must hold for which function of the assignments, part by part."""

from functools import partial
from typing import NamedTuple

from softcut_lib.coursework.adapters import (
    backward_pass,
    counts_of,
    dice_of,
    fenchel_young_of,
    flow_of,
    focal_dice_of,
    grounded,
    labels_of,
    loss_of_sets,
    on_axes,
    repeated_step,
    soldered,
)
from softcut_lib.cuts.energy import cut_energy
from softcut_lib.losses.dice import dice_loss
from softcut_lib.theorems import (
    adjoint,
    approximations,
    balanced,
    circuits,
    conjugate,
    cuts,
    losses,
    multigrid,
    perturbation,
    reduction,
    regularizers,
    relatives,
    soldering,
    training,
    variation,
)


class Check(NamedTuple):
    """How a function is called, and what must hold for it."""

    call: str
    statements: tuple  # of (property function, adapter)


def on(adapt, *theorems):
    """Statements that see the function through one adapter."""
    return tuple((theorem, adapt) for theorem in theorems)


def plain(*theorems):
    return on(lambda function: function, *theorems)


PAIR = "scores (1, 1, h, w), weights"
CHECKS = {
    # I. Cutting graphs
    "cut_energy": Check(
        "(labels bool (B, 1, h, w), scores (B, 1, h, w), weights) -> (B,)",
        on(
            on_axes,
            cuts.energy_adds_up,
            cuts.cuts_meet_and_join,
            relatives.energy_on_signs_is_the_cut,
        ),
    ),
    "brute_force": Check(
        f"({PAIR}) -> labels bool (1, 1, h, w)",
        on(labels_of, partial(cuts.min_cut_is_brute_force, grid=(2, 4))),
    ),
    "max_flow": Check(
        f"({PAIR}) -> (value, labels bool (1, 1, h, w))",
        on(flow_of, partial(cuts.flow_equals_cut, cut_energy=cut_energy))
        + on(
            labels_of,
            partial(cuts.min_cut_is_brute_force, grid=(3, 3)),
            partial(cuts.min_cut_is_brute_force, grid=(3, 3), ties=True),
            cuts.without_edges_it_is_a_threshold,
        ),
    ),
    "least_energy_slopes": Check(
        f"({PAIR}) -> (d scores (1, 1, h, w), [d C (1, h-1, w), d R (1, h, w-1)])",
        plain(cuts.least_energy_has_slopes),
    ),
    # II. Circuits
    "current_fed": Check(
        "(x (B, L, h, w), weights) -> A x (B, L, h, w)",
        plain(circuits.volts_take_their_amperes, circuits.product_keeps_labels_apart),
    ),
    "voltages": Check(
        "(circuit, held) -> {node: volts}",
        on(grounded, circuits.kirchhoff_holds, circuits.power_balances)
        + plain(circuits.held_nodes_keep_their_voltage),
    ),
    "effective_resistance": Check(
        "(circuit, a, b) -> ohms",
        plain(
            circuits.series_and_parallel,
            circuits.resistance_is_a_distance,
            circuits.more_conductance_never_more_resistance,
        ),
    ),
    "eliminate": Check("(circuit, node) -> circuit", plain(reduction.one_node_is_a_star)),
    # III. Learning through a cut
    "adjoint": Check(
        "(gradient (B, L, h, w), x (B, L, h, w), weights, solve) -> (d scores, [d C, d R])",
        on(backward_pass, adjoint.gradient_is_finite_differences, adjoint.labels_add_up),
    ),
    "cg_step": Check(
        "(product, x, r, p) -> (x, r, p)",
        on(
            repeated_step,
            conjugate.error_decreases,
            conjugate.residuals_are_orthogonal,
            conjugate.directions_are_conjugate,
            conjugate.ends_after_n_steps,
        ),
    ),
    "solder": Check(
        "([C (B, h-1, w), R (B, h, w-1)], ground (B, h, w)) -> ([C, R], ground) of the half grid",
        on(
            soldered,
            soldering.soldering_is_galerkin,
            partial(soldering.soldering_is_galerkin, grid=(4, 7)),
        ),
    ),
    "v_cycle": Check(
        "(system, r (1, L, h, w)) -> V r (1, L, h, w)",
        plain(
            multigrid.cycle_is_symmetric,
            multigrid.cycle_contracts,
            multigrid.cycle_carries_the_level,
        ),
    ),
    # IV. Other differentiable cuts
    "isotonic": Check("(y (n,)) -> x (n,)", plain(variation.isotonic_is_the_nearest)),
    "total_variation": Check(
        "(scores (B, 1, h, w), weights) -> x (B, 1, h, w)",
        plain(
            partial(variation.it_is_the_minimum, grid=(3, 4), steps=2000),
            partial(variation.mean_and_constants_are_kept, grid=(3, 4)),
        ),
    ),
    "block_mean": Check(
        "(values (B, L, h, w), blocks long (B, L, h, w)) -> (B, L, h, w)",
        plain(variation.block_mean_is_a_projection),
    ),
    "tv_edge_gradient": Check(
        "(mean (B, L, h, w), x (B, L, h, w), offset) -> (B, *edge_shape)",
        plain(variation.edge_formula, partial(variation.edge_formula, offset=(0, 1))),
    ),
    "fenchel_young": Check(
        "(decode, scores, weights, target bool, *, sigma, num_samples, generator)"
        " -> (value, d scores, [d C, d R])",
        plain(perturbation.fenchel_young_follows_the_normal_law)
        + on(fenchel_young_of, perturbation.value_and_gradient_belong_together),
    ),
    # V. Training
    "dice": Check(
        "(prob (h, w), target (h, w), *, squared) -> (loss, d loss / d prob (h, w))",
        on(
            dice_of,
            losses.dice_is_an_overlap,
            losses.dice_ignores_true_negatives,
            losses.dice_gradient_is_two_valued,
        ),
    ),
    "focal_dice": Check(
        "(prob (B, 1, h, w), target long (B, h, w), *, threshold, gamma) -> loss",
        on(
            focal_dice_of,
            partial(losses.focal_dice_turns_at_its_threshold, dice_loss=dice_loss),
            losses.void_changes_nothing,
        ),
    ),
    "intersection_over_union": Check(
        "(mask bool (h, w), target long (h, w)) -> float", plain(losses.overlap_is_counted)
    ),
    "count_figures": Check("(mask bool (h, w)) -> int", on(counts_of, losses.figures_are_counted)),
    "reveal": Check(
        "(target long (B, h, w), fraction, *, generator) -> long (B, h, w)",
        plain(training.reveal_is_fair),
    ),
    # VI. Learning from scribbles
    "normalized_cut": Check(
        "(prob (B, L, h, w), affinity) -> (loss, d loss / d prob (B, L, h, w))",
        on(
            loss_of_sets,
            balanced.value_is_the_cut,
            balanced.gradient_is_eq_8,
            balanced.images_are_separate,
        ),
    ),
    "nystrom": Check(
        "(features (N, d), landmarks long (M,), maps (N, L)) -> (N, L)",
        plain(approximations.landmarks_speak_for_all),
    ),
    "line_filter": Check(
        "(features (N,), values (N, L)) -> (N, L)",
        plain(approximations.splatting_is_linear_interpolation),
    ),
    "partial_cross_entropy": Check(
        "(logits (B, L, *grid), target long (B, *grid)) -> loss",
        plain(
            losses.all_labelled_is_cross_entropy,
            losses.partial_is_unbiased,
            partial(losses.void_changes_nothing, labels=3),
        ),
    ),
    "absent_labels": Check(
        "(prob (B, L, h, w), seeds long (B, h, w)) -> loss",
        plain(regularizers.absent_labels_pay_their_share),
    ),
}
