"""Proposals by graph cuts: GrabCut for any labels, a network's scores, and the labels allowed."""

import itertools

import pytest
import torch

from softcut_lib import (
    cut_energy,
    grabcut,
    grabcut_proposal,
    graph_cut_proposal,
    image_weights,
    toy_scene,
)
from softcut_lib.weak.graphcut import least_energy


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def scribbled(seed=0):
    image, target = toy_scene("disc", size=(32, 40), generator=generator(seed))
    seeds = torch.full_like(target, 255)
    seeds[2:4, 2:38], seeds[14:18, 14:26] = 0, 1
    return image[None], target[None], seeds[None]


def test_two_labels_are_grabcut():
    image, target, seeds = scribbled()
    labels = grabcut_proposal(image, seeds, components=2)
    assert torch.equal(labels, grabcut(image, seeds, components=2)[:, 0].long())
    assert (labels == target).float().mean() > 0.97


def test_several_labels_are_told_apart_by_their_colors():
    color = torch.tensor([[0.2, 0.3, 0.2], [0.8, 0.3, 0.2], [0.2, 0.4, 0.9], [0.8, 0.8, 0.2]])
    target = torch.tensor([0, 1, 2, 3]).repeat_interleave(8).expand(2, 12, 32).clone()
    image = color[target].movedim(-1, 1)
    image = (image + 0.08 * torch.randn(image.shape, generator=generator())).clamp(0, 1)
    seeds = torch.full_like(target, 255)
    seeds[:, 5, 2::8], seeds[:, 6, 3::8] = target[:, 5, 2::8], target[:, 6, 3::8]
    labels = grabcut_proposal(image, seeds)
    assert torch.equal(labels[seeds != 255], seeds[seeds != 255])
    assert (labels == target).float().mean() > 0.98
    assert torch.equal(labels[1:], grabcut_proposal(image[1:], seeds[1:]))


@pytest.mark.parametrize("count", [2, 3])
def test_seeds_are_held_and_unnamed_labels_stay_out(count):
    scores = torch.randn(2, 4, 6, 7, generator=generator())
    scores[:, 3] += 9  # the favorite everywhere, but no scribble names it
    seeds = torch.full((2, 6, 7), 255)
    seeds[:, 2, :count] = torch.arange(count)
    weights = [torch.full((2, 5, 7), 0.4), torch.full((2, 6, 6), 0.4)]
    labels = least_energy(scores, weights, seeds)
    assert labels.max() < count and torch.equal(labels[seeds != 255], seeds[seeds != 255])


def test_two_labels_reach_the_least_energy():
    scores = torch.randn(1, 3, 2, 4, generator=generator(2), dtype=torch.float64)
    weights = [
        torch.rand(1, 1, 4, generator=generator(3), dtype=torch.float64),
        torch.rand(1, 2, 3, generator=generator(4), dtype=torch.float64),
    ]
    seeds = torch.full((1, 2, 4), 255)
    seeds[0, 0, 0], seeds[0, 1, 3] = 0, 2
    found = least_energy(scores, weights, seeds)
    energies = {}
    for bits in itertools.product((0, 2), repeat=6):
        labels = torch.tensor([0, *bits, 2]).view(1, 2, 4)
        energies[bits] = float(cut_energy(labels, scores, weights))
    assert float(cut_energy(found, scores, weights)) == pytest.approx(min(energies.values()))


def test_a_sure_network_is_believed_and_an_unsure_one_follows_the_contrast():
    image, target, seeds = scribbled()
    weights = image_weights(image, sigma=0.3, scale=2.0)
    wrong = torch.where(target == 1, 0.001, 0.999)[:, None]
    held = seeds != 255
    believed = graph_cut_proposal(wrong, [w * 1e-3 for w in weights], seeds)
    assert (believed == 1 - target)[~held].float().mean() > 0.99
    assert torch.equal(believed[held], seeds[held])
    noisy = 0.2 + 0.6 * target[:, None] + 0.2 * torch.randn(wrong.shape, generator=generator())
    noisy = noisy.clamp(0.05, 0.95)
    smooth = graph_cut_proposal(noisy, weights, seeds)
    rough = (noisy[:, 0] > 0.5).long()
    assert (smooth != target).sum() < 0.5 * (rough != target).sum()


def test_one_channel_is_two_labels():
    image, _, seeds = scribbled()
    prob = torch.rand(1, 1, 32, 40, generator=generator())
    weights = image_weights(image)
    two = graph_cut_proposal(torch.cat([1 - prob, prob], 1), weights, seeds)
    assert torch.equal(graph_cut_proposal(prob, weights, seeds), two)


def test_wrong_arguments_are_named():
    image, _, seeds = scribbled()
    with pytest.raises(ValueError, match="seeds must be a long tensor"):
        grabcut_proposal(image, seeds[0])
    with pytest.raises(ValueError, match="none in image 0"):
        grabcut_proposal(image, torch.full_like(seeds, 255))
    with pytest.raises(ValueError, match="components"):
        grabcut_proposal(image, seeds, components=0)
    with pytest.raises(ValueError, match="labels 0..1"):
        graph_cut_proposal(torch.rand(1, 1, 32, 40), image_weights(image), seeds + 1)
