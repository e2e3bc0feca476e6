"""Simulated scribbles: where they lie, how many pixels they mark, and that they repeat."""

import os

import pytest
import torch
from torch.nn.functional import interpolate

from softcut_lib import SyntheticHorses, WeizmannHorses, simulate_scribbles


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def blocks(size=(48, 64)):
    """Four labels in one image, one of them in two regions."""
    target = torch.zeros(size).long()
    target[4:20, 4:28], target[4:20, 34:60] = 1, 2
    target[26:44, 4:16], target[26:44, 40:60] = 3, 3
    return target


def inside(seeds, target):
    marked = seeds != 255
    return bool(marked.any()) and torch.equal(seeds[marked], target[marked])


@pytest.mark.parametrize("width", [1, 2, 5])
def test_labels_lie_in_their_regions_and_every_label_is_marked(width):
    target = blocks()
    seeds = simulate_scribbles(target, width=width, generator=generator())
    assert inside(seeds, target)
    assert seeds.unique().tolist() == [0, 1, 2, 3, 255]
    left, right = seeds[26:44, :20], seeds[26:44, 36:]
    assert (left == 3).any() and (right == 3).any(), "each large region has its own scribble"


def test_the_draw_is_a_function_of_the_generator():
    target = blocks()
    first = simulate_scribbles(target, generator=generator(3))
    assert torch.equal(first, simulate_scribbles(target, generator=generator(3)))
    assert not torch.equal(first, simulate_scribbles(target, generator=generator(4)))
    state = torch.random.get_rng_state()
    simulate_scribbles(target, generator=generator())
    assert torch.equal(state, torch.random.get_rng_state())


def test_a_batch_is_its_images_one_after_the_other():
    target = torch.stack([blocks(), blocks().flip(1)])
    source = generator(5)
    singly = torch.stack([simulate_scribbles(t, width=1, generator=source) for t in target])
    assert torch.equal(simulate_scribbles(target, width=1, generator=generator(5)), singly)


def test_void_is_never_marked_and_divides_regions():
    target = blocks()
    target[:, 30:33] = 255
    target[30:34] = 255
    seeds = simulate_scribbles(target, width=9, generator=generator())
    assert (seeds[target == 255] == 255).all() and inside(seeds, target)


def test_an_image_of_void_has_no_scribble():
    assert (simulate_scribbles(torch.full((9, 9), 255), generator=generator()) == 255).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (2, 2), (1, 40), (40, 1), (2, 40), (3, 3)])
def test_the_smallest_regions_are_marked_when_they_are_all_a_label_has(shape):
    target = torch.zeros(50, 50).long()
    target[5 : 5 + shape[0], 5 : 5 + shape[1]] = 1
    for seed in range(5):
        seeds = simulate_scribbles(target, wobble=3.0, width=1, generator=generator(seed))
        assert inside(seeds, target) and (seeds == 1).any() and (seeds == 0).any()


def test_small_regions_beside_a_large_one_are_left_out():
    target = torch.zeros(50, 50).long()
    target[5:30, 5:30] = 1
    target[2, 2] = target[40, 40] = 1  # before the large one and behind it
    seeds = simulate_scribbles(target, generator=generator())
    assert seeds[2, 2] == seeds[40, 40] == 255 and (seeds == 1).any()
    seeds = simulate_scribbles(target, least=0, generator=generator())
    assert seeds[2, 2] == seeds[40, 40] == 1


@pytest.mark.parametrize("size", [(1, 1), (1, 30), (30, 1), (4, 4)])
def test_images_without_room_are_marked_too(size):
    target = torch.ones(size).long()
    assert inside(simulate_scribbles(target, generator=generator()), target)


def test_diagonal_and_ring_shaped_regions():
    y, x = torch.meshgrid(torch.arange(40), torch.arange(40), indexing="ij")
    radius = (y - 20.0).hypot(x - 20.0)
    ring = ((radius < 15) & (radius > 11)).long()
    stripe = ((y - x).abs() <= 1).long()
    for target in (ring, stripe):
        seeds = simulate_scribbles(target, width=1, keep=0.9, generator=generator())
        assert inside(seeds, target) and int((seeds == 1).sum()) > 15


def test_a_longer_stretch_marks_more_and_none_is_a_spot():
    target = blocks((96, 128))
    share = [
        int((simulate_scribbles(target, keep=k, wobble=0, generator=generator()) != 255).sum())
        for k in (0.0, 0.25, 0.5, 1.0)
    ]
    assert share == sorted(share) and share[-1] > 3 * share[1] > 0
    assert share[0] <= 5 * 6  # six spots of a pen two pixels wide


def test_coverage_grows_with_the_width():
    horses = [SyntheticHorses("val")[k]["target"] for k in range(4)]
    covered = [
        torch.stack(
            [(simulate_scribbles(t, width=w, generator=generator()) != 255).float() for t in horses]
        ).mean()
        for w in (1, 2, 3)
    ]
    assert covered[0] < covered[1] < covered[2] < 4 * covered[0]


def coverage(targets):
    """Mean share of the marked pixels, masks resized to a short side of 120."""
    shares = []
    source = generator()
    for target in targets:
        size = [round(n * 120 / min(target.shape)) for n in target.shape]
        mask = interpolate(target[None, None].float(), size=size)[0, 0].long()
        seeds = simulate_scribbles(mask, generator=source)
        assert inside(seeds, mask)
        shares.append((seeds != 255).float().mean())
    return float(torch.stack(shares).mean())


def test_coverage_of_synthetic_horses_is_two_to_four_percent():
    assert 0.02 < coverage(SyntheticHorses("train")[k]["target"] for k in range(12)) < 0.04


@pytest.mark.skipif(not os.environ.get("SOFTCUT_DATA"), reason="SOFTCUT_DATA is not set")
def test_coverage_of_the_photographs_is_two_to_four_percent():
    horses = WeizmannHorses(split="val", cache=False)
    assert 0.02 < coverage(horses[k]["target"] for k in range(16)) < 0.04


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0}, "width"),
        ({"keep": 1.5}, "keep"),
        ({"keep": (0.9, 0.5)}, "keep"),
        ({"wobble": -1}, "wobble"),
        ({"core": 1.0}, "core"),
        ({"least": -0.1}, "least"),
    ],
)
def test_options_out_of_range_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        simulate_scribbles(blocks(), **options)


def test_wrong_targets_are_named():
    with pytest.raises(TypeError, match="torch.int64"):
        simulate_scribbles(blocks().float())
    with pytest.raises(ValueError, match=r"\(h, w\)"):
        simulate_scribbles(blocks()[None, None])
