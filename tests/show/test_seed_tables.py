"""Tables of seeds: full, in part and absent."""

from softcut_lib import show
from tests.train.test_seeds import row, shifted

NAMES = {"base": "Base", "cut": "Soft cut", "exact": "Exact"}


def results():
    base = {seed: row(seed=seed) for seed in range(3)}
    cut = shifted(base, {0: 0.1, 1: 0.11, 2: 0.09})
    cut[1]["stopped"] = {"step": 7, "reason": "loss"}
    rows = [*base.values(), *cut.values(), row(lr=1e-2), row(optimizer="adagrad", val=(0.1,))]
    return {"rows": rows}


def test_means_and_brackets_beside_the_min_cut():
    decoded = {"rows": [row("cut", seed) for seed in range(2)]}
    shown = show.seeds_table(results(), decoded, names=NAMES)
    base, cut = shown.rows
    assert base[:3] == ["Base", "10", "3 of 3"] and base[5:] == ["-", "-"]
    assert cut[2] == "2 of 3" and cut[4] == "3.0 (0.0; 0.0)"
    assert float(cut[3].split()[0]) - float(base[3].split()[0]) > 0.09
    assert cut[5].count(";") == 1


def test_one_seed_has_no_bracket_over_seeds():
    (base,) = show.seeds_table({"rows": [row()]}, names=NAMES).rows
    assert base[3].endswith("; -)")


def test_differences():
    decoded = {"rows": list(shifted({0: row()}, {0: -0.2}).values())}
    pairs = [("base", "cut"), ("base", "exact"), ("cut", "min_cut")]
    first, last = show.differences_table(results(), pairs, names=NAMES, decoded=decoded).rows
    assert first[:2] == ["Soft cut minus Base", "3"] and first[2].startswith("+0.100 (0.000; 0.006")
    assert first[3] == "yes"
    assert last[0] == "Soft cut: min cut minus own decision" and last[2].startswith("-0.300")
    assert last[3] == "too few seeds"


def test_settings():
    shown = show.settings_table(results(), ["base", "cut"], names=NAMES)
    assert [line[:3] for line in shown.rows] == [
        ["Base", "adagrad", "0.001"], ["Base", "adam", "0.001"], ["Base", "adam", "0.01"]
    ]  # fmt: skip
    assert [line[-1] for line in shown.rows] == ["chosen", "", ""]


def test_absent_files_give_a_table_that_says_so():
    for shown in (
        show.seeds_table(None, names=NAMES),
        show.differences_table(None, [("base", "cut"), ("cut", "min_cut")], names=NAMES),
        show.settings_table(None, ["base"], names=NAMES),
    ):
        assert shown.rows == [["no recorded runs in this copy"]]
    one = {"rows": [row("exact")]}
    for shown in (
        show.seeds_table(one, names={"base": "Base"}),
        show.differences_table(one, [("base", "exact")], names=NAMES),
        show.settings_table(one, ["exact"], names=NAMES),
    ):
        assert shown.rows == [["not recorded yet"]]
