"""The playground's answers are the library's, and what is no picture is refused in words."""

import numpy as np
import pytest
import torch

import softcut_lib as sc
from softcut_lib import show
from softcut_lib.show.playground_answer import LEAST, playground_answer
from softcut_lib.show.playground_page import bundled_pictures, playground_html, reply


def scribbled(h=12, w=17, seed=0):
    """A noisy picture of two halves, and a few seeds in both."""
    random = np.random.default_rng(seed)
    image = np.where(np.arange(w)[:, None] < w // 2, 60, 170) * np.ones((h, 1, 1))
    image = (image + random.normal(0, 25, (h, w, 3))).clip(0, 255).astype(np.uint8)
    seeds = np.full((h, w), 255, np.uint8)
    seeds[random.integers(0, h, 4), random.integers(0, w // 3, 4)] = 1
    seeds[random.integers(0, h, 4), random.integers(2 * w // 3, w, 4)] = 0
    return image, seeds


def system_of(image, seeds, sigma):
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None].double() / 255
    weights = [w.clamp(min=LEAST) for w in sc.image_weights(pixels, sigma=sigma)]
    sign = torch.from_numpy(np.select([seeds == 1, seeds == 0], [1.0, -1.0], 0.0))[None, None]
    return pixels, weights, sign


def test_soft_cut_and_min_cut_take_the_stated_scores():
    image, seeds = scribbled()
    pixels, weights, sign = system_of(image, seeds, 0.2)
    from softcut_lib.cuts.interactive import seed_colors

    votes = 2 * seed_colors(pixels, torch.from_numpy(seeds).long()[None]) - 1
    scores, ground = 0.03 * votes + 4 * sign, (0.03 + 4 * sign.abs())[:, 0]
    options = {"sigma": 0.2, "ground": 0.03, "strength": 4.0}
    x = playground_answer(image, seeds, **options)
    expected = sc.soft_cut(scores, weights, ground=ground, solver=sc.CG(tol=1e-12))
    assert np.abs(x - expected[0, 0].numpy()).max() < 1e-9
    labels = playground_answer(image, seeds, method="min-cut", **options)
    assert np.array_equal(labels > 0, sc.min_cut(scores, weights)[0, 0].numpy())
    assert set(np.unique(labels)) <= {-1.0, 1.0}


def test_the_walker_is_the_limit_of_strong_seeds_and_no_ground():
    image, seeds = scribbled(seed=1)
    walker = playground_answer(image, seeds, method="random-walker", sigma=0.2)
    limit = playground_answer(
        image, seeds, sigma=0.2, ground=1e-9, strength=1e7, colors=False
    )  # fmt: skip
    assert np.abs(walker - limit).max() < 1e-4
    _, weights, _ = system_of(image, seeds, 0.2)
    chances = sc.random_walker(torch.from_numpy(seeds).long()[None], weights)
    assert np.abs(walker - (2 * chances[0, 1].numpy() - 1)).max() < 1e-4


@pytest.mark.parametrize("method", ["soft-cut", "min-cut", "random-walker"])
def test_exchanging_the_strokes_exchanges_the_sign(method):
    image, seeds = scribbled(seed=2)
    other = np.select([seeds == 1, seeds == 0], [0, 1], 255).astype(np.uint8)
    x, y = (playground_answer(image, s, method=method, sigma=0.2) for s in (seeds, other))
    assert np.abs(x + y).max() < 1e-8
    assert np.abs(x).max() <= 1 + 1e-12


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seeds": np.full((12, 17), 1, np.uint8)}, "no background pixel"),
        ({"seeds": np.full((12, 17), 255, np.uint8)}, "no foreground pixel"),
        ({"seeds": np.zeros((3, 3), np.uint8)}, "image's size"),
        ({"seeds": np.full((12, 17), 7, np.uint8)}, "got also"),
        ({"image": np.zeros((12, 17), np.uint8)}, "uint8 of shape"),
        ({"method": "magic"}, "method must be"),
        ({"ground": 0.0}, "ground must be"),
    ],
)
def test_refuses(change, words):
    image, seeds = scribbled()
    given = {"image": image, "seeds": seeds} | change
    with pytest.raises(ValueError, match=words):
        playground_answer(given.pop("image"), given.pop("seeds"), **given)


def test_the_widget_answers_and_tells_errors():
    image, seeds = scribbled()
    request = {"id": 7, "height": 12, "width": 17, "method": "soft-cut", "sigma": 0.1,
               "ground": 0.01, "strength": 1.0, "colors": True}  # fmt: skip
    message, (data,) = reply(request, [image.tobytes(), seeds.tobytes()])
    assert message == {"id": 7}
    expected = playground_answer(image, seeds, sigma=0.1, ground=0.01, strength=1.0)
    assert np.array_equal(np.frombuffer(data), expected.ravel())
    nothing = np.full_like(seeds, 255)
    message, buffers = reply(request, [image.tobytes(), nothing.tobytes()])
    assert "no foreground" in message["error"] and not buffers


def test_the_pictures_are_small_and_come_with_strokes_of_both_kinds():
    for picture in bundled_pictures():
        assert len(picture["url"]) < 60_000
        assert {label for label, _ in picture["strokes"]} == {0, 1}
        points = [point for _, line in picture["strokes"] for point in line]
        assert all(0 <= x <= 1 and 0 <= y <= 1 for x, y in points)


def test_the_page_asks_for_nothing_from_outside():
    html = playground_html()
    assert "http" not in html.replace("http://www.w3.org", "")
    assert html.count("<script") == html.count("</script>") == 1


@pytest.mark.parametrize(
    "shape", [(9, 11), (9, 11, 3), (9, 11, 4), (3, 9, 11), (1, 3, 9, 11), (1, 9, 11)]
)
def test_takes_pictures_of_any_usual_form(shape):
    kind = torch.rand if shape[0] in (1, 3) else lambda s: np.random.default_rng(0).random(s)
    html = playground_html(kind(shape), name="Mine & yours")
    assert "Mine & yours" in html and "image/png" in html


@pytest.mark.parametrize(
    ("image", "error", "words"),
    [
        (np.zeros((3, 3)), ValueError, "at least 8"),
        (np.zeros((9, 9, 2)), ValueError, "image must be"),
        (np.full((9, 9), 255.0), ValueError, "divide by 255"),
        (np.zeros((9, 9), int), TypeError, "uint8 or float"),
        (np.full((9, 9), np.nan), ValueError, "finite"),
    ],
)
def test_refuses_what_is_no_picture(image, error, words):
    with pytest.raises(error, match=words):
        show.playground(image)
