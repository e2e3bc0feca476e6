"""Theorems about Kron reduction: equivalent circuits, determinants, variances (chapter 6).

`reduce(circuit, keep)` and `eliminate(circuit, node)` take networkx graphs as `grid_circuit` makes
them; the ground is never eliminated.
"""

import itertools
import math

import networkx as nx
import numpy as np
import torch

from softcut_lib.circuits.network import (
    GROUND,
    edge_currents,
    effective_resistance,
    grid_circuit,
    node_voltages,
)
from softcut_lib.theorems.circuits import random_circuit
from softcut_lib.theorems.linear_system import random_system


def _some(circuit, generator, share=0.5):
    """A random part of the nodes other than the ground, at least two."""
    nodes = [node for node in circuit if node != GROUND]
    count = max(2, round(share * len(nodes)))
    return [nodes[k] for k in torch.randperm(len(nodes), generator=generator)[:count].tolist()]


def matrix_of(circuit, nodes):
    """(matrix of Kirchhoff's equations, currents) on some nodes of a circuit; the ground at 0."""
    number = {node: k for k, node in enumerate(nodes)}
    A = np.zeros((len(nodes), len(nodes)))
    for u, v, w in circuit.edges(data="conductance"):
        for a, b in ((u, v), (v, u)):
            if a in number:
                A[number[a], number[a]] += w
                if b in number:
                    A[number[a], number[b]] -= w
    return A, np.array([circuit.nodes[n].get("current", 0.0) for n in nodes])


def reduction_is_the_schur_complement(reduce, *, generator, offsets=None):
    """The equivalent circuit's matrix is A_kk - A_ke A_ee^-1 A_ek, its currents reduced alike."""
    circuit = random_circuit(generator, offsets=offsets)
    keep = _some(circuit, generator)
    rest = [n for n in circuit if n not in (*keep, GROUND)]
    reduced = reduce(circuit, keep)
    assert set(reduced) == {*keep, GROUND}, (
        f"the equivalent circuit must have the kept nodes and the ground, got {list(reduced)}"
    )
    A, p = matrix_of(circuit, keep + rest)
    k = len(keep)
    reach = A[:k, k:] @ np.linalg.inv(A[k:, k:])
    S, currents = matrix_of(reduced, keep)
    gap = abs(S - (A[:k, :k] - reach @ A[k:, :k])).max() / abs(A).max()
    assert gap <= 1e-10, (
        f"the equivalent circuit must have the Schur complement as its matrix, off by {gap:.2g}; "
        "is a new resistor added to the one that is there already?"
    )
    gap = abs(currents - (p[:k] - reach @ p[k:])).max()
    assert gap <= 1e-10 * max(1, abs(p).max()), (
        f"an eliminated node's current must go to its neighbors in the shares w_ie / W_e, off by "
        f"{gap:.2g} A"
    )


def reduction_is_equivalent(reduce, *, generator):
    """Voltages at kept nodes and currents out of batteries do not change."""
    circuit = random_circuit(generator)
    keep = _some(circuit, generator, 0.4)
    reduced = reduce(circuit, keep)
    for held in ({GROUND: 0.0}, {GROUND: 0.0, keep[0]: 2.0}, {keep[0]: -1.0, keep[1]: 3.0}):
        whole, part = node_voltages(circuit, held=held), node_voltages(reduced, held=held)
        gap = np.max([abs(whole[node] - part[node]) for node in (*keep, GROUND)])
        assert gap <= 1e-8, (
            f"with {list(held)} held, kept nodes must keep their voltages, one moves by {gap:.2g} V"
        )
        for node in held:
            fed = [_out(c, v, node) for c, v in ((circuit, whole), (reduced, part))]
            assert abs(fed[0] - fed[1]) <= 1e-8 * max(1, abs(fed[0])), (
                f"the battery at {node} must feed {fed[0]:.6g} A as before, got {fed[1]:.6g} A"
            )


def _out(circuit, voltages, node):
    """What a battery at a node adds: the current that leaves it less its own source."""
    currents = edge_currents(circuit, voltages).items()
    leaving = sum(i if u == node else -i for (u, v), i in currents if node in (u, v))
    return leaving - circuit.nodes[node].get("current", 0.0)


