"""Signed distances, the horse puppet, smooth noise and toy scenes."""

import numpy as np
import pytest
import torch
from skimage.data import horse
from skimage.measure import label

from softcut_lib.data.shapes import (
    BENDS,
    box_distance,
    coverage,
    disc_distance,
    horse_distance,
    pixel_centers,
    smooth_noise,
    toy_scene,
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_coverage_adds_up_to_the_area():
    points = pixel_centers((60, 80))
    disc = coverage(disc_distance(points, (40.3, 29.8), 17.0)).sum()
    box = coverage(box_distance(points, (40.3, 29.8), (30.5, 20.25))).sum()
    assert abs(disc - np.pi * 17**2) < 2 and abs(box - 30.5 * 20.25) < 2


def test_distances_change_by_one_a_pixel():
    points = pixel_centers((40, 50))
    for distance in (
        disc_distance(points, (20, 20), 9.0),
        box_distance(points, (20, 20), (14.0, 9.0)),
    ):
        assert torch.diff(distance, dim=0).abs().max() <= 1 + 1e-5
        assert torch.diff(distance, dim=1).abs().max() <= 1 + 1e-5


def test_the_unposed_horse_is_the_bundled_silhouette():
    silhouette = torch.from_numpy(~horse())
    drawn = horse_distance(pixel_centers((328, 400)), center=(200, 164), height=328) > 0
    both, either = (drawn & silhouette).sum(), (drawn | silhouette).sum()
    assert both / either > 0.99


def test_a_flipped_horse_is_the_mirror_image():
    points, bends = pixel_centers((48, 64)), {"neck": 10.0, "near fore": -20.0}
    right = horse_distance(points, center=(32, 24), height=40.0, bends=bends)
    left = horse_distance(points, center=(32, 24), height=40.0, bends=bends, flip=True)
    assert torch.allclose(left, right.flip(1), atol=1e-3)


def test_area_grows_with_the_square_of_the_height_and_not_with_the_angle():
    points = pixel_centers((96, 128))
    area = [
        float(coverage(horse_distance(points, center=(64, 48), height=height, angle=angle)).sum())
        for height, angle in ((40.0, 0.0), (80.0, 0.0), (80.0, 25.0))
    ]
    assert abs(area[1] / area[0] - 4) < 0.1 and abs(area[2] / area[1] - 1) < 0.02


@pytest.mark.parametrize("part", sorted(BENDS))
@pytest.mark.parametrize("end", [0, 1])
def test_a_bent_horse_stays_in_one_piece_and_only_moves_that_part(part, end):
    points = pixel_centers((164, 200))
    rest = horse_distance(points, center=(100, 82), height=164.0)
    bent = horse_distance(points, center=(100, 82), height=164.0, bends={part: BENDS[part][end]})
    pieces = label((bent > 0).numpy())
    assert np.bincount(pieces.ravel())[1:].max() > 0.995 * (pieces > 0).sum()
    changed = ((bent > 0) != (rest > 0)).double().mean()
    assert 0 < changed < 0.08


def test_an_unknown_part_or_height_is_refused():
    points = pixel_centers((48, 64))
    with pytest.raises(ValueError, match="bends must name parts .*got .'wing'"):
        horse_distance(points, center=(32, 24), height=40.0, bends={"wing": 3.0})
    with pytest.raises(ValueError, match="height must be"):
        horse_distance(points, center=(32, 24), height=0.0)


def test_smooth_noise_has_unit_variance_and_the_stated_correlation():
    fields = torch.stack([smooth_noise((40, 50), 3.0, generator=seeded(k)) for k in range(300)])
    assert abs(fields.mean()) < 0.05 and abs(fields.var() - 1) < 0.05
    lag = 4
    along = (fields[:, :, lag:] * fields[:, :, :-lag]).mean()
    assert abs(along - np.exp(-(lag**2) / (4 * 3.0**2))) < 0.05


def test_smooth_noise_of_two_widths_is_streaky_and_of_width_zero_is_white():
    streaks = smooth_noise((200, 200), (8.0, 0.5), generator=seeded())
    down = (streaks[1:] * streaks[:-1]).mean()
    across = (streaks[:, 1:] * streaks[:, :-1]).mean()
    assert down > 0.9 and across < 0.6
    white = smooth_noise((200, 200), 0.0, generator=seeded())
    assert abs((white[1:] * white[:-1]).mean()) < 0.05 and abs(white.var() - 1) < 0.05


@pytest.mark.parametrize("kind", ["disc", "rectangles", "ring", "horse"])
def test_a_toy_scene_separates_by_color_when_it_is_clean(kind):
    image, target = toy_scene(kind, size=(64, 80), noise=0.0)
    assert image.shape == (3, 64, 80) and image.dtype == torch.float32
    assert target.shape == (64, 80) and target.dtype == torch.int64
    assert torch.equal((image[0] > (0.25 + 0.80) / 2).long(), target)
    assert 0.1 < target.double().mean() < 0.5


def test_toy_shapes_have_their_pieces_and_holes():
    count = {}
    for kind in ("disc", "rectangles", "ring"):
        target = toy_scene(kind, noise=0.0)[1].numpy()
        count[kind] = (label(target).max(), label(1 - target, connectivity=1).max())
    assert count == {"disc": (1, 1), "rectangles": (2, 1), "ring": (1, 2)}


def test_a_toy_scene_is_reproducible_and_its_noise_has_the_stated_size():
    first = toy_scene(noise=0.05, size=(96, 128), generator=seeded(3))[0]
    again = toy_scene(noise=0.05, size=(96, 128), generator=seeded(3))[0]
    clean = toy_scene(noise=0.0, size=(96, 128))[0]
    assert torch.equal(first, again)
    assert abs((first - clean).std() - 0.05) < 0.002


@pytest.mark.parametrize(
    "options",
    [{"kind": "star"}, {"size": (4, 64)}, {"size": 64}, {"size": (48.0, 64)}, {"noise": -0.1}],
)
def test_toy_scene_refuses_bad_options(options):
    (name,) = options
    with pytest.raises(ValueError, match=f"{name} must be"):
        toy_scene(**options)
