"""Theorems about resistor circuits, chapter 2.

A `cut` is called ``cut(scores, weights, offsets=..., ground=...)`` and returns the voltages, as
`soft_cut` does. Functions of circuits take networkx graphs as `grid_circuit` makes them.
"""

import networkx as nx
import torch

from softcut_lib.circuits.network import grid_circuit, kirchhoff_residual
from softcut_lib.grid.edges import axis_offsets, edge_shape
from softcut_lib.theorems.linear_system import random_scores, random_system


def random_circuit(generator, *, grid=(3, 4), offsets=None):
    """A circuit of random conductances and sources on a grid, every pixel grounded."""
    system = random_system(grid, generator=generator, offsets=offsets, batch=1, grounded=True)
    scores = random_scores(system, generator=generator, labels=1)
    return grid_circuit(scores, system.weights, offsets=system.offsets, ground=system.ground)


def _gap(arrived, expected):
    return float((arrived - expected).abs().max() / expected.abs().max().clamp(min=1))


def volts_take_their_amperes(product, *, generator, grid=(3, 4)):
    """A x is the current to be fed in: one volt at p takes 1 + its edges at p, -w at neighbors.

    ``product(x (B, L, h, w), weights) -> A x`` with ground 1, tried at every pixel of the grid.
    """
    system = random_system(grid, generator=generator, batch=1)
    matrix = torch.from_numpy(system.to_scipy().toarray())
    pixels = [(i, j) for i in range(grid[0]) for j in range(grid[1])]
    for k, pixel in enumerate(pixels):
        volt = torch.zeros(1, 1, *grid, dtype=system.dtype)
        volt[(0, 0, *pixel)] = 1
        arrived = product(volt, system.weights).flatten()
        gap = (arrived - matrix[k]).abs()
        worst = int(gap.argmax())
        got, expected = float(arrived[worst]), float(matrix[k, worst])
        reason = "it is joined to both neighbors along each axis, at the border to fewer"
        if worst == k:
            reason = "1 for the ground plus all its own conductances; nothing leaves the image"
        elif abs(got + expected) < 1e-9:
            reason = "the sign is flipped: current flows from the high to the low voltage"
        assert float(gap[worst]) <= 1e-9, (
            f"with 1 V at pixel {pixel} and 0 V elsewhere, pixel {pixels[worst]} must be fed "
            f"{expected:.5g} A, got {got:.5g} A; {reason}"
        )


def product_keeps_labels_apart(product, *, generator, grid=(4, 5)):
    """A batch with several labels is each image and label alone, with its image's weights."""
    system = random_system(grid, generator=generator, batch=2)
    x = random_scores(system, generator=generator, labels=3)
    arrived = product(x, system.weights)
    assert arrived.shape == x.shape, f"A x has the shape of x, got {tuple(arrived.shape)}"
    for b in range(2):
        for label in range(3):
            alone = torch.from_numpy(system.to_scipy(b) @ x[b, label].flatten().numpy())
            gap = _gap(arrived[b, label].flatten(), alone)
            assert gap <= 1e-9, (
                f"image {b}, label {label} is off by {gap:.3g}: weights have no axis for labels "
                "and are shared by them; are they given one, w[:, None]?"
            )


def held_nodes_keep_their_voltage(node_voltages, *, generator):
    """Batteries hold their nodes; Kirchhoff's law holds at every other node.

    ``node_voltages(circuit, held)`` with held a dict node -> volts; returns every node's voltage.
    """
    circuit = random_circuit(generator)
    order = torch.randperm(12, generator=generator).tolist()
    nodes = [list(circuit)[k] for k in order]
    held = {"ground": 0.0} | {node: 3.0 - 2 * k for k, node in enumerate(nodes[:3])}
    x = node_voltages(circuit, held)
    assert set(x) == set(circuit), "every node, the held ones and the ground too, has a voltage"
    for node, volts in held.items():
        assert abs(x[node] - volts) <= 1e-9, (
            f"{node} is held at {volts:g} V by its battery, got {x[node]:.6g} V"
        )
    for node in nodes[3:]:
        if node == "ground":
            continue
        fed = circuit.nodes[node]["current"]
        out = sum(e["conductance"] * (x[node] - x[other]) for other, e in circuit[node].items())
        reason = "does every edge count, the one to a held node and the one to ground too?"
        if abs(out + fed) <= 1e-9:
            reason = "the sign of the source is flipped: it feeds current in"
        assert abs(out - fed) <= 1e-9, (
            f"at the free node {node} {fed:.5g} A are fed in and {out:.5g} A flow away: {reason}"
        )


