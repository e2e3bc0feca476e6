"""The form of an experiment: what defines it apart from model, data and seed, as plain data.

An experiment names its data, its models, what is minimized and for how long; a row is one model
with one seed. Chapters 10 to 12.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from softcut_lib import _checks as check
from softcut_lib.train.metrics import mean_iou


@dataclass(frozen=True)
class Model:
    """One row of an experiment: what it is in words, and ``build(log) -> CutNet``.

    ``log`` is handed to the cut's solver, so that a run can record its steps. ``printed`` is the
    row's name in the thesis' table, None where the thesis has no such row. ``begins`` names the row
    whose training this one repeats, step by step, for the first steps that the objective counts.
    """

    about: str
    build: Callable
    printed: str | None = None
    begins: str | None = None


@dataclass(frozen=True)
class Data:
    """A data set: what it is in words, and ``load(split, scale=...)`` for train, val and test.

    ``load`` also takes ``count`` where the experiment sets it. ``settings`` replace fields of the
    experiment on this data, e.g. its number of epochs.
    """

    about: str
    load: Callable
    settings: Mapping = field(default_factory=dict)


@dataclass(frozen=True)
class Experiment:
    """Everything that defines an experiment apart from model, data and seed.

    Args:
        title: in words.
        source: where it comes from.
        data: name -> `Data`.
        models: name -> `Model`, in the order of the tables.
        objective: what is minimized, see `softcut_lib.train.objectives`.
        number: of the thesis' experiment, None for one of ours.
        optimizer: "adam" or "adagrad".
        lr: learning rate.
        epochs: how often the network is validated and the run saved.
        steps_per_epoch: optimizer steps between two of them; None for one pass over the data.
        batch: images a step, over all devices and parts.
        shuffle: each pass in an order of its own, a function of seed and pass; False for the data
            set's order.
        count: only the first so many images (before they are cut to tiles) of each split, for
            trials; None for all.
        metric: ``metric(prob, target, per_image=True) -> (B,)``, in the tables' column iou.
        test_batch: images that go through the network together when it is validated and tested,
            see `evaluate`.
        windows: (side, stride) of overlapping windows: it is trained on those of a frame as one
            batch, and tested on the frame that `Windowed` puts together; None for whole images.
        decodes: name of the experiment whose trained networks are tested here; nothing is trained.
        decode: their decoder, see `CutNet`.
        strengths: factors of the decoder's strengths, one of which each run's validation images
            choose, see `chosen_strength`; none takes the strengths as they are.
        counts: whether every image's pixels of each label are recorded, for `pooled_iou`.
        measure: ``measure(model, sets) -> dict``, further numbers of a trained network; ``sets``
            has its images by split. They become part of the record.
        conclude: ``conclude(rows) -> dict`` on all rows of a results file, written into it.
        profiles: name -> settings, e.g. of a short trial.
    """

    title: str
    source: str
    data: Mapping[str, Data]
    models: Mapping[str, Model]
    objective: object
    number: int | None = None
    optimizer: str = "adam"
    lr: float = 1e-3
    epochs: int = 100
    steps_per_epoch: int | None = None
    batch: int = 1
    shuffle: bool = False
    count: int | None = None
    metric: Callable = mean_iou
    test_batch: int = 1
    windows: tuple[int, int] | None = None
    decodes: str | None = None
    decode: str | None = None
    strengths: tuple[float, ...] = ()
    counts: bool = False
    measure: Callable | None = None
    conclude: Callable | None = None
    profiles: Mapping[str, Mapping] = field(default_factory=dict)

    def with_options(self, data: str, profile="full", *, steps=None, **options) -> Experiment:
        """A copy with the settings of the data, the profile, and ``options`` that are not None.

        ``steps`` is a budget of optimizer steps in all, in place of epochs: as many epochs of
        `steps_per_epoch` (of 100 where that is a pass over the data) as it takes.
        """
        settings = choose("data", data, self.data).settings
        chosen = choose("profile", profile, self.profiles)
        given = {name: value for name, value in options.items() if value is not None}
        for name in ("epochs", "batch", "test_batch"):
            if name in given:
                check.positive_integer(name, given[name])
        if "lr" in given:
            check.positive_number("lr", given["lr"])
        result = replace(self, **{**settings, **chosen, **given})
        return result if steps is None else result._of_steps(steps, given)

    def _of_steps(self, steps, given):
        check.positive_integer("steps", steps)
        if "epochs" in given:
            raise ValueError("steps: give steps or epochs, not both; epochs follow from steps")
        each = min(steps, self.steps_per_epoch or 100)
        if steps % each:
            below = steps // each * each
            raise ValueError(
                f"steps: expected a multiple of {each}, after which the network is validated and "
                f"saved; got {steps}, take {below} or {below + each}"
            )
        return replace(self, epochs=steps // each, steps_per_epoch=each)


def choose(what: str, name: str, table: Mapping):
    """``table[name]``, or an error that lists what there is."""
    if name not in table:
        raise ValueError(f"{what}: expected one of {', '.join(table)}; got {name!r}")
    return table[name]
