"""Tables of seeds: full, in part and absent."""

import pytest

from softcut_lib import show
from softcut_lib.train.pairing import paired_differences
from softcut_lib.train.seeds import with_options
from tests.train.test_seeds import row, shifted

NAMES = {"base": "Base", "cut": "Soft cut", "exact": "Exact"}


ADAM = {"optimizer": "adam", "lr": 1e-3}
STOP = {"step": 7, "reason": "the loss is nan; look at what produced it"}


def results():
    base = {seed: row(seed=seed) for seed in range(3)}
    cut = shifted(base, {0: 0.1, 1: 0.11, 2: 0.09})
    cut[1] |= {"stopped": STOP, "best_epoch": 1}
    rows = [*base.values(), *cut.values(), row(lr=1e-2), row(optimizer="adagrad", val=(0.1,))]
    return {"rows": rows}


def test_means_and_brackets_beside_the_min_cut():
    decoded = {"rows": [row("cut", seed) for seed in range(2)]}
    shown = show.seeds_table(with_options(results(), **ADAM), decoded, names=NAMES)
    base, cut = shown.rows
    assert base[:3] == ["Base", "10", "3 of 3"] and base[5:] == ["-", "-"]
    assert cut[2] == "2 of 3" and cut[4] == "3.0 (0.0; 0.0)"
    assert float(cut[3].split()[0]) - float(base[3].split()[0]) > 0.09
    assert cut[5].count(";") == 1


def test_one_seed_has_no_bracket_over_seeds():
    (base,) = show.seeds_table({"rows": [row()]}, names=NAMES).rows
    assert base[3].endswith("; -)")


def gaps(seeds=range(3), decoded=None):
    few = {"rows": [r for r in with_options(results(), **ADAM)["rows"] if r["seed"] in seeds]}
    if decoded:
        return paired_differences(few, [("cut", "cut")], other=decoded)
    return paired_differences(few, [("base", "cut"), ("base", "exact")])


def test_differences():
    ((first, *cells),) = show.paired_table(gaps(), names=NAMES).rows
    assert first == "Soft cut minus Base" and cells[-1] == "higher"
    assert cells[0] == "+0.100 (0.000)" and cells[1].startswith("+0.0") and cells[2] == "3"
    harder = gaps([0], {"rows": list(shifted({0: row()}, {0: -0.2}).values())})
    ((first, *cells),) = show.paired_table(harder, names=NAMES, other="by the min cut").rows
    assert first == "Soft cut, by the min cut" and cells[0].startswith("-0.300")
    assert cells[1] == "-" and cells[-1] == "one seed, not enough to say"


def test_answers_follow_the_interval():
    (gap,) = gaps()
    assert show.answer("Better?", gap).startswith("Better? Yes: +0.100 mIoU, 95 % interval +0.0")
    assert "(3 seeds, 20 images)" in show.answer("Better?", gap)
    assert show.answer("Better?", gap, higher="by far").startswith("Better? By far:")
    back = paired_differences(with_options(results(), **ADAM), [("cut", "base")])[0]
    assert show.answer("Better?", back).startswith("Better? No, it is worse: -0.100")
    equal = paired_differences(with_options(results(), **ADAM), [("cut", "cut")])[0]
    assert show.answer("Better?", equal, same="alike").startswith("Better? Alike: +0.000")
    (one,) = gaps([0])
    assert "Not enough runs to say: +0.100" in show.answer("Better?", one)
    assert show.answer("Better?", None) == "Better? Not recorded yet."
    (loss,) = paired_differences(with_options(results(), **ADAM), [("base", "cut")], metric="loss")
    with pytest.raises(ValueError, match="expected a difference of 'iou'"):
        show.answer("Better?", loss)


def test_answers_are_those_of_the_single_questions():
    file = with_options(results(), **ADAM)
    questions = {
        "Better?": ("base", "cut"),
        "Worse, then?": ("cut", "base", {"lower": "by a good deal"}),
        "And a third?": ("base", "third"),
    }
    found = paired_differences(file, [pair[:2] for pair in questions.values()])
    lines = show.answers(questions, found).splitlines()
    assert " ".join(lines) == " ".join(
        [
            show.answer("Better?", found[0]),
            show.answer("Worse, then?", found[1], lower="by a good deal"),
            show.answer("And a third?", None),
        ]
    )
    assert "Worse, then? By a good deal" in " ".join(lines) and max(map(len, lines)) <= 84


def test_models_are_sorted_by_the_verdict():
    file = with_options(results(), **ADAM)
    found = paired_differences(file, [("base", "cut"), ("base", "base"), ("cut", "base")])
    assert show.sort_by_verdict(found, names=NAMES) == (
        "Higher: Soft cut. No difference seen: Base. Lower: Base."
    )
    assert show.sort_by_verdict([]) == "Not recorded yet."


def test_endings_name_every_run_that_stopped_itself():
    stop, rest = show.endings(with_options(results(), **ADAM), names=NAMES)
    assert stop == (
        "Soft cut, seed 1, stopped itself in pass 4 of 100 (the loss is nan); it is tested with "
        "its best network until then, that of pass 2."
    )
    assert rest == "5 of 6 runs reached their end."
    for count, words in ((1, "The one run reached its"), (2, "Both runs reached their"),
                         (3, "All 3 runs reached their")):  # fmt: skip
        few = {"rows": [row(seed=seed) for seed in range(count)]}
        assert show.endings(few, names=NAMES) == [f"{words} end."]
    assert show.endings(None, names=NAMES) == ["No recorded runs."]


def test_settings():
    shown = show.settings_table(results(), ["base", "cut"], names=NAMES)
    assert [line[:3] for line in shown.rows] == [
        ["Base", "Adagrad", "0.001"], ["Base", "Adam", "0.001"], ["Base", "Adam", "0.01"]
    ]  # fmt: skip
    assert [line[-1] for line in shown.rows] == ["chosen", "", ""]


def test_absent_files_give_a_table_that_says_so():
    for shown in (
        show.seeds_table(None, names=NAMES),
        show.settings_table(None, ["base"], names=NAMES),
    ):
        assert shown.rows == [["no recorded runs in this copy"]]
    one = {"rows": [row("exact")]}
    for shown in (
        show.seeds_table(one, names={"base": "Base"}),
        show.paired_table(paired_differences(one, [("base", "exact")])),
        show.settings_table(one, ["exact"], names=NAMES),
    ):
        assert shown.rows == [["not recorded yet"]]
