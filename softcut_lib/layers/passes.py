"""The two passes of the soft cut in terms of a solver: an answer, and the adjoint's gradients.

    forward:   x = A^-1 scores,        backward:   lambda = A^-1 g,
    dL/dscores = lambda,   dL/dw_pq = -(lambda_q - lambda_p)(x_q - x_p),   dL/dground = -lambda x.

`soft_cut` (chapter 4) runs them as they stand; where PyTorch records a graph, operator.py wraps
the same two functions.
"""

from softcut_lib.grid.edges import head, jump, tail
from softcut_lib.grid.system import GridSystem
from softcut_lib.layers import arguments
from softcut_lib.solvers.interface import warn_unless_converged


def answer(scores, ground, weights, offsets, solver, name, check):
    """(x, info) of one solve; `name` is the pass that a warning speaks of.

    Shapes have been checked before; values are checked here, because only here they are always
    real numbers: not a batch under vmap, not a symbol in a graph.
    """
    if check:
        arguments.check_values(scores, ground, weights)
    system = GridSystem(weights, offsets=offsets, ground=ground, grid=scores.shape[2:], check=False)
    x, info = solver(system, scores)
    warn_unless_converged(solver, info, f"soft_cut, {name} pass")
    return x, info


def gradients(solution, x, ground, weights, offsets, needed):
    """(dL/dground, [dL/dweights]) from the adjoint `solution` and x; None where not needed."""
    to_ground = _like(-solution * x, ground) if needed[0] else None
    to_weights = [
        _like((tail(solution, offset) - head(solution, offset)) * jump(x, offset), w)
        if wanted
        else None
        for offset, w, wanted in zip(offsets, weights, needed[1:], strict=True)
    ]
    return to_ground, to_weights


def _like(gradient, shared):
    """A gradient (B, L, ...) summed over labels where the argument had no label axis."""
    return gradient.sum(1) if shared.dim() < gradient.dim() else gradient
