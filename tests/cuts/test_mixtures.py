"""GrabCut: what is held stays, colors decide, the same answer as OpenCV's where it is installed."""

import math

import numpy as np
import pytest
import torch
from skimage import data, transform

import softcut_lib as sc
from softcut_lib.cuts.mixtures import contrast_weights

pytest.importorskip("sklearn", reason="pip install scikit-learn")


@pytest.fixture(scope="module")
def astronaut():
    small = transform.resize(data.astronaut(), (128, 128), anti_aliasing=True)
    return torch.from_numpy(small).movedim(-1, 0)[None].float()


BOX = (1, 13, 128, 96)


def test_two_colors_are_parted():
    image = torch.full((1, 3, 16, 20), 0.2)
    image[:, :, 4:12, 6:14] = torch.tensor([0.9, 0.3, 0.1])[:, None, None]
    mask = sc.grabcut(image, sc.box_seeds((16, 20), (2, 3, 14, 17)))
    assert torch.equal(mask, image[:, :1] > 0.5)


def test_contrast_is_measured_by_the_images_own():
    """gamma exp(-beta |dI|^2) / |p - q| with beta = 1 / (2 mean |dI|^2), over all edges alike."""
    offsets = (*sc.axis_offsets(2), *sc.diagonal_offsets(2))
    image = torch.rand(1, 3, 5, 6, generator=torch.Generator().manual_seed(0)).double()
    squares = [sc.jump(image, o).square().sum(1) for o in offsets]
    mean = torch.cat([s.flatten() for s in squares]).mean()
    for w, s, o in zip(contrast_weights(image, offsets, gamma=7.0), squares, offsets, strict=True):
        torch.testing.assert_close(w, 7 * torch.exp(-s / (2 * mean)) / math.hypot(*o))


def test_seeds_are_kept_and_used(astronaut):
    seeds = sc.box_seeds((128, 128), BOX)
    seeds[0, 60:70, 60:64] = 0  # said to be background, in the middle of the person
    seeds[0, 28:33, 50:60] = 1
    mask = sc.grabcut(astronaut, seeds, max_iter=3)
    assert not mask[:, 0][seeds == 0].any() and mask[:, 0][seeds == 1].all()


def test_same_answer_each_time_and_in_a_batch(astronaut):
    seeds = sc.box_seeds((128, 128), BOX)
    mask = sc.grabcut(astronaut, seeds, max_iter=3)
    pair = sc.grabcut(astronaut.expand(2, -1, -1, -1), seeds.expand(2, -1, -1), max_iter=3)
    assert torch.equal(pair, mask.expand(2, -1, -1, -1))


def test_mirror_image(astronaut):
    """Nothing prefers left to right: the cut of the mirror image is nearly the mirrored cut."""
    seeds = sc.box_seeds((128, 128), BOX)
    mask = sc.grabcut(astronaut, seeds)
    assert 0.2 < mask.float().mean() < 0.6
    mirrored = sc.grabcut(astronaut.flip(-1), seeds.flip(-1)).flip(-1)
    assert (mask == mirrored).float().mean() > 0.97


def test_agrees_with_opencv(astronaut):
    cv2 = pytest.importorskip("cv2", reason="pip install opencv-python-headless")
    seeds = sc.box_seeds((128, 128), BOX)
    mask = sc.grabcut(astronaut, seeds, max_iter=5)[0, 0].numpy()
    theirs = np.where(seeds[0].numpy() == 0, cv2.GC_BGD, cv2.GC_PR_FGD).astype(np.uint8)
    picture = (astronaut[0].movedim(0, -1).numpy() * 255).round().astype(np.uint8)
    cv2.setRNGSeed(0)
    cv2.grabCut(
        picture, theirs, None, np.zeros((1, 65)), np.zeros((1, 65)), 5, cv2.GC_INIT_WITH_MASK
    )
    assert (mask == ((theirs == cv2.GC_FGD) | (theirs == cv2.GC_PR_FGD))).mean() > 0.95


def test_errors(astronaut):
    with pytest.raises(ValueError, match=r"box must be \(top, left, bottom, right\)"):
        sc.box_seeds((10, 10), (0, 0, 11, 5))
    with pytest.raises(ValueError, match="leave some background"):
        sc.box_seeds((10, 10), (0, 0, 10, 10))
    with pytest.raises(ValueError, match="0 of background and 16384 of foreground"):
        sc.grabcut(astronaut, torch.full((1, 128, 128), 255))
    with pytest.raises(ValueError, match=r"seeds must be a long tensor of shape \(1, 128, 128\)"):
        sc.grabcut(astronaut, torch.zeros(1, 9, 9, dtype=torch.long))
    with pytest.raises(ValueError, match="gamma must be a finite number above 0, got 0"):
        sc.grabcut(astronaut, sc.box_seeds((128, 128), BOX), gamma=0)
    bad = astronaut.clone()
    bad[0, 0, 3, 3] = math.nan
    with pytest.raises(ValueError, match="image must be finite"):
        sc.grabcut(bad, sc.box_seeds((128, 128), BOX))


def test_without_scikit_learn(astronaut, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sklearn.mixture", None)
    with pytest.raises(ModuleNotFoundError, match="pip install scikit-learn"):
        sc.grabcut(astronaut, sc.box_seeds((128, 128), BOX))