def reduction_is_a_circuit(reduce, *, generator):
    """No negative resistor, no conductance that falls, and paths stay paths."""
    circuit = random_circuit(generator)
    keep = _some(circuit, generator)
    reduced = reduce(circuit, keep)
    for u, v, w in reduced.edges(data="conductance"):
        assert w > 0, f"every conductance must be positive, got {w:.3g} between {u} and {v}"
    for u, v, w in circuit.subgraph([*keep, GROUND]).edges(data="conductance"):
        now = reduced.edges[u, v]["conductance"] if reduced.has_edge(u, v) else 0.0
        assert now >= w * (1 - 1e-12), (
            f"elimination only adds resistors in parallel: from {u} to {v} the conductance must "
            f"be at least {w:.4g}, got {now:.4g}"
        )


def resistances_are_kept(reduce, *, generator):
    """Effective resistances between kept nodes, and to the ground, do not change."""
    circuit = random_circuit(generator)
    keep = _some(circuit, generator, 0.4)
    reduced = reduce(circuit, keep)
    for a, b in itertools.combinations([*keep[:4], GROUND], 2):
        before, after = (effective_resistance(c, a, b) for c in (circuit, reduced))
        assert abs(before - after) <= 1e-8 * before, (
            f"between {a} and {b} an ohmmeter must read {before:.6g} ohm, got {after:.6g} ohm"
        )


