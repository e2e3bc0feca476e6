"""The Weizmann loader follows the thesis' protocol and names what is wrong with a database."""

import os
import pickle

import numpy as np
import pytest
import torch
from PIL import Image

from softcut_lib.data.fetch import checksums
from softcut_lib.data.horses import COUNT, NAMES, WeizmannHorses, thesis_split

real_data = pytest.mark.skipif(
    not os.environ.get("SOFTCUT_DATA"), reason="SOFTCUT_DATA is not set: no real photographs here"
)


def write_pair(folder, name, *, mask_size=(12, 10), photograph_size=(18, 15), level=200):
    rows = np.linspace(0, 255, photograph_size[1], dtype=np.uint8)
    gray = np.broadcast_to(rows[:, None, None], (*photograph_size[::-1], 3))
    mask = np.zeros(mask_size[::-1], np.uint8)
    mask[: mask_size[1] // 2] = level
    for part, pixels in (("rgb", gray), ("figure_ground", mask)):
        (folder / part).mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.ascontiguousarray(pixels)).save(
            folder / part / f"{name}.jpg", quality=100
        )


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "weizmann_horse_db"
    for name in NAMES:
        write_pair(folder, name)
    return folder


@pytest.fixture
def few(tmp_path):
    folder = tmp_path / "weizmann_horse_db"
    for name in NAMES[:3]:
        write_pair(folder, name)
    return folder


def test_the_split_is_the_thesis_split():
    split = thesis_split()
    assert split["train"][:6] == [223, 265, 58, 93, 120, 209]
    assert split["val"][:4] == [110, 22, 52, 281]
    assert split["test"][:4] == [289, 195, 326, 313]
    assert [sum(split[part]) for part in ("train", "val", "test")] == [30012, 6921, 16695]
    assert sorted(split["train"] + split["val"] + split["test"]) == list(range(COUNT))


def test_the_split_equals_the_global_seed_and_leaves_the_global_state_alone():
    state = torch.random.get_rng_state()
    split = thesis_split()
    assert torch.equal(state, torch.random.get_rng_state())
    with torch.random.fork_rng():
        torch.manual_seed(1234)
        order = torch.randperm(COUNT).tolist()
    assert split["train"] + split["val"] + split["test"] == order


def test_items_have_the_common_form(whole):
    data = WeizmannHorses(whole)
    item = data[0]
    assert len(data) == 180 and item["name"] == "horse224"
    assert item["image"].shape == (3, 10, 12) and item["image"].dtype == torch.float32
    assert 0 <= item["image"].min() and item["image"].max() <= 1
    assert item["target"].shape == (10, 12) and item["target"].dtype == torch.int64
    assert item["target"].unique().tolist() == [0, 1]
    assert len(list(data)) == 180


def test_the_parts_are_disjoint_and_cover_the_database(whole):
    parts = [WeizmannHorses(whole, split).names for split in ("train", "val", "test")]
    assert [len(part) for part in parts] == [180, 50, 98]
    assert sorted(sum(parts, [])) == WeizmannHorses(whole, "all").names == list(NAMES)


def test_root_may_be_the_parent_or_come_from_the_environment(whole, monkeypatch):
    monkeypatch.setenv("SOFTCUT_DATA", str(whole.parent))
    first = WeizmannHorses(whole)[5]
    for root in (whole.parent, str(whole), None):
        item = WeizmannHorses(root)[5]
        assert item["name"] == first["name"] and torch.equal(item["image"], first["image"])


@pytest.mark.parametrize(("level", "foreground"), [(127, 0), (128, 1)])
def test_the_threshold_is_128(tmp_path, level, foreground):
    folder = tmp_path / "weizmann_horse_db"
    write_pair(folder, "horse001")
    Image.new("L", (8, 8), level).save(folder / "figure_ground" / "horse001.jpg", quality=100)
    assert WeizmannHorses(folder, "all")[0]["target"].unique().tolist() == [foreground]


def test_scale_halves_both_sides(few):
    item = WeizmannHorses(few, "all", scale=0.5)[0]
    assert item["image"].shape == (3, 5, 6) and item["target"].shape == (5, 6)
    assert item["target"][:2].all() and not item["target"][3:].any()


