"""Drawings of circuits and of flow networks (chapters 1 and 2).

In a circuit a resistor's line is the thicker the better it conducts, a node's color is its voltage,
and arrows show the current. In a flow network the source stands above the pixels, the sink below.
"""

import math

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.colors import Normalize
from matplotlib.patches import Circle, FancyArrowPatch

from softcut_lib.circuits.network import GROUND, edge_currents
from softcut_lib.show.style import COLORS, SCORES, blank, picture, styled

__all__ = ["circuit", "flow_network"]

INK, GRAY = "#333333", "#777777"
FEED, DRAIN = "#b2182b", "#2166ac"


@styled
def circuit(graph, voltages=None, *, title="", values=None, reach=None, alt=None):
    """Draw a grid circuit: resistors, sources, ground, and where known voltages and currents.

    Args:
        graph: made by `grid_circuit` on a grid of one or two axes.
        voltages: dict node -> volts, of `node_voltages`; colors the nodes and adds current arrows.
        title: text above.
        values: write conductances and voltages in; only on small grids if None.
        reach: voltage of the strongest color; the largest source or voltage if None.
        alt: the alternative text; made from the circuit if None.

    Returns:
        A `Picture`.

    Example:
        >>> from softcut_lib import grid_circuit, node_voltages
        >>> two = grid_circuit([[3.0, 0.0]], [torch.zeros(0, 2), torch.ones(1, 1)])
        >>> circuit(two, node_voltages(two))
        [figure: A circuit of 2 pixels and 3 resistors; voltages from 1 to 2 V.]
    """
    pixels = [node for node in graph if node != GROUND]
    place = {n: np.array([n[-1], -n[0] if len(n) > 1 else 0.0], float) for n in pixels}
    h, w = (1 + int(max(abs(p[k]) for p in place.values())) for k in (1, 0))
    values = h * w <= 16 if values is None else values
    sources = {node: graph.nodes[node].get("current", 0.0) for node in pixels}
    if reach is None:
        seen = [*sources.values(), *(voltages or {}).values()]
        reach = max([abs(v) for v in seen] + [1e-12])
    unit = min(6.2 / (w + 0.4), 1.75)
    below, above = (0.8, 0.5) if h == 1 else (0.6, 0.48)
    fig = blank(max(unit * (w + 0.4), 2.6), unit * (h - 1 + above + below) + 0.3 * bool(title))
    ax = fig.add_axes([0, 0, 1, 1])
    ax.set_axis_off()
    half = fig.get_figwidth() / unit / 2
    ax.set_xlim((w - 1) / 2 - half, (w - 1) / 2 + half)
    ax.set_ylim(1 - h - below, 1 - h - below + fig.get_figheight() / unit)
    ax.text(0.5, 0.99, title, transform=ax.transAxes, ha="center", va="top", fontsize=12)
    currents = edge_currents(graph, voltages) if voltages else {}
    pen = _Pen(ax, unit, reach, values, h == 1, currents)
    for u, v, g in graph.edges(data="conductance"):
        if GROUND in (u, v):
            pen.grounded(place[u if v == GROUND else v], g)
        else:
            pen.resistor(place[u], place[v], g, currents.get((u, v), 0.0))
    for node in pixels:
        pen.node(place[node], sources[node], None if voltages is None else voltages[node])
    if alt is None:
        alt = f"A circuit of {_count(len(pixels), 'pixel')} and "
        alt += _count(graph.number_of_edges(), "resistor")
        if voltages is not None:
            volts = [voltages[node] for node in pixels]
            alt += f"; voltages from {min(volts):.3g} to {max(volts):.3g} V"
        alt += "."
    return picture(fig, alt)


