"""The lattice points an image touches, and splat, blur and slice as table look-ups (chapter 14).

Splat adds each pixel's value to the d + 1 vertices of its simplex, by barycentric weight (P');
slice reads it back with the same weights (P). A blur along axis j takes, at every vertex,

    a (left + right) + (1 - 2 a) itself,     left, right = key -+ ((d + 1) e_j - 1),

a missing neighbour counting as 0. Each is a bag sum: rows of a table, weighted and added up. This
is the readable reference, for any device; `hashed` builds and applies the same lattice faster.
"""

from dataclasses import dataclass

import torch
from torch.nn.functional import embedding_bag

from softcut_lib.affinity.permutohedral import elevate, enclosing_simplex, vertex_keys


@dataclass(frozen=True)
class Tables:
    """A built lattice: P pixels of the whole batch, V vertices, each image's its own.

    Attributes:
        vertex: (P, d + 1) int32, the vertices of each pixel's simplex, by remainder.
        weight: (P, d + 1), their barycentric weights.
        left, right: (d + 1, V + 1) int32, the neighbours along each axis; V where missing.
        pixel, start, share: the same splat sorted by vertex: vertex v takes from pixels
            pixel[start[v] : start[v + 1]] with weights share[same].
    """

    vertex: torch.Tensor
    weight: torch.Tensor
    left: torch.Tensor
    right: torch.Tensor
    pixel: torch.Tensor
    start: torch.Tensor
    share: torch.Tensor

    @property
    def vertices(self):
        """How many lattice points the batch touches."""
        return self.left.shape[1] - 1

    def multiply(self, maps, orders, a, scale):
        """scale * P B P' maps for maps (B, L, N), B the mean over orders of axes."""
        batch, labels, count = maps.shape
        table = self.splat(maps.mT.reshape(-1, labels))
        table = sum(self.blur(table, axes, a) for axes in orders) / len(orders)
        product = self.slice(table).reshape(batch, count, labels).mT
        return (product * scale.to(maps.dtype)).contiguous()

    def splat(self, values):
        """P' values, (P, L) to (V + 1, L); the last row, the missing vertex, is 0."""
        share = self.share.to(values.dtype)
        return embedding_bag(self.pixel, values, self.start, mode="sum", per_sample_weights=share)

    def blur(self, table, axes, a):
        """Blur along these axes in turn, (V + 1, L) to (V + 1, L)."""
        itself = torch.arange(len(table), dtype=torch.int32, device=table.device)
        taps = torch.tensor([1 - 2 * a, a, a], dtype=table.dtype, device=table.device)
        taps = taps.expand(len(table), 3)
        for j in axes:
            neighbours = torch.stack([itself, self.left[j], self.right[j]], 1)
            table = embedding_bag(neighbours, table, mode="sum", per_sample_weights=taps)
        return table

    def slice(self, table):
        """P table, (V + 1, L) to (P, L)."""
        weight = self.weight.to(table.dtype)
        return embedding_bag(self.vertex, table, mode="sum", per_sample_weights=weight)


def build_tables(features):
    """The lattice around the features (B, d, N) of a batch, by sorting.

    Pixels share simplices and simplices share vertices, so the simplices are made unique first,
    and only the vertices of those that remain are looked up.

    Example:
        >>> import torch
        >>> tables = build_tables(torch.tensor([[[0.0, 0.1, 9.0]]]))
        >>> tables.vertex.T
        tensor([[0, 0, 2],
                [1, 1, 3]], dtype=torch.int32)
    """
    batch, d, count = features.shape
    v, rank, weights = enclosing_simplex(elevate(features.transpose(0, 1).flatten(1)))
    image = torch.arange(batch, device=v.device).repeat_interleave(count)
    member, first = unique_columns([image, *v[:d], *rank[:d]])
    keys = vertex_keys(v[:, first], rank[:, first]).flatten(1)  # (d + 1, (d + 1) S)
    owner = image[first].repeat(d + 1)
    corner, first = unique_columns([owner, *keys[:d]])
    vertex = corner.reshape(d + 1, -1).T[member]
    left, right = _neighbours(keys[:, first], owner[first])

    missing = len(first)
    flat = vertex.flatten()
    order = flat.argsort(stable=True)
    counts = torch.bincount(flat, minlength=missing + 1)
    weight = weights.T.contiguous()
    return Tables(
        vertex=vertex.int(),
        weight=weight,
        left=left.int(),
        right=right.int(),
        pixel=(order // (d + 1)).int(),
        start=(counts.cumsum(0) - counts).int(),
        share=weight.flatten()[order],
    )


def _neighbours(keys, owner):
    """left, right (d + 1, V + 1): key -+ ((d + 1) e_j - 1) looked up among the keys (d + 1, V)."""
    size, count = keys.shape
    steps = size * torch.eye(size, dtype=torch.long, device=keys.device) - 1
    wanted = torch.cat([keys, *(keys + step[:, None] for step in steps)], 1)
    codes = column_codes([owner.repeat(size + 1), *wanted[:-1]])
    known, order = codes[:count].sort()
    place = torch.searchsorted(known, codes[count:]).clamp(max=count - 1)
    found = torch.where(known[place] == codes[count:], order[place], count)
    right = torch.full((size, count + 1), count, device=keys.device)
    right[:, :count] = found.reshape(size, count)
    # whoever has me on its right is on my left
    itself = torch.arange(count + 1, device=keys.device).expand(size, -1)
    left = torch.full_like(right, count).scatter_(1, right, itself)
    left[:, count] = count
    return left, right


def unique_columns(rows):
    """Which distinct column each column is, and one column of each: (inverse (M,), first (S,))."""
    codes, inverse = torch.unique(column_codes(rows), return_inverse=True)
    itself = torch.arange(len(inverse), device=inverse.device)
    # any member will do, for all are equal: an order of writing is not promised, nor needed
    return inverse, inverse.new_empty(len(codes)).scatter_(0, inverse, itself)


def column_codes(rows):
    """One integer per column of these (M,) rows, equal only where whole columns are equal.

    The rows are digits of a mixed-radix number; where 62 bits do not hold the next digit, the
    numbers so far are replaced by their ranks.
    """
    code, span = torch.zeros_like(rows[0]), 1
    for row in rows:
        low, high = (int(x) for x in torch.aminmax(row))
        width = high - low + 1
        if span * width > 2**62:
            distinct, code = torch.unique(code, return_inverse=True)
            span = len(distinct)
        code = code * width + (row - low)
        span *= width
    return code
