"""Training: exact resume, recorded history, clear errors. A tiny experiment stands in."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import torch

import softcut_lib as sc
from softcut_lib.train import experiments
from softcut_lib.train.experiments import Data, Experiment, Model, build_model, load_model, run
from softcut_lib.train.objectives import RevealedPixels, reveal, step_generator
from softcut_lib.train.runs import read_checkpoint, runs_folder

pytest.importorskip("lightning")

EPOCHS = 3


def items(split, scale=1.0):
    """Bright squares on dark ground, of two sizes."""
    generator = torch.Generator().manual_seed(["train", "val", "test"].index(split))
    result = []
    for index, (h, w) in enumerate([(16, 20), (18, 14), (16, 20)]):
        target = torch.zeros(h, w, dtype=torch.long)
        target[4:12, 4 + index : 10 + index] = 1
        noise = 0.1 * torch.rand(3, h, w, generator=generator)
        image = (0.3 + 0.4 * target + noise).clamp(0, 1)
        result.append({"image": image, "target": target, "name": f"{split}{index}"})
    return result


def small(labels_log=None):
    net = sc.ScoreAndEdges(sc.BasicNet(channels=(4,)), sc.EdgeNet(channels=4))
    return sc.CutNet(net, sc.SoftCut(log=labels_log))


TINY = Experiment(
    title="Squares",
    source="this test",
    data={"squares": Data("bright squares", items)},
    models={
        "soft": Model("with a cut", small),
        "plain": Model("without", lambda log=None: sc.CutNet(sc.BasicNet(channels=(4,)))),
    },
    objective=RevealedPixels(0.05),
    epochs=EPOCHS,
    lr=1e-2,
    profiles={"full": {}, "fast": {"epochs": 1}},
)


@pytest.fixture(autouse=True)
def tiny(monkeypatch, tmp_path):
    monkeypatch.setitem(experiments.EXPERIMENTS, "tiny", TINY)
    monkeypatch.setenv("SOFTCUT_RUNS", str(tmp_path / "runs"))
    return tmp_path


def train(**options):
    return run("tiny", **{"model": "soft", "data": "squares", **options})


def timeless(record):
    rows = [
        {k: v for k, v in row.items() if k not in ("seconds", "cpu_seconds")}
        for row in record["history"]
    ]
    return rows, record["test"], record["summary"], record["best_epoch"]


class Killed(Exception):
    pass


def kill_at(monkeypatch, step):
    """Make the training stop dead at a global step, as a kill would."""
    from softcut_lib.train import module

    def killer(seed, at, *part):
        if at == step:
            raise Killed
        return step_generator(seed, at, *part)

    monkeypatch.setattr(module, "step_generator", killer)


def record_steps(monkeypatch):
    """A list that will hold the global steps for which something was drawn."""
    from softcut_lib.train import module

    steps = []

    def recorder(seed, at, *part):
        steps.append(at)
        return step_generator(seed, at, *part)

    monkeypatch.setattr(module, "step_generator", recorder)
    return steps


def test_what_is_measured_besides_is_recorded_once_and_by_the_experiment_that_asks(monkeypatch):
    """In the run's record, unless the run belongs to another experiment."""
    measure = lambda model, sets: {"seen": {name: len(x) for name, x in sets.items()}}  # noqa: E731
    asks = replace(TINY, measure=measure)
    monkeypatch.setitem(experiments.EXPERIMENTS, "tiny", asks)
    first = train(model="plain", epochs=1)
    assert first["seen"]["val"] == first["seen"]["test"] == 3
    monkeypatch.setitem(experiments.EXPERIMENTS, "tiny", replace(TINY, measure=None))
    assert train(model="plain", epochs=1, train=False) == first
    monkeypatch.setitem(experiments.EXPERIMENTS, "other", replace(asks, decodes="tiny"))
    record = run("other", model="plain", data="squares", epochs=1, seed=1)
    assert record["seen"] == {"val": 3, "test": 3}
    assert "seen" not in train(model="plain", epochs=1, seed=1, train=False)


