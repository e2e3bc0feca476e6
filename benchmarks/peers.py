"""Other people's solvers on the same systems: KLU, CHOLMOD, SuperLU, cholespy, PyAMG, scikit-image.

They solve one sparse matrix at a time in float64, so a batch is a loop over its samples. The
pattern of the matrix, and where a package lets one keep it the symbolic analysis, is made before
the clock starts; filling in the numbers is part of the work. Where a package has no backward pass,
the adjoint solve reuses its factor or hierarchy and the gradients follow the formula of chapter 4.
"""

from functools import cache

import numpy as np
import scipy.sparse
import scipy.sparse.linalg
import torch

from softcut_lib.grid.edges import at_head, at_tail

from .methods import Method
from .problems import OFFSETS, Answer, edge_gradients, photographs

SUITESPARSE = "needs the SuiteSparse headers first (Debian and Ubuntu: libsuitesparse-dev)"


class Pattern:
    """Where the entries of a grid's matrix stand in compressed columns."""

    def __init__(self, size):
        node = np.arange(size[0] * size[1]).reshape(size)
        tails = np.concatenate([node[:-1].ravel(), node[:, :-1].ravel()])
        heads = np.concatenate([node[1:].ravel(), node[:, 1:].ravel()])
        rows = np.concatenate([node.ravel(), tails, heads])
        columns = np.concatenate([node.ravel(), heads, tails])
        place = scipy.sparse.csc_array((np.arange(1.0, len(rows) + 1), (rows, columns)))
        place.sort_indices()
        self.size, self.count = size, node.size
        self.order = torch.from_numpy(place.data.astype(np.int64) - 1)
        self.indices = place.indices.astype(np.int32)
        self.indptr = place.indptr.astype(np.int32)

    def entries(self, weights):
        """(B, nnz) float64 from [C, R], differentiable."""
        weights = [w.double() for w in weights]
        diagonal = weights[0].new_ones(len(weights[0]), *self.size)
        for w, offset in zip(weights, OFFSETS):
            diagonal = diagonal + at_tail(w, offset, self.size) + at_head(w, offset, self.size)
        flat = [-w.flatten(1) for w in weights]
        return torch.cat([diagonal.flatten(1), *flat, *flat], 1)[:, self.order]

    def matrix(self, values):
        shape = (self.count, self.count)
        return scipy.sparse.csc_matrix((values, self.indices, self.indptr), shape=shape)


@cache
def pattern(size):
    return Pattern(size)


def looped(solve_both):
    """A method from `solve_both(matrix, b, g, setting, kept) -> (x, adjoint, steps)`."""

    def prepare(problem, setting):
        where = pattern(problem.size)
        kept = {}

        def run():
            values = where.entries(problem.weights).numpy()
            right = [t.double().flatten(1).numpy() for t in (problem.scores, problem.gradient)]
            both, steps = [np.empty_like(r) for r in right], []
            for s in range(problem.batch):
                matrix = where.matrix(values[s])
                x, lam, count = solve_both(matrix, right[0][s], right[1][s], setting, kept)
                both[0][s], both[1][s] = x, lam
                steps.append(count)
            x, lam = (torch.from_numpy(t).view(problem.scores.shape) for t in both)
            counts = list(zip(*steps)) if steps[0] else [(), ()]
            return Answer(x, lam, edge_gradients(lam, x), *counts)

        return run

    return prepare


def _superlu(matrix, b, g, setting, kept):
    factor = scipy.sparse.linalg.splu(
        matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
    )
    return factor.solve(b), factor.solve(g), None


def _cholmod(problem, setting):
    from sksparse.cholmod import analyze

    where = pattern(problem.size)
    structure = where.matrix(where.entries([w[:1] for w in problem.weights]).numpy()[0])
    symbolic = analyze(structure, ordering_method="nesdis")

    def both(matrix, b, g, setting, kept):
        symbolic.cholesky_inplace(matrix)
        return symbolic(b), symbolic(g), None

    return looped(both)(problem, setting)


def _cholespy(matrix, b, g, setting, kept):
    import cholespy

    solver, dtype = {
        "float32": (cholespy.CholeskySolverF, np.float32),
        "float64": (cholespy.CholeskySolverD, np.float64),
    }[setting["dtype"]]
    # The matrix is symmetric, so its columns are its rows. (Given columns, cholespy 2.2 lets go of
    # memory that is not its own, and the process dies.)
    factor = solver(len(b), matrix.indptr, matrix.indices, matrix.data, cholespy.MatrixType.CSR)
    right = np.ascontiguousarray(np.stack([b, g], 1), dtype)
    x = np.zeros_like(right)
    factor.solve(right, x)
    return x[:, 0], x[:, 1], None


