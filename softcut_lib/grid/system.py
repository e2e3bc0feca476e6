"""The linear system of a cut: A = diag(ground) + sum over offsets of D' diag(w) D (chapter 3).

Pixel p gets the equation (Kirchhoff's current law)

    ground_p x_p + sum over neighbors q of w_pq (x_p - x_q) = score_p.

With ground 1 this is the thesis' system (eqs. 14-16, and 22-23 in d dimensions). A is symmetric
and, where every connected component touches the ground, positive definite.
"""

import numpy as np
import scipy.sparse
import torch

from softcut_lib import _checks as checks
from softcut_lib.grid import coarse
from softcut_lib.grid.arguments import fit_ground, fit_weights
from softcut_lib.grid.edges import at_head, at_tail, axis_offsets, head, jump, spread, tail


class GridSystem:
    """The matrix of a cut, held as edge weights and ground; multiply with ``system @ x``.

    A x = ground x + sum_k D_k' diag(w_k) D_k x

    Args:
        weights: one tensor per offset, (B, *edge_shape), shared by all labels, or
            (B, L, *edge_shape), one per label; at least 0.
        offsets: edge directions; the unit offsets of as many axes as there are weights if None.
        ground: conductance to ground, (B, *grid) or (B, L, *grid), at least 0; ones if None.
        grid: the grid's shape; needed only where edge tensors are empty in a way that hides it.
        check: refuse negative and non-finite values (one reduction each).

    Attributes:
        weights, ground: as given, ground filled in.
        offsets, grid, batch: the edge directions, the grid's shape, the number of samples B.
        labels: number L of labels with their own matrix; None where all labels share one.

    Raises:
        ValueError: wrong edge shape or count, swapped edges, negative or non-finite values.
        TypeError: not a float32 or float64 tensor, mixed dtypes.

    Source: thesis, eqs. 14-16 and 22-23.

    Example:
        >>> import torch
        >>> system = GridSystem([torch.tensor([[2.0]])])         # two pixels, one resistor
        >>> system.to_scipy().toarray()
        array([[ 3., -2.],
               [-2.,  3.]], dtype=float32)
    """

    def __init__(self, weights, *, offsets=None, ground=None, grid=None, check=True):
        self.weights, self.offsets, self.grid = fit_weights(weights, offsets, grid)
        reference = self.weights[0]
        self.batch = reference.shape[0]
        if ground is None:
            ground = reference.new_ones(self.batch, *self.grid)
        self.ground = fit_ground(ground, reference, self.batch, self.grid)
        self.labels = self._count_labels()
        if check:
            for k, w in enumerate(self.weights):
                checks.at_least_zero(f"weights[{k}]", w)
            checks.at_least_zero("ground", self.ground)

    def __repr__(self):
        w = self.weights[0]
        return (
            f"GridSystem(grid={self.grid}, offsets={self.offsets}, batch={self.batch}, "
            f"labels={self.labels or 'shared'}, dtype={w.dtype}, device='{w.device}')"
        )

    @property
    def dtype(self):
        return self.ground.dtype

    @property
    def device(self):
        return self.ground.device

    def _count_labels(self):
        counts = {t.shape[1] for t in (*self.weights, self.ground) if self._per_label(t)}
        if len(counts) > 1:
            raise ValueError(
                f"weights and ground must agree on the number of labels, got {sorted(counts)}"
            )
        return counts.pop() if counts else None

    def _per_label(self, tensor):
        return tensor.dim() == 2 + len(self.grid)

    def labeled(self, tensor):
        """A weight or ground tensor with a label axis: (B, 1, ...) where it is shared."""
        return tensor if self._per_label(tensor) else tensor.unsqueeze(1)

    def __matmul__(self, x):
        if x.dim() != 2 + len(self.grid) or x.shape[2:] != self.grid:  # else it might broadcast
            raise ValueError(
                f"x must have shape (B, L, *grid) with grid = {self.grid} to be multiplied by the "
                f"system, got {tuple(x.shape)}; a single label needs its axis: x[:, None]"
            )
        out = self.labeled(self.ground) * x
        for w, offset in zip(self.weights, self.offsets, strict=True):
            out = out + spread(self.labeled(w) * jump(x, offset), offset, self.grid)
        return out

    def diagonal(self):
        """The matrix' diagonal, (B, 1 or L, *grid): ground plus all incident weights."""
        out = self.labeled(self.ground)
        for w, offset in zip(self.weights, self.offsets, strict=True):
            w = self.labeled(w)
            out = out + at_tail(w, offset, self.grid) + at_head(w, offset, self.grid)
        return out

    def to_scipy(self, sample=0, label=0):
        """The matrix of one sample and label as a SciPy CSR array (N, N), N pixels row by row.

        Labels that share all conductances have one matrix, ``label`` is not read then.
        """
        node = np.arange(np.prod(self.grid)).reshape(self.grid)
        node_t = torch.from_numpy(node)
        tails = [tail(node_t, o).flatten().numpy() for o in self.offsets]
        heads = [head(node_t, o).flatten().numpy() for o in self.offsets]
        values = [self._one(w, sample, label) for w in self.weights]
        diagonal = self._one(self.diagonal(), sample, label)
        rows = np.concatenate([node.ravel(), *tails, *heads])
        columns = np.concatenate([node.ravel(), *heads, *tails])
        entries = np.concatenate([diagonal, *(-v for v in values * 2)])
        return scipy.sparse.csr_array((entries, (rows, columns)), shape=(node.size, node.size))

    def _one(self, tensor, sample, label):
        """One sample's and label's values of a weight, ground or diagonal, flat, as NumPy."""
        values = self.labeled(tensor)[sample]
        return values[label if len(values) > 1 else 0].detach().cpu().flatten().numpy()

    def coarsen(self):
        """The circuit with 2^d pixels soldered into one node: see `grid.coarse.coarsen`."""
        return coarse.coarsen(self)

    def with_seeds(self, seeds, values):
        """Hold some pixels at given values (Dirichlet conditions): harmonic functions, hard seeds.

        An edge from a free pixel p to a seed q turns into ground w_pq and current w_pq value_q at
        p; seeds become identity rows. So the result is again a `GridSystem`.

        Args:
            seeds: bool (B, *grid), true where the value is given.
            values: (B, L, *grid); only the entries at seeds are read.

        Returns:
            (system, rhs): solve ``system @ x = rhs``; add scores of free pixels to `rhs`.

        Raises:
            ValueError: if a connected component has neither a seed nor ground: there x is free.

        Source: Grady 2006, section III; harmonic functions of Zhu, Ghahramani and Lafferty 2003.

        Example:
            >>> import torch
            >>> chain = GridSystem([torch.ones(1, 2)], ground=torch.zeros(1, 3))
            >>> ends = torch.tensor([[True, False, True]])
            >>> system, rhs = chain.with_seeds(ends, torch.tensor([[[0.0, 0.0, 1.0]]]))
            >>> torch.linalg.solve(torch.tensor(system.to_scipy().toarray()), rhs[0, 0])
            tensor([0.0000, 0.5000, 1.0000])
        """
        _check_seeds(seeds, values, self)
        fixed = seeds.unsqueeze(1)
        held = torch.where(fixed, values, 0)
        ground, rhs, weights = self.labeled(self.ground), held, []
        for w, offset in zip(self.weights, self.offsets, strict=True):
            joined = self.labeled(w)
            tail_fixed, head_fixed = tail(fixed, offset), head(fixed, offset)
            to_tail = torch.where(head_fixed & ~tail_fixed, joined, 0)
            to_head = torch.where(tail_fixed & ~head_fixed, joined, 0)
            ground = (
                ground + at_tail(to_tail, offset, self.grid) + at_head(to_head, offset, self.grid)
            )
            rhs = rhs + at_tail(to_tail * head(held, offset), offset, self.grid)
            rhs = rhs + at_head(to_head * tail(held, offset), offset, self.grid)
            kept = torch.where(tail_fixed | head_fixed, 0, joined)
            weights.append(kept if self._per_label(w) else kept.squeeze(1))
        ground = torch.where(fixed, 1, ground)
        if ground.shape[1] == 1:
            ground = ground.squeeze(1)
        system = GridSystem(
            weights, offsets=self.offsets, ground=ground, grid=self.grid, check=False
        )
        # one seed holds a grid whose neighbors are all joined; else every part is looked at
        if not (_in_one_piece(self) and bool(seeds.flatten(1).any(1).all())):
            _check_grounded(system)
        return system, rhs


