"""Nodes of a circuit eliminated: the equivalent circuit on the nodes that are kept (chapter 6).

A node e whose voltage nobody asks for is a star of resistors. A mesh between its neighbors takes
its place, and its current goes to them in the same shares:

    w_ij <- w_ij + w_ie w_je / W_e,      current_i <- current_i + current_e w_ie / W_e,

with W_e the sum of the conductances at e. Node after node this is Gaussian elimination, a Schur
complement of Kirchhoff's equations, without a single subtraction: nothing cancels, so a tiny
conductance to ground survives beside huge ones.
"""

import networkx as nx

from softcut_lib.circuits.network import GROUND


def star_mesh(circuit, node):
    """The equivalent circuit without one node: its star of resistors becomes a mesh.

    w_ij + w_ie w_je / W_e between any two neighbors i, j of the node e; W_e = sum of w_ie

    Args:
        circuit: a `networkx.Graph` with `conductance` on its edges, `current` on its nodes.
        node: the node to eliminate.

    Returns:
        A new graph without it. Three neighbors: star-delta; two: resistances in series; one: the
        resistor carries the node's current and nothing else, and drops out.

    Raises:
        ValueError: the node is not there, is the ground, or has no resistor.
        TypeError: not a plain `networkx.Graph`.

    Source: Kennelly 1899 (three resistors); Rosen 1924 (any number).

    Example:
        >>> star = nx.Graph()
        >>> star.add_weighted_edges_from([("e", k, 3.0) for k in "abc"], weight="conductance")
        >>> sorted(star_mesh(star, "e").edges(data="conductance"))
        [('a', 'b', 1.0), ('a', 'c', 1.0), ('b', 'c', 1.0)]
    """
    _check(circuit)
    if node not in circuit or node == GROUND:
        raise ValueError(f"node must be a node of the circuit other than the ground, got {node!r}")
    reduced = nx.Graph(circuit)
    _eliminate(reduced, node)
    return reduced


def kron_reduce(circuit, keep):
    """The equivalent circuit on some nodes of a circuit: all others are eliminated.

    K = A_kk - A_ke A_ee^-1 A_ek,      p' = p_k - A_ke A_ee^-1 p_e       (k kept, e eliminated)

    Whatever is connected to the kept nodes, batteries or other circuits, cannot tell the two
    apart: voltages at the kept nodes, currents into them and resistances between them agree.

    Args:
        circuit: a `networkx.Graph` with `conductance` > 0 on its edges (siemens) and, where a
            source feeds a node, `current` on it (amperes), as `grid_circuit` makes it.
        keep: the nodes to keep, any iterable; "ground" is kept whether named or not.

    Returns:
        A new `networkx.Graph` on the kept nodes, in the order of the circuit, with `conductance`
        on its edges and `current` on its nodes; other attributes of the kept nodes stay. The
        ground takes its share of the eliminated nodes' currents, too.

    Raises:
        ValueError: an unknown node, no node to keep, a conductance that is not positive, or a part
            of the circuit in which nothing is kept.
        TypeError: not a plain `networkx.Graph`.

    Source: Kron 1939; Dorfler and Bullo 2013, section II.

    Example:
        >>> from softcut_lib import grid_circuit
        >>> row = grid_circuit([1.0, 2.0, 0.0], [[2.0, 2.0]], ground=[0.0, 0.0, 1.0])
        >>> ends = kron_reduce(row, [(0,), (2,)])
        >>> ends.edges[(0,), (2,)], ends.nodes[(0,)]      # in series; half of the 2 amperes
        ({'conductance': 1.0}, {'current': 2.0})
    """
    _check(circuit)
    keep = set(keep)
    unknown = [node for node in keep if node not in circuit]
    if unknown:
        raise ValueError(f"keep must name nodes of the circuit, got {unknown[0]!r}")
    kept = keep | ({GROUND} & set(circuit))
    if not kept:
        raise ValueError("keep must name at least one node of a circuit without ground, got none")
    for part in nx.connected_components(circuit):
        if part.isdisjoint(kept):
            raise ValueError(
                "keep must name a node of every connected part that has no ground, got none in "
                f"that of {next(iter(part))!r}: its voltage is against nothing"
            )
    reduced = nx.Graph(circuit)
    rest = [node for node in circuit if node not in kept]
    while rest:  # fewest neighbors first: the smallest mesh
        node = min(rest, key=reduced.degree)
        rest.remove(node)
        _eliminate(reduced, node)
    return reduced


def _eliminate(circuit, node):
    """Replace one node's star by a mesh, in place."""
    star = [(i, edge["conductance"]) for i, edge in circuit[node].items()]
    if not star:
        raise ValueError(f"node {node!r} has no resistor: its voltage is not determined")
    total, current = sum(w for _, w in star), circuit.nodes[node].get("current", 0.0)
    circuit.remove_node(node)
    for k, (i, w) in enumerate(star):
        share = w / total
        circuit.nodes[i]["current"] = circuit.nodes[i].get("current", 0.0) + share * current
        for j, other in star[:k]:
            present = circuit.edges[i, j]["conductance"] if circuit.has_edge(i, j) else 0.0
            circuit.add_edge(i, j, conductance=present + share * other)


def _check(circuit):
    if type(circuit) is not nx.Graph:
        raise TypeError(f"circuit must be a networkx.Graph, got {type(circuit).__name__}")
    for u, v, w in circuit.edges(data="conductance"):
        if w is None or not w > 0 or u == v:
            raise ValueError(
                "circuit must have a conductance above 0 on every edge, which joins two nodes, got "
                f"{w} from {u!r} to {v!r}"
            )
