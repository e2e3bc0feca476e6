"""The fused exact solve on the CPU: runs the kernels over samples, subtrees and cores (chapter 6).

A batch that has a system for every core gives each core whole systems, one after the other, so
that the matrices being reduced stay in its cache. Fewer systems are cut into subtrees, which the
cores reduce side by side before one of them joins what is left.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from math import ceil, log2

import numpy as np
import torch

from softcut_lib.solvers import kernels_direct as front_kernels
from softcut_lib.solvers import kernels_inverse as inverse_kernels
from softcut_lib.solvers import kernels_leaves as leaf_kernels
from softcut_lib.solvers.compiling import announced
from softcut_lib.solvers.fronts import dissect
from softcut_lib.solvers.leaves import group

SMALL = 2**14  # pixels below which starting threads costs more than it gains


class FrontCircuit:
    """The reduced circuits of a system: B of them, or B x L.

    Attributes:
        good: bool (B, 1 or L), whether every eliminated node had a positive, finite conductance.
        held: numbers kept per circuit. While reducing, each core needs as many again.
    """

    kernel = "fused"

    def __init__(self, system):
        self.grid, self._count = system.grid, (system.batch, system.labels or 1)
        self.conduct = self._flat(*system.weights, behind=0)
        self.ground = self._flat(system.ground, behind=1)
        count, pixels = self.ground.shape
        self.threads = torch.get_num_threads() if count * pixels > SMALL else 1
        depth = 0 if count >= self.threads else ceil(log2(self.threads)) + 2
        self.tree, self.groups, sizes = plan(self.grid, depth)
        self.parts = len(self.tree.tasks) - 1
        number = self.ground.dtype
        self.store = np.empty((count, self.tree.store), number)
        self.leaves = [np.empty((count, *size), number) for size in sizes]
        self.held = self.tree.store + sum(t[0].size for t in self.leaves)
        self._good = np.ones(count, bool)
        self._floor = np.sqrt(np.finfo(number).tiny)  # products of two stay normal numbers
        self._for_each_system(self._reduce, self.tree.work)
        self.good = torch.from_numpy(self._good).view(self._count)

    def _flat(self, *tensors, behind):
        """(M, values) of each tensor (B or B, L, ...) in turn, then a constant, as NumPy."""
        batch, labels = self._count
        flat = [
            (t if t.dim() == 4 else t.unsqueeze(1)).expand(batch, labels, *t.shape[-2:]).flatten(2)
            for t in tensors
        ]
        flat.append(flat[0].new_full((batch, labels, 1), behind))
        return torch.cat(flat, 2).flatten(0, 1).numpy()

    def answer(self, rhs, refine, mends):
        """(x, norms (B, L) of rhs - A x, of rhs and of x); residuals are computed in float64.

        Refined where `mends`, bool (B, 1 or L).
        """
        flat = rhs.reshape(len(self.ground), -1, rhs.shape[2:].numel())
        flat = torch.nn.functional.pad(flat, (0, 1)).numpy()
        x = self._solve(flat)
        for _ in range(refine if bool(mends.any()) else 0):
            change = self._solve(self._residual(flat, x)[0])
            x += np.where(mends.view(-1, 1, 1).numpy(), change, 0)
        norms = torch.from_numpy(self._residual(flat, x)[1]).view(*rhs.shape[:2], 3)
        return torch.from_numpy(x)[..., :-1].reshape(rhs.shape), norms.unbind(-1)

    def _for_each_system(self, function, room):
        """function(s, room) for every system, `room` a reusable array of that many values."""
        count = len(self.ground)
        # a system that is cut into parts keeps all cores busy by itself
        cores = min(self.threads, count) if self.parts == 1 else 1

        def share(first):
            space = np.empty(room, self.ground.dtype)
            for s in range(first, count, cores):
                function(s, space)

        with announced(function.__qualname__, self.ground.dtype):
            _side_by_side(share, cores, cores)

    def _leaves(self, part):
        """(shape's number, program, tables, its first and last group) of one part of the leaves."""
        for k, (program, tables) in enumerate(self.groups):
            n = len(tables.pixel)
            yield k, program, tables, n * part // self.parts, n * (part + 1) // self.parts

    def _below(self, part):
        return self.tree.fronts[self.tree.tasks[part] : self.tree.tasks[part + 1]]

    @property
    def _above(self):
        return self.tree.fronts[self.tree.tasks[-1] :]

    def _reduce(self, s, work):
        own = self.conduct[s], self.ground[s], work

        def leaves(part):
            for k, program, tables, first, stop in self._leaves(part):
                if not leaf_kernels.reduce_leaves(
                    program, tables, first, stop, *own, self.leaves[k][s], self._floor
                ):
                    self._good[s] = False

        def fronts(part):
            chosen = self._above if part is None else self._below(part)
            if not front_kernels.reduce_fronts(chosen, *own, self.store[s], self._floor):
                self._good[s] = False

        _side_by_side(leaves, self.parts, self.threads)
        _side_by_side(fronts, self.parts, self.threads)
        fronts(None)

    def _solve(self, rhs):
        """x for right-hand sides (M, R, pixels + 1); what stands behind the pixels is ignored."""
        # the kernels drop what is below `floor`, so they see the largest value near 1
        peak = np.abs(rhs[..., :-1]).max(-1, keepdims=True)
        scale = np.ldexp(rhs.dtype.type(1), np.frexp(np.where(np.isfinite(peak), peak, 1))[1])
        rhs = rhs / scale
        x, count = np.empty_like(rhs), rhs.shape[1]
        shapes = [(count, *tables.pixel.shape) for _, tables in self.groups]
        sizes = [count * self.tree.vector, *(int(np.prod(shape)) for shape in shapes)]

        def one(s, space):
            vector, *inside = np.split(space, np.cumsum(sizes)[:-1])
            inside = [t.reshape(shape) for t, shape in zip(inside, shapes, strict=True)]
            self._up_and_down(s, rhs[s], x[s], vector.reshape(count, -1), inside)

        self._for_each_system(one, sum(sizes))
        return x * scale

    def _up_and_down(self, s, rhs, x, vector, inside):
        def leaves(part, kernel, values):
            for k, program, tables, first, stop in self._leaves(part):
                kept = self.leaves[k][s]
                kernel(program, tables, first, stop, kept, values, vector, inside[k], self._floor)

        def up(part):
            leaves(part, leaf_kernels.up_leaves, rhs)

        def down(part):
            leaves(part, leaf_kernels.down_leaves, x)

        def up_subtree(part):
            front_kernels.up_fronts(self._below(part), self.store[s], rhs, vector, self._floor)

        def down_subtree(part):
            front_kernels.down_fronts(self._below(part), self.store[s], x, vector, self._floor)

        _side_by_side(up, self.parts, self.threads)
        _side_by_side(up_subtree, self.parts, self.threads)
        front_kernels.up_fronts(self._above, self.store[s], rhs, vector, self._floor)
        front_kernels.down_fronts(self._above, self.store[s], x, vector, self._floor)
        _side_by_side(down_subtree, self.parts, self.threads)
        _side_by_side(down, self.parts, self.threads)

    def _residual(self, rhs, x):
        """(rhs - A x, norms (M, R, 3) of it, of rhs and of x)."""
        out, norms = np.zeros_like(rhs), np.empty((*rhs.shape[:2], 3))

        def one(s, _):
            for r in range(rhs.shape[1]):
                norms[s, r] = front_kernels.residual(
                    self.conduct[s], self.ground[s], rhs[s, r], x[s, r], self.grid, out[s, r]
                )

        self._for_each_system(one, 0)
        return out, norms

    def log_determinant(self):
        """(B, 1 or L): minus twice the sum of the logarithms of all 1 / sqrt(d)."""
        total = np.zeros(len(self.ground))
        for f in self.tree.fronts:
            steps = f["size"] - np.arange(f["cut"] - 1)
            at = f["store"] + np.concatenate([[0], np.cumsum(steps)])[: f["cut"]]
            total -= 2 * np.log(self.store[:, at].astype(float)).sum(1)
        for (program, _), kept in zip(self.groups, self.leaves, strict=True):
            total -= 2 * np.log(kept[:, :, : program.inner].astype(float)).sum((1, 2, 3))
        return torch.from_numpy(total.astype(self.store.dtype)).view(self._count)

    def variances(self):
        """(B, 1 or L, *grid): the inverse's entries between neighbors, from the root downwards."""
        out = np.empty_like(self.ground)

        def one(s, work):
            inverse_kernels.fronts(self.tree.fronts, self.store[s], work, out[s])
            for (program, tables), kept in zip(self.groups, self.leaves, strict=True):
                inverse_kernels.leaves(program, tables, kept[s], work, out[s])

        self._for_each_system(one, self.tree.work)
        return torch.from_numpy(out[:, :-1]).reshape(*self._count, *self.grid)


@lru_cache(maxsize=32)
def plan(grid, depth):
    """(Tree, `Group` of each leaf shape, shapes of what the leaves keep)."""
    tree = dissect(grid, depth)
    groups, sizes = [], []
    for leaf in group(tree.regions, grid):
        groups.append(leaf)
        kept = leaf.program.inner + int(leaf.program.row[-1])
        number, lanes = leaf.tables.work.shape
        sizes.append((number, kept, lanes))
    return tree, groups, sizes


def _side_by_side(function, count, threads):
    """function(0), ..., function(count - 1), on several cores where there is more than one."""
    threads = min(threads, count)
    if threads == 1:
        for k in range(count):
            function(k)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(function, range(count)))
