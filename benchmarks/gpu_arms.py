"""Seconds of a training step of rows of the street experiments, alone on the GPU.

Trainings that share a GPU finish sooner together, but their own seconds say nothing; what a cut
costs beside the network without one is measured here, at the start of a training.
"""

import torch

from .measure import quietly, spread
from .training_step import missing

# the rows that the thesis timed, and the control; then the other soft cuts
TIMED = ("base", "two-decoders", "submodular-isotonic", "softcut-published")
MORE = ("softcut", "softcut-exact", "softcut-one-step-cg", "softcut-multigrid")
# experiment, images a step, rows
FORMS = (("sign", 32, TIMED + MORE), ("frames", 1, TIMED), ("sign", 8, TIMED))


def arms(bench):
    """One row for each: the step's seconds, over those of Base, and the solver's steps."""
    if missing():
        return
    from softcut_lib.train.experiments import EXPERIMENTS

    for name, batch, rows in FORMS[:1] if bench.dry else FORMS:
        experiment = EXPERIMENTS[name].with_options("synthetic")
        count = 2 if bench.dry else batch
        frames = -(-count // 8)  # each has several tiles, and is painted here
        items = _first(experiment.data["synthetic"].load("train", count=frames), count)
        images, target = (
            torch.stack([item[part] for item in items]) for part in ("image", "target")
        )
        if bench.dry:
            images, target, rows = images[..., :32, :32], target[..., :32, :32], ["base"]
        base = None
        for model in rows:
            if bench.late():
                return
            step, solves, size = _step(bench, name, model, experiment, images, target)
            for _ in range(2):  # cuDNN looks for its kernels, Triton compiles
                quietly(step)
            times = spread(bench.times(lambda step=step: quietly(step), rounds=20))
            base = times["median"] if model == "base" else base
            yield {
                "experiment": name, "model": model, "size": list(size), "step_seconds": times,
                "times_base": float(f"{times['median'] / base:.3g}"), **solves.summary(),
                "peak": bench.peak(lambda step=step: quietly(step)),
            }  # fmt: skip


def _first(items, count):
    return [items[k % len(items)] for k in range(count)]


def _step(bench, name, model, experiment, images, target):
    """A function that makes one step in bf16, its solver's log, and the shape that it sees."""
    from softcut_lib.train.evaluation import channels_last, cut_to_windows
    from softcut_lib.train.experiments import build_model
    from softcut_lib.train.module import SolveLog

    solves = SolveLog()
    network = channels_last(build_model(name, model, seed=0, log=solves)).to(bench.device).train()
    optimizer = torch.optim.Adam(network.parameters(), experiment.lr)
    images, target = cut_to_windows(images, target, experiment.windows)
    images, target = channels_last(images).to(bench.device), target.to(bench.device)

    def step():
        solves.clear()
        with torch.autocast(bench.device.type, torch.bfloat16):
            loss = experiment.objective.training(network(images), target, None)
        solves.phase = "adjoint"
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step, solves, images.shape
