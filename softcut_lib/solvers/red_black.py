"""Conjugate gradients on every second pixel: a reduced circuit for many solves (chapter 6).

A grid with 4 neighbors is two-colored like a chessboard. With the black pixels eliminated (Kron
reduction, see kernels_reduced.py) the red ones form a circuit again,

    K = A_rr - A_rb A_bb^-1 A_br,      K x_r = s_r - A_rb A_bb^-1 s_b,

whose condition is better: about half the steps or fewer, each on half the pixels.
"""

import numpy as np

from softcut_lib.solvers import flat
from softcut_lib.solvers import kernels_reduced as kernels
from softcut_lib.solvers.compiling import call


class RedBlack:
    """The reduced circuits of a system on the CPU; `run` solves any right-hand side with them.

    Memory: 3.5 arrays of the grid's size for each matrix.
    """

    def __init__(self, system):
        by_axis = {tuple(map(abs, o)): w for o, w in zip(system.offsets, system.weights)}
        self.circuit = tuple(
            system.labeled(w).detach().flatten(0, 1).contiguous().numpy()
            for w in (by_axis[1, 0], by_axis[0, 1], system.ground)
        )
        count, (height, width) = system.batch * (system.labels or 1), system.grid
        dtype, pitch = self.circuit[2].dtype, int(kernels.odd(width))
        lane = flat.kernels.LINE // dtype.itemsize
        n = (height * pitch + 1) // 2
        row, margin = (-(-m // lane) * lane for m in (n, pitch))
        self.inverse = np.empty((count, height, width), dtype)
        # PyTorch's memory begins on a cache line, NumPy's need not
        links = system.ground.new_zeros(count, 4, margin + row).numpy()
        ground = np.ones((count, n), dtype)
        strides = np.array([1, pitch, (pitch + 1) // 2, (pitch - 1) // 2], np.int64)
        self.reduced, self.most = (links, strides, ground, margin), np.empty(count)
        rows = np.empty((count, height))
        with flat.threads_of_torch() as threads:
            call(
                _choose(kernels.reduce, threads, count * n), *self.circuit, margin, self.inverse,
                links, ground, rows, self.most,
            )  # fmt: skip

    def run(self, rhs, x, options):
        """As `flat.run`, x zero before: the steps and their residuals are the reduced circuit's."""
        C, R, ground = self.circuit
        count, n = rhs.shape[:2].numel(), self.reduced[2].shape[1]
        scores = rhs.detach().flatten(0, 1).contiguous().numpy()
        # the reduced scores are needed until there is an x, so they take its memory
        red_scores, red = (
            x.view(-1).numpy()[: count * n].reshape(count, n),
            np.zeros((count, n), scores.dtype),
        )
        report, rows = np.empty((count, 4)), np.empty((count, 2, rhs.shape[2]))
        with flat.threads_of_torch() as threads:
            kernel = _choose(kernels.reduce_scores, threads, count * n)
            call(kernel, C, R, self.inverse, scores, red_scores, rows, report)
            found = flat.iterate(self.reduced, red_scores, red, options, report, sized=True)
            answer = x.view(scores.shape).numpy()
            call(
                _choose(kernels.expand, threads, count * n), C, R, ground, self.inverse, scores,
                red, answer, rows, self.most, report,
            )  # fmt: skip
        return flat.shaped(*found, report, rhs.shape[:2])


def _choose(pair, threads, nodes):
    """The kernel with threads or without."""
    return pair[threads > 1 and nodes > flat.PIECE]
