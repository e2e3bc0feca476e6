"""A cut as an electric circuit, solved by Kirchhoff's laws on the graph alone (chapter 2).

Every pixel is a node. Its score enters as a current, a resistor of conductance `ground` leads to
the ground, and one of conductance w_pq joins it to each neighbor. At every node

    current_p = ground_p V_p + sum over neighbors q of w_pq (V_p - V_q).

Nothing here uses `GridSystem`: the two are compared, not derived from each other.
"""

import itertools
import math

import networkx as nx
import numpy as np
import scipy.sparse
import scipy.sparse.linalg
import torch

from softcut_lib import _checks as check
from softcut_lib.grid.edges import axis_offsets, edge_shape

GROUND = "ground"


def grid_circuit(scores, weights, *, offsets=None, ground=1.0):
    """The circuit of one image and one label, as a networkx graph.

    Args:
        scores: (*grid) or (1, 1, *grid), the current that enters at each pixel, in amperes.
        weights: one tensor per offset, (*edge_shape) with or without leading axes of length 1;
            conductances >= 0 in siemens. A weight of zero is no resistor.
        offsets: edge directions; the unit offsets if None.
        ground: conductance to ground, a number or a tensor (*grid), >= 0.

    Returns:
        A `networkx.Graph` whose nodes are the pixels, as tuples such as (0, 2), with the attribute
        `current`, and "ground" where anything leads to it; edges have `conductance`.

    Raises:
        ValueError: more than one image or label, shapes that do not fit, negative conductances.

    Source: thesis, section 2.1, Figs. 7 and 8.

    Example:
        >>> circuit = grid_circuit([[3.0, 0.0]], [torch.zeros(0, 2), torch.ones(1, 1)])
        >>> circuit.edges[(0, 0), (0, 1)]
        {'conductance': 1.0}
        >>> circuit.nodes[0, 0]
        {'current': 3.0}
    """
    offsets = axis_offsets(len(weights)) if offsets is None else offsets
    dim = len(offsets[0])
    current = _one("scores", scores, dim)
    grid = current.shape
    if len(weights) != len(offsets):
        raise ValueError(
            f"weights must hold one tensor per offset, {len(offsets)}, got {len(weights)}"
        )
    if isinstance(ground, int | float):
        to_ground = np.full(grid, float(ground))
    else:
        to_ground = _one("ground", ground, dim)
    if to_ground.shape != grid:
        raise ValueError(f"ground must have the grid's shape {grid}, got {to_ground.shape}")
    _conductances("ground", to_ground)
    circuit = nx.Graph()
    for pixel in np.ndindex(grid):
        circuit.add_node(pixel, current=float(current[pixel]))
    if (to_ground > 0).any():
        circuit.add_node(GROUND, current=0.0)
    for pixel in np.ndindex(grid):
        _connect(circuit, pixel, GROUND, float(to_ground[pixel]))
    for k, (w, offset) in enumerate(zip(weights, offsets)):
        values, shape = _one(f"weights[{k}]", w, dim), edge_shape(grid, offset)
        if values.shape != shape:
            raise ValueError(
                f"weights[{k}] must end in {shape} for offset {tuple(offset)} on the grid {grid}, "
                f"got {values.shape}"
            )
        _conductances(f"weights[{k}]", values)
        # The tail of an edge lies away from the border that its offset points to.
        starts = [range(max(-o, 0), max(-o, 0) + n) for o, n in zip(offset, shape)]
        for tail, value in zip(itertools.product(*starts), values.flat):
            head = tuple(t + o for t, o in zip(tail, offset))
            _connect(circuit, tail, head, float(value))
    return circuit


def node_voltages(circuit, *, held=None):
    """Voltages of all nodes, by Kirchhoff's current law at every node that is not held.

    Args:
        circuit: a graph with `conductance` on its edges and, where a source feeds a node, `current`
            on it; made by `grid_circuit` or by hand.
        held: dict node -> voltage of the nodes kept by a battery; {"ground": 0.0} if None.

    Returns:
        A dict node -> voltage in volts (float64).

    Raises:
        ValueError: a held node that is not there, or a part of the circuit with no held node.

    Source: Kirchhoff's laws; thesis, eqs. 24 and 25.

    Example:
        >>> circuit = grid_circuit([[3.0, 0.0]], [torch.zeros(0, 2), torch.ones(1, 1)])
        >>> {node: round(v, 6) for node, v in node_voltages(circuit).items()}
        {(0, 0): 2.0, (0, 1): 1.0, 'ground': 0.0}
    """
    held = {GROUND: 0.0} if held is None else held
    missing = [node for node in held if node not in circuit]
    if missing or not held:
        raise ValueError(
            f"held must name at least one node of the circuit, got {missing or held}: a voltage is "
            "only defined against one that is known"
        )
    for part in nx.connected_components(_joined(circuit)):
        if part.isdisjoint(held):
            raise ValueError(
                "held must name a node of every connected part, got none in that of "
                f"{next(iter(part))}; connect it to the ground or hold one of its nodes"
            )
    free = {node: k for k, node in enumerate(n for n in circuit if n not in held)}
    rows, columns, entries = [], [], []
    inflow = np.array([circuit.nodes[node].get("current", 0.0) for node in free], dtype=float)
    for node, k in free.items():
        for neighbor, edge in circuit[node].items():
            g = edge["conductance"]
            rows.append(k), columns.append(k), entries.append(g)
            if neighbor in free:
                rows.append(k), columns.append(free[neighbor]), entries.append(-g)
            else:
                inflow[k] += g * held[neighbor]
    voltages = {node: float(held[node]) for node in circuit if node in held}
    if free:
        matrix = scipy.sparse.csc_array((entries, (rows, columns)), shape=(len(free), len(free)))
        solved = scipy.sparse.linalg.spsolve(matrix, inflow).tolist()
        voltages |= dict(zip(free, solved))
    return {node: voltages[node] for node in circuit}


