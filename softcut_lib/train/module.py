"""The training loop as a Lightning module: one step, one validation, what is recorded.

Step k minimizes ``objective.training(net(image), target, generator(seed, k))``; its images and its
randomness are functions of (seed, k), so a resumed run equals an uninterrupted one. Chapter 10.
"""

from __future__ import annotations

import time

import torch
from lightning.pytorch import LightningModule

from softcut_lib.train.batches import gather, rank
from softcut_lib.train.evaluation import channels_last, cut_to_windows, through_windows
from softcut_lib.train.metrics import mean_iou
from softcut_lib.train.objectives import step_generator
from softcut_lib.train.provenance import held_by_others
from softcut_lib.train.runs import TrainingStopped, write_checkpoint, write_json
from softcut_lib.train.scores import ImageScores

OPTIMIZERS = {"adam": torch.optim.Adam, "adagrad": torch.optim.Adagrad}
LAYERS = 1 << 33  # sets random layers' numbers (dropout) apart from those of the objective


class SolveLog:
    """Collects what the solver of a cut reports in one epoch: steps forward and adjoint."""

    def __init__(self):
        self.clear()

    def clear(self):
        self.phase = "forward"
        self.steps = {"forward": [], "adjoint": []}
        self.unconverged = 0

    def __call__(self, info):
        if info.iterations is not None:
            self.steps[self.phase].append(float(info.iterations.max()))
        self.unconverged += int((~info.converged).sum())

    def summary(self) -> dict[str, float]:
        """Over all processes that train together."""
        parts = gather((self.steps, self.unconverged))
        row = {}
        for phase in self.steps:
            steps = [step for part, _ in parts for step in part.get(phase, [])]
            if steps:
                row[f"{phase}_steps_mean"] = _mean(steps)
                row[f"{phase}_steps_max"] = max(steps)
        if "forward_steps_mean" in row:
            row["unconverged"] = sum(count for _, count in parts)
        return row


class SegmentationModule(LightningModule):
    """Trains a `CutNet`; its history is a list with one plain row for each epoch."""

    def __init__(
        self, model, objective, *, optimizer, lr, seed, metric=mean_iou, windows=None, parts=1,
        devices=1, folder=None, solves=None,
    ):  # fmt: skip
        super().__init__()
        self.model = channels_last(model)
        self.objective = objective
        self.optimizer_name = optimizer
        self.lr = lr
        self.seed = seed
        self.metric = metric
        self.windows = windows
        self.parts = parts
        self.devices = devices
        self.folder = folder
        self.solves = solves or SolveLog()
        self.history: list[dict] = []
        self._train_losses: list[float] = []
        self._weights: list[tuple[float, float, float]] = []

    def configure_optimizers(self):
        return OPTIMIZERS[self.optimizer_name](self.model.parameters(), lr=self.lr)

    def on_train_epoch_start(self):
        self._train_losses.clear()
        self.solves.clear()
        self._started = time.perf_counter(), time.process_time()

    def training_step(self, batch, index):
        self.solves.phase = "forward"
        self._batch = batch
        part = index % self.parts * self.devices + rank()
        generator = step_generator(self.seed, self.global_step, *[part] * (part > 0))
        try:
            image, target = cut_to_windows(batch["image"], batch["target"], self.windows)
            prediction = self._forward(image, part)
            loss = self.objective.training(prediction, target, generator)
        except ValueError as error:
            self._stop(batch, str(error))
        self._finite(batch, loss.item(), "loss")
        self._train_losses.append(loss.item())
        return loss

    def _forward(self, image, part):
        """The network's answer; what it draws itself depends on (seed, step, part) alone."""
        if hasattr(self.model, "steps"):  # a network that counts counts steps, not parts of them
            self.model.steps.fill_(self.global_step)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(
                step_generator(self.seed, self.global_step, part, LAYERS).initial_seed()
            )
            return self.model(channels_last(image))

    def on_before_backward(self, loss):
        self.solves.phase = "adjoint"

    def on_after_backward(self):
        # a gradient scaler looks for itself, and skips such a step
        if getattr(self.trainer.precision_plugin, "scaler", None) is not None:
            return
        norm = torch.linalg.vector_norm
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        largest = torch.stack([norm(gradient, float("inf")) for gradient in gradients])
        if not bool(largest.isfinite().all()):  # one wait for the device, not one each
            self._stop(self._batch, "the loss is finite, but its gradient is not")

    def on_validation_epoch_start(self):
        self.solves.phase = "validation"
        self.solves.steps.setdefault("validation", [])
        self._weights.clear()
        self._scores = ImageScores(len(self.trainer.val_dataloaders.dataset))

    def validation_step(self, batch, index):
        try:
            prediction = through_windows(self.model, self.windows)(channels_last(batch["image"]))
            losses = self.objective.evaluation(prediction, batch["target"]).tolist()
            ious = self.metric(prediction.prob, batch["target"], per_image=True).tolist()
        except ValueError as error:
            self._stop(batch, str(error))
        first = index * self.trainer.val_dataloaders.batch_size
        for k, (loss, iou) in enumerate(zip(losses, ious, strict=True)):
            self._finite(batch, loss, "validation loss")
            self._scores.add((first + k) * self.devices + rank(), loss=loss, iou=iou)
        if prediction.weights is not None:
            flat = torch.cat([w.flatten() for w in prediction.weights])
            self._weights.append((flat.min().item(), flat.median().item(), flat.max().item()))

    def on_validation_epoch_end(self):
        scores = self._scores.columns()
        row = {
            "epoch": self.current_epoch,
            "step": self.global_step,
            "train_loss": _mean([loss for part in gather(self._train_losses) for loss in part]),
            "val_loss": _mean(scores["loss"]),
            "val_iou": _mean(scores["iou"]),
            **self.solves.summary(),
        }
        weights = [triple for part in gather(self._weights) for triple in part]
        if weights:
            low, middle, high = zip(*weights, strict=True)
            row |= {"weight_min": min(low), "weight_median": _mean(middle), "weight_max": max(high)}
        wall, cpu = self._started
        row["seconds"] = time.perf_counter() - wall
        # what the process itself used, on all its threads: other work on the machine adds nothing
        row["cpu_seconds"] = sum(gather(time.process_time() - cpu))
        if self.device.type == "cuda":
            row["gpu_others_gib"] = max(gather(held_by_others(self.device)))
        self.history.append(row)

    def on_save_checkpoint(self, checkpoint):
        checkpoint["history"] = self.history

    def on_load_checkpoint(self, checkpoint):
        self.history = list(checkpoint["history"])

    def _finite(self, batch, value, name):
        if value != value or abs(value) == float("inf"):
            self._stop(batch, f"the {name} is {value}")

    def _stop(self, batch, reason):
        """Save the batch that broke the run, then stop with an error that names it."""
        where = ""
        if self.folder is not None:
            path = self.folder / "bad_batch.pt"
            try:
                write_checkpoint(path, {**batch, "state_dict": self.model.state_dict()})
                where = f" The batch and the network are saved in {path}."
            except OSError as error:  # must not hide why the run stopped
                where = f" The batch could not be saved ({error})."
        names = ", ".join(batch["name"])
        message = (
            f"training stopped at step {self.global_step} on {names}: {reason}.{where} "
            "Try a smaller --lr, or look at the batch."
        )
        if self.folder is not None:
            stop = {"step": self.global_step, "reason": reason, "message": message}
            write_json(self.folder / "stopped.json", stop)
        raise TrainingStopped(message, reason)


def _mean(values):
    return sum(values) / len(values)