def voltages_are_the_cut(cut, node_voltages, *, generator, grid=(5, 6), offsets=None, tol=1e-8):
    """The circuit's voltages by Kirchhoff's laws are the solution of A x = scores."""
    system = random_system(grid, generator=generator, offsets=offsets, batch=1, grounded=True)
    scores = random_scores(system, generator=generator, labels=1)
    options = {"offsets": system.offsets, "ground": system.ground}
    x = cut(scores, system.weights, **options)[0, 0]
    voltages = node_voltages(grid_circuit(scores, system.weights, **options))
    expected = torch.zeros_like(x)
    for node, voltage in voltages.items():
        if node != "ground":
            expected[node] = voltage
    gap = _gap(x, expected)
    assert gap <= tol, (
        f"the cut must be the voltages of its circuit to {tol:g}, they differ by {gap:.3g}; is the "
        "ground's conductance on the diagonal, every resistor counted at both of its ends?"
    )


def kirchhoff_holds(node_voltages, *, generator, offsets=None):
    """At every node what flows in flows out, to rounding."""
    circuit = random_circuit(generator, offsets=offsets)
    residual = kirchhoff_residual(circuit, node_voltages(circuit))
    assert residual <= 1e-9, (
        f"Kirchhoff's current law must hold at every node, the worst misses {residual:.3g} A; is "
        "the current to ground counted?"
    )


def power_balances(node_voltages, *, generator):
    """Tellegen: the power that the sources give is the power that the resistors turn to heat."""
    circuit = random_circuit(generator)
    voltages = node_voltages(circuit)
    given = sum(voltages[node] * data["current"] for node, data in circuit.nodes(data=True))
    spent = sum(
        g * (voltages[u] - voltages[v]) ** 2 for u, v, g in circuit.edges(data="conductance")
    )
    assert abs(given - spent) <= 1e-9 * max(given, 1), (
        f"the sources give {given:.6g} W, the resistors take {spent:.6g} W: they must be equal"
    )


def two_pixels_follow_eq_24(cut, *, generator):
    """Two pixels: x_1 = (G (p_1 + p_2) + p_1) / (2 G + 1), and the same for x_2."""
    p = torch.randn(1, 1, 1, 2, generator=generator, dtype=torch.float64)
    for g in (0.0, 0.01, 1.0, 100.0, 1e6):
        weights = [p.new_zeros(1, 0, 2), p.new_full((1, 1, 1), g)]
        gap = _gap(cut(p, weights), (g * p.sum() + p) / (2 * g + 1))
        assert gap <= 1e-6, f"eq. 24 must hold at G = {g:g}, off by {gap:.3g}"


def sweep_has_both_limits(cut, *, generator, grid=(4, 5)):
    """All conductances 0: the scores themselves. All of them large: every pixel their mean."""
    scores = torch.randn(1, 1, *grid, generator=generator, dtype=torch.float64)
    weights = [
        0.5 + torch.rand(1, *edge_shape(grid, o), generator=generator, dtype=torch.float64)
        for o in axis_offsets(len(grid))
    ]
    gap = _gap(cut(scores, [0 * w for w in weights]), scores)
    assert gap <= 1e-9, f"without edges every pixel keeps its score, off by {gap:.3g}"
    distances = []
    for scale in (1e2, 1e4, 1e6):
        x = cut(scores, [scale * w for w in weights])
        distances.append(float((x - scores.mean()).abs().max()))
    assert distances[0] > distances[1] > distances[2] and distances[2] <= 1e-4, (
        "with growing conductances every voltage must approach the mean of the scores, the "
        f"distances were {', '.join(f'{d:.2g}' for d in distances)}"
    )