def edge_currents(circuit, voltages):
    """Current through every resistor, by Ohm's law: conductance times voltage drop.

    Args:
        circuit: a graph with `conductance` on its edges.
        voltages: dict node -> voltage.

    Returns:
        A dict (u, v) -> amperes flowing from u to v, one entry for each edge of the graph.

    Raises:
        KeyError: a node without a voltage.

    Source: Ohm's law.

    Example:
        >>> circuit = grid_circuit([[3.0, 0.0]], [torch.zeros(0, 2), torch.ones(1, 1)])
        >>> round(edge_currents(circuit, node_voltages(circuit))[(0, 0), (0, 1)], 6)
        1.0
    """
    return {
        (u, v): g * (voltages[u] - voltages[v]) for u, v, g in circuit.edges(data="conductance")
    }


def kirchhoff_residual(circuit, voltages, *, held=(GROUND,)):
    """Largest violation of Kirchhoff's current law: |in - out| at the worst node, in amperes.

    Args:
        circuit: a graph with `conductance` on its edges and `current` on its nodes.
        voltages: dict node -> voltage.
        held: nodes that a battery feeds, where the law says nothing.

    Returns:
        A float, zero up to rounding for the true voltages.

    Raises:
        KeyError: a node without a voltage.

    Source: Kirchhoff's current law; thesis, eq. 25.

    Example:
        >>> circuit = grid_circuit([[3.0, 0.0]], [torch.zeros(0, 2), torch.ones(1, 1)])
        >>> kirchhoff_residual(circuit, {(0, 0): 3.0, (0, 1): 0.0, "ground": 0.0})
        3.0
    """
    surplus = {node: float(data.get("current", 0.0)) for node, data in circuit.nodes(data=True)}
    for (u, v), current in edge_currents(circuit, voltages).items():
        surplus[u] -= current
        surplus[v] += current
    missed = [abs(s) for node, s in surplus.items() if node not in held]
    return float(np.max(missed, initial=0.0))  # NaN if one is, unlike Python's max


def effective_resistance(circuit, a, b):
    """Resistance between two nodes, as an ohmmeter reads it: V_a - V_b for one ampere from a to b.

    Args:
        circuit: a graph with `conductance` on its edges; its current sources are switched off.
        a, b: two of its nodes.

    Returns:
        Ohms, 0 where a is b, infinity where nothing connects them.

    Raises:
        ValueError: a node that is not there.

    Source: Doyle and Snell 1984, chapter 1.3; Klein and Randic 1993.

    Example:
        >>> circuit = grid_circuit([[3.0, 0.0]], [torch.zeros(0, 2), torch.ones(1, 1)])
        >>> round(effective_resistance(circuit, (0, 0), (0, 1)), 6)      # 1 ohm beside 1 + 1 ohm
        0.666667
    """
    for name, node in (("a", a), ("b", b)):
        if node not in circuit:
            raise ValueError(f"{name} must be a node of the circuit, got {node!r}")
    if a == b:
        return 0.0
    part = nx.node_connected_component(_joined(circuit), a)
    if b not in part:
        return math.inf
    probe = nx.Graph(circuit.subgraph(part))
    nx.set_node_attributes(probe, 0.0, "current")
    probe.nodes[a]["current"] = 1.0
    return node_voltages(probe, held={b: 0.0})[a]


def _joined(circuit):
    """The nodes and the resistors that join them; an open one, of conductance 0, does not."""
    joined = nx.Graph((u, v) for u, v, g in circuit.edges(data="conductance") if g)
    joined.add_nodes_from(circuit)
    return joined


def _connect(circuit, u, v, conductance):
    """Add a resistor; a second one between the same nodes is in parallel, conductances add."""
    if conductance > 0:
        if circuit.has_edge(u, v):
            conductance += circuit.edges[u, v]["conductance"]
        circuit.add_edge(u, v, conductance=conductance)


def _one(name, values, dim):
    """One image and one label as a float64 array with `dim` axes."""
    values = torch.as_tensor(values).detach().cpu()
    leading = values.shape[: max(values.dim() - dim, 0)]
    if values.dim() < dim or len(leading) > 2 or any(n != 1 for n in leading):
        raise ValueError(
            f"{name} must have {dim} axes, or more with leading axes of length 1 (one image, one "
            f"label), got shape {tuple(values.shape)}"
        )
    check.finite(name, values)
    return values.reshape(values.shape[len(leading) :]).double().numpy()


def _conductances(name, values):
    check.at_least_zero(name, torch.from_numpy(values))
