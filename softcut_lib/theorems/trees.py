"""Identities of the tree affinity and its loss (chapter 15).

Each function takes the thing it speaks of, called as the library's own, and raises an
AssertionError that says what was expected and the likely reason.
"""

import networkx as nx
import torch

from softcut_lib.theorems.affinity import equal

TOLERANCE = 1e-10


def tree_affinity_is_the_sum_over_paths(make, *, generator, grid=(5, 6)):
    """W from a spanning tree that is found, and paths that are added up, by another library.

    ``make(features (1, *grid, D)) -> affinity``; random features, so that no two edges tie.
    """
    f = torch.randn(*grid, 3, generator=generator, dtype=torch.float64)
    found = make(f[None])
    count = found.features.shape[1]
    units = torch.eye(count, dtype=torch.float64).reshape(1, count, *grid)
    equal(
        found.matmul(units)[0].flatten(1),
        path_affinity(f),
        "W_pq must be exp(-sum of |f_i - f_j|^2 / 2 over the tree's path from p to q)",
        TOLERANCE,
    )


def path_affinity(f):
    """The matrix W (N, N) of features (*grid, D) by networkx, pair by pair: the oracle."""
    graph = nx.grid_graph(tuple(reversed(f.shape[:-1])))
    nodes = sorted(graph)
    flat = f.flatten(0, -2)
    number = {node: k for k, node in enumerate(nodes)}
    for a, b, edge in graph.edges(data=True):
        edge["length"] = float((flat[number[a]] - flat[number[b]]).square().sum() / 2)
    tree = nx.minimum_spanning_tree(graph, weight="length")
    paths = dict(nx.all_pairs_dijkstra_path_length(tree, weight="length"))
    lengths = [[paths[a][b] for b in nodes] for a in nodes]
    return torch.tensor(lengths, dtype=f.dtype).neg().exp()


def tree_energy_is_the_distance_to_averages(loss, *, generator, grid=(4, 5)):
    """The value written out, and the gradient by a target that stays where it is.

    ``loss(prob (B, K, *grid), affinity, seeds=...)``.
    """
    from softcut_lib.affinity.tree import TreeAffinity

    f = torch.randn(2, *grid, 3, generator=generator, dtype=torch.float64)
    prob = torch.randn(2, 3, *grid, generator=generator, dtype=torch.float64).softmax(1)
    seeds = torch.randint(0, 3, (2, *grid), generator=generator)
    free = torch.rand(2, *grid, generator=generator) < 0.7
    seeds[free] = 255
    expected, gradients = [], []
    for features, sets, unknown in zip(f, prob, free, strict=True):
        W = path_affinity(features)
        flat = sets.flatten(1)
        gap = flat - (flat @ W) / W.sum(1)
        share = unknown.double().flatten() / unknown.sum()
        expected.append((gap.abs().sum(0) * share).sum())
        gradients.append((gap.sign() * share).view_as(sets) / 2)
    leaf = prob.clone().requires_grad_()
    value = loss(leaf, TreeAffinity.from_features(f), seeds=seeds)
    equal(
        value,
        torch.stack(expected).mean(),
        "the value must be the mean over unlabelled pixels of sum_k |S - Y|, then over images; "
        "is Y = W S / W 1, of probabilities that are not clamped at the scribbles?",
        TOLERANCE,
    )
    equal(
        torch.autograd.grad(value, leaf)[0],
        torch.stack(gradients),
        "the gradient must be sign(S - Y) / |U|, zero at labelled pixels: Y is a constant",
        TOLERANCE,
    )
