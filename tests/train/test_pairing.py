"""Paired differences: identities, and an interval that holds what it promises."""

import numpy as np
import pytest

from softcut_lib.train.evaluation import paired_difference
from softcut_lib.train.pairing import mean_interval, paired_differences

NAMES = [f"image{k}" for k in range(40)]


def results(**models):
    """model -> array (seeds, images) of IoU."""
    rows = [
        {"model": model, "seed": seed, "test": {"name": NAMES, "iou": list(values)}}
        for model, table in models.items()
        for seed, values in enumerate(table)
    ]
    return {"rows": rows}


def random(*shape, seed=0):
    return np.random.default_rng(seed).random(shape)


def test_a_model_does_not_differ_from_itself():
    table = random(3, 40)
    (gap,) = paired_differences(results(a=table, b=table), [("a", "b")])
    assert gap.mean == 0 and gap.interval == (0, 0) and gap.verdict == "no difference seen"


def test_exchanging_the_models_changes_the_sign():
    file = results(a=random(3, 40), b=random(3, 40, seed=1) + 0.4)
    one, other = paired_differences(file, [("a", "b"), ("b", "a")])
    assert one.mean == pytest.approx(-other.mean)
    assert one.interval == pytest.approx((-other.interval[1], -other.interval[0]))
    assert (one.verdict, other.verdict) == ("higher", "lower")


def test_one_seed_gives_the_bracket_over_images_and_no_interval():
    file = results(a=random(1, 40), b=random(1, 40, seed=1))
    (gap,) = paired_differences(file, [("a", "b")])
    mean, bracket = paired_difference(file["rows"][0]["test"], file["rows"][1]["test"], "iou")
    assert (gap.mean, gap.by_image) == (pytest.approx(mean), pytest.approx(bracket))
    assert gap.interval is None and gap.verdict == "one seed, not enough to say"


def test_only_common_seeds_count_and_missing_models_are_left_out():
    file = results(a=random(3, 40), b=random(2, 40, seed=1))
    (gap,) = paired_differences(file, [("a", "b"), ("a", "c")])
    assert gap.seeds == (0, 1) and gap.images == 40


@pytest.mark.parametrize("seeds, least", [(2, 0.87), (3, 0.90)])
@pytest.mark.parametrize("luck, spread", [(0.0, 0.3), (0.05, 0.3), (0.1, 0.05)])
def test_the_interval_covers_the_truth_as_often_as_it_says(luck, spread, seeds, least):
    """Whether trainings or images vary more: 92 to 96 % for three seeds, see `pairing`."""
    generator, mean, inside, trials = np.random.default_rng(0), 0.1, 0, 600
    for _ in range(trials):
        gaps = (
            mean
            + luck * generator.normal(size=(seeds, 1))
            + spread * generator.normal(size=(1, 40))
            + 0.1 * generator.normal(size=(seeds, 40))
        )
        low, high = mean_interval(gaps)[0]
        inside += low <= mean <= high
    assert least < inside / trials < 0.98


def test_luck_of_training_is_not_hidden_by_many_images():
    """Three seeds that disagree: thousands of images do not make it a finding."""
    gaps = np.array([[0.3], [-0.2], [0.1]]) + 1e-3 * random(3, 5000)
    low, high = mean_interval(gaps)[0]
    assert low < 0 < high
    assert abs(gaps.mean()) > 10 * mean_interval(gaps)[1]


def test_a_higher_level_needs_a_longer_interval():
    file = results(a=random(3, 40), b=random(3, 40, seed=1))
    (low, high), (lower, higher) = (
        paired_differences(file, [("a", "b")], level=level)[0].interval for level in (0.5, 0.99)
    )
    assert lower < low < high < higher


def test_bad_input_is_refused():
    file = results(a=random(2, 40), b=random(2, 40))
    with pytest.raises(ValueError, match="metric: expected one of iou"):
        paired_differences(file, [("a", "b")], metric="accuracy")
    with pytest.raises(ValueError, match="several rows of a, seed 0"):
        paired_differences({"rows": [*file["rows"], file["rows"][0]]}, [("a", "b")])
    file["rows"][2]["test"] = {**file["rows"][2]["test"], "name": NAMES[::-1]}
    with pytest.raises(ValueError, match="different images"):
        paired_differences(file, [("a", "b")])


def test_a_pair_that_nobody_ran_says_so_and_gives_no_answer():
    from softcut_lib import show

    pairs = [("a", "c"), ("a", "b"), ("b", "b")]
    gaps = paired_differences(results(a=random(3, 40), b=random(3, 40, seed=1)), pairs[:2])
    rows = show.paired_table(gaps, pairs=pairs, names={"c": "a cut"}, other="again").rows
    assert [row[0] for row in rows] == ["a cut minus a", "b minus a", "b, again"]
    for row in (rows[0], rows[2]):
        assert row[1:] == ["-"] * 4 + ["not recorded here"]
    assert rows[1][-1] == gaps[0].verdict
    empty = show.paired_table(paired_differences(None, pairs[:2]), pairs=pairs[:2]).rows
    assert [row[-1] for row in empty] == ["not recorded here"] * 2
