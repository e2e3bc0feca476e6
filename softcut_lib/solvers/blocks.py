"""Blocks of pixels as circuits: eliminate what is inside, join what is shared (chapter 6).

A rectangular block acts on the rest of the circuit only through its border. Kron reduction
replaces it by the equivalent network there, a Schur complement:

    S = M_kk - M_ke M_ee^-1 M_ek,      k kept (border), e eliminated (inside).

Neighbors are joined by adding the admittances that they share; the seam between them is then
inside and is eliminated in turn. All blocks of a level have the same shape (..., n, n), so that a
level is one batched dense operation.
"""

import torch


class Elimination:
    """The last `count` nodes of every block eliminated: V = L^-1 of M_ee and W = V M_ek.

    With M_ee = L L', the kept nodes see S = M_kk - W' W and the right-hand side b_k - W' V b_e;
    afterwards x_e = V' (V b_e - W x_k).
    """

    def __init__(self, matrix, count):
        kept = matrix.shape[-1] - count
        factor, failed = torch.linalg.cholesky_ex(matrix[..., kept:, kept:])
        identity = torch.eye(count, dtype=matrix.dtype, device=matrix.device).expand_as(factor)
        self.inverse = torch.linalg.solve_triangular(factor, identity, upper=False)
        self.coupling = self.inverse @ matrix[..., kept:, :kept]
        self.failed = failed.flatten(1).any(1)
        self.log_determinant = 2 * factor.diagonal(dim1=-2, dim2=-1).log().flatten(1).sum(1)

    def up(self, b):
        """(right-hand side of the kept nodes, V b_e)."""
        kept = self.coupling.shape[-1]
        inner = self.inverse @ b[..., kept:, :]
        return b[..., :kept, :] - self.coupling.mT @ inner, inner

    def down(self, x, inner):
        """x of the kept nodes, completed by the eliminated ones."""
        return torch.cat([x, self.inverse.mT @ (inner - self.coupling @ x)], -2)

    def spread(self, inverse):
        """The kept nodes' part of A^-1, completed by the eliminated ones."""
        reach = self.inverse.mT @ self.coupling
        cross = -reach @ inverse
        own = self.inverse.mT @ self.inverse - cross @ reach.mT
        upper, lower = torch.cat([inverse, cross.mT], -1), torch.cat([cross, own], -1)
        return torch.cat([upper, lower], -2)


def eliminate(matrix, count):
    """(`Elimination` of the last `count` nodes, the Schur complement on the kept ones)."""
    step, kept = Elimination(matrix, count), matrix.shape[-1] - count
    return step, matrix[..., :kept, :kept] - step.coupling.mT @ step.coupling


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
