"""The networks of chapters 10 and 11 as data flow, and what their parts make of a picture.

Our counterparts of thesis, Figs. 13 and 14.

Boxes are functions with parameters, pictures are what really runs through them.
"""

import torch
from matplotlib.colors import LogNorm, TwoSlopeNorm
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from softcut_lib.show.style import COLORS, CONDUCTANCE, SCORES, blank, picture, styled

__all__ = ["data_flow", "two_decoders"]

WIDTH, HEIGHT = 6.4, 7.6  # inches
INK = "#444444"


@styled
def data_flow(net, image, *, alt=None):
    """A `CutNet` drawn from top to bottom, with the pictures that run through it.

    Args:
        net: `CutNet` of a `ScoreAndEdges` with two edge directions, and of a cut.
        image: float (1, 3, h, w) in [0, 1].
        alt: the alternative text; made from the network if None.

    Returns:
        A `Picture`.

    Raises:
        ValueError: a network without edge nets or without a cut.

    Source: our counterpart of thesis, Fig. 13.

    Example:
        >>> import torch, softcut_lib as sc
        >>> net = sc.CutNet(sc.ScoreAndEdges(sc.BasicNet(), sc.EdgeNet()), sc.SoftCut())
        >>> data_flow(net, torch.zeros(1, 3, 12, 16), alt="The network, from image to decision.")
        [figure: The network, from image to decision.]
    """
    if getattr(net.net, "edge_net", None) is None or net.cut is None:
        raise ValueError("net must be a CutNet of ScoreAndEdges(score_net, edge_net) with a cut")
    with torch.no_grad():
        scores, weights, output, prob = (_plain(part) for part in net(image))
    fig = blank(WIDTH, HEIGHT)
    page = fig.add_axes([0, 0, 1, 1])
    page.set(xlim=(0, 1), ylim=(0, 1))
    page.axis("off")
    edges = net.net.edge_net.nets
    columns = [
        (0.18, "score net", net.net.score_net, scores, "scores $s$"),
        (0.5, "column edge net", edges[0], weights[0], "$w_1$, down"),
        (0.82, "row edge net", edges[1], weights[1], "$w_2$, right"),
    ]
    reach = max(float(scores.abs().max()), float(output.abs().max()), 1e-6)
    _map(fig, (0.5, 0.9), _plain(image).permute(1, 2, 0), "image", {})
    for x, name, module, values, title in columns:
        _arrow(page, (0.5, 0.825), (x, 0.785))
        _box(page, (x, 0.70), 0.15, name, _layers(module), COLORS[0])
        options = _colors(values, reach) if module is net.net.score_net else _log_colors(weights)
        _arrow(page, (x, 0.625), (x, 0.595))
        _map(fig, (x, 0.50), values, title, options)
        _arrow(page, (x, 0.425), (0.5 + (x - 0.5) * 0.55, 0.378))
    words = ["solve $(I + L_w)\\, x = s$", "no parameters of its own"]
    _box(page, (0.5, 0.33), 0.085, type(net.cut).__name__, words, COLORS[1], wide=0.6)
    _arrow(page, (0.36, 0.287), (0.18, 0.222))
    _map(fig, (0.18, 0.115), output, "output $x$", _colors(output, reach))
    _map(fig, (0.5, 0.115), prob, "sigmoid$(x)$", {"cmap": "viridis", "vmin": 0, "vmax": 1})
    _map(fig, (0.82, 0.115), prob > 0.5, "decision", {"cmap": "gray", "vmin": 0, "vmax": 1})
    for left, right in ((0.315, 0.365), (0.635, 0.685)):
        _arrow(page, (left, 0.11), (right, 0.11))
    count = sum(p.numel() for p in net.parameters())
    return picture(fig, alt or _words(net, count))


