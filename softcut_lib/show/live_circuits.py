"""A circuit that a reader changes in the page: Kirchhoff's law holds at every setting (chapter 2).

    sum over resistors pq of w_pq (x_p - x_q) = current_p       at every node p but the ground

`resistors.js` solves this by elimination, with no kernel and nothing from outside.
"""

import json
from pathlib import Path

from softcut_lib.circuits.network import GROUND, node_voltages
from softcut_lib.show.networks import circuit
from softcut_lib.show.style import check_alt

__all__ = ["live_circuit"]

SCRIPT = Path(__file__).with_name("resistors.js")
MOST = 36  # nodes: each is a place to click


class LiveCircuit:
    """A circuit with its controls; shows itself as the last expression of a cell."""

    def __init__(self, graph, alt):
        self.graph, self.alt = graph, alt

    def __repr__(self):
        return f"[live circuit: {self.alt}]"

    def html(self):
        """The figure as one piece of HTML that needs nothing else."""
        data = json.dumps(_plain(self.graph))
        about = json.dumps(self.alt).replace("</", "<\\/")
        start = (
            'for (const host of document.querySelectorAll(".softcut-circuit")) {\n'
            f"  if (!host.shadowRoot) {{ mountCircuit(host, {data}, {about}); break; }}\n}}"
        )
        return (
            '<div class="softcut-circuit"></div>\n'
            f'<script type="module">\n{SCRIPT.read_text(encoding="utf-8")}\n{start}\n</script>'
        )

    def _repr_mimebundle_(self, include=None, exclude=None):
        still = circuit(self.graph, node_voltages(self.graph), alt=self.alt)  # for a printed book
        data, about = still._repr_mimebundle_()
        return data | {"text/html": self.html(), "text/plain": repr(self)}, about


def live_circuit(graph, *, alt):
    """A grid circuit whose resistors and sources a reader changes, with voltages and currents.

    Args:
        graph: made by `grid_circuit` on a grid of one or two axes, at most 36 pixels, every
            connected part of it grounded.
        alt: the alternative text.

    Returns:
        `LiveCircuit`, which shows itself as the last expression of a cell, alive in a notebook and
        on a static page alike.

    Raises:
        ValueError: too many pixels, another grid, no ground, or no alternative text.

    Source: thesis, section 2.1, Fig. 8.

    Example:
        >>> from softcut_lib import grid_circuit
        >>> live_circuit(grid_circuit([3.0, 0.0], [[1.0]]), alt="Two pixels and one resistor.")
        [live circuit: Two pixels and one resistor.]
    """
    alt = check_alt(alt)
    pixels = [node for node in graph if node != GROUND]
    if not 1 <= len(pixels) <= MOST or any(len(pixel) > 2 for pixel in pixels):
        raise ValueError(
            f"graph must be a circuit on a grid of one or two axes with 1 to {MOST} pixels, got "
            f"{len(pixels)}"
        )
    node_voltages(graph)  # refuses what has no single answer
    return LiveCircuit(graph, alt)


def _plain(graph):
    """Nodes and edges as lists; the ground is number -1 and comes second."""
    pixels = [node for node in graph if node != GROUND]
    number = {node: k for k, node in enumerate(pixels)} | {GROUND: -1}
    nodes = [
        {"name": f"({', '.join(map(str, node))})", "i": node[0] if len(node) == 2 else 0,
         "j": node[-1], "current": graph.nodes[node].get("current", 0.0)}
        for node in pixels
    ]  # fmt: skip
    edges = []
    for p, q, conductance in graph.edges(data="conductance"):
        a, b = sorted((number[p], number[q]), reverse=min(number[p], number[q]) < 0)
        edges.append({"a": a, "b": b, "conductance": conductance})
    return {"nodes": nodes, "edges": edges}
