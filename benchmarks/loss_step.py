"""A whole normalized cut loss, forward and backward, as a share of a network's training step.

    step = scores, cross-entropy, gradients, Adam;     loss = lattice, degree, NC, its gradient by S

for one photograph, K labels. What the C++ lattice (pydensecrf2) would take for its part of the
loss, two products W S, is timed beside it: called for all labels at once, and once for each label
as the published loss calls it. Its part is the filter alone; ours is everything.
"""

import torch

import softcut_lib as sc

from .filtering import PEER, SIGMAS, Peer, photograph, segmentation
from .measure import interleaved, observed, spread

NETWORKS = {
    "AtrousNet, width 64": lambda labels: sc.AtrousNet(
        out_channels=labels, width=64, multiscale=True
    ),
    "AtrousNet, width 16": lambda labels: sc.AtrousNet(out_channels=labels, multiscale=True),
    "SmallUNet": lambda labels: sc.SmallUNet(out_channels=labels),
}


def training_step(build, image, target, labels):
    """A function that does one step of Adam on the full cross-entropy."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = build(labels).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    image = (image / 255).contiguous(memory_format=torch.channels_last)

    def step():
        optimizer.zero_grad()
        sc.partial_cross_entropy(net(image), target).backward()
        optimizer.step()

    return step


def whole_loss(image, scores):
    """A function that builds the lattice, evaluates the loss and its gradient by the scores."""

    def loss():
        affinity = sc.LatticeAffinity(image, **SIGMAS)
        value = sc.normalized_cut_loss(scores.softmax(1), affinity)
        return torch.autograd.grad(value, scores)[0]

    return loss


def peers_filter(image, labels, *, at_once):
    """The C++ lattice built and applied twice to K maps, in one call each or label by label."""
    maps = segmentation(image, labels).clamp_min(1e-6)
    both = torch.stack([maps[:, 0], 1 - maps[:, 0]], 1).clamp_min(1e-6)

    def filters():
        model = Peer.model(image, maps if at_once else both)
        for _ in range(2 if at_once else 2 * labels):
            Peer.step(*model)

    return filters


def shares(size, threads, *, seconds, networks=NETWORKS, labels=(2, 21), peer=True):
    """The rows of one size with so many threads: seconds of every part."""
    torch.set_num_threads(threads)
    image = photograph(size)
    for count in labels:
        target = segmentation(image, count).argmax(1)
        draw = torch.Generator().manual_seed(0)
        scores = torch.randn(1, count, *size, generator=draw).requires_grad_()
        runs = {
            ("step", name): training_step(build, image, target, count)
            for name, build in networks.items()
        }
        runs["loss", "ours, all of it"] = whole_loss(image, scores)
        if peer:
            for words, at_once in (("all labels at once", True), ("label by label", False)):
                name = f"{PEER}, the filter only, {words}"
                runs["filter", name] = peers_filter(image, count, at_once=at_once)
        firsts = {key: observed(run)[1] for key, run in runs.items()}
        for (part, name), values in interleaved(runs, firsts, seconds=seconds).items():
            yield {
                "part": part, "name": name, "size": list(size), "threads": threads,
                "labels": count, "seconds": spread(values),
            }  # fmt: skip
