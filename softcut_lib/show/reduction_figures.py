"""Pictures of circuits that shrink: soldered, reduced, eliminated node by node (chapter 6)."""

import math

import networkx as nx
import numpy as np
from matplotlib import colormaps
from matplotlib.colors import ListedColormap, to_rgb
from matplotlib.patches import Circle, FancyArrowPatch, Patch

from softcut_lib.circuits.network import GROUND
from softcut_lib.show.style import COLORS, SCORES, canvas, picture, styled

__all__ = ["circuits", "fill"]

INK, WIRE, GHOST, NEW = "#333333", "#6b7785", "#c9ced6", COLORS[1]
PATTERN = ListedColormap(["white", "#20242c", NEW])


@styled
def circuits(
    graphs, *, titles=None, places=None, original=None, voltages=None, columns=None, values=False,
    height=None, alt,
):  # fmt: skip
    """Draw circuits side by side: thick lines conduct well, short stubs lead to the ground.

    Args:
        graphs: one networkx graph or a list, with `conductance` on the edges.
        titles: one string each.
        places: dict node -> (row, column), for all or a list of one each; nodes that are pixels
            such as (0, 2) stand at their own place if None.
        original: the circuit that they came from, or a list of one (or None) each: resistors that
            it lacks are orange, nodes that are gone leave a pale ring.
        voltages: a list of dicts node -> volts, one each, which color the nodes.
        columns: panels in a row; at most 3 if None.
        values: write the conductances beside the resistors.
        height: inches of a row of panels; from the grid's shape if None.
        alt: the alternative text.

    Returns:
        A `Picture`.

    Raises:
        ValueError: a node without a place, or no alternative text.

    Example:
        >>> from softcut_lib import grid_circuit, star_mesh
        >>> row = grid_circuit([1.0, 0.0, 2.0], [[1.0, 3.0]])
        >>> circuits([row, star_mesh(row, (1,))], original=row, alt="A row and its outer nodes.")
        [figure: A row and its outer nodes.]
    """
    graphs = [graphs] if isinstance(graphs, nx.Graph) else list(graphs)
    known = original if isinstance(original, list) else [original] * len(graphs)
    named = places if isinstance(places, list) else [places] * len(graphs)
    spots = [_places(*one) for one in zip(graphs, known, named, strict=True)]
    columns = min(columns or 3, len(graphs))
    rows = math.ceil(len(graphs) / columns)
    points = np.array([at for spot in spots for at in spot.values()])
    low, high = points.min(0), points.max(0)
    across, up = high - low + 1.1
    wide = min(6.4 / columns, 4.2)
    tall = height or min(max(wide * up / across, 0.9), 4.4)
    fig, axes = canvas(
        rows, columns, width=wide * columns, height=rows * (tall + (0.35 if titles else 0.1))
    )
    width = _widths(graphs)
    reach = max((abs(v) for one in voltages or [] for v in one.values()), default=1) or 1
    for ax in axes.flat[len(graphs) :]:
        ax.set_axis_off()
    for k, (ax, graph, spot, before) in enumerate(zip(axes.flat, graphs, spots, known)):
        panel = _Panel(ax, spot, width, before, values, before is not None and named[k] is None)
        for u, v, w in graph.edges(data="conductance"):
            panel.resistor(u, v, w)
        gone = [] if before is None else [n for n in before if n not in graph]
        for node in gone:
            panel.node(node, "white", GHOST)
        for node in graph:
            if node != GROUND:
                color = "white" if voltages is None else _color(voltages[k][node], reach)
                panel.node(node, color, INK)
        ax.set_xlim(low[0] - 0.55, high[0] + 0.55)
        ax.set_ylim(low[1] - 0.55, high[1] + 0.55)
        ax.set_aspect("equal")
        ax.set_axis_off()
        if titles:
            ax.set_title(titles[k])
    return picture(fig, alt)


