"""Batches shared out: over devices, over accumulated parts, over passes."""

from dataclasses import replace

import pytest
import torch

import softcut_lib as sc
from softcut_lib.train import experiments
from softcut_lib.train.batches import Shard, StepBatches, batch_of_step, rank
from softcut_lib.train.experiments import run
from softcut_lib.train.fitting import run_name
from softcut_lib.train.objectives import Dice, step_generator
from softcut_lib.train.runs import read_checkpoint
from softcut_lib.train.scores import ImageScores
from tests.train.test_training import TINY, timeless

pytest.importorskip("lightning")


def stream(steps, **options):
    options = {"count": 7, "batch": 4, "seed": 3, "shuffle": True, **options}
    return [batch_of_step(step, **options) for step in range(steps)]


def test_every_pass_shows_every_image_once_in_an_order_of_its_own():
    shown = sum(stream(14), [])
    passes = [shown[start : start + 7] for start in range(0, 56, 7)]
    assert all(sorted(images) == list(range(7)) for images in passes)
    assert len({tuple(images) for images in passes}) == len(passes)
    assert sum(stream(14, shuffle=False), []) == list(range(7)) * 8


def test_the_images_of_a_step_depend_on_seed_and_step_alone():
    whole = stream(20)
    backwards = [
        batch_of_step(step, count=7, batch=4, seed=3, shuffle=True) for step in range(19, -1, -1)
    ]
    assert whole == backwards[::-1] == stream(20) != stream(20, seed=4)


