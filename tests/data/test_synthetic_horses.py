"""Synthetic horses: reproducible item by item, ambiguous colors, visible outlines."""

import pickle

import numpy as np
import pytest
import torch

from softcut_lib.data.shapes import smooth_noise
from softcut_lib.data.synthetic_horses import COUNTS, PATCH, SyntheticHorses


@pytest.fixture(scope="module")
def items():
    data = SyntheticHorses("train", count=24)
    return [data[k] for k in range(len(data))]


def test_items_have_the_common_form(items):
    for k, item in enumerate(items):
        assert item["image"].shape == (3, 96, 128) and item["image"].dtype == torch.float32
        assert 0 <= item["image"].min() and item["image"].max() <= 1
        assert item["target"].shape == (96, 128) and item["target"].dtype == torch.int64
        assert item["target"].unique().tolist() == [0, 1]
        assert item["name"] == f"train{k:04d}"


def test_the_horse_takes_a_fair_share(items):
    shares = np.array([item["target"].double().mean() for item in items])
    assert 0.15 < shares.mean() < 0.35 and shares.min() > 0.08


def test_item_k_depends_on_seed_split_and_k_only():
    options = {"size": (48, 64)}
    data = SyntheticHorses("val", **options)
    later = data[7]["image"]
    torch.manual_seed(5)
    other = SyntheticHorses("val", count=8, **options)
    assert torch.equal(other[7]["image"], later) and torch.equal(other[-1]["image"], later)
    assert torch.equal(pickle.loads(pickle.dumps(data))[7]["target"], data[7]["target"])
    for changed in (
        data[6],
        SyntheticHorses("test", **options)[7],
        SyntheticHorses("val", seed=1, **options)[7],
    ):
        assert not torch.equal(changed["image"], later)


def test_the_global_random_state_is_left_alone():
    state = torch.random.get_rng_state()
    SyntheticHorses(size=(32, 32))[0]
    assert torch.equal(state, torch.random.get_rng_state())


def test_counts_sizes_and_iteration():
    assert {split: len(SyntheticHorses(split)) for split in COUNTS} == COUNTS
    data = SyntheticHorses(count=2, size=(40, 56))
    assert [item["image"].shape for item in data] == [(3, 40, 56)] * 2
    with pytest.raises(IndexError):
        data[2]


def test_no_color_separates_horse_from_ground(items):
    """The best linear rule on a pixel's own color errs often, though it beats guessing."""
    colors = torch.cat([item["image"].flatten(1).T for item in items]).double()
    labels = torch.cat([item["target"].flatten() for item in items]).double()
    features = torch.cat([colors, torch.ones(len(colors), 1)], 1)
    balance = torch.where(labels == 1, 0.5 / labels.mean(), 0.5 / (1 - labels).mean())
    rule = torch.linalg.lstsq(features * balance[:, None].sqrt(), (2 * labels - 1) * balance.sqrt())
    said = features @ rule.solution > 0
    accuracy = (said[labels == 1].double().mean() + (~said)[labels == 0].double().mean()) / 2
    assert 0.6 < accuracy < 0.85


def test_averaged_over_the_true_regions_color_tells_horse_from_ground(items):
    reddish = [item["image"][0] - item["image"][1] for item in items]
    horse, ground = (
        np.array([float(r[item["target"] == k].mean()) for r, item in zip(reddish, items)])
        for k in (1, 0)
    )
    assert (horse > ground).mean() > 0.95


def test_outlines_are_steeper_than_the_inside(items):
    steeper = []
    for item in items:
        gray, target = item["image"].mean(0), item["target"]
        step = torch.diff(gray, dim=1).abs()
        border = torch.diff(target, dim=1) != 0
        steeper.append(float(step[border].mean() / step[~border].mean()))
    assert np.median(steeper) > 1.3


@pytest.mark.parametrize(
    "options",
    [{"split": "all"}, {"count": 0}, {"count": 2.0}, {"size": (16, 128)}, {"seed": -1}],
)
def test_bad_options_are_refused(options):
    (name,) = options
    with pytest.raises(ValueError, match=f"{name} must be"):
        SyntheticHorses(**options)


def test_patches_are_as_wide_as_the_small_network_sees():
    """Pixels three apart, from the middle to the rim of a 7 x 7 window, err together."""
    field = smooth_noise((96, 128), PATCH, generator=torch.Generator().manual_seed(0))
    assert (field[:, 3:] * field[:, :-3]).mean() > 0.7
