"""Statements that the assignments added, held for second methods and for the library's own."""

import numpy as np
import pytest
import torch

import softcut_lib as sc
from softcut_lib.theorems import approximations, circuits, cuts, losses


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def test_landmarks(generator):
    def dense(features, landmarks, maps):
        C = torch.exp(-torch.cdist(features, features[landmarks]).square() / 2)
        return C @ torch.linalg.pinv(C[landmarks]) @ C.T @ maps

    approximations.landmarks_speak_for_all(dense, generator=generator)
    for share in (0.5, 2.0):  # neither more nor less than the kernel
        with pytest.raises(AssertionError, match="what a landmark says must be exact"):
            approximations.landmarks_speak_for_all(
                lambda *arguments, share=share: share * dense(*arguments), generator=generator
            )


def test_the_line(generator):
    """NumPy's linear interpolation is the slicing; a second blur, or none, is refused."""
    places = np.arange(-30, 31)
    blur = (
        np.diag(np.full(61, 0.5)) + np.diag(np.full(60, 0.25), 1) + np.diag(np.full(60, 0.25), -1)
    )

    def filtered(blur):
        def line_filter(features, values):
            read = [np.interp(features.numpy(), places, unit) for unit in np.eye(61)]
            sliced = torch.tensor(np.stack(read, 1))
            return sliced @ torch.tensor(blur) @ sliced.T @ values

        return line_filter

    approximations.splatting_is_linear_interpolation(filtered(blur), generator=generator)
    for wrong in (blur @ blur, np.eye(61), np.triu(2 * blur)):
        with pytest.raises(AssertionError, match="is the blur .1, 2, 1. / 4"):
            approximations.splatting_is_linear_interpolation(filtered(wrong), generator=generator)


def test_the_other_statements_of_the_assignments(generator):
    cuts.energy_adds_up(sc.cut_energy, generator=generator)
    circuits.volts_take_their_amperes(lambda x, w: sc.GridSystem(w) @ x, generator=generator)
    circuits.product_keeps_labels_apart(lambda x, w: sc.GridSystem(w) @ x, generator=generator)
    circuits.held_nodes_keep_their_voltage(
        lambda circuit, held: sc.node_voltages(circuit, held=held), generator=generator
    )
    losses.focal_dice_turns_at_its_threshold(sc.focal_dice_loss, sc.dice_loss, generator=generator)
    losses.overlap_is_counted(
        lambda mask, target: sc.mean_iou(mask[None, None], target[None]), generator=generator
    )


def test_the_least_energy_has_the_slopes_of_autograd(generator):
    def slopes(scores, weights):
        leaves = [t.clone().requires_grad_() for t in (scores, *weights)]
        energy = sc.cut_energy(sc.min_cut(scores, weights), leaves[0], leaves[1:])
        first, *rest = torch.autograd.grad(energy.sum(), leaves)
        return first, rest

    cuts.least_energy_has_slopes(slopes, generator=generator)