@pytest.mark.parametrize("parts, devices", [(1, 1), (2, 1), (1, 2), (2, 2), (4, 1)])
def test_parts_make_up_the_batch(monkeypatch, parts, devices):
    """Over parts and processes, each step's images are those of the step, each once."""
    batches = {}
    for process in range(devices):
        monkeypatch.setattr("softcut_lib.train.batches.rank", lambda process=process: process)
        shares = StepBatches(
            lambda step: stream(step + 1)[step], 5, lambda: 10, parts=parts, devices=devices
        )
        listed = list(shares)
        assert len(listed) == len(shares) == 5 * parts
        for number, part in enumerate(listed):
            assert len(part) == 4 // (parts * devices)
            batches.setdefault(10 + number // parts, []).extend(part)
    expected = {step: sorted(images) for step, images in enumerate(stream(15)) if step >= 10}
    assert {step: sorted(images) for step, images in batches.items()} == expected


@pytest.mark.parametrize("count, devices", [(5, 1), (5, 2), (4, 2), (2, 3)])
def test_shards_cover_the_data_and_scores_count_each_image_once(monkeypatch, count, devices):
    parts = []
    for process in range(devices):
        monkeypatch.setattr("softcut_lib.train.batches.rank", lambda process=process: process)
        shard, scores = Shard(count, devices), ImageScores(count)
        assert len(list(shard)) == len(shard)
        for k, index in enumerate(shard):
            scores.add(k * devices + process, iou=index / 10)
        parts.append(scores.rows)
    monkeypatch.setattr("softcut_lib.train.scores.gather", lambda rows: parts)
    assert scores.columns() == {"iou": [k / 10 for k in range(count)]}


def squares(split, scale=1.0):
    """Five images of one size, so that they can be batched."""
    generator = torch.Generator().manual_seed(["train", "val", "test"].index(split))
    items = []
    for k in range(5):
        target = torch.zeros(16, 20, dtype=torch.long)
        target[4:12, 3 + k : 10 + k] = 1
        noise = 0.1 * torch.rand(3, 16, 20, generator=generator)
        items.append(
            {"image": (0.3 + 0.4 * target + noise).clamp(0, 1), "target": target, "name": f"{k}"}
        )
    return items


class BreaksInOneShare(Dice):
    """After some good steps the second process gets NaN, or dies."""

    good, dies = 1, False

    def training(self, prediction, target, generator):
        loss = super().training(prediction, target, generator)
        seeds = [step_generator(0, step, 1).initial_seed() for step in range(self.good)]
        if rank() == 0 or generator.initial_seed() in seeds:
            return loss
        if self.dies:
            raise RuntimeError("the power went out")
        return loss * float("nan")

    def __repr__(self):
        return repr(Dice(pooled=self.pooled))  # so that the run is the same one


@pytest.fixture
def batched(monkeypatch, tmp_path):
    """The tiny experiment with batches of 4, shuffled, and a loss of each image by itself."""
    settings = {
        "data": {"squares": experiments.Data("squares", squares)},
        "objective": Dice(pooled=False), "batch": 4, "shuffle": True, "epochs": 2,
        "steps_per_epoch": 3,
    }  # fmt: skip
    monkeypatch.setitem(
        experiments.EXPERIMENTS, "tiny", experiments.Experiment(**{**TINY.__dict__, **settings})
    )
    monkeypatch.setenv("SOFTCUT_RUNS", str(tmp_path))

    def train(**options):
        record = run("tiny", **{"model": "soft", "data": "squares", "progress": False, **options})
        path = tmp_path / "tiny" / run_name(record) / "best.ckpt"
        return record, read_checkpoint(path)["state_dict"]

    return train


def same(first, second, *, rtol=1e-4, atol=1e-6):
    """Two runs have the same losses and end with the same network, up to the order of sums."""
    for one, other in zip(first[0]["history"], second[0]["history"], strict=True):
        assert one["step"] == other["step"]
        for name in ("train_loss", "val_loss", "val_iou"):
            assert one[name] == pytest.approx(other[name], rel=rtol), name
    for name, tensor in first[1].items():
        torch.testing.assert_close(second[1][name], tensor, rtol=rtol, atol=atol)


def test_two_processes_train_as_one_does_on_both_their_images(batched):
    """DDP over gloo, no batch normalization, a loss of each image: 2 x 2 images are 1 x 4."""
    same(batched(), batched(devices=2))


@pytest.fixture
def breaking(batched, monkeypatch):
    """Train on two devices, of which one breaks after so many steps."""

    def train(**how):
        objective = BreaksInOneShare(pooled=False)
        vars(objective).update(how)
        broken = replace(experiments.EXPERIMENTS["tiny"], objective=objective)
        with monkeypatch.context() as patch:
            patch.setitem(experiments.EXPERIMENTS, "tiny", broken)
            return batched(devices=2)

    return train


@pytest.mark.slow
def test_one_process_that_breaks_stops_all_and_keeps_its_batch(breaking, tmp_path):
    """The loss of one share is NaN at the second step: no process waits for it for ever."""
    with pytest.raises(ValueError, match=r"training stopped at step 1 on .*the loss is nan"):
        breaking(good=1)
    bad = read_checkpoint(next(tmp_path.rglob("bad_batch.pt")))
    assert bad["image"].shape == (2, 3, 16, 20) and bad["target"].shape == (2, 16, 20)


@pytest.mark.slow
def test_one_process_that_dies_stops_all_and_the_run_resumes(batched, breaking):
    """In the second epoch; both go on after the first and end as if nothing had happened."""
    with pytest.raises(Exception, match="the power went out"):
        breaking(good=4, dies=True)
    resumed, whole = batched(devices=2, resume=True), batched(devices=2, overwrite=True)
    assert len(resumed[0]["sessions"]) == 2 and len(whole[0]["sessions"]) == 1
    same(resumed, whole, rtol=0, atol=0)


def test_accumulated_parts_train_as_the_whole_batch(batched):
    same(batched(), batched(accumulate=2))


def test_a_network_that_counts_counts_steps_whatever_their_parts(batched, monkeypatch):
    """The second part of a training from scribbles begins after so many steps of the optimizer."""
    from softcut_lib.train.scribbles import ScribbleNet, Supervision

    def counting(log=None):
        return ScribbleNet(sc.BasicNet(channels=(4,)), supervision=Supervision())

    rows = {"models": {"counts": experiments.Model("a counter", counting)}}
    whole = experiments.Experiment(**{**experiments.EXPERIMENTS["tiny"].__dict__, **rows})
    monkeypatch.setitem(experiments.EXPERIMENTS, "tiny", whole)
    for parts in (1, 2):
        record, state = batched(model="counts", accumulate=parts)
        assert int(state["steps"]) == record["history"][record["best_epoch"]]["step"], parts


def test_shared_out_runs_are_told_apart_and_batches_must_divide(batched):
    plain, parts = batched(epochs=1)[0], batched(epochs=1, accumulate=4)[0]
    assert "accumulate" not in plain["options"] and parts["options"]["accumulate"] == 4
    with pytest.raises(ValueError, match="batch: expected a multiple of 3 accumulated parts"):
        batched(accumulate=3)
    with pytest.raises(ValueError, match="devices must be an integer of at least 1"):
        batched(devices=0)


@pytest.mark.slow
def test_images_loaded_by_other_processes_are_the_same(batched):
    assert timeless(batched()[0]) == timeless(batched(workers=1, overwrite=True)[0])


def test_runs_on_fewer_images_have_a_folder_of_their_own():
    options = {"optimizer": "adam", "lr": 1e-3, "epochs": 1, "batch": 4, "scale": 1.0}
    config = {"data": "squares", "model": "soft", "seed": 0, "options": options}
    few = {**config, "options": {**options, "count": 2}}
    assert run_name(few) != run_name(config)


def test_mixed_precision_trains(batched):
    """The convolutions in bfloat16, the solve and the loss in float32: near, not equal."""
    plain, mixed = batched()[0], batched(precision="bf16-mixed")[0]
    assert mixed["options"]["precision"] == "bf16-mixed" and "precision" not in plain["options"]
    losses = [[row["val_loss"] for row in record["history"]] for record in (plain, mixed)]
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)
    with pytest.raises(ValueError, match="precision: expected one of 32-true, bf16-mixed"):
        batched(precision="8")
    with pytest.raises(ValueError, match="16-mixed needs a GPU.*bf16-mixed"):
        batched(precision="16-mixed")


