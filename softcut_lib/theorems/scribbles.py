"""What holds of scribbles, and of the masks that are made from them (chapter 15).

Each function takes what is under test and raises an AssertionError that teaches.
"""

import torch

from softcut_lib.affinity.dense import DenseAffinity
from softcut_lib.losses.balanced import normalized_cut_loss

FREE = 255


def scribbles_say_the_truth(simulate, *, generator):
    """Scribbles lie in regions of their label, name every label, and leave void pixels alone.

    ``simulate(target) -> seeds``, both long (h, w).
    """
    for count in (2, 3, 4):
        corners = 6 * torch.rand(count, 2, generator=generator) + torch.tensor([[0.0, 7.0]])
        y, x = torch.meshgrid(torch.arange(30.0), torch.arange(40.0), indexing="ij")
        target = torch.zeros(30, 40).long()
        for label, (top, left) in enumerate(corners[1:], 1):
            start = left + 9 * (label - 1)
            target[(y > top) & (y < top + 20) & (x > start) & (x < start + 7)] = label
        target[14:16] = FREE
        seeds = simulate(target)
        marked = seeds != FREE
        wrong = marked & (seeds != target)
        assert not bool(wrong.any()), (
            f"{int(wrong.sum())} marked pixels bear another label than the mask: cut the pen's "
            "trace with its region, and never mark void"
        )
        lost = set(target.unique().tolist()) - set(seeds.unique().tolist()) - {FREE}
        assert not lost, f"the labels {sorted(lost)} are in the mask, but no scribble names them"
        assert int(marked.sum()) < int((target != FREE).sum()), "that is a mask, not scribbles"


def _seeded_case(generator, count):
    image = 255 * torch.rand(1, 3, 5, 6, generator=generator, dtype=torch.float64)
    affinity = DenseAffinity(image, sigma_color=70, sigma_space=4)
    seeds = torch.full((1, 5, 6), FREE)
    place = torch.randperm(30, generator=generator)[: 2 * count]
    seeds.view(-1)[place] = torch.arange(2 * count) % count
    labels = torch.randint(0, count, (1, 5, 6), generator=generator)
    return affinity, seeds, torch.where(seeds != FREE, seeds, labels)


def seeded_steps_never_climb(step, *, generator):
    """A step on the tangent holds the seeds and never raises the normalized cut.

    ``step(affinity, seeds, labels, count) -> labels``, long (1, h, w), the affinity positive
    semidefinite.
    """
    moved = 0
    for trial in range(8):
        count = 2 + trial % 3
        affinity, seeds, labels = _seeded_case(generator, count)
        value = _cut_of(labels, affinity, count)
        for _ in range(4):
            new = step(affinity, seeds, labels, count)
            lost = (seeds != FREE) & (new != seeds)
            assert not bool(lost.any()), f"{int(lost.sum())} seeds have lost their label"
            after = _cut_of(new, affinity, count)
            assert after <= value + 1e-10, (
                f"a step raised the normalized cut from {value:.6f} to {after:.6f}: give each free "
                "pixel to the class of the least g_k = d (S'W S) / (d'S)^2 - 2 W S / d'S"
            )
            moved += int((new != labels).sum())
            labels, value = new, after
    assert moved, "no step moved any pixel"


def _cut_of(labels, affinity, count):
    sets = torch.stack([labels == k for k in range(count)], 1).double()
    return float(normalized_cut_loss(sets, affinity))


def mean_field_descends(step, *, generator):
    """Mean-field updates give distributions, never raise F, and without a kernel give P.

    ``step(q, log_p, kernel) -> q`` with q, log_p (L, N) and a positive semidefinite kernel (N, N);
    F = sum q log q - sum q log p - 1/2 sum_l q_l'K q_l.
    """
    for count in (2, 4):
        log_p = torch.randn(count, 12, generator=generator, dtype=torch.float64).log_softmax(0)
        root = torch.randn(12, 12, generator=generator, dtype=torch.float64)
        kernel = root @ root.T / 6

        def energy(q, log_p=log_p, kernel=kernel):
            entropy = torch.special.xlogy(q, q).sum()
            return float(entropy - (q * log_p).sum() - 0.5 * (q @ kernel * q).sum())

        alone = step(log_p.exp(), log_p, torch.zeros_like(kernel))
        gap = float((alone - log_p.exp()).abs().max())
        assert gap < 1e-12, f"without a kernel the answer is P itself, off by {gap:.2g}"
        q, before = log_p.exp(), energy(log_p.exp())
        for _ in range(6):
            q = step(q, log_p, kernel)
            total = float((q.sum(0) - 1).abs().max())
            assert total < 1e-10, f"the labels of a pixel must sum to 1, off by {total:.2g}"
            after = energy(q)
            assert after <= before + 1e-9, (
                f"a step raised F from {before:.6f} to {after:.6f}: the update is "
                "softmax(log p + q K) over the labels"
            )
            before = after