@pytest.mark.parametrize("model", ["soft", "plain"])
@pytest.mark.parametrize("step", [4, 6, 8])
def test_a_killed_run_resumes_to_the_same_numbers(monkeypatch, tmp_path, model, step):
    whole = train(model=model, runs=tmp_path / "a")
    with monkeypatch.context() as patch:
        kill_at(patch, step)
        with pytest.raises(Killed):
            train(model=model, runs=tmp_path / "b")
    torch.rand(7)  # the global random state is no part of a run
    with monkeypatch.context() as patch:
        taken = record_steps(patch)
        resumed = train(model=model, runs=tmp_path / "b", resume=True)
    assert set(taken) == set(range(step // 3 * 3, 9)), "it goes on, it does not start again"
    assert timeless(resumed) == timeless(whole)
    assert len(resumed["sessions"]) == 2 and len(whole["sessions"]) == 1
    first, second = (
        read_checkpoint(next((tmp_path / name).rglob("best.ckpt")))["state_dict"] for name in "ab"
    )
    assert all(torch.equal(first[key], second[key]) for key in first)
    csv = [next((tmp_path / name).rglob("history.csv")).read_text() for name in "ab"]
    strip = [[line.rsplit(",", 2)[0] for line in text.splitlines()] for text in csv]
    assert strip[0] == strip[1] and len(strip[0]) == EPOCHS + 1


@pytest.mark.parametrize(
    "place, sessions",
    [
        ("callbacks.write_checkpoint", 1),  # first epoch: nothing is saved yet, so it starts again
        ("fitting.evaluate", 2),  # all epochs are done, the test is not
    ],
)
def test_a_run_killed_outside_its_steps_resumes_too(monkeypatch, tmp_path, place, sessions):
    whole = train(runs=tmp_path / "a")

    def killer(*arguments, **options):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(f"softcut_lib.train.{place}", killer)
        with pytest.raises(Killed):
            train(runs=tmp_path / "b")
    resumed = train(runs=tmp_path / "b", resume=True)
    assert timeless(resumed) == timeless(whole) and len(resumed["sessions"]) == sessions


def test_a_run_killed_between_its_two_checkpoints_resumes_too(monkeypatch, tmp_path):
    """The best network of the second epoch is on disk, the state of that epoch is not."""
    from softcut_lib.train.callbacks import KeepBestAndLast

    whole, keep = train(runs=tmp_path / "a"), KeepBestAndLast._keep_best

    def killer(callback, module, rows):
        keep(callback, module, rows)
        if len(rows) == 2:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(KeepBestAndLast, "_keep_best", killer)
        with pytest.raises(Killed):
            train(runs=tmp_path / "b")
    assert timeless(train(runs=tmp_path / "b", resume=True)) == timeless(whole)


def test_random_layers_draw_the_same_in_every_run(monkeypatch, tmp_path):
    """Dropout draws from the global generator, which no checkpoint holds."""

    def dropping(log=None):
        return sc.CutNet(torch.nn.Sequential(sc.BasicNet(channels=(8,)), torch.nn.Dropout(0.5)))

    rows = {"models": {"drops": Model("with dropout", dropping)}}
    monkeypatch.setitem(experiments.EXPERIMENTS, "tiny", Experiment(**{**TINY.__dict__, **rows}))
    whole = train(model="drops", runs=tmp_path / "a")
    with monkeypatch.context() as patch:
        kill_at(patch, 4)
        with pytest.raises(Killed):
            train(model="drops", runs=tmp_path / "b")
    torch.manual_seed(7)  # another global state
    resumed = train(model="drops", runs=tmp_path / "b", resume=True)
    assert timeless(resumed) == timeless(whole)
    assert timeless(train(model="drops", seed=1))[0] != timeless(whole)[0]


def test_ctrl_c_says_how_to_go_on(monkeypatch, capsys):
    from softcut_lib.cli import main
    from softcut_lib.train import module

    words = ["train", "tiny", "--model", "soft", "--data", "squares"]
    handler = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:

        def interrupted(seed, at, *part):
            if at == 4:
                raise KeyboardInterrupt
            return step_generator(seed, at, *part)

        patch.setattr(module, "step_generator", interrupted)
        assert main(words) == 130
    assert "stopped; the same command with --resume continues" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGINT) is handler
    assert main([*words, "--resume"]) == 0


@pytest.mark.slow
def test_a_process_killed_by_the_system_resumes_to_the_same_numbers(tmp_path):
    """The real thing: SIGKILL at a moment nobody chose."""
    command = [sys.executable, "-m", "softcut_lib.cli", "train", "horses", "--model", "base",
               "--epochs", "4", "--threads", "1", "--resume"]  # fmt: skip
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    records = []
    for name, kill in (("a", False), ("b", True)):
        runs = ["--runs", str(tmp_path / name)]
        if kill:
            process = subprocess.Popen([*command, *runs], env=env)
            while not list((tmp_path / name).rglob("last.ckpt")) and process.poll() is None:
                time.sleep(0.05)
            process.send_signal(signal.SIGKILL)
            process.wait()
        subprocess.run([*command, *runs], env=env, check=True)
        records.append(json.loads(next((tmp_path / name).rglob("result.json")).read_text()))
    assert timeless(records[0]) == timeless(records[1])


def test_a_finished_run_is_read_with_the_threads_asked_for(tmp_path):
    train(runs=tmp_path)  # it may be tested anew, by a decoder
    before = torch.get_num_threads()
    try:
        train(runs=tmp_path, threads=before + 1)
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)