class _Pen:
    """Draws the parts of a circuit diagram; one grid step is one unit."""

    def __init__(self, ax, unit, reach, values, flat, currents):
        self.ax, self.unit, self.values, self.flat = ax, unit, values, flat
        self.color = lambda v: colormaps[SCORES](Normalize(-reach, reach)(v))
        self.radius = 0.17 if values else 0.2
        self.font = min(11.0, 7.0 * unit)
        self.thin = min(1, unit)
        self.strongest = max([abs(i) for i in currents.values()] + [1e-12])

    def thickness(self, conductance):
        """Line width: 1.6 points at one siemens, one more for every decade."""
        return float(np.clip(1.6 + math.log10(conductance), 0.4, 5.0)) * self.thin

    def resistor(self, start, end, conductance, current):
        along = (end - start) / np.linalg.norm(end - start)
        across = np.array([-along[1], along[0]])
        upright = abs(along[1]) > abs(along[0])
        middle = (start + end) / 2
        self.zigzag(start, end, 0.16, 0.055, INK, self.thickness(conductance), 1)
        # names above and to the left of a resistor, where no resistor to ground is in the way
        if self.values:
            shift = np.array([-0.1, 0.08]) if upright else np.array([0.0, 0.14])
            ha = "right" if upright else "center"
            self.write(middle + shift, f"{conductance:.3g} S", INK, ha)
        if abs(current) > 1e-3 * self.strongest:
            forward = along * np.sign(current) * (0.14 + 0.22 * abs(current) / self.strongest)
            side = across if across @ np.array([1.0, -1.0]) > 0 else -across
            self.arrow(middle + side * 0.11 - forward / 2, forward, COLORS[2])

    def grounded(self, at, conductance):
        """A resistor to ground: straight down below a chain, slanted in a grid."""
        along = np.array([0.0, -1.0]) if self.flat else np.array([1.0, -1.0]) / math.sqrt(2)
        across = np.array([-along[1], along[0]])
        first, last = self.radius, 0.62 if self.flat else 0.54
        width = 0.8 * self.thickness(conductance)
        self.zigzag(at + first * along, at + last * along, 0.1, 0.035, GRAY, width, 0)
        for k, half in enumerate((0.08, 0.05, 0.02)):
            bar = at + (last + 0.03 * k) * along + np.array([[-half], [half]]) * across
            self.ax.plot(*bar.T, color=GRAY, linewidth=1.3 * self.thin, zorder=0)

    def node(self, at, source, voltage):
        face = "white" if voltage is None else self.color(voltage)
        self.ax.add_patch(
            Circle(at, self.radius, facecolor=face, edgecolor=INK, linewidth=1.2, zorder=2)
        )
        if voltage is not None and self.values:
            dark = np.dot(face[:3], (0.3, 0.59, 0.11)) < 0.5
            self.write(at, f"{voltage:.2f}", "white" if dark else "black")
        if source:
            # a source that feeds points into the node, one that drains points out of it
            tip, away = at + 0.71 * self.radius * np.array([-1, 1]), np.array([-0.17, 0.17])
            color = FEED if source > 0 else DRAIN
            self.arrow(*((tip + away, -away) if source > 0 else (tip, away)), color)
            if self.values:
                self.write(tip + away + np.array([0.04, 0.06]), f"{source:.3g} A", color)

    def zigzag(self, start, end, half, swing, color, width, zorder):
        middle, along = (start + end) / 2, (end - start) / np.linalg.norm(end - start)
        across = np.array([-along[1], along[0]])
        spots = np.linspace(-half, half, 9)
        sides = swing * np.array([0, 1, -1, 1, -1, 1, -1, 1, 0])
        teeth = [middle + t * along + s * across for t, s in zip(spots, sides)]
        self.ax.plot(
            *np.array([start, *teeth, end]).T, color=color, linewidth=width, zorder=zorder,
            solid_joinstyle="round",
        )  # fmt: skip

    def arrow(self, start, step, color):
        arrow = FancyArrowPatch(
            start, start + step, arrowstyle="-|>", mutation_scale=9 * self.thin**1.5, color=color,
            linewidth=1.6 * self.thin, shrinkA=0, shrinkB=0, zorder=3,
        )  # fmt: skip
        self.ax.add_patch(arrow)

    def write(self, at, text, color, ha="center"):
        self.ax.text(*at, text, ha=ha, va="center", fontsize=self.font, color=color, zorder=4)


