"""Do two models differ? Paired differences over seeds and images, with an interval.

Run s of model B minus run s of model A on test image i, d_si, is modelled as

    d_si = mu + a_s + b_i + e_si,     a: luck of a training,  b: choice of the image.

The mean d.. estimates mu with the variance  V = S/|seeds| + I/|images|,  S the variance of the seed
means d_s., I that of the image means d_.i (it counts var(e) twice, which is little). Its degrees of
freedom follow Satterthwaite: a 95 % interval then holds the truth in 92 to 96 % of cases with three
seeds, in 89 to 95 % with two (a test draws them). One run alone says nothing about the luck of a
training. Chapters 10 to 12, A2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from softcut_lib.train.results import METRICS
from softcut_lib.train.seeds import runs_of


@dataclass(frozen=True)
class Difference:
    """Second model minus first: mean, 95 % interval (None for one seed), and what it rests on.

    ``by_image`` is the bracket over the images alone, std(d_.i) / sqrt(|images|).
    """

    first: str
    second: str
    metric: str
    mean: float
    interval: tuple[float, float] | None
    by_image: float
    seeds: tuple[int, ...]
    images: int

    @property
    def verdict(self) -> str:
        """ "higher", "lower", "no difference seen", or "one seed, not enough to say"."""
        if self.interval is None:
            return "one seed, not enough to say"
        low, high = self.interval
        return "higher" if low > 0 else "lower" if high < 0 else "no difference seen"


def paired_differences(
    results: dict | None, pairs, *, metric: str = "iou", other: dict | None = None,
    level: float = 0.95,
) -> list[Difference]:  # fmt: skip
    """Differences between models of a results file, seed by seed and image by image.

    Args:
        results: content of a results file; None, where there is none, has no pairs.
        pairs: (first, second) names of models; the difference is second minus first.
        metric: "iou", "loss" or "figures".
        other: another results file that holds the second models, e.g. decoded in another way.
        level: of the interval.

    Returns:
        One `Difference` for each pair that has a seed in common; pairs without are left out.

    Raises:
        ValueError: an unknown metric, rows of one seed that were tested on different images, or a
            model with several rows of one seed (say with other options).

    Example:
        >>> def row(model, seed, iou):
        ...     return {"model": model, "seed": seed, "test": {"name": ["a", "b"], "iou": iou}}
        >>> rows = [row("base", 0, [0.2, 0.4]), row("base", 1, [0.3, 0.4]),
        ...         row("cut", 0, [0.5, 0.7]), row("cut", 1, [0.6, 0.7])]
        >>> (gap,) = paired_differences({"rows": rows}, [("base", "cut")])
        >>> round(gap.mean, 3), gap.verdict, gap.seeds
        (0.3, 'higher', (0, 1))
    """
    if metric not in METRICS:
        raise ValueError(f"metric: expected one of {', '.join(METRICS)}; got {metric!r}")
    found = []
    for first, second in pairs:
        one, two = (
            {seed: row["test"] for seed, row in runs_of(file, model).items()}
            for file, model in ((results, first), (results if other is None else other, second))
        )
        seeds = sorted(set(one) & set(two))
        if not seeds:
            continue
        for seed in seeds:
            if one[seed]["name"] != two[seeds[0]]["name"] or two[seed]["name"] != one[seed]["name"]:
                raise ValueError(
                    f"results: {first} and {second}, seed {seed}, were tested on different images"
                )
        gaps = np.array([np.subtract(two[s][metric], one[s][metric], dtype=float) for s in seeds])
        interval, by_image = mean_interval(gaps, level=level)
        found.append(
            Difference(
                first, second, metric, float(gaps.mean()), interval, by_image, tuple(seeds),
                gaps.shape[1],
            )
        )  # fmt: skip
    return found


def mean_interval(gaps, *, level: float = 0.95) -> tuple[tuple[float, float] | None, float]:
    """Interval of the mean of d (seeds, images), and its bracket over the images alone.

    Returns:
        (interval or None for a single seed, bracket).

    Source: two-way random effects; Satterthwaite, Biometrics Bulletin 2 (1946).

    Example:
        >>> round(mean_interval(np.array([[0.1, 0.3], [0.1, 0.3]]))[1], 3)
        0.1
    """
    from scipy.stats import t

    seeds, images = gaps.shape
    by_image = float(gaps.mean(0).std(ddof=1) / math.sqrt(images)) if images > 1 else math.nan
    if seeds == 1 or images == 1:
        return None, by_image
    parts = [gaps.mean(1).var(ddof=1) / seeds, gaps.mean(0).var(ddof=1) / images]
    variance, mean = sum(parts), gaps.mean()
    if variance == 0:
        return (float(mean), float(mean)), by_image
    freedom = variance**2 / (parts[0] ** 2 / (seeds - 1) + parts[1] ** 2 / (images - 1))
    reach = t.ppf((1 + level) / 2, freedom) * math.sqrt(variance)
    return (float(mean - reach), float(mean + reach)), by_image