def test_record_holds_everything(tmp_path):
    record = train()
    assert record["counts"] == {"train": 3, "val": 3, "test": 3}
    assert record["parameters"] == sum(p.numel() for p in small().parameters())
    assert [row["epoch"] for row in record["history"]] == list(range(EPOCHS))
    losses = [row["val_loss"] for row in record["history"]]
    assert record["best_epoch"] == losses.index(min(losses))
    row = record["history"][-1]
    assert row["step"] == 3 * EPOCHS
    assert 1 <= row["forward_steps_mean"] <= row["forward_steps_max"]
    assert 1 <= row["adjoint_steps_mean"] and row["unconverged"] == 0
    assert 0 < row["weight_min"] <= row["weight_median"] <= row["weight_max"]
    assert record["machine"]["versions"]["torch"] and record["sessions"][0]["commit"]
    for name in ("iou", "loss", "figures"):
        values = record["test"][name]
        assert record["summary"][name] == pytest.approx(sum(values) / 3)
    assert str(tmp_path) not in json.dumps(record)


def test_the_best_network_is_tested_and_can_be_loaded():
    record = train()
    folder = next(runs_folder().rglob("best.ckpt")).parent
    for path in (folder, folder / "best.ckpt"):
        model, config = load_model(path)
        assert config["model"] == "soft" and not model.training
    iou = [
        float(sc.mean_iou(model(item["image"][None]).prob, item["target"][None]))
        for item in items("test")
    ]
    assert iou == pytest.approx(record["test"]["iou"], abs=1e-6)


def test_the_best_network_is_tested_where_it_is_not_the_last(monkeypatch, tmp_path):
    class Reversed(RevealedPixels):
        """Trains as ever, but the network that is best is the one that has learned least."""

        def evaluation(self, prediction, target):
            return -super().evaluation(prediction, target)

    one, three = (train(model="plain", epochs=n, runs=tmp_path)["test"]["loss"] for n in (1, 3))
    reversed_ = Experiment(**{**TINY.__dict__, "objective": Reversed(0.05)})
    monkeypatch.setitem(experiments.EXPERIMENTS, "tiny", reversed_)
    record = train(model="plain")
    assert record["best_epoch"] == 0 and len(record["history"]) == EPOCHS
    assert [-loss for loss in record["test"]["loss"]] == one != three


def test_finished_runs_are_not_repeated_and_others_not_overwritten(monkeypatch):
    first = train(epochs=1)
    kill_at(monkeypatch, 0)
    assert train(epochs=1) == first
    assert train(epochs=1, train=False) == first
    assert train(train=False) is None
    with pytest.raises(Killed):
        train(epochs=1, overwrite=True)


def test_an_unfinished_run_asks_what_to_do(monkeypatch):
    with monkeypatch.context() as patch:
        kill_at(patch, 5)
        with pytest.raises(Killed):
            train()
    with pytest.raises(ValueError, match="unfinished run is in .*--resume.*--overwrite"):
        train()


