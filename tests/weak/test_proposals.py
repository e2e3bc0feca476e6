"""Proposals by normalized cut: seeds held, energies that never rise, and what they minimize."""

import itertools

import pytest
import torch

from softcut_lib import (
    DenseAffinity,
    LatticeAffinity,
    NystromAffinity,
    image_weights,
    kernel_cut,
    kernel_cut_loss,
    normalized_cut_loss,
    seeded_normalized_cut,
)
from softcut_lib.losses.balanced import normalized_cut_gradient
from softcut_lib.theorems.balanced import Hollow


def scene(count=3, grid=(10, 14), batch=2, seed=0, noise=25):
    """Noisy stripes of different colors and seeds in each: image in 0..255, truth, seeds."""
    generator = torch.Generator().manual_seed(seed)
    stripe = torch.arange(grid[1]) * count // grid[1]
    truth = stripe.expand(batch, *grid).clone()
    color = torch.tensor([[40.0, 60, 80], [160, 120, 60], [90, 200, 170]])[truth].movedim(-1, 1)
    image = (color + noise * torch.randn(color.shape, generator=generator)).clamp(0, 255)
    seeds = torch.full_like(truth, 255)
    seeds[:, 3:5, 1::3] = truth[:, 3:5, 1::3]
    return image.double(), truth, seeds


def sets_of(labels, count, dtype=torch.float64):
    return torch.stack([labels == k for k in range(count)], 1).to(dtype)


def affinity_of(image, kind=DenseAffinity, **options):
    return kind(image, sigma_color=20, sigma_space=30, **options)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (DenseAffinity, {}),
        (NystromAffinity, {"landmarks": 60}),
        (LatticeAffinity, {"mode": "psd"}),
        (LatticeAffinity, {"mode": "sym"}),
    ],
)
@pytest.mark.parametrize("count", [2, 3])
def test_seeds_are_held_and_energies_fall(kind, options, count):
    image, truth, seeds = scene(count)
    if kind is NystromAffinity:
        options = options | {"generator": torch.Generator().manual_seed(0)}
    affinity = affinity_of(image, kind, **options)
    labels, energies = seeded_normalized_cut(affinity, seeds)
    assert torch.equal(labels[seeds != 255], seeds[seeds != 255])
    assert labels.shape == seeds.shape and int(labels.max()) == count - 1
    assert bool((energies.diff(dim=0) <= 0).all())
    assert (labels == truth).double().mean() > 0.95


@pytest.mark.parametrize("trial", range(6))
def test_a_step_never_raises_the_cut_of_a_positive_semidefinite_kernel(trial):
    image, _, _ = scene(3, seed=trial)
    affinity = affinity_of(image)
    generator = torch.Generator().manual_seed(trial)
    labels = torch.randint(0, 3, image[:, 0].shape, generator=generator)
    before = normalized_cut_loss(sets_of(labels, 3), affinity)
    moved = normalized_cut_gradient(sets_of(labels, 3), affinity).argmin(1)
    assert not torch.equal(moved, labels)
    assert normalized_cut_loss(sets_of(moved, 3), affinity) <= before + 1e-12


def test_a_step_that_raises_the_cut_is_not_taken():
    """Without its diagonal W is indefinite, and steps climb: each image stops before that."""
    image, _, _ = scene(3, grid=(3, 4), batch=8, noise=90)
    affinity = Hollow(affinity_of(image))
    seeds = torch.full((8, 3, 4), 255)
    seeds[:, 0, 0], seeds[:, 2, 3] = 0, 1
    found = seeded_normalized_cut(affinity, seeds)
    assert bool((found.energies.diff(dim=0) <= 0).all())
    moved = normalized_cut_gradient(sets_of(found.labels, 2), affinity).argmin(1)
    moved = torch.where(seeds != 255, seeds, moved)
    options = {"seeds": seeds, "classes": "present"}
    for b in range(8):  # each image's own value, of the end and of the step that was not taken
        one = Hollow(affinity_of(image[b : b + 1]))
        own = {name: v[b : b + 1] if name == "seeds" else v for name, v in options.items()}
        end, after = (
            float(normalized_cut_loss(sets_of(y[b : b + 1], 2), one, **own))
            for y in (found.labels, moved)
        )
        assert found.energies[-1, b] == pytest.approx(end) and after >= end - 1e-12
    assert bool((moved != found.labels).any()), "else every image is at rest, and none climbs"


def test_the_energies_are_those_of_the_losses():
    image, _, seeds = scene(3, batch=1)
    affinity, weights = affinity_of(image), image_weights(image / 255)
    options = {"seeds": seeds, "classes": "present"}
    labels, energies = seeded_normalized_cut(affinity, seeds)
    loss = normalized_cut_loss(sets_of(labels, 3), affinity, **options)
    torch.testing.assert_close(energies[-1, 0], loss)
    labels, energies = kernel_cut(affinity, seeds, weights, smoothness=0.7)
    loss = kernel_cut_loss(sets_of(labels, 3), affinity, weights, smoothness=0.7, **options)
    torch.testing.assert_close(energies[-1, 0], loss)