def _pyamg(maker):
    def both(matrix, b, g, setting, kept):
        import pyamg

        hierarchy = getattr(pyamg, maker)(scipy.sparse.csr_matrix(matrix))
        answers, steps = [], []
        for right in (b, g):
            scale = np.linalg.norm(right)  # its rule has an absolute part
            history = []
            answers.append(
                scale * hierarchy.solve(
                    right / scale, tol=setting["tol"], accel="cg", maxiter=500, residuals=history
                )
            )  # fmt: skip
            steps.append(len(history) - 1)
        return *answers, steps

    return both


def _klu(problem, setting):
    """Its own autograd: A is a sparse tensor, whose entries are functions of the weights."""
    from torch_sparse_solve import solve

    where = pattern(problem.size)
    columns = torch.from_numpy(np.repeat(np.arange(where.count), np.diff(where.indptr)))
    place = torch.stack([torch.from_numpy(where.indices).long(), columns])
    count, nnz = problem.batch, place.shape[1]
    sample = torch.arange(count).repeat_interleave(nnz)
    place = torch.cat([sample[None], place.repeat(1, count)])
    shape = (count, where.count, where.count)

    def run():
        scores = problem.scores.double().requires_grad_()
        weights = [w.double().requires_grad_() for w in problem.weights]
        entries = where.entries(weights).flatten()
        matrix = torch.sparse_coo_tensor(place, entries, shape, check_invariants=False)
        x = solve(matrix, scores.view(count, -1, 1)).view_as(scores)
        lam, *edges = torch.autograd.grad(x, (scores, *weights), problem.gradient.double())
        return Answer(x.detach(), lam, edges)

    return run


def _walker(problem, setting):
    """The same system as a volume of two layers: each pixel, and under it a seed, its ground.

    The seeds carry the scores, 0 or 1, as two labels, and equal colors in both layers make the
    conductance between them 1.
    """
    from skimage.segmentation import random_walker

    images = photographs(problem.size, problem.batch).permute(0, 2, 3, 1).double().numpy()
    volumes = [np.stack([image, image], 2) for image in images]
    labels = [np.stack([np.zeros_like(s), s + 1], 2).astype(int)
              for s in problem.scores[:, 0].numpy()]  # fmt: skip

    def run():
        answers = []
        for volume, seeds in zip(volumes, labels):
            beta = 10 * volume.std() * 3**0.5 / (2 * 0.1**2)  # its weights are then image_weights
            probability = random_walker(
                volume, seeds, beta=beta, mode="cg_mg", tol=setting["tol"], channel_axis=-1,
                return_full_prob=True, prob_tol=1,
            )  # fmt: skip
            answers.append(torch.from_numpy(probability[1, :, :, 0]))
        return Answer(torch.stack(answers)[:, None])

    return run


_EXACT = {"search": "choices", "choices": ({"dtype": "float64"},), "batched": False}
_ITERATED = {"choices": ({"dtype": "float64"},), "batched": False}

PEERS = [
    Method(
        "KLU", _klu, needs="torch_sparse_solve_cpp", package="torch-sparse-solve",
        install=SUITESPARSE,
        note="torch-sparse-solve with its own autograd, which factors again in the backward pass",
        **_EXACT,
    ),
    Method(
        "CHOLMOD", _cholmod, needs="sksparse.cholmod", package="scikit-sparse<0.5",
        install=SUITESPARSE,
        note="scikit-sparse, nested dissection, analyzed once outside the clock; one factor for "
        "both passes",
        **_EXACT,
    ),
    Method(
        "SuperLU", looped(_superlu),
        note="SciPy, symmetric mode, minimum degree; one factor for both passes", **_EXACT,
    ),
    Method(
        "cholespy", looped(_cholespy), needs="cholespy", package="cholespy", search="choices",
        batched=False, note="one factor for both passes; it analyzes every matrix anew",
    ),
    Method(
        "PyAMG, Ruge-Stuben", looped(_pyamg("ruge_stuben_solver")), needs="pyamg",
        package="pyamg", note="CG with classical multigrid, its set-up included, for both passes",
        **_ITERATED,
    ),
    Method(
        "PyAMG, smoothed aggregation", looped(_pyamg("smoothed_aggregation_solver")),
        needs="pyamg", package="pyamg",
        note="CG with aggregation multigrid, its set-up included, for both passes", **_ITERATED,
    ),
    Method(
        "random walker", _walker, needs="pyamg", package="pyamg", forward_only=True,
        kinds=("photograph",),
        note="scikit-image, mode cg_mg; forward only, and it solves for both of its labels",
        **_ITERATED,
    ),
]  # fmt: skip