@styled
def two_decoders(net, image, *, alt=None):
    """A `CutNet` of a `TwoDecoderUNet` drawn from top to bottom, with what runs through it.

    Args:
        net: `CutNet` of a `TwoDecoderUNet` with one label and ``edges="transposed"``, and of a cut.
        image: float (1, C, h, w).
        alt: the alternative text; made from the network if None.

    Returns:
        A `Picture`.

    Raises:
        ValueError: another network, or no cut.

    Source: our counterpart of thesis, Fig. 14.

    Example:
        >>> import torch, softcut_lib as sc
        >>> unet = sc.TwoDecoderUNet(encoder="resnet10", width=1 / 16)
        >>> net = sc.CutNet(unet, sc.SoftCut()).eval()
        >>> two_decoders(net, torch.zeros(1, 3, 32, 32), alt="The network, from image to decision.")
        [figure: The network, from image to decision.]
    """
    unet = net.net
    if getattr(unet, "edges", None) != "transposed" or net.cut is None:
        raise ValueError("net must be a CutNet of TwoDecoderUNet(edges='transposed') with a cut")
    with torch.no_grad():
        scores, weights, output, prob = (_plain(part) for part in net(image))
    fig = blank(WIDTH, 8.6)
    page = fig.add_axes([0, 0, 1, 1])
    page.set(xlim=(0, 1), ylim=(0, 1))
    page.axis("off")
    _map(fig, (0.5, 0.915), _plain(image)[:3].permute(1, 2, 0), "image", {})
    _arrow(page, (0.5, 0.845), (0.5, 0.815))
    _box(page, (0.5, 0.785), 0.06, "encoder", [f"{_count(unet.encoder)} parameters"], COLORS[0],
         wide=0.5)  # fmt: skip
    reach = max(float(scores.abs().max()), float(output.abs().max()), 1e-6)
    rows = [
        (0.18, "decoder", unet.decoder, "$f$", scores, "scores $s$", _colors(scores, reach)),
        (0.5, "edge decoder", unet.edge_decoder, "$f$", weights[1], "row weights, right",
         _log_colors(weights)),
        (0.82, "edge decoder", unet.edge_decoder, "$f^T$", weights[0], "column weights, down",
         _log_colors(weights)),
    ]  # fmt: skip
    for k, (x, name, module, given, values, title, options) in enumerate(rows):
        start = 0.5 + (x - 0.5) * 0.6
        _arrow(page, (start, 0.75), (x, 0.7))
        page.text((start + x) / 2 + 0.02, 0.728, given, ha="left", va="center")
        words = [f"{_count(module)} parameters", "the same weights" if k else ""]
        _box(page, (x, 0.65), 0.085, name, words, COLORS[2 if k else 0])
        _arrow(page, (x, 0.605), (x, 0.578))
        if k == 2:
            page.text(x - 0.02, 0.592, "turned back", ha="right", va="center", fontsize=11)
        _map(fig, (x, 0.475), values, title, options)
        _arrow(page, (x, 0.4), (0.5 + (x - 0.5) * 0.55, 0.362))
    words = ["solve $(I + L_w)\\, x = s$", "no parameters of its own"]
    _box(page, (0.5, 0.315), 0.085, type(net.cut).__name__, words, COLORS[1], wide=0.6)
    _arrow(page, (0.36, 0.272), (0.18, 0.222))
    _map(fig, (0.18, 0.115), output, "output $x$", _colors(output, reach))
    _map(fig, (0.5, 0.115), prob, "sigmoid$(x)$", {"cmap": "viridis", "vmin": 0, "vmax": 1})
    _map(fig, (0.82, 0.115), prob > 0.5, "decision", {"cmap": "gray", "vmin": 0, "vmax": 1})
    for left, right in ((0.315, 0.365), (0.635, 0.685)):
        _arrow(page, (left, 0.11), (right, 0.11))
    return picture(
        fig,
        alt
        or f"Data flow of a network with {_count(net)} parameters, from top to bottom: an image "
        "enters an encoder; its features enter a decoder that gives scores and, as they are and "
        "transposed, an edge decoder that gives row and column conductances; all three enter "
        f"{type(net.cut).__name__}; its output goes through a sigmoid and is decided at a half.",
    )


def _count(module):
    return f"{sum(p.numel() for p in module.parameters()):,}"


def _words(net, count):
    return (
        f"Data flow of a network with {count:,} parameters, from top to bottom: an image enters a "
        "score net and two edge nets of a few convolutions each; the scores and both maps of "
        f"conductances enter {type(net.cut).__name__}, whose output goes through a sigmoid and is "
        "decided at one half."
    )


def _plain(part):
    """First sample, and without the label axis if it has length one."""
    if isinstance(part, list):
        return [_plain(entry) for entry in part]
    part = part.detach()[0]
    return part[0] if part.shape[0] == 1 else part


def _layers(module):
    """One line for each convolution, e.g. "3 -> 32, 3 x 3"."""
    kernels = [layer for layer in module.modules() if hasattr(layer, "kernel_size")]
    lines = [
        f"conv {layer.in_channels} → {layer.out_channels}"
        + ("" if max(layer.dilation) == 1 else f", d {max(layer.dilation)}")
        for layer in kernels
    ]
    return lines


def _colors(values, reach):
    return {"cmap": SCORES, "norm": TwoSlopeNorm(0, -reach, reach)}


def _log_colors(weights):
    low = max(min(float(w.min()) for w in weights), 1e-6)
    high = max(float(w.max()) for w in weights)
    return {"cmap": CONDUCTANCE, "norm": LogNorm(low, max(high, 1.01 * low), clip=True)}


def _map(fig, center, values, title, options):
    """A picture around `center`, at most 0.25 of the page wide and 0.13 high."""
    h, w = values.shape[:2]
    high = min(0.13 * HEIGHT, 0.25 * WIDTH * h / w)
    wide = high * w / h
    place = [center[0] - wide / WIDTH / 2, center[1] - high / HEIGHT / 2]
    ax = fig.add_axes([*place, wide / WIDTH, high / HEIGHT])
    ax.imshow(values.cpu().float().numpy(), aspect="auto", **options)
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    ax.spines[:].set_visible(True)
    ax.spines[:].set_color("#999999")
    ax.set_title(title, pad=3)


def _box(page, center, high, name, lines, color, *, wide=0.27):
    x, y = center
    page.add_patch(
        FancyBboxPatch(
            (x - wide / 2, y - high / 2), wide, high, boxstyle="round,pad=0,rounding_size=0.012",
            facecolor=color + "18", edgecolor=color, linewidth=1.5,
        )
    )  # fmt: skip
    step = high / (len(lines) + 1.2)
    top = y + high / 2 - 0.75 * step
    page.text(x, top, name, ha="center", va="center", weight="bold")
    for k, line in enumerate(lines, 1):
        page.text(x, top - k * step, line, ha="center", va="center", fontsize=11)


def _arrow(page, start, end):
    page.add_patch(
        FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=12, color=INK, shrinkA=0,
                        shrinkB=0, linewidth=1.2)
    )  # fmt: skip