def test_cached_items_are_equal_and_independent(few):
    cached, plain = WeizmannHorses(few, "all"), WeizmannHorses(few, "all", cache=False)
    first = cached[1]
    first["image"].zero_()
    first["target"].fill_(7)
    assert torch.equal(cached[1]["image"], plain[1]["image"])
    assert torch.equal(cached[1]["target"], plain[1]["target"])
    assert not plain._pixels
    assert torch.equal(pickle.loads(pickle.dumps(cached))[1]["image"], plain[1]["image"])


def test_a_missing_folder_is_explained(tmp_path, monkeypatch):
    monkeypatch.delenv("SOFTCUT_DATA", raising=False)
    with pytest.raises(FileNotFoundError, match="SOFTCUT_DATA.*fetch_weizmann"):
        WeizmannHorses()
    with pytest.raises(FileNotFoundError, match="nowhere.*rgb/.*SOFTCUT_DATA.*fetch_weizmann"):
        WeizmannHorses(tmp_path / "nowhere")


def test_a_partial_database_is_refused_for_the_thesis_split(few):
    with pytest.raises(ValueError, match='holds 3 .*horse004.* and 320 more.*split="all"'):
        WeizmannHorses(few)
    assert len(WeizmannHorses(few, "all")) == 3


def test_328_pairs_with_a_foreign_name_are_refused(whole, tmp_path):
    folder = tmp_path / "weizmann_horse_db"
    for name in [*NAMES[:-1], "horse999"]:
        for part in ("rgb", "figure_ground"):
            (folder / part).mkdir(parents=True, exist_ok=True)
            os.link(whole / part / "horse001.jpg", folder / part / f"{name}.jpg")
    with pytest.raises(ValueError, match="missing: horse328; unknown: horse999"):
        WeizmannHorses(folder, "test")


@pytest.mark.parametrize("part", ["rgb", "figure_ground"])
def test_half_a_pair_is_refused(few, part):
    (few / part / "horse002.jpg").unlink()
    with pytest.raises(ValueError, match=f"1 of 3 names lack.*{part}.*horse002"):
        WeizmannHorses(few, "all")


@pytest.mark.parametrize("part", ["rgb", "figure_ground"])
@pytest.mark.parametrize("keep", [0.6, 0.0])
def test_a_truncated_picture_names_its_file(few, part, keep):
    path = few / part / "horse002.jpg"
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    data = WeizmannHorses(few, "all")
    data[0]
    with pytest.raises(ValueError, match=f"{part}.*horse002.jpg.*fetch_weizmann"):
        data[1]


@pytest.mark.parametrize(
    ("error", "options"),
    [
        (ValueError, {"split": "validation"}),
        (ValueError, {"split": "all", "scale": 0}),
        (ValueError, {"split": "all", "scale": 2.0}),
        (TypeError, {"split": "all", "cache": 1}),
    ],
)
def test_unknown_options_are_refused(few, error, options):
    name = list(options)[-1]
    with pytest.raises(error, match=f"{name} must be"):
        WeizmannHorses(few, **options)


def test_a_root_that_is_no_path_is_refused():
    with pytest.raises(TypeError, match="root must be a path or None, got int"):
        WeizmannHorses(3)


def test_one_test_photograph_is_also_a_training_photograph():
    """The database holds two pairs of equal files; chapter 10 names the one that leaks."""
    sums = {n: s for n, s in checksums().items() if n.startswith("rgb/")}
    twins = {frozenset(a for a in sums if sums[a] == sums[b]) for b in sums}
    twins = {tuple(sorted(name[4:12] for name in pair)) for pair in twins if len(pair) > 1}
    assert twins == {("horse006", "horse018"), ("horse240", "horse274")}
    part = {NAMES[k]: name for name, places in thesis_split().items() for k in places}
    assert (part["horse006"], part["horse018"]) == ("test", "train")
    assert part["horse240"] == part["horse274"] == "train"


@real_data
def test_the_real_database_has_the_known_sizes_and_shares():
    data = WeizmannHorses(None, "all")
    items = [data[k] for k in range(0, len(data), 12)]
    assert len(data) == COUNT
    assert all(item["image"].shape[1:] == item["target"].shape for item in items)
    share = np.mean([item["target"].double().mean() for item in items])
    assert 0.2 < share < 0.3


@real_data
def test_half_size_masks_agree_with_full_size_masks():
    full, half = WeizmannHorses(None, "test"), WeizmannHorses(None, "test", scale=0.5)
    for k in range(0, 98, 20):
        mask, small = full[k]["target"], half[k]["target"]
        assert [round(side / 2) for side in mask.shape] == list(small.shape)
        assert abs(mask.double().mean() - small.double().mean()) < 0.01