def _check_seeds(seeds, values, system):
    checks.is_tensor("seeds", seeds)
    checks.is_tensor("values", values)
    expected = (system.batch, *system.grid)
    if seeds.dtype != torch.bool or tuple(seeds.shape) != expected:
        raise ValueError(
            f"seeds must be a bool tensor of shape {expected}, got {seeds.dtype} "
            f"{tuple(seeds.shape)}"
        )
    shape = tuple(values.shape)
    if values.dim() != 2 + len(system.grid) or (shape[0], *shape[2:]) != expected:
        raise ValueError(
            f"values must have shape (B, L, *grid) with B, grid = {expected[0]}, {system.grid}, "
            f"got {shape}"
        )
    if system.labels is not None and shape[1] not in (1, system.labels):
        raise ValueError(
            f"values must have as many labels as the system, {system.labels}, or one for all, got "
            f"{shape[1]}"
        )
    checks.same_kind("values", values, "weights", system.ground)


def _in_one_piece(system):
    """Whether every pixel conducts to its neighbors along every axis."""
    joined = {o for o, w in zip(system.offsets, system.weights, strict=True) if bool((w > 0).all())}
    return joined.issuperset(axis_offsets(len(system.grid)))


def _check_grounded(system):
    """Refuse a component in which no pixel is grounded: there every constant is a solution."""
    if bool((system.ground > 0).all()):
        return
    for sample in range(system.batch):
        for label in range(system.labels or 1):
            matrix = system.to_scipy(sample, label)
            matrix.eliminate_zeros()
            count, component = scipy.sparse.csgraph.connected_components(matrix, directed=False)
            held = system._one(system.ground, sample, label) > 0
            loose = np.setdiff1d(np.arange(count), component[held])
            if loose.size:
                pixel = np.unravel_index(int(np.argmax(component == loose[0])), system.grid)
                raise ValueError(
                    f"seeds leave {loose.size} connected part(s) of sample {sample} without any "
                    f"seed or ground, the first at pixel {tuple(int(i) for i in pixel)}: no value "
                    "is determined there; add a seed, a ground above 0, or weights that connect it"
                )
