"""Blocks of pixels as circuits: eliminate what is inside, join what is shared (chapter 6).

A block is a matrix (..., n, n) with the conductances between its nodes, and with their grounds on
its diagonal. What it does to the rest of the circuit is done by its border alone, so Kron reduction
replaces it by the equivalent network there: with k kept, e eliminated and D the row sums,

    (D_ee - C_ee)^-1 = V' V,    W = V C_ek,    C_kk <- C_kk + W' W,    g_k <- g_k + W' V g_e.

All these terms are positive: nothing cancels in the circuits. V itself comes from a Cholesky factor
in float64, whose subtractions cost about 1e-16 of the contrast (`kernels_direct` has none).

Neighbors are joined by adding what they share; the seam between them is then inside and is
eliminated in turn.
"""

import torch


class Elimination:
    """The last `count` nodes of every block eliminated, kept as V and W.

    The kept nodes see the right-hand side b_k + W' V b_e; then x_e = V' (V b_e + W x_k).
    """

    def __init__(self, blocks, count):
        kept = blocks.shape[-1] - count
        matrix = -blocks[..., kept:, kept:].double()
        matrix.diagonal(dim1=-2, dim2=-1).copy_(blocks[..., kept:, :].sum(-1, dtype=matrix.dtype))
        factor, failed = torch.linalg.cholesky_ex(matrix)
        identity = torch.eye(count, dtype=matrix.dtype, device=matrix.device).expand_as(factor)
        self.inverse = torch.linalg.solve_triangular(factor, identity, upper=False).to(blocks)
        coupling = self.inverse @ blocks[..., kept:, :kept]
        # products of two must not underflow: processors are slow below the smallest normal number
        floor = torch.finfo(blocks.dtype).tiny ** 0.5
        self.coupling = torch.nn.functional.threshold(coupling, floor, 0.0)
        pivots = factor.diagonal(dim1=-2, dim2=-1)
        self.failed = ((failed != 0) | ~pivots.isfinite().all(-1)).flatten(1).any(1)
        self.log_determinant = 2 * pivots.log().flatten(1).sum(1).to(blocks)

    def up(self, b):
        """(right-hand side of the kept nodes, V b_e)."""
        kept = self.coupling.shape[-1]
        inner = self.inverse @ b[..., kept:, :]
        return b[..., :kept, :] + self.coupling.mT @ inner, inner

    def down(self, x, inner):
        """x of the kept nodes, completed by the eliminated ones."""
        return torch.cat([x, self.inverse.mT @ (inner + self.coupling @ x)], -2)

    def spread(self, inverse):
        """The kept nodes' part of A^-1, completed by the eliminated ones."""
        reach = self.inverse.mT @ self.coupling
        cross = reach @ inverse
        own = self.inverse.mT @ self.inverse + cross @ reach.mT
        upper, lower = torch.cat([inverse, cross.mT], -1), torch.cat([cross, own], -1)
        return torch.cat([upper, lower], -2)


def eliminate(blocks, count):
    """(`Elimination` of the last `count` nodes, the circuits of the kept ones)."""
    step, kept = Elimination(blocks, count), blocks.shape[-1] - count
    grounds = blocks.diagonal(dim1=-2, dim2=-1).unsqueeze(-1)
    reduced = blocks[..., :kept, :kept] + step.coupling.mT @ step.coupling
    reduced.diagonal(dim1=-2, dim2=-1).copy_(step.up(grounds)[0].squeeze(-1))
    return step, reduced


class Reorder:
    """The nodes of every block in another order, the same in all blocks or one for each.

    `order` is (n,), or (rows, columns, n) for blocks (M, rows, columns, n, n).
    """

    def __init__(self, order):
        self.order, self.back = order, order.argsort(-1)

    def matrix(self, blocks):
        return _take(blocks, self.order)

    def vector(self, blocks):
        return _take_rows(blocks, self.order)

    def unvector(self, blocks):
        return _take_rows(blocks, self.back)

    def unmatrix(self, blocks):
        return _take(blocks, self.back)


class Join:
    """Pairs of blocks along one axis of the block array become one block each.

    `first` and `second` are the children's orders: `own` nodes of that child alone, then the shared
    ones, of which the seam comes last. The joined order is own of both, then shared.
    """

    def __init__(self, axis, first, second, own):
        self.axis, self.own = axis, own
        self.first, self.second = Reorder(first), Reorder(second)

    def _pair(self, blocks):
        return blocks.unflatten(self.axis, (-1, 2)).unbind(self.axis + 1)

    def _unpair(self, a, b):
        return torch.stack([a, b], self.axis + 1).flatten(self.axis, self.axis + 1)

    def matrix(self, blocks):
        a, b = self._pair(blocks)
        a, b, m = self.first.matrix(a), self.second.matrix(b), self.own
        n = m + a.shape[-1]
        out = a.new_zeros(*a.shape[:-2], n, n)
        one, two, shared = slice(0, m), slice(m, 2 * m), slice(2 * m, n)
        out[..., one, one], out[..., two, two] = a[..., :m, :m], b[..., :m, :m]
        out[..., shared, one], out[..., one, shared] = a[..., m:, :m], a[..., :m, m:]
        out[..., shared, two], out[..., two, shared] = b[..., m:, :m], b[..., :m, m:]
        out[..., shared, shared] = a[..., m:, m:] + b[..., m:, m:]
        return out

    def vector(self, blocks):
        a, b = self._pair(blocks)
        a, b, m = self.first.vector(a), self.second.vector(b), self.own
        return torch.cat([a[..., :m, :], b[..., :m, :], a[..., m:, :] + b[..., m:, :]], -2)

    def unvector(self, x):
        a = torch.cat([x[..., : self.own, :], x[..., 2 * self.own :, :]], -2)
        return self._unpair(self.first.unvector(a), self.second.unvector(x[..., self.own :, :]))

    def unmatrix(self, inverse):
        m, n = self.own, inverse.shape[-1]
        chosen = torch.cat([torch.arange(m), torch.arange(2 * m, n)]).to(inverse.device)
        a, b = _take(inverse, chosen), inverse[..., m:, m:]
        return self._unpair(self.first.unmatrix(a), self.second.unmatrix(b))


def _take(blocks, order):
    """Rows and columns of each block in a given order."""
    if order.dim() == 1:
        return blocks[..., order[:, None], order]
    n = blocks.shape[-1]
    rows = blocks.gather(-2, order[..., None].expand(*blocks.shape[:-2], n, n))
    return rows.gather(-1, order[..., None, :].expand(*blocks.shape[:-2], n, n))


def _take_rows(blocks, order):
    if order.dim() == 1:
        return blocks[..., order, :]
    return blocks.gather(-2, order[..., None].expand_as(blocks))