def order_does_not_matter(reduce, *, generator):
    """Reducing in two steps, in any order, is reducing at once (the quotient property)."""
    circuit = random_circuit(generator)
    more = _some(circuit, generator, 0.7)
    keep = more[: len(more) // 2]
    once = matrix_of(reduce(circuit, keep), keep)
    middle = _some(circuit, generator, 0.5)
    for first in (more, [*keep, *middle]):
        twice = matrix_of(reduce(reduce(circuit, first), keep), keep)
        gap = np.max([abs(a - b).max() for a, b in zip(once, twice)])
        assert gap <= 1e-8 * max(abs(a).max() for a in once), (
            f"the order in which nodes are eliminated must not matter, off by {gap:.2g}"
        )


def reduction_takes_the_least_energy(reduce, *, generator):
    """x'Sx is the least heat that voltages x at the kept nodes can cause in the whole circuit."""
    circuit = random_circuit(generator)
    keep = _some(circuit, generator)
    rest = [n for n in circuit if n not in (*keep, GROUND)]
    A, _ = matrix_of(circuit, keep + rest)
    S, _ = matrix_of(reduce(circuit, keep), keep)
    k = len(keep)
    for _ in range(5):
        x = torch.randn(len(A), generator=generator, dtype=torch.float64).numpy()
        heat = float(x[:k] @ S @ x[:k])
        assert heat <= float(x @ A @ x) * (1 + 1e-9), (
            f"the reduced circuit must take no more than any voltages inside, {x @ A @ x:.4g} W, "
            f"got {heat:.4g} W"
        )
        x[k:] = -np.linalg.solve(A[k:, k:], A[k:, :k] @ x[:k])
        assert abs(heat - float(x @ A @ x)) <= 1e-9 * heat, (
            f"with Kirchhoff's law inside, the whole circuit takes {x @ A @ x:.6g} W and the "
            f"reduced one must take the same, got {heat:.6g} W"
        )


def one_node_is_a_star(eliminate, *, generator):
    """``eliminate(circuit, node)``: w_ij + w_ie w_je / W_e; three resistors are star and delta."""
    w = torch.rand(3, generator=generator, dtype=torch.float64).add(0.1).tolist()
    star = nx.Graph()
    for k, value in zip("abc", w):
        star.add_edge("e", k, conductance=value)
    delta = eliminate(star, "e")
    for (i, u), (j, v) in itertools.combinations(zip("abc", w), 2):
        arrived, expected = delta.edges[i, j]["conductance"], u * v / sum(w)
        assert abs(arrived - expected) <= 1e-12, (
            f"a star of {', '.join(f'{x:.3g}' for x in w)} S has {expected:.4g} S between {i} and "
            f"{j} in its delta, got {arrived:.4g} S"
        )
    reduction_is_the_schur_complement(_one_by_one(eliminate), generator=generator)


def _one_by_one(eliminate):
    def reduce(circuit, keep):
        for node in [n for n in circuit if n not in (*keep, GROUND)]:
            circuit = eliminate(circuit, node)
        return circuit

    return reduce


# Determinants and variances


def pivots_multiply_to_the_determinant(pivots, *, generator, grid=(3, 3)):
    """``pivots(circuit, order)``, the sums W_e at elimination, multiply to det A, in any order."""
    circuit = random_circuit(generator, grid=grid)
    nodes = [n for n in circuit if n != GROUND]
    _, expected = np.linalg.slogdet(matrix_of(circuit, nodes)[0])
    for _ in range(3):
        order = [nodes[k] for k in torch.randperm(len(nodes), generator=generator).tolist()]
        found = list(pivots(circuit, order))
        assert len(found) == len(nodes) and min(found) > 0, (
            f"one positive pivot for each of the {len(nodes)} nodes, got {found}"
        )
        gap = abs(sum(map(math.log, found)) - expected)
        assert gap <= 1e-9 * max(1, abs(expected)), (
            f"the pivots must multiply to det A = {math.exp(expected):.6g}, got "
            f"{math.prod(found):.6g}"
        )


def determinant_counts_trees(determinant, *, generator, grid=(2, 3)):
    """det A = sum over the spanning trees of the grounded circuit of their conductances' product.

    ``determinant(circuit)`` is compared with the sum, tree by tree.
    """
    circuit = random_circuit(generator, grid=grid)
    total = 0.0
    for tree in itertools.combinations(circuit.edges(data="conductance"), len(circuit) - 1):
        joined = nx.Graph([(u, v) for u, v, _ in tree])
        if len(joined) == len(circuit) and nx.is_connected(joined):
            total += math.prod(w for _, _, w in tree)
    arrived = float(determinant(circuit))
    assert abs(arrived - total) <= 1e-9 * total, (
        f"the determinant must be the sum over all spanning trees, {total:.8g}, got {arrived:.8g}"
    )


def variances_are_resistances(variances, *, generator, grid=(3, 4)):
    """``variances(system)``, the diagonal of A^-1, is each pixel's resistance to ground."""
    system = random_system(grid, generator=generator, batch=1, grounded=True)
    circuit = grid_circuit(torch.zeros(grid), system.weights, ground=system.ground)
    found = torch.as_tensor(variances(system)).reshape(grid)
    for node in np.ndindex(grid):
        ohms = effective_resistance(circuit, node, GROUND)
        assert abs(float(found[node]) - ohms) <= 1e-8 * ohms, (
            f"the variance of pixel {node} must be its resistance to ground, {ohms:.6g} ohm, got "
            f"{float(found[node]):.6g}"
        )


def order_fills_less(order, *, grids=((15, 15), (31, 31))):
    """``order(grid)`` lists every pixel once and beats row by row, by more on larger grids."""
    ratios = []
    for grid in grids:
        pixels = list(np.ndindex(*grid))
        listed = [tuple(int(i) for i in node) for node in order(grid)]
        assert sorted(listed) == pixels, (
            f"an order of {grid} must name each of its {len(pixels)} pixels exactly once"
        )
        ratios.append(operations(grid, listed) / operations(grid, pixels))
    assert ratios[-1] < ratios[0] and ratios[-1] < 1, (
        "a good order must need fewer operations than row by row and gain on larger grids, got "
        f"ratios {', '.join(f'{r:.2f}' for r in ratios)}"
    )


def operations(grid, order):
    """Resistors touched when the pixels of a grid are eliminated: sum of d (d + 1) / 2.

    d is a node's number of neighbors, the ground left out, when its turn comes.
    """
    graph = nx.grid_graph(grid[::-1])
    neighbors = {node: set(graph[node]) for node in graph}
    total = 0
    for node in order:
        star = neighbors.pop(node)
        total += len(star) * (len(star) + 1) // 2
        for i in star:
            neighbors[i] |= star
            neighbors[i] -= {i, node}
    return total


def a_chessboard_quarters_the_condition(reduce, *, generator, grid=(5, 6)):
    """Scaled by its diagonal, a grid without its black pixels has (kappa + 1)^2 / (4 kappa)."""
    circuit = random_circuit(generator, grid=grid)
    red = [node for node in circuit if node != GROUND and sum(node) % 2 == 0]
    black = [node for node in circuit if node != GROUND and sum(node) % 2]
    A, _ = matrix_of(circuit, red + black)
    K, _ = matrix_of(reduce(circuit, red), red)
    scale = np.sqrt(np.diag(A))
    whole = np.linalg.cond(A / np.outer(scale, scale))
    half = np.linalg.cond(K / np.outer(scale, scale)[: len(red), : len(red)])
    bound = (whole + 1) ** 2 / (4 * whole)
    assert half <= bound * (1 + 1e-8), (
        f"without the black pixels the condition number must be at most {bound:.4g}, a quarter of "
        f"{whole:.4g} and a little, got {half:.4g}; is every black pixel eliminated?"
    )
