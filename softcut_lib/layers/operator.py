"""The soft cut as one operator of PyTorch, for graphs: torch.compile, torch.export (chapter 5).

    softcut::solve(scores, ground, weights, offsets, solver, adjoint, pass, check) -> x

A recorded graph holds tensors and plain values only, no Python objects. So the solver travels as
its own text, such as "CG(tol=1e-05, max_iter=1000, ...)", and a direct solver factors once in each
pass, since a factor is an object. All that depends on values happens when the graph runs: the
checks, the iterations, the warnings.
"""

import ast
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from importlib import import_module

import torch

from softcut_lib.layers import batching, passes

_ROOM = "softcut_lib.solvers."


def recording():
    """True where PyTorch is recording a graph, so that tensors may have no values yet."""
    return (
        torch.compiler.is_compiling()
        or torch.jit.is_tracing()
        # fake tensors and make_fx announce themselves as dispatch modes only
        or torch._C._len_torch_dispatch_stack() > 0
    )


def record(scores, ground, weights, offsets, solver, adjoint, log, check):
    """Put one application of the layer into the graph."""
    if log is not None:
        raise ValueError(
            "log is called in eager mode only, a graph cannot hold it; build the layer with "
            "log=None for torch.compile and torch.export"
        )
    solver = describe("solver", solver)
    adjoint = solver if adjoint is None else describe("adjoint", adjoint)
    flat = [o for offset in offsets for o in offset]
    return solve(scores, ground, list(weights), flat, solver, adjoint, "forward", check)


def describe(name, solver):
    """A solver of the library as text, from which `read` makes it again.

    Example:
        >>> from softcut_lib import Direct
        >>> describe("solver", Direct(refine=2))
        'Direct(refine=2)'
    """
    kind = type(solver)
    if not (is_dataclass(solver) and kind.__module__.startswith(_ROOM)):
        raise TypeError(
            f"{name} must be one of the library's (CG, Multigrid, Direct, SuperLU) inside "
            f"torch.compile, torch.export and other recorded graphs, got {kind.__name__}: a graph "
            "holds no Python objects; call the layer outside of the graph"
        )
    options = [f"{field.name}={_plain(getattr(solver, field.name))!r}" for field in fields(solver)]
    return f"{kind.__name__}({', '.join(options)})"


def _plain(value):
    # torch.compile takes a number that has changed for a symbol; these two make it a number again
    if type(value) is int:
        return value.__index__()
    return value.__float__() if type(value) is float else value


def read(text):
    """The solver that `describe` wrote down.

    Example:
        >>> read("CG(tol=0.001)").tol
        0.001
    """
    call = ast.parse(text, mode="eval").body
    kind = getattr(import_module("softcut_lib"), call.func.id)
    if not (isinstance(kind, type) and kind.__module__.startswith(_ROOM)):
        raise ValueError(f"{call.func.id} is not a solver of the library, in {text!r}")
    return kind(**{option.arg: ast.literal_eval(option.value) for option in call.keywords})


# Registered when the layer is imported: a saved graph names its operators, and loading it looks
# them up before any function of ours is called.
@torch.library.custom_op("softcut::solve", mutates_args=())
def solve(
    scores: torch.Tensor,
    ground: torch.Tensor | None,
    weights: Sequence[torch.Tensor],
    offsets: Sequence[int],
    solver: str,
    adjoint: str,
    name: str,
    check: bool,
) -> torch.Tensor:
    x, _ = passes.answer(
        scores, ground, weights, _pairs(offsets, scores), read(solver), name, check
    )
    return x.contiguous()


@solve.register_fake
def _(scores, ground, weights, offsets, solver, adjoint, name, check):
    return scores.new_empty(scores.shape)


def _setup_context(ctx, inputs, output):
    _, ground, weights, ctx.offsets, _, ctx.adjoint, _, _ = inputs
    ctx.grounded = ground is not None
    ctx.save_for_backward(output, *([ground] if ctx.grounded else []), *weights)


def _backward(ctx, gradient):
    x, *weights = ctx.saved_tensors
    ground = weights.pop(0) if ctx.grounded else None
    solution = solve(
        gradient, ground, weights, ctx.offsets, ctx.adjoint, ctx.adjoint, "backward", False
    )
    needed = (ctx.needs_input_grad[1], *ctx.needs_input_grad[2])
    to_ground, to_weights = passes.gradients(
        solution, x, ground, weights, _pairs(ctx.offsets, x), needed
    )
    return solution, to_ground, to_weights, None, None, None, None, None


solve.register_autograd(_backward, setup_context=_setup_context)


@solve.register_vmap
def _(info, axes, scores, ground, weights, offsets, solver, adjoint, name, check):
    batching.refuse_batch_rules(read(solver), read(adjoint))
    scores, ground, weights, unfold = batching.fold(
        info.batch_size, (*axes[:2], *axes[2]), scores, ground, weights
    )
    return unfold(solve(scores, ground, weights, offsets, solver, adjoint, name, check))


def _pairs(flat, scores):
    """The offsets, which an operator takes as one flat list."""
    dim = scores.dim() - 2
    return tuple(tuple(flat[i : i + dim]) for i in range(0, len(flat), dim))
