"""Test a network: one IoU, one loss and one number of figures for each image.

    bracket = std / sqrt(n)       over the n test images, the papers' number in parentheses.

Chapter 10.
"""

from __future__ import annotations

import sys

import torch

from softcut_lib import _checks as check
from softcut_lib.train.metrics import count_figures, label_counts, mean_iou
from softcut_lib.train.scores import ImageScores, mean_and_bracket


def known_device(device: str) -> str:
    """The device's name, where this machine has it.

    Raises:
        ValueError: another name than cpu, cuda or cuda:0, or no such GPU here.

    Example:
        >>> known_device("cpu")
        'cpu'
    """
    kind, _, number = str(device).partition(":")
    if kind not in ("cpu", "cuda") or (number and (kind == "cpu" or not number.isdigit())):
        raise ValueError(f"device: expected cpu, cuda or cuda:0, got {device!r}")
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        raise ValueError(
            f"device: PyTorch sees {torch.cuda.device_count()} GPUs here, so {device!r} cannot be "
            "had; take cpu (`softcut doctor` says more)"
        )
    return device


@torch.no_grad()
def evaluate(
    model, dataset, objective, *, device="cpu", metric=mean_iou, counts=False, batch=1,
    progress=False,
) -> dict:  # fmt: skip
    """Per-image results over a data set.

    ``iou`` of the foreground (several labels: mean over the labels), ``loss`` by the objective's
    evaluation, ``figures`` = connected components of the hard mask. The hard mask is
    ``prob > 1/2``, or the model's decoder where it has one. ``constant`` is the iou of an answer
    that no network is needed for: foreground everywhere, or with several labels the first.

    Args:
        model: `CutNet`, or `Windowed`.
        dataset: items with image, target and name.
        objective: with ``evaluation(prediction, target) -> (B,)``.
        device: "cpu" or "cuda".
        metric: ``metric(prob, target, per_image=True) -> (B,)``, in the column iou.
        counts: columns both and either too, see `label_counts`.
        batch: images that go through the network together; more keep a GPU busy. Each image's
            numbers stay its own, but for rounding and where a solver stops for the whole batch.
        progress: a bar on the error stream, where that is a terminal.

    Returns:
        dict of equally long lists: name, iou, loss, figures, constant.

    Raises:
        ValueError: a device that is not there, images of several sizes in a batch.
    """
    known_device(device)
    check.positive_integer("batch", batch)
    model = channels_last(model.to(device).eval())
    scores = ImageScores()
    for places in _bar(len(dataset), batch, progress):
        items = [dataset[place] for place in places]
        image, target = (_stacked(items, part).to(device) for part in ("image", "target"))
        image = channels_last(image)
        prediction = model(image)
        decided = prediction.prob
        if model.decode is not None:
            decided = _maps(model.decide(prediction), labels=decided.shape[1])
        columns = {
            "iou": metric(decided, target, per_image=True).tolist(),
            "loss": objective.evaluation(prediction, target).tolist(),
            "figures": count_figures(decided, per_image=True).tolist(),
            "constant": metric(_first_label(decided), target, per_image=True).tolist(),
        }
        if counts:
            each = [label_counts(decided[k : k + 1], target[k : k + 1]) for k in range(len(items))]
            columns |= dict(zip(("both", "either"), zip(*each, strict=True), strict=True))
        for k, (place, item) in enumerate(zip(places, items, strict=True)):
            own = {name: column[k] for name, column in columns.items()}
            scores.add(place, name=item["name"], **own)
    return scores.columns()


def _bar(count, batch, progress):
    """The places of each batch, in order."""
    batches = [range(first, min(first + batch, count)) for first in range(0, count, batch)]
    if not (progress and sys.stderr.isatty()):
        yield from batches
        return
    from tqdm import tqdm

    with tqdm(total=count, unit="image", desc="test", mininterval=0.5, leave=False) as bar:
        for places in batches:
            yield places
            bar.update(len(places))


def _stacked(items, part):
    sizes = {tuple(item[part].shape) for item in items}
    if len(sizes) > 1:
        raise ValueError(f"batch: images of several sizes, {sorted(sizes)}; take batch=1")
    return torch.stack([item[part] for item in items])


def summarize(results: dict[str, list]) -> dict[str, float]:
    """Mean and bracket (std / sqrt(n)) of each metric.

    >>> from softcut_lib.train.evaluation import summarize
    >>> rows = {"name": ["a", "b"], "iou": [0.2, 0.4], "loss": [1.0, 1.0], "figures": [3, 5]}
    >>> {name: round(value, 3) for name, value in summarize(rows).items()}  # doctest: +ELLIPSIS
    {'iou': 0.3, 'iou_bracket': 0.1, 'loss': 1.0, ... 'figures': 4.0, 'figures_bracket': 1.0}
    """
    summary = {}
    for name in ("iou", "loss", "figures"):
        summary[name], summary[f"{name}_bracket"] = mean_and_bracket(results[name])
    return summary


def paired_difference(first: dict, second: dict, metric: str) -> tuple[float, float]:
    """Mean of ``second - first`` over the same test images, and its bracket (std / sqrt(n)).

    Two models see the same images, so the bracket of their difference is smaller than those of
    the models suggest.

    Args:
        first, second: results of `evaluate`, with the same names in the same order.
        metric: "iou", "loss" or "figures".

    Raises:
        ValueError: the images differ.

    Example:
        >>> first = {"name": ["a", "b"], "iou": [0.2, 0.4]}
        >>> second = {"name": ["a", "b"], "iou": [0.3, 0.6]}
        >>> [round(value, 3) for value in paired_difference(first, second, "iou")]
        [0.15, 0.05]
    """
    if first["name"] != second["name"]:
        raise ValueError("first, second: expected results over the same images, but names differ")
    return mean_and_bracket(b - a for a, b in zip(first[metric], second[metric], strict=True))


def through_windows(model, windows):
    """The model as it sees a whole frame: itself, or through windows (side, stride)."""
    from softcut_lib.models.windows import Windowed

    if windows is None:
        return model
    window, stride = windows
    return Windowed(model, window=window, stride=stride)


def cut_to_windows(image, target, windows):
    """A batch of frames as a batch of their windows, for training; None leaves it.

    Outside the frame there is the mean color of ImageNet, and the target is void.
    """
    from softcut_lib.models.windows import IMAGENET_MEAN, split_windows

    if windows is None:
        return image, target
    window, stride = windows
    fill = [*IMAGENET_MEAN, *[0.0] * (image.shape[1] - 3)]
    return (
        split_windows(image, window=window, stride=stride, fill=fill),
        split_windows(target, window=window, stride=stride, fill=255),
    )


def channels_last(x):
    """A batch of images, or a network, in the memory order in which 2-D convolutions are fastest.

    On the CPU a step of the dilated net takes less than half the time so. Values do not change.
    """
    if isinstance(x, torch.nn.Module):
        planar = any(isinstance(layer, torch.nn.Conv2d) for layer in x.modules())
        return x.to(memory_format=torch.channels_last) if planar else x
    return x.to(memory_format=torch.channels_last) if x.dim() == 4 else x


def _first_label(prob):
    constant = torch.zeros_like(prob)
    constant[:, 0] = 1
    return constant


def _maps(mask, *, labels):
    """A decoded mask, long (B, *grid), as one boolean map for each label."""
    if labels == 1:
        return mask[:, None] == 1
    return torch.stack([mask == label for label in range(labels)], dim=1)