@styled
def flow_network(scores, weights, *, flow=None, labels=None, title="", alt=None):
    """Draw the flow network of a small image: source, pixels, sink, and the capacities.

    Args:
        scores: (h, w) or with leading axes of length 1; positive ones are fed by the source,
            negative ones drained by the sink.
        weights: [C, R], capacities between neighbors, equal in both directions.
        flow: dict of dicts, flow[u][v] from u to v, with nodes "s", "t" and pixels (i, j), as
            networkx returns it; written before the capacity.
        labels: bool (h, w), true for the source's side; the edges of the cut are dashed.
        title: text above.
        alt: the alternative text; made from the network if None.

    Returns:
        A `Picture`.

    Raises:
        ValueError: more than 16 pixels.

    Source: thesis, Fig. 1 (our own drawing).

    Example:
        >>> flow_network(torch.tensor([[2.0, -1.0]]), [torch.zeros(0, 2), torch.ones(1, 1)])
        [figure: The flow network of 2 pixels with 1 edge; the source feeds 1, the sink drains 1.]
    """
    scores, weights = _plain(scores), [_plain(w) for w in weights]
    h, w = scores.shape
    if h * w > 16:
        raise ValueError(f"scores must have at most 16 pixels to be drawn, got {h} x {w}")
    # Slanted columns, and terminals off their directions, keep the lines apart.
    place = {
        (i, j): np.array([2.0 * j + 0.62 * (h - 1 - i), -1.15 * i]) for i, j in np.ndindex(h, w)
    }
    middle = np.mean(list(place.values()), 0)
    corner = np.array([-1.1 * (w - 1), 0.575 * (h - 1) + 2.0])
    place |= {"s": middle + corner, "t": middle - corner}
    side = {"s": True, "t": False}
    if labels is not None:
        side |= {p: bool(_plain(labels)[p]) for p in np.ndindex(h, w)}
    pixels = [p for p in np.ndindex(h, w) if scores[p]]
    edges = [("s", p, scores[p]) if scores[p] > 0 else (p, "t", -scores[p]) for p in pixels]
    for (di, dj), values in zip(((1, 0), (0, 1)), weights):
        edges += [((i, j), (i + di, j + dj), g) for (i, j), g in np.ndenumerate(values) if g > 0]
    span = np.ptp(np.array(list(place.values())), 0) + 0.8
    fig = blank(6.4, 6.4 * (span[1] + 0.35 * bool(title)) / max(span[0], 5.5))
    ax = fig.add_axes([0, 0, 1, 1])
    ax.set_axis_off()
    reach = max(span[0], 5.5) / 2
    ax.set_xlim(middle[0] - reach, middle[0] + reach)
    ax.set_ylim(middle[1] - span[1] / 2, middle[1] + span[1] / 2 + 0.35 * bool(title))
    crossed = 0.0
    for u, v, capacity in edges:
        crossing = labels is not None and side[u] != side[v]
        crossed += capacity * crossing
        _capacity(ax, place, u, v, capacity, flow, crossing)
    for node, at in place.items():
        face = {True: "#f4a582", False: "#92c5de"}.get(side.get(node), "white")
        ax.add_patch(Circle(at, 0.27, facecolor=face, edgecolor=INK, linewidth=1.2, zorder=4))
        name = node if isinstance(node, str) else f"{node[0]}{node[1]}"
        ax.text(*at, name, ha="center", va="center", fontsize=12, zorder=5)
    ax.text(0.5, 0.99, title, transform=ax.transAxes, ha="center", va="top", fontsize=12)
    if alt is None:
        alt = (
            f"The flow network of {_count(scores.size, 'pixel')} with "
            f"{_count(len(edges) - len(pixels), 'edge')}; the source feeds {(scores > 0).sum()}, "
            f"the sink drains {(scores < 0).sum()}"
        )
        if flow is not None:
            alt += f"; a flow of {sum(flow.get('s', {}).values()):g} runs through it"
        if labels is not None:
            alt += f"; the dashed edges of the cut have capacity {crossed:g}"
        alt += "."
    return picture(fig, alt)


def _capacity(ax, place, u, v, capacity, flow, crossing):
    """One edge with its capacity, or with flow/capacity and its direction."""
    start, end = place[u], place[v]
    edge = 72 * ax.figure.get_figwidth() / np.ptp(ax.get_xlim()) * 0.28  # points
    terminal = u == "s" or v == "t"
    net = 0.0
    if flow is not None:
        net = flow.get(u, {}).get(v, 0) - flow.get(v, {}).get(u, 0)
    color = COLORS[1] if crossing else COLORS[0] if abs(net) > 1e-9 else "#8a8a8a"
    line = FancyArrowPatch(
        start, end, color=color, shrinkA=edge, shrinkB=edge, zorder=1 if terminal else 2,
        arrowstyle="-|>" if terminal or net > 1e-9 else "<|-" if net < -1e-9 else "-",
        linewidth=1.0 + 0.6 * math.log2(1 + capacity), mutation_scale=11,
        linestyle=(0, (3, 2)) if crossing else "-",
    )  # fmt: skip
    ax.add_patch(line)
    text = f"{capacity:g}" if flow is None else f"{abs(net):g}/{capacity:g}"
    share = 0.33 if u == "s" else 0.67 if v == "t" else 0.5
    ax.text(
        *(start + share * (end - start)), text, ha="center", va="center", fontsize=11, zorder=3,
        color=color if crossing or abs(net) > 1e-9 else "#555555",
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8, "alpha": 0.9},
    )  # fmt: skip


def _count(number, thing):
    return f"{number} {thing}{'s' * (number != 1)}"


def _plain(values):
    values = torch.as_tensor(values).detach().cpu()
    while values.dim() > 2 and values.shape[0] == 1:
        values = values[0]
    return values.numpy()