@pytest.mark.parametrize("damage", ["truncated", "garbage", "other"])
def test_a_damaged_checkpoint_is_named(monkeypatch, damage):
    with monkeypatch.context() as patch:
        kill_at(patch, 5)
        with pytest.raises(Killed):
            train()
    path = next(runs_folder().rglob("last.ckpt"))
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:-200])
    elif damage == "garbage":
        path.write_bytes(b"no checkpoint at all")
    else:
        torch.save({"something": 1}, path)
    with pytest.raises(ValueError, match="last.ckpt.*(damaged.*--overwrite|no checkpoint)"):
        train(resume=True)


def test_the_protocol_is_the_thesis():
    settings = experiments.EXPERIMENTS["horses"].with_options("weizmann")
    assert settings.objective == RevealedPixels(0.001)
    chosen = (settings.optimizer, settings.lr, settings.epochs, settings.batch)
    assert chosen == ("adam", 1e-3, 100, 1)
    short = experiments.EXPERIMENTS["horses"].with_options("synthetic", "fast", lr=0.01)
    assert short.epochs == 3 and short.lr == 0.01 and short.objective.fraction == 0.01


def test_seeds_and_models_start_as_they_should():
    def flat(seed, model="softcut"):
        net = build_model("horses", model, seed=seed)
        return torch.cat([p.flatten() for p in net.net.parameters()])

    assert torch.equal(flat(0), flat(0)) and not torch.equal(flat(0), flat(1))
    base = flat(0, "base")
    assert torch.equal(flat(0)[: len(base)], base)
    before = torch.get_rng_state()
    flat(0)
    assert torch.equal(torch.get_rng_state(), before)
    assert train(seed=0)["history"][0]["val_loss"] != train(seed=1)["history"][0]["val_loss"]


def test_a_loss_that_is_not_finite_stops_the_run_and_saves_the_batch(monkeypatch):
    class Broken(RevealedPixels):
        def training(self, prediction, target, generator):
            return super().training(prediction, target, generator) * float("nan")

    broken = Experiment(**{**TINY.__dict__, "objective": Broken(0.05)})
    monkeypatch.setitem(experiments.EXPERIMENTS, "tiny", broken)
    with pytest.raises(ValueError, match=r"step 0 on train0: the loss is nan.*bad_batch.pt"):
        train()
    saved = read_checkpoint(next(runs_folder().rglob("bad_batch.pt")))
    assert torch.equal(saved["image"][0], items("train")[0]["image"])


class BadGradient(RevealedPixels):
    """A finite loss whose gradient is not: the root of a square at zero."""

    def training(self, prediction, target, generator):
        loss = super().training(prediction, target, generator)
        return loss + (0 * prediction.prob).square().sum().sqrt()


def test_a_gradient_that_is_not_finite_stops_at_the_batch_that_caused_it(monkeypatch):
    """One step later the network itself would be lost, and the batch another one."""
    broken = Experiment(**{**TINY.__dict__, "objective": BadGradient(0.05)})
    monkeypatch.setitem(experiments.EXPERIMENTS, "tiny", broken)
    with pytest.raises(ValueError, match=r"step 0 on train0: .*gradient is not.*bad_batch.pt"):
        train()
    saved = read_checkpoint(next(runs_folder().rglob("bad_batch.pt")))
    assert torch.equal(saved["image"][0], items("train")[0]["image"])
    assert all(bool(value.isfinite().all()) for value in saved["state_dict"].values())


def test_a_full_disk_does_not_hide_why_a_run_stopped(monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    broken = Experiment(**{**TINY.__dict__, "objective": BadGradient(0.05)})
    monkeypatch.setitem(experiments.EXPERIMENTS, "tiny", broken)
    monkeypatch.setattr("softcut_lib.train.module.write_checkpoint", full)
    with pytest.raises(ValueError, match=r"gradient is not.*could not be saved .*No space"):
        train()


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "cpu:1", "cuda:x"])
def test_a_device_that_is_not_there_is_refused(device):
    from softcut_lib.train.evaluation import evaluate

    with pytest.raises(ValueError, match="device: "):
        train(device=device)
    with pytest.raises(ValueError, match="device: "):
        evaluate(small(), items("test"), TINY.objective, device=device)
    assert train(device=device, train=False) is None  # reading needs none


