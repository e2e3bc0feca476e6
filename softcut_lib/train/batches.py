"""Which images a training step sees: a function of (seed, step), whatever was done before.

    step k takes places k b .. k b + b - 1 of the stream: pass 0, pass 1, ...,

where a pass goes through the data in an order drawn from (seed, pass). So a resumed run sees what
the uninterrupted one saw. Of each step's batch every device takes a part, and every accumulated
part of it. Chapters 10 to 12.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch.utils.data import DataLoader

from softcut_lib.train.objectives import step_generator

SHUFFLE = 1 << 32  # sets the orders' random numbers apart from those of the steps


def batch_of_step(step: int, *, count: int, batch: int, seed: int, shuffle: bool) -> list[int]:
    """Indices of the images of one step; every image once before any comes again.

    Args:
        step: number of the optimizer step, from 0.
        count: images in the data set.
        batch: images a step.
        seed: of the run.
        shuffle: False takes them in their order.

    Example:
        >>> [batch_of_step(k, count=5, batch=2, seed=0, shuffle=False) for k in range(3)]
        [[0, 1], [2, 3], [4, 0]]
    """
    places = range(step * batch, (step + 1) * batch)
    if not shuffle:
        return [place % count for place in places]
    orders = {
        number: torch.randperm(count, generator=step_generator(seed, number, SHUFFLE)).tolist()
        for number in range(places[0] // count, places[-1] // count + 1)
    }
    return [orders[place // count][place % count] for place in places]


class StepBatches:
    """The parts of every step of one epoch, for one process; a batch sampler.

    Args:
        indices: function step -> indices of its images.
        steps: of an epoch.
        step: function without arguments that gives the next step's number.
        parts: of a batch whose gradients one process accumulates.
        devices: processes that share a batch.
    """

    def __init__(self, indices: Callable, steps: int, step: Callable, *, parts=1, devices=1):
        self.indices = indices
        self.steps = steps
        self.step = step
        self.parts = parts
        self.devices = devices

    def __len__(self) -> int:
        return self.steps * self.parts

    def __iter__(self) -> Iterator[list[int]]:
        first = self.step()
        for step in range(first, first + self.steps):
            batch = self.indices(step)
            size = len(batch) // (self.parts * self.devices)
            for part in range(self.parts):
                start = (part * self.devices + rank()) * size
                yield batch[start : start + size]


class Shard:
    """Every process' share of a data set, all equally long: a sampler for validation.

    Process r takes r, r + n, r + 2n, ...; past the end it begins again, and whoever collects the
    results leaves out what comes twice.
    """

    def __init__(self, count: int, devices: int = 1):
        self.count = count
        self.devices = devices

    def __len__(self) -> int:
        return -(-self.count // self.devices)

    def __iter__(self) -> Iterator[int]:
        for k in range(len(self)):
            yield (k * self.devices + rank()) % self.count


def rank() -> int:
    """Number of this process among those that train together; 0 where it is alone."""
    distributed = torch.distributed
    alone = not (distributed.is_available() and distributed.is_initialized())
    return 0 if alone else distributed.get_rank()


def gather(value) -> list:
    """What every process holds, in the order of the processes."""
    distributed = torch.distributed
    if not (distributed.is_available() and distributed.is_initialized()):
        return [value]
    values = [None] * distributed.get_world_size()
    distributed.all_gather_object(values, value)
    return values


def loaders(train, val, settings, *, seed, step, parts=1, devices=1, workers=0):
    """DataLoaders of training and validation; validation takes `test_batch` images at a time.

    Raises:
        ValueError: an empty data set, or a batch that cannot be shared out evenly.
    """
    for name, items in (("train", train), ("val", val)):
        if not len(items):
            raise ValueError(f"data: the split {name!r} holds no image")
    if settings.batch % (parts * devices):
        raise ValueError(
            f"batch: expected a multiple of {parts} accumulated parts x {devices} devices, got "
            f"{settings.batch}; it counts the images of one optimizer step"
        )
    options = {"count": len(train), "batch": settings.batch}
    indices = _Indices({**options, "seed": seed, "shuffle": settings.shuffle})
    steps = settings.steps_per_epoch or -(-len(train) // settings.batch)
    batches = StepBatches(indices, steps, step, parts=parts, devices=devices)
    several = {"num_workers": workers, "persistent_workers": workers > 0}
    if workers:
        several["multiprocessing_context"] = "spawn"
    return (
        DataLoader(train, batch_sampler=batches, **several),
        DataLoader(val, settings.test_batch, sampler=Shard(len(val), devices), **several),
    )


class _Indices:
    """`batch_of_step` with its options; a class, so that it can be sent to another process."""

    def __init__(self, options):
        self.options = options

    def __call__(self, step):
        return batch_of_step(step, **self.options)