def soldered_pixels_take_the_mean(cut, *, generator, grid=(5, 6), solder=1e8):
    """Pixels joined by perfect conductors, and by nothing to others, all take their scores' mean.

    Each pixel belongs to a random one of two regions; what counts are the connected parts.
    """
    scores = torch.randn(1, 1, *grid, generator=generator, dtype=torch.float64)
    region = torch.rand(grid, generator=generator) < 0.5
    weights, joined = [], nx.Graph()
    joined.add_nodes_from((i, j) for i in range(grid[0]) for j in range(grid[1]))
    for (di, dj), same in (
        ((1, 0), region[1:] == region[:-1]),
        ((0, 1), region[:, 1:] == region[:, :-1]),
    ):
        weights.append(solder * same[None].to(scores))
        for i, j in same.nonzero().tolist():
            joined.add_edge((i, j), (i + di, j + dj))
    x = cut(scores, weights)[0, 0]
    for part in nx.connected_components(joined):
        index = tuple(torch.tensor(sorted(part)).T)
        mean = float(scores[0, 0][index].mean())
        gap = float((x[index] - mean).abs().max())
        assert gap <= 1e-4, (
            f"{len(part)} soldered pixels must take the mean of their scores, {mean:.4g}, the "
            f"farthest is off by {gap:.3g}"
        )


def more_conductance_never_more_resistance(effective_resistance, *, generator, changes=8):
    """Rayleigh: no resistor made better, and no new one, raises any effective resistance."""
    circuit = random_circuit(generator)
    nodes = list(circuit)
    for _ in range(changes):
        u, v, a, b = (nodes[k] for k in torch.randperm(len(nodes), generator=generator)[:4])
        before = effective_resistance(circuit, a, b)
        added = float(torch.rand((), generator=generator)) * 3
        if circuit.has_edge(u, v):
            added += circuit.edges[u, v]["conductance"]
        circuit.add_edge(u, v, conductance=added)
        after = effective_resistance(circuit, a, b)
        assert after <= before * (1 + 1e-9), (
            f"more conductance between {u} and {v} raised the resistance between {a} and {b} from "
            f"{before:.6g} to {after:.6g} ohm"
        )


def resistance_is_a_distance(effective_resistance, *, generator):
    """Zero to itself, the same both ways, and R_ac <= R_ab + R_bc."""
    circuit = random_circuit(generator)
    nodes = list(circuit)
    for _ in range(5):
        a, b, c = (nodes[k] for k in torch.randperm(len(nodes), generator=generator)[:3])
        r = lambda u, v: effective_resistance(circuit, u, v)  # noqa: E731
        assert r(a, a) == 0, "a node has no resistance to itself"
        assert abs(r(a, b) - r(b, a)) <= 1e-9 * r(a, b), "R_ab must equal R_ba"
        assert r(a, c) <= (r(a, b) + r(b, c)) * (1 + 1e-9), "the triangle inequality must hold"


def series_and_parallel(effective_resistance):
    """Resistances in series add, conductances in parallel add."""
    chain = nx.Graph()
    chain.add_edge("a", "b", conductance=0.5)
    chain.add_edge("b", "c", conductance=0.2)
    gap = abs(effective_resistance(chain, "a", "c") - 7)
    assert gap <= 1e-9, f"2 and 5 ohm in series make 7 ohm, off by {gap:.3g}"
    chain.add_edge("a", "c", conductance=1.0)
    gap = abs(effective_resistance(chain, "a", "c") - 7 / 8)
    assert gap <= 1e-9, f"7 ohm beside 1 ohm make 7/8 ohm, off by {gap:.3g}"


def circuit_is_reciprocal(cut, *, generator, grid=(4, 5)):
    """An ampere at p raises the voltage at q by as much as an ampere at q raises that at p."""
    system = random_system(grid, generator=generator, batch=1, grounded=True)
    one, two = torch.randperm(grid[0] * grid[1], generator=generator)[:2].tolist()
    response = []
    for source, meter in ((one, two), (two, one)):
        scores = torch.zeros(1, 1, *grid, dtype=system.dtype)
        scores.view(-1)[source] = 1
        x = cut(scores, system.weights, offsets=system.offsets, ground=system.ground)
        response.append(float(x.flatten()[meter]))
    assert abs(response[0] - response[1]) <= 1e-8, (
        f"source and meter exchanged must read the same, got {response[0]:.6g} and "
        f"{response[1]:.6g}; is every edge counted alike at both of its ends?"
    )