def test_a_run_that_breaks_later_is_tested_at_its_best_epoch(monkeypatch, tmp_path):
    class Breaks(RevealedPixels):
        def training(self, prediction, target, generator):
            loss = super().training(prediction, target, generator)
            return loss * float("nan") if self.calls.pop() else loss

    whole = train(runs=tmp_path / "a")
    steps = whole["history"][0]["step"] + 1
    objective = Breaks(0.05)
    object.__setattr__(objective, "calls", [True] + [False] * steps)
    broken = Experiment(**{**TINY.__dict__, "objective": objective})
    monkeypatch.setitem(experiments.EXPERIMENTS, "tiny", broken)
    record = train(runs=tmp_path / "b")
    assert record["stopped"] == {"step": steps, "reason": "the loss is nan"}
    assert whole["stopped"] is None
    assert record["best_epoch"] == 0 and len(record["history"]) == 1
    assert record["history"][0]["val_loss"] == whole["history"][0]["val_loss"]


def test_a_refusal_of_the_cut_stops_the_run_with_its_reason():
    with pytest.raises(ValueError, match=r"training stopped at step .* on train.*weights"):
        train(lr=1e4)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"model": "none"}, "model: expected one of soft, plain"),
        ({"data": "none"}, "data: expected one of squares"),
        ({"optimizer": "sgd"}, "optimizer: expected one of adam, adagrad"),
        ({"profile": "slow"}, "profile: expected one of full, fast"),
        ({"test_batch": 0}, "test_batch"),
    ],
)
def test_unknown_names_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        train(**options)
    with pytest.raises(ValueError, match="experiment: expected one of horses"):
        run("cows", model="soft")


def test_revealed_pixels_depend_on_seed_and_step_alone():
    target = torch.arange(6400).view(1, 80, 80) % 2
    draw = lambda seed, step: reveal(target, 0.01, generator=step_generator(seed, step))  # noqa: E731
    assert torch.equal(draw(3, 5), draw(3, 5))
    for other in (draw(3, 6), draw(4, 5), draw(5, 3)):
        assert not torch.equal(draw(3, 5), other)
    seen = torch.cat([draw(0, step) for step in range(200)]) != 255
    assert 0.0095 < seen.float().mean() < 0.0105


def test_revealed_pixels_keep_their_labels_and_are_never_none():
    target = torch.ones(2, 3, 3).long()
    target[:, 0] = 255
    for step in range(50):
        seen = reveal(target, 0.01, generator=step_generator(0, step))
        assert bool((seen != 255).flatten(1).any(1).all())
        assert bool(((seen == target) | (seen == 255)).all()) and bool((seen[:, 0] == 255).all())
    with pytest.raises(ValueError, match="no labelled pixel"):
        reveal(torch.full((1, 2, 2), 255), 0.5, generator=step_generator(0, 0))
    with pytest.raises(ValueError, match="fraction"):
        reveal(target, 0.0, generator=step_generator(0, 0))


def test_runs_folder_rule(monkeypatch, tmp_path):
    assert runs_folder() == tmp_path / "runs"
    assert runs_folder(tmp_path / "other") == tmp_path / "other"
    monkeypatch.delenv("SOFTCUT_RUNS")
    assert runs_folder().parts[-2:] == ("softcut", "runs")


def test_a_run_can_be_decoded_by_the_minimum_cut():
    """Its own rows: another file, another option, the same images; nothing without conductances."""
    from softcut_lib.train.decoding import retested

    record = train(progress=False)
    cut = retested(record, TINY, decode="min_cut")
    assert cut["options"] == {**record["options"], "decode": "min_cut"}
    assert cut["test"]["name"] == record["test"]["name"]
    assert cut["test"]["loss"] == pytest.approx(record["test"]["loss"], rel=1e-4)
    plain = train(model="plain", progress=False)
    assert retested(plain, TINY, decode="min_cut") is None


@pytest.mark.parametrize("batch", [2, 5])
def test_images_that_are_tested_together_keep_their_numbers(batch, monkeypatch):
    equal = {"squares": Data("of one size", lambda split, scale=1.0: items(split)[::2] * 2)}
    found = []
    monkeypatch.setitem(experiments.EXPERIMENTS, "tiny", replace(TINY, data=equal, counts=True))
    for test_batch in (None, batch):
        found.append(train(test_batch=test_batch))
    alone, together = found
    assert together["options"] == {**alone["options"], "test_batch": batch}
    assert together["test"].keys() == alone["test"].keys() >= {"both", "either"}
    for name in ("name", "figures", "both", "either"):
        assert list(together["test"][name]) == list(alone["test"][name])
    for name in ("iou", "loss", "constant"):
        assert together["test"][name] == pytest.approx(alone["test"][name], abs=1e-5)
    for here, there in zip(together["history"], alone["history"], strict=True):
        for name in ("train_loss", "val_loss", "val_iou"):
            assert here[name] == pytest.approx(there[name], abs=1e-5)