def test_a_budget_in_steps(batched):
    record, _ = batched(steps=9)
    assert [row["step"] for row in record["history"]] == [3, 6, 9]
    assert batched(steps=2)[0]["options"]["steps_per_epoch"] == 2
    with pytest.raises(ValueError, match="steps: expected a multiple of 3.*take 6 or 9"):
        batched(steps=7)
    with pytest.raises(ValueError, match="steps or epochs, not both"):
        batched(steps=6, epochs=2)


@pytest.mark.parametrize("parts", [1, 2])
def test_a_batched_run_that_is_killed_resumes_to_the_same_numbers(batched, monkeypatch, parts):
    from tests.train.test_training import Killed, kill_at

    whole = batched(accumulate=parts)
    with monkeypatch.context() as patch:
        kill_at(patch, 4)  # in the middle of the second epoch
        with pytest.raises(Killed):
            batched(accumulate=parts, overwrite=True)
    resumed = batched(accumulate=parts, resume=True)
    assert timeless(whole[0]) == timeless(resumed[0])
    assert all(torch.equal(resumed[1][name], tensor) for name, tensor in whole[1].items())


def test_the_pooled_loss_is_not_the_mean_of_its_images():
    """Why a shared-out batch is another training under the published Dice."""
    target = torch.zeros(2, 4, 4, dtype=torch.long)
    target[0], target[1, 0, 0] = 1, 1
    logits = torch.linspace(-1, 2, 32).reshape(2, 1, 4, 4)
    prediction = sc.CutNet(torch.nn.Identity())(logits)
    pooled, single = (Dice(pooled=pooled).training(prediction, target) for pooled in (True, False))
    assert abs(pooled - single) > 0.05
    torch.testing.assert_close(single, Dice().evaluation(prediction, target).mean())
