"""Scribbles to mask: seeds are kept, labels may be exchanged, what is refused."""

import pytest
import torch

from softcut_lib.cuts.interactive import METHODS, interactive_cut, seed_colors


@pytest.fixture
def scene():
    """A bright disc on dark ground with noise, one short stroke on each."""
    y, x = torch.meshgrid(torch.arange(30.0), torch.arange(40.0), indexing="ij")
    disc = (y - 15) ** 2 + (x - 20) ** 2 < 81
    noise = 0.02 * torch.randn(1, 3, 30, 40, generator=torch.Generator().manual_seed(0))
    image = (0.3 + 0.4 * disc.double() + noise.double()).clamp(0, 1)
    seeds = torch.full((1, 30, 40), 255)
    seeds[0, 15, 18:23], seeds[0, 2, 2:9] = 1, 0
    return image, seeds, disc[None]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("color", [0.0, 0.001, 0.1])
def test_the_disc_is_found(scene, method, color):
    image, seeds, disc = scene
    mask = interactive_cut(image, seeds, method=method, color=color)
    assert mask.dtype == torch.bool and mask[seeds == 1].all() and not mask[seeds == 0].any()
    assert (mask == disc).double().mean() > 0.99


@pytest.mark.parametrize("color", [0.0, 0.01, 1.0])
def test_the_walker_with_colors_is_the_soft_cut(scene, color):
    """x_1 - x_0 of the walker solves the same system, ground and sources of the colors included."""
    image, seeds, disc = scene
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(1)).double()
    noisy = (image + 0.3 * noise).clamp(0, 1)
    one, other = (
        interactive_cut(noisy, seeds, method=method, color=color)
        for method in ("soft-cut", "random-walker")
    )
    assert torch.equal(one, other) and not torch.equal(one, disc)


@pytest.mark.parametrize("method", METHODS)
def test_exchanged_seeds_give_the_complement(scene, method):
    image, seeds, _ = scene
    other = torch.where(seeds == 255, 255, 1 - seeds)
    mask = interactive_cut(image, seeds, method=method)
    assert torch.equal(interactive_cut(image, other, method=method), ~mask)


@pytest.mark.parametrize("method", METHODS)
def test_each_image_of_a_batch_has_its_own_colors(scene, method):
    """Beside its negative, whose colors say the opposite."""
    image, seeds, _ = scene
    images, marks = torch.cat([image, 1 - image]), torch.cat([seeds, seeds.flip(2)])
    together = seed_colors(images, marks), interactive_cut(images, marks, method=method, color=0.1)
    for k in range(2):
        alone = images[k : k + 1], marks[k : k + 1]
        torch.testing.assert_close(together[0][k : k + 1], seed_colors(*alone))
        mask = interactive_cut(*alone, method=method, color=0.1)
        assert torch.equal(together[1][k : k + 1], mask)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("color", [0.0, 0.001])
def test_a_volume_of_one_slice_is_the_image(scene, method, color):
    """Volumes take another solver than images."""
    image, seeds, _ = scene
    flat = interactive_cut(image, seeds, method=method, color=color)
    volume = interactive_cut(image[:, :, None], seeds[:, None], method=method, color=color)
    assert torch.equal(volume[:, 0], flat)


def test_colors_of_the_seeds_are_recognized(scene):
    image, seeds, disc = scene
    prob = seed_colors(image, seeds)[:, 0]
    assert (prob[disc] > 0.5).double().mean() > 0.95 and (prob[~disc] < 0.5).double().mean() > 0.95
    assert bool(((prob > 0) & (prob < 1)).all())


@pytest.mark.parametrize(
    "change, error, message",
    [
        ({"method": "magic"}, ValueError, "method"),
        ({"color": -1.0}, ValueError, "color must be a number of at least 0"),
        ({"sigma": 0.0}, ValueError, "sigma"),
        ({"seeds": torch.zeros(1, 3, 3).long()}, ValueError, "image's size"),
        ({"seeds": torch.zeros(1, 30, 40)}, TypeError, "must be long"),
        ({"seeds": torch.zeros(1, 30, 40).long()}, ValueError, "mark no foreground"),
        ({"seeds": torch.ones(1, 30, 40).long()}, ValueError, "mark no background"),
        ({"seeds": torch.full((1, 30, 40), 7)}, ValueError, "got also .7."),
    ],
)
def test_refusals(scene, change, error, message):
    image, seeds, _ = scene
    options = {"seeds": seeds, **change}
    with pytest.raises(error, match=message):
        interactive_cut(image, **options)