def test_the_end_is_a_fixed_point():
    image, _, seeds = scene(3)
    affinity = affinity_of(image)
    labels, _ = seeded_normalized_cut(affinity, seeds)
    again = normalized_cut_gradient(sets_of(labels, 3), affinity).argmin(1)
    free = seeds == 255
    assert torch.equal(again[free], labels[free])


@pytest.mark.parametrize("count", [2, 3])
def test_kernel_cut_energies_fall_and_the_boundary_is_shorter(count):
    image, _, seeds = scene(count, seed=1, noise=70)
    affinity, weights = affinity_of(image), image_weights(image / 255)
    plain, _ = seeded_normalized_cut(affinity, seeds)
    length = {}
    for smoothness in (0.1, 3.0):
        labels, energies = kernel_cut(affinity, seeds, weights, smoothness=smoothness)
        assert torch.equal(labels[seeds != 255], seeds[seeds != 255])
        assert bool((energies.diff(dim=0) <= 0).all())
        length[smoothness] = int((labels.diff(dim=1) != 0).sum() + (labels.diff(dim=2) != 0).sum())
    rough = int((plain.diff(dim=1) != 0).sum() + (plain.diff(dim=2) != 0).sum())
    assert length[3.0] <= length[0.1] <= rough and length[3.0] < rough


def test_a_start_at_the_least_energy_stays():
    """Against every labeling of a small image: from the best one, nothing moves."""
    image, _, _ = scene(2, grid=(2, 4), batch=1, seed=4)
    seeds = torch.full((1, 2, 4), 255)
    seeds[0, 0, 0], seeds[0, 1, 3] = 0, 1
    affinity, weights = affinity_of(image), image_weights(image / 255)
    best = {}
    for bits in itertools.product((0, 1), repeat=6):
        labels = torch.tensor([0, *bits, 1]).view(1, 2, 4)
        sets = sets_of(labels, 2)
        for name, value in (
            ("plain", normalized_cut_loss(sets, affinity)),
            ("kernel", kernel_cut_loss(sets, affinity, weights)),
        ):
            if name not in best or value < best[name][0]:
                best[name] = value, labels
    found = seeded_normalized_cut(affinity, seeds, start=best["plain"][1])
    assert torch.equal(found.labels, best["plain"][1])
    torch.testing.assert_close(found.energies[-1, 0], best["plain"][0])
    found = kernel_cut(affinity, seeds, weights, start=best["kernel"][1])
    assert torch.equal(found.labels, best["kernel"][1])
    # and from the scribbles alone, no labeling can be below the least
    assert seeded_normalized_cut(affinity, seeds).energies[-1, 0] >= best["plain"][0] - 1e-12


def test_only_labels_that_the_scribbles_name_compete():
    image, truth, seeds = scene(3)
    seeds[1][seeds[1] == 1] = 255
    labels, _ = seeded_normalized_cut(affinity_of(image), seeds)
    assert labels[0].unique().tolist() == [0, 1, 2] and labels[1].unique().tolist() == [0, 2]
    started, _ = seeded_normalized_cut(affinity_of(image), seeds, start=truth)
    assert started[1].unique().tolist() == [0, 2]
    cut, _ = kernel_cut(affinity_of(image), seeds, image_weights(image / 255))
    assert cut[1].unique().tolist() == [0, 2]


def test_images_of_a_batch_are_independent():
    image, _, seeds = scene(3)
    both = seeded_normalized_cut(affinity_of(image), seeds).labels
    one = seeded_normalized_cut(affinity_of(image[1:]), seeds[1:]).labels
    assert torch.equal(both[1:], one)


def test_one_label_takes_everything():
    image, _, seeds = scene(2)
    seeds[seeds == 1] = 255
    assert not seeded_normalized_cut(affinity_of(image), seeds).labels.any()
    assert not kernel_cut(affinity_of(image), seeds, image_weights(image / 255)).labels.any()


def test_wrong_arguments_are_named():
    image, _, seeds = scene()
    affinity = affinity_of(image)
    with pytest.raises(ValueError, match="seeds must be a long tensor of shape"):
        seeded_normalized_cut(affinity, seeds[:1])
    with pytest.raises(ValueError, match="none in image 1"):
        empty = seeds.clone()
        empty[1] = 255
        seeded_normalized_cut(affinity, empty)
    with pytest.raises(ValueError, match="max_iter"):
        seeded_normalized_cut(affinity, seeds, max_iter=0)
    with pytest.raises(ValueError, match="smoothness"):
        kernel_cut(affinity, seeds, image_weights(image / 255), smoothness=0.0)
