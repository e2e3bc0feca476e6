"""An affinity along the minimum spanning tree of the pixel grid, in linear time (chapter 15).

    W_pq = exp(-sum over the edges (i, j) of the tree's path from p to q of |f_i - f_j|^2 / 2)

f is a pixel's colour over sigma_color. The tree joins all pixels by the least contrast, so a path
stays within a region as long as it can, and every step over a boundary costs. exp(-path length)
factors along the path, so two passes over the tree, towards the root and back, multiply by W.
"""

import numpy as np
import torch
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree

from softcut_lib.affinity.features import pixel_features
from softcut_lib.affinity.interface import Affinity
from softcut_lib.solvers.compiling import announced, compiled


class TreeAffinity(Affinity):
    """How alike two pixels are along the minimum spanning tree of the grid's edges.

    W_pq = exp(-sum_(i, j) on the path |I_i - I_j|^2 / (2 sigma_color^2)),  W_pp = 1.

    The tree spans the grid (4 neighbours in 2-D) with the least sum of |I_i - I_j|^2. W is
    symmetric and positive semidefinite: lengths of paths in a tree are distances of a tree metric,
    which embeds in L1, where exp(-distance) is a positive definite function. There is no
    sigma_space: a path through one colour costs nothing, however long. A product takes O(N L), on
    the CPU wherever the maps are (from another device they are copied there and back): a tree is
    walked node by node.

    Args:
        image: (B, C, *grid) in 0..255, floating or uint8; any C, any number of grid axes.
        sigma_color: the step in colour, in the image's units, over which W falls to exp(-1/2). The
            published exp(-|dI|^2 / 0.02) for images in [0, 1] is 25.5.
        check_range: as in `DenseAffinity`.

    Attributes:
        shape, degree, symmetric, psd: as in `DenseAffinity`; both last are True.

    Raises:
        TypeError, ValueError: as `DenseAffinity`.

    Source: Liang et al. (2022), Tree energy loss, eqs. 3-5; Yang (2012), A non-local cost
    aggregation method for stereo matching, for the two passes.

    Example:
        >>> import torch, softcut_lib as sc
        >>> image = torch.tensor([[[[0.0, 0.0, 51.0, 51.0]]]])
        >>> W = sc.TreeAffinity(image)                       # one step of 2 sigma: exp(-2)
        >>> W.matmul(torch.tensor([[[[1.0, 0.0, 0.0, 0.0]]]]))
        tensor([[[[1.0000, 1.0000, 0.1353, 0.1353]]]])
    """

    def __init__(self, image, *, sigma_color=25.5, check_range=True):
        features = pixel_features(
            image, sigma_color=sigma_color, sigma_space=1.0, check_range=check_range
        )
        self._begin(features[..., : image.shape[1]], {})

    def _prepare(self):
        grid = self.shape[1:]
        self._trees = [grow_tree(f, grid) for f in self.features.double().cpu().numpy()]

    def _multiply(self, maps, transpose):
        # a row per pixel: a step of the walk handles all labels
        given = maps.detach().cpu().mT.contiguous().numpy()
        product = np.empty_like(given)
        with announced("tree", given.dtype):
            for (order, parent, *shares), values, out in zip(
                self._trees, given, product, strict=True
            ):
                decay, rest = (share.astype(given.dtype, copy=False) for share in shares)
                walk(values, order, parent, decay, rest, out)
        return torch.from_numpy(product).mT.to(maps.device)


def grow_tree(features, grid):
    """The minimum spanning tree of one image, as arrays (N,) in breadth-first order.

    Args:
        features: (N, D) float64 array.
        grid: shape of the grid, of N pixels.

    Returns:
        order: the pixels, from the root on, each after its parent.
        parent: where in this order the parent stands.
        decay: exp(-|f - f_parent|^2 / 2), and rest: 1 - decay^2.
    """
    pixels = np.arange(len(features)).reshape(grid)
    along = [np.moveaxis(pixels, axis, 0) for axis in range(len(grid))]
    tail = np.concatenate([p[:-1].ravel() for p in along])
    head = np.concatenate([p[1:].ravel() for p in along])
    contrast = np.square(features[tail] - features[head]).sum(1)
    # By rank, for SciPy takes a weight of 0 for no edge, and so that where edges tie the first is
    # taken: every machine grows the same tree.
    rank = np.empty(len(tail), np.int64)
    rank[np.argsort(contrast, kind="stable")] = np.arange(1, len(tail) + 1)
    graph = csr_array((rank, (tail, head)), shape=(len(features),) * 2)
    order, before = breadth_first_order(minimum_spanning_tree(graph), 0, directed=False)
    before[0] = 0
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    length = np.square(features[order] - features[before[order]]).sum(1) / 2
    return order, place[before[order]], np.exp(-length), -np.expm1(-2 * length)


@compiled()
def walk(values, order, parent, decay, rest, out):
    """out = W values, both (N, L), by a pass towards the root and one back.

    up_p = S_p + sum over children c of decay_c up_c is what p's subtree tells it. The parent's
    final value holds decay_p up_p of that, so what the others tell p is decay_p (F_parent -
    decay_p up_p), and F_p = up_p + that = rest_p up_p + decay_p F_parent.
    """
    count, labels = values.shape
    table = np.empty_like(values)
    for k in range(count):
        for c in range(labels):
            table[k, c] = values[order[k], c]
    for k in range(count - 1, 0, -1):
        for c in range(labels):
            table[parent[k], c] += decay[k] * table[k, c]
    for k in range(1, count):
        for c in range(labels):
            table[k, c] = rest[k] * table[k, c] + decay[k] * table[parent[k], c]
    for k in range(count):
        for c in range(labels):
            out[order[k], c] = table[k, c]
