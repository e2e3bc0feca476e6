"""What trained street networks make of one picture, stage by stage (chapters 11 and 12).

Our counterpart of the last figure of the thesis' results, its Fig. 11 of experiment 2.
"""

import torch
from matplotlib.colors import LogNorm, TwoSlopeNorm

from softcut_lib.show.style import CONDUCTANCE, SCORES, blank, picture, styled

__all__ = ["stages"]

STAGES = ("scores", "weights right", "weights down", "output", "decision")
WIDTH, LEFT, GAP = 6.6, 0.3, 0.06  # inches


@styled
def stages(networks, image, *, alt):
    """Scores, row and column conductances, output and decision of several networks, a row each.

    Scores and output of a row share one scale, blue for the background, red for the foreground;
    its two maps of conductances share another, logarithmic one. A network without conductances
    leaves their places empty, and its output is its scores.

    Args:
        networks: dict name -> `CutNet` of one label in evaluation mode.
        image: float (1, C, h, w).
        alt: the alternative text.

    Returns:
        A `Picture`.

    Raises:
        ValueError: no network, or no alternative text.

    Example:
        >>> import torch, softcut_lib as sc
        >>> nets = {"base": sc.CutNet(sc.BasicNet())}
        >>> stages(nets, torch.zeros(1, 3, 8, 8), alt="A score map and the decision it leads to.")
        [figure: A score map and the decision it leads to.]
    """
    if not networks:
        raise ValueError("networks must hold at least one network, got none")
    side = (WIDTH - LEFT) / len(STAGES) - GAP
    high = side * image.shape[-2] / image.shape[-1]
    head = 0.35
    height = head + len(networks) * (high + GAP)
    fig = blank(WIDTH, height)
    for row, (name, network) in enumerate(networks.items()):
        bottom = height - head - (row + 1) * (high + GAP) + GAP
        fig.text(0.5 * LEFT / WIDTH, (bottom + high / 2) / height, name, rotation=90, ha="center",
                 va="center", fontsize=11)  # fmt: skip
        for column, (values, options) in enumerate(_maps(network, image)):
            if values is None:
                continue
            left = LEFT + column * (side + GAP)
            ax = fig.add_axes([left / WIDTH, bottom / height, side / WIDTH, high / height])
            ax.imshow(values.cpu().float().numpy(), aspect="auto", **options)
            ax.set(xticks=[], yticks=[])
            ax.grid(False)
            ax.spines[:].set_visible(True)
            ax.spines[:].set_color("#999999")
    for column, title in enumerate(STAGES):
        middle = LEFT + column * (side + GAP) + side / 2
        fig.text(middle / WIDTH, 1 - 0.5 * head / height, title, ha="center", va="center",
                 fontsize=11)  # fmt: skip
    return picture(fig, alt)


@torch.no_grad()
def _maps(network, image):
    """The five maps of a network with the options that draw them; None where there is none."""
    result = network(image)
    scores, output = result.scores[0, 0], result.output[0, 0]
    reach = max(float(scores.abs().max()), float(output.abs().max()), 1e-6)
    signed = {"cmap": SCORES, "norm": TwoSlopeNorm(0, -reach, reach)}
    down = right = None
    scale = {}
    if result.weights is not None:
        down, right = (w[0].reshape(w.shape[-2:]) for w in result.weights)
        both = torch.cat([down.flatten(), right.flatten()])
        low, high = (float(both.quantile(q).clamp(min=1e-9)) for q in (0.01, 0.99))
        scale = {"cmap": CONDUCTANCE, "norm": LogNorm(low, max(high, 1.01 * low), clip=True)}
    gray = {"cmap": "gray", "vmin": 0, "vmax": 1}
    decision = network.predict(image)[0]
    return [(scores, signed), (right, scale), (down, scale), (output, signed), (decision, gray)]
