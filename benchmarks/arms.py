"""Seconds of a training step of rows of the street experiments, at the start of a training.

Trainings that share a machine finish sooner together, but their own seconds say nothing; what a cut
costs beside the network without one is measured here, alone. On the CPU: `python -m
benchmarks.arms --help`; on a GPU it is a part of `python -m benchmarks.gpu`.
"""

import argparse
import math
import shlex
import sys
import time
from pathlib import Path

import torch
from tqdm.auto import tqdm

from softcut_lib.train.provenance import describe_machine, describe_session
from softcut_lib.train.runs import write_json

from .measure import interleaved, quietly, spread
from .options import count, output_file
from .training_step import missing

OUTPUT = Path(__file__).parents[1] / "book" / "results" / "arms-cpu.json"
# the rows that the thesis timed, and the control; then the other soft cuts
TIMED = ("base", "two-decoders", "submodular-isotonic", "softcut-published")
MORE = ("softcut", "softcut-exact", "softcut-one-step-cg", "softcut-multigrid")
# experiment, images a step, rows; experiments 4, 7, 8 and 9 make the steps of experiment 2
GPU = (("sign", 32, TIMED + MORE), ("frames", 1, TIMED), ("sign", 8, TIMED))
CPU = (("sign", 8, TIMED + MORE), ("sign-resnet34", 8, TIMED), ("object", 8, TIMED),
       ("classes", 8, TIMED), ("frames", 1, TIMED))  # fmt: skip


def arms(bench):
    """On a GPU, one row for each: the step's seconds, over those of Base, the solver's steps."""
    if missing():
        return
    for name, batch, models in GPU[:1] if bench.dry else GPU:
        images, target, experiment = _batch(name, 2 if bench.dry else batch)
        if bench.dry:
            images, target, models = images[..., :32, :32], target[..., :32, :32], ["base"]
        base = None
        for model in models:
            if bench.late():
                return
            step, solves, size = _step(bench.device, name, model, experiment, images, target)
            for _ in range(2):  # cuDNN looks for its kernels, Triton compiles
                quietly(step)
            times = spread(bench.times(lambda step=step: quietly(step), rounds=20))
            base = times["median"] if model == "base" else base
            yield {
                "experiment": name, "model": model, "size": list(size), "step_seconds": times,
                "times_base": float(f"{times['median'] / base:.3g}"), **solves.summary(),
                "peak": bench.peak(lambda step=step: quietly(step)),
            }  # fmt: skip


def in_turns(name, batch, models, *, rounds, bar):
    """On the CPU, one row for each model; the ratio to Base is the median over the rounds."""
    images, target, experiment = _batch(name, batch)
    device = torch.device("cpu")
    made = {model: _step(device, name, model, experiment, images, target) for model in models}

    def counted(step):
        return lambda: (step(), bar.update())

    runs = {model: counted(step) for model, (step, _, _) in made.items()}
    for run in runs.values():  # kernels are compiled
        quietly(run)
    times = interleaved(runs, dict.fromkeys(runs, 0.0), seconds=math.inf, rounds=rounds)
    rows = []
    for model, (_, solves, size) in made.items():
        ratios = [own / base for own, base in zip(times[model], times["base"], strict=True)]
        rows.append({
            "experiment": name, "model": model, "size": list(size),
            "step_seconds": spread(times[model]),
            "times_base": float(f"{spread(ratios)['median']:.3g}"), **solves.summary(),
        })  # fmt: skip
    return rows


def _batch(name, batch):
    """The first images of an experiment's training set, painted, and its settings."""
    from softcut_lib.train.experiments import EXPERIMENTS

    experiment = EXPERIMENTS[name].with_options("synthetic")
    frames = -(-batch // 8)  # each has several tiles, and is painted here
    items = experiment.data["synthetic"].load("train", count=frames)
    items = [items[k % len(items)] for k in range(batch)]
    images, target = (torch.stack([item[part] for item in items]) for part in ("image", "target"))
    return images, target, experiment


def _step(device, name, model, experiment, images, target):
    """A function that makes one step in bf16, its solver's log, and the shape that it sees."""
    from softcut_lib.train.evaluation import channels_last, cut_to_windows
    from softcut_lib.train.experiments import build_model
    from softcut_lib.train.module import SolveLog

    solves = SolveLog()
    network = channels_last(build_model(name, model, seed=0, log=solves)).to(device).train()
    optimizer = torch.optim.Adam(network.parameters(), experiment.lr)
    images, target = cut_to_windows(images, target, experiment.windows)
    images, target = channels_last(images).to(device), target.to(device)

    def step():
        solves.clear()
        with torch.autocast(device.type, torch.bfloat16):
            loss = experiment.objective.training(network(images), target, None)
        solves.phase = "adjoint"
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step, solves, images.shape


def main(argv=None):
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(
        "python -m benchmarks.arms", description=__doc__.split("\n")[0]
    )
    add = parser.add_argument
    names = [name for name, _, _ in CPU]
    add("--experiments", nargs="+", choices=names, default=names)
    add("--batch", type=count, help="images of a step (default: those of the recorded trainings)")
    add("--rounds", type=count, default=7, help="steps of each row that count (default 7)")
    add("--threads", type=count, help="of PyTorch (default: its own choice)")
    add("--output", type=output_file, default=OUTPUT)
    options = parser.parse_args(argv)
    if missing():
        sys.exit(f"these rows need MONAI ({missing()}): pip install monai")
    if options.threads:
        torch.set_num_threads(options.threads)
    forms = [form for form in CPU if form[0] in options.experiments]
    started, rows = time.monotonic(), []
    total = (options.rounds + 1) * sum(len(models) for _, _, models in forms)
    with tqdm(total=total, unit="step") as bar:
        for name, batch, models in forms:
            bar.set_description(name)
            rows += in_turns(name, options.batch or batch, models, rounds=options.rounds, bar=bar)
    content = {
        "schema": 1, "about": "training steps of the street experiments, alone on a CPU, bf16",
        "machine": describe_machine(),
        "sessions": [describe_session(shlex.join(["python", "-m", "benchmarks.arms", *argv]))],
        "wall_time_s": round(time.monotonic() - started, 1), "arms": rows,
    }  # fmt: skip
    write_json(options.output, content)
    for row in rows:
        print(f"{row['experiment']:14} {row['model']:20} {row['times_base']:.2f} times Base")
    print(f"wrote {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