def test_images_of_several_sizes_are_not_tested_together():
    from softcut_lib.train.evaluation import evaluate

    with pytest.raises(ValueError, match="batch: images of several sizes.*take batch=1"):
        evaluate(small(), items("test"), RevealedPixels(0.5), batch=3)


def test_how_strong_a_decoder_is_no_test_image_says():
    """The share of foreground stands in for the metric: it tells whose images were looked at."""
    from softcut_lib.train.decoding import retested

    def one_to_validate(split, scale=1.0):
        return items(split)[: 1 if split == "val" else 3]

    changed = {
        "data": {"squares": Data("bright squares", one_to_validate)},
        "metric": lambda prob, target, per_image: target.float().flatten(1).mean(1),
        "strengths": (1.0, 2.0),
    }
    found = retested(train(), Experiment(**{**TINY.__dict__, **changed}), decode="min_cut")
    share = float(items("val")[0]["target"].float().mean())
    tried = {"strengths": [1.0, 2.0], "val": [share] * 2, "chosen": 1.0, "without": share}
    assert found["strength"] == tried
    assert len(found["test"]["iou"]) == 3


@pytest.mark.parametrize("model", list(experiments.EXPERIMENTS["horses"].models))
def test_every_row_learns(model):
    """One step of every row of the table lowers the loss of the image it was made on."""
    net, image = build_model("horses", model, seed=0), items("train")[0]
    target = image["target"][None, None].float()

    def loss():
        prob = net(image["image"][None]).prob.clamp(1e-6, 1 - 1e-6)
        return torch.nn.functional.binary_cross_entropy(prob, target)

    before = loss()
    before.backward()
    with torch.no_grad():
        for p in net.parameters():
            assert torch.isfinite(p.grad).all()
            p -= 1e-2 * p.grad
    assert loss() < before


@pytest.mark.parametrize("file", ["last.ckpt", "best.ckpt"])
def test_a_full_disk_keeps_the_old_checkpoint(monkeypatch, tmp_path, file):
    """No room at the second epoch: an error that says so, nothing lost, the run goes on later."""
    from softcut_lib.train import runs
    from softcut_lib.train.callbacks import KeepBestAndLast

    whole = train(runs=tmp_path / "whole")
    saved = KeepBestAndLast.on_train_epoch_end
    kept = {}

    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    def second(callback, trainer, module):
        if len(module.history) == 2:
            kept.update({path.name: path.read_bytes() for path in callback.folder.iterdir()})
            monkeypatch.setattr(runs.os, "fsync", full if file == "best.ckpt" else os.fsync)
            monkeypatch.setattr("lightning.fabric.plugins.io.torch_io._atomic_save", full)
        saved(callback, trainer, module)

    with monkeypatch.context() as patch:
        patch.setattr(KeepBestAndLast, "on_train_epoch_end", second)
        with pytest.raises(OSError, match="could not be written.*No space.*--resume goes on"):
            train()
    monkeypatch.undo()
    folder = next((tmp_path / "runs").rglob("last.ckpt")).parent
    found = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert set(found) == set(kept)  # no half of a file is left
    assert found["last.ckpt"] == kept["last.ckpt"] and found["history.csv"] == kept["history.csv"]
    if file == "best.ckpt":
        assert found["best.ckpt"] == kept["best.ckpt"]
    monkeypatch.setitem(experiments.EXPERIMENTS, "tiny", TINY)
    assert timeless(train(resume=True, runs=tmp_path / "runs")) == timeless(whole)


def test_a_finished_run_is_read_without_the_training_loop(tmp_path, monkeypatch):
    whole = train(runs=tmp_path)
    monkeypatch.setitem(sys.modules, "softcut_lib.train.callbacks", None)
    monkeypatch.setitem(sys.modules, "softcut_lib.train.module", None)
    assert train(runs=tmp_path) == whole