class _Panel:
    """One circuit on its axes."""

    def __init__(self, ax, place, width, original, values, bent):
        self.ax, self.place, self.width, self.values = ax, place, width, values
        self.original, self.bent = original, bent  # bent: lines of pixels would hide each other
        many = len([n for n in place if n != GROUND])
        self.radius = 0.17 if many <= 30 else 0.2

    def resistor(self, u, v, conductance):
        width = self.width(conductance)
        if GROUND in (u, v):
            self.stub(self.place[v if u == GROUND else u], width)
            return
        start, end = self.place[u], self.place[v]
        new = self.original is not None and not self.original.has_edge(u, v)
        bend = 0.18 if self.bent and np.linalg.norm(end - start) > 1.5 else 0.0
        self.ax.add_patch(
            FancyArrowPatch(
                start, end, arrowstyle="-", connectionstyle=f"arc3,rad={bend}", linewidth=width,
                color=_pale(NEW if new else WIRE, width), shrinkA=0, shrinkB=0,
                zorder=1 + 0.1 * width + (not new),
            )
        )  # fmt: skip
        if self.values:
            self.ax.text(
                *((start + end) / 2), f"{conductance:.3g}", ha="center", va="center", fontsize=11,
                color=NEW if new else INK, zorder=5,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0},
            )  # fmt: skip

    def stub(self, at, width):
        down = np.array([0.24, -0.24])
        end = at + 1.25 * down
        self.ax.plot(*np.array([at, end]).T, color=GHOST, linewidth=width, zorder=0)
        side = np.array([0.08, 0.08])
        for k in range(3):
            bar = end + 0.16 * k * down + np.outer([-1, 1], side * (1 - 0.3 * k))
            self.ax.plot(*bar.T, color="#9aa3af", linewidth=1.0, zorder=0)

    def node(self, node, face, edge):
        if node != GROUND:
            self.ax.add_patch(
                Circle(self.place[node], self.radius, facecolor=face, edgecolor=edge, zorder=4)
            )


def _places(graph, original, places):
    """node -> (x, y), rows downwards."""
    found = {}
    for node in {*graph, *(original or ())} - {GROUND}:
        at = node if places is None else places.get(node)
        if not isinstance(at, tuple) or len(at) not in (1, 2):
            raise ValueError(f"places must give (row, column) for every node, got {at} for {node}")
        row, column = at if len(at) == 2 else (0, at[0])
        found[node] = np.array([column, -row], float)
    return found


def _widths(graphs):
    """Line width of a conductance: the same scale in all panels, logarithmic."""
    logs = [math.log(w) for graph in graphs for *_, w in graph.edges(data="conductance")]
    low, high = (min(logs), max(logs)) if logs else (0, 0)
    low = max(low, high - math.log(1e4))
    span = high - low

    def width(conductance):
        share = (math.log(conductance) - low) / span if span > 1e-9 else 0.4
        return 0.5 + 3.7 * min(max(share, 0.0), 1.0)

    return width


def _pale(color, width):
    """The thinner a line, the paler: solid, so that a dense web keeps few colors."""
    share = min(0.4 + 0.25 * round(width), 1.0)
    return tuple(1 - share * (1 - c) for c in to_rgb(color))


def _color(voltage, reach):
    return colormaps[SCORES](0.5 + 0.5 * voltage / reach)


@styled
def fill(stars, *, titles=None, alt):
    """Elimination orders as triangular matrices: resistors that were there, and those that came.

    Args:
        stars: a list of orders, each a list of (node, its neighbors when it is eliminated), the
            neighbors in the original circuit as a third entry.
        titles: one string each.
        alt: the alternative text.

    Returns:
        A `Picture`.

    Example:
        >>> middle_first = [(1, {0, 2}, {0, 2}), (0, {2}, {1}), (2, set(), {1})]
        >>> fill([middle_first], alt="A matrix of three nodes with one new entry.")
        [figure: A matrix of three nodes with one new entry.]
    """
    columns = min(len(stars), 3)
    rows, wide = math.ceil(len(stars) / columns), min(6.4 / columns, 4.0)
    fig, axes = canvas(rows, columns, width=wide * columns, height=rows * (wide + 0.3) + 0.4)
    for ax in axes.flat[len(stars) :]:
        ax.set_axis_off()
    for k, (ax, order) in enumerate(zip(axes.flat, stars)):
        number = {node: i for i, (node, *_) in enumerate(order)}
        pattern = np.zeros((len(order), len(order)), int)
        for node, star, known in order:
            pattern[number[node], number[node]] = 1
            for other in star:
                pattern[number[other], number[node]] = 1 if other in known else 2
        ax.imshow(pattern, cmap=PATTERN, vmin=0, vmax=2, interpolation="nearest")
        ax.set_xticks([])
        ax.set_yticks([])
        ax.grid(False)
        ax.spines[:].set_visible(True)
        ax.spines[:].set_color("#999999")
        if titles:
            ax.set_title(titles[k])
    keys = [Patch(color=PATTERN(i), label=text) for i, text in ((1, "was there"), (2, "fill"))]
    fig.legend(handles=keys, loc="outside lower center", ncols=2)
    return picture(fig, alt)
