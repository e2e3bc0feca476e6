"""The layer's share of a training step of a U-Net with two decoders, one for each output.

MONAI's FlexibleUNet (a ResNet-18 encoder) with a second decoder stands in for the thesis' network,
which had the same parts. The conductances that enter the layer are those of the trained small
network, so that the solver meets the contrast that training leads to; the edge decoder is computed
and differentiated all the same.
"""

import torch
from torch import nn

import softcut_lib as sc
from softcut_lib.grid.edges import crop_edges

from .measure import MAX_STEPS, find_setting, interleaved, observed, quietly, spread, steps
from .methods import OURS, Method
from .problems import OFFSETS, exact, make

NEEDS, PACKAGE = "monai", "monai"


class TwoDecoders(nn.Module):
    """One encoder, a decoder for the scores and one for two edge maps."""

    def __init__(self):
        super().__init__()
        from monai.networks.nets import FlexibleUNet

        options = {"in_channels": 3, "backbone": "resnet18", "pretrained": False}
        self.scores = FlexibleUNet(out_channels=1, **options)
        self.edges = FlexibleUNet(out_channels=len(OFFSETS), **options)
        self.edges.encoder = None

    def forward(self, image):
        features = self.scores.encoder(image)
        scores = self.scores.segmentation_head(self.scores.decoder(features))
        edges = self.edges.segmentation_head(self.edges.decoder(features))
        return scores, [nn.functional.softplus(e) for e in crop_edges(edges, OFFSETS)]


def makers():
    """The solvers that can serve the layer, as methods."""
    return [m for m in OURS if m.name in ("CG", "Multigrid", "Direct") and not m.missing()]


def training_step(size, batch, bar, *, seconds):
    """Seconds of a step without the layer, with each solver, and of the layer alone."""
    bar(f"training step {size[0]}x{size[1]} batch {batch}: tolerances")
    problem = make("trained", size, batch)
    reference = exact(problem)
    torch.manual_seed(0)
    network = TwoDecoders()
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    items = sc.SyntheticHorses("test", count=batch, size=size, seed=1)
    images = torch.stack([items[b]["image"] for b in range(batch)])
    target = torch.stack([items[b]["target"] for b in range(batch)])

    def step(solver):
        scores, edges = network(images)
        # the trained conductances, with the edge decoder's gradient passing through
        weights = [w + 1e-12 * e for w, e in zip(problem.weights, edges)]
        output = scores if solver is None else sc.soft_cut(scores, weights, solver=solver)
        loss = sc.dice_loss(output.sigmoid(), target)
        if solver is None:
            loss = loss + sum(w.mean() for w in weights)  # the edge decoder learns here too
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    settings, runs, alone = {}, {"no layer": lambda: step(None)}, {}
    for method in makers():
        bar(f"training step: {method.name}")
        settings[method.name] = find_setting(method, problem, reference)[0]
        solver = _solver(method.name, settings[method.name])
        runs[method.name] = lambda solver=solver: step(solver)
        alone[method.name] = method.prepare(problem, settings[method.name])
    firsts = {name: observed(run)[1] for name, run in runs.items()}
    whole = interleaved(runs, firsts, seconds=seconds, rounds=5)
    firsts = {name: observed(run)[1] for name, run in alone.items()}
    layers = interleaved(alone, firsts, seconds=seconds / 3)
    parameters = sum(p.numel() for p in network.parameters())
    for name, times in whole.items():
        row = {"method": name, "size": list(size), "batch": batch, "parameters": parameters}
        row |= {"step_seconds": spread(times), "setting": settings.get(name)}
        if name in layers:
            answer = quietly(alone[name])
            row["iterations"] = {
                "forward": steps(answer.forward), "backward": steps(answer.backward)
            }  # fmt: skip
            row["layer_seconds"] = spread(layers[name])
            row["share"] = spread([t / row["step_seconds"]["median"] for t in layers[name]])
        yield row


def _solver(name, setting):
    if name == "Direct":
        return sc.Direct(refine=setting["refine"])
    return getattr(sc, name)(tol=setting["tol"], max_iter=MAX_STEPS)


def missing():
    """Why the network cannot be built here, or None."""
    return Method("training step", None, needs=NEEDS, package=PACKAGE).missing()
