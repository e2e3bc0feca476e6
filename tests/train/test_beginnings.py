"""Runs that begin alike: their first part is trained once, and no number tells."""

import pytest
import torch

import softcut_lib as sc
from softcut_lib.train.beginnings import Beginning
from softcut_lib.train.experiments import EXPERIMENTS, build_model, run
from softcut_lib.train.scribbled import pack
from softcut_lib.train.scribbles import FromScribbles, ScribbleOutput
from tests.train.tiny import from_scribbles

ROWS = [
    (name, model, row.begins)
    for name in ("scribbles", "scribbles-camvid", "scribbles-voc")
    for model, row in EXPERIMENTS[name].models.items()
    if row.begins
]


@pytest.fixture
def steps(monkeypatch):
    """A tiny experiment of 8 steps, its second part from step 4 on; the steps that are made."""
    pytest.importorskip("lightning")

    monkeypatch.setitem(EXPERIMENTS, "tiny", from_scribbles(images=4, steps_per_epoch=2))
    made, training = [], FromScribbles.training

    def counted(self, prediction, *rest):
        made.append(prediction.step)
        return training(self, prediction, *rest)

    monkeypatch.setattr(FromScribbles, "training", counted)
    return made


def trained(model, runs, **options):
    return run("tiny", model=f"unet-{model}", data="tiny", runs=runs, progress=False, **options)


def numbers(record):
    """All of a record that must not depend on who made the first steps."""
    clocks = ("seconds", "cpu_seconds")
    history = [{k: v for k, v in row.items() if k not in clocks} for row in record["history"]]
    return history, record["test"], record["summary"], record["best_epoch"], record["stopped"]


def test_the_rows_that_share_their_beginning():
    of_horses = {model: begins for name, model, begins in ROWS if name == "scribbles"}
    after_pce = "nel nc nc-nel nc-free nc-0.1 crf crf-3 gated tree kernel alternating".split()
    assert all(of_horses[f"unet-{name}"] == "unet-pce" for name in after_pce)
    others = "masks pce nc-joint grabcut seeded-nc kernel-cut only-nc only-kmeans".split()
    assert not any(f"unet-{name}" in of_horses for name in others)
    assert of_horses["softcut-nc"] == "softcut-pce"


@pytest.mark.parametrize(("name", "model", "begins"), ROWS)
def test_before_the_second_part_both_rows_minimize_the_same(name, model, begins, monkeypatch):
    """Losses and validation of one prediction are equal under what both rows are told."""
    assert EXPERIMENTS[name].models[begins].begins is None
    monkeypatch.setattr(sc, "deeplab_resnet", lambda *a, **k: torch.nn.Conv2d(3, 21, 1))
    told = [build_model(name, row, seed=0).supervision for row in (model, begins)]
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(2, 3, 16, 16, generator=generator)
    mask = torch.randint(2, (2, 16, 16), generator=generator)
    seeds = torch.where(torch.rand(2, 16, 16, generator=generator) < 0.1, mask, 255)
    scores = torch.randn(2, 1, 16, 16, generator=generator)
    objective = EXPERIMENTS[name].objective
    for step in (0, objective.first - 1):
        outputs = [
            ScribbleOutput(scores, None, scores, scores.sigmoid(), image, step, supervision)
            for supervision in told
        ]
        ours, theirs = (objective.training(output, pack(mask, seeds)) for output in outputs)
        assert torch.equal(ours, theirs)
        ours, theirs = (objective.evaluation(output, mask) for output in outputs)
        assert torch.equal(ours, theirs)


def test_a_shared_beginning_changes_no_number(tmp_path, steps):
    alone = {name: trained(name, tmp_path / name) for name in ("pce", "nc", "crf")}
    assert steps == 3 * list(range(8))
    steps.clear()
    shared = {name: trained(name, tmp_path / "one") for name in ("nc", "pce", "crf")}
    assert steps == [*range(8), *range(4, 8), *range(4, 8)]  # whoever comes first makes them
    for name, record in shared.items():
        assert numbers(record) == numbers(alone[name])
    assert [len(record["sessions"]) for record in shared.values()] == [1, 2, 2]
    assert shared["crf"]["sessions"][0] == shared["nc"]["sessions"][0]
    best = torch.load(next((tmp_path / "one/tiny").glob("*crf*/best.ckpt")), weights_only=True)
    assert best["config"]["model"] == "unet-crf"


def test_another_seed_and_a_row_of_its_own_share_nothing(tmp_path, steps):
    trained("pce", tmp_path)
    steps.clear()
    trained("nc", tmp_path, seed=1)
    trained("nc-joint", tmp_path)
    assert steps == 2 * list(range(8))


def test_overwriting_makes_all_steps_again(tmp_path, steps):
    trained("pce", tmp_path)
    whole = trained("nc", tmp_path)
    steps.clear()
    again = trained("nc", tmp_path, overwrite=True)
    assert steps == list(range(8))
    assert numbers(again) == numbers(whole) and len(again["sessions"]) == 1
    steps.clear()
    trained("crf", tmp_path)
    assert steps == list(range(4, 8))
    steps.clear()
    trained("gated", tmp_path, overwrite=True)  # though there is nothing of its own
    assert steps == list(range(8))


def test_a_full_disk_leaves_the_last_checkpoint_and_no_half_beginning(tmp_path, steps, monkeypatch):
    def full(self, *rest):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Beginning, "keep", full)
        with pytest.raises(OSError, match="step 4 could not be written.*--resume"):
            trained("nc", tmp_path)
    steps.clear()
    trained("nc", tmp_path, resume=True)
    assert steps == list(range(2, 8))
    steps.clear()
    trained("pce", tmp_path)
    assert steps == list(range(4, 8))


def test_what_cannot_be_kept_leaves_nothing_behind(tmp_path):
    (tmp_path / "last.ckpt").write_bytes(b"last")
    kept = Beginning(tmp_path / "kept", 4)
    with pytest.raises(FileNotFoundError):
        kept.keep(tmp_path, tmp_path / "last.ckpt")
    assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]
    (tmp_path / "best.ckpt").write_bytes(b"best")
    for words in ("first", "second"):
        (tmp_path / "config.json").write_text(words)
        kept.keep(tmp_path, tmp_path / "last.ckpt")
    assert (tmp_path / "kept/config.json").read_text() == "first"
    assert len(list(tmp_path.iterdir())) == 4
