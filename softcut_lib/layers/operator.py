"""The soft cut as one operator of PyTorch, for graphs: torch.compile, torch.export (chapter 5).

    softcut::solve(scores, ground, weights, offsets, solver, adjoint, pass, check) -> x

A recorded graph holds tensors and plain values only, no Python objects. So the solver travels as
its own text, such as "CG(tol=1e-05, max_iter=1000, ...)", and a direct solver factors once in each
pass, since a factor is an object. All that depends on values happens when the graph runs: the
checks, the iterations, the warnings.
"""

import ast
from dataclasses import fields, is_dataclass
from importlib import import_module

import torch
from torch._functorch.autograd_function import enable_single_level_autograd_function
from torch.autograd.forward_ad import _set_fwd_grad_enabled

from softcut_lib.layers import batching, passes

_ROOM = "softcut_lib.solvers."


def recording(scores):
    """True where PyTorch is recording a graph, so that tensors may have no values yet."""
    return (
        torch.compiler.is_compiling()
        or scores.is_meta
        or torch.jit.is_tracing()
        # fake tensors and make_fx announce themselves as dispatch modes only
        or torch._C._len_torch_dispatch_stack() > 0
    )


def record(scores, ground, weights, offsets, solver, adjoint, log, check):
    """Put one application of the layer into the graph."""
    if log is not None:
        raise ValueError(
            "log is called in eager mode only, a recorded graph cannot hold it; use log=None for "
            "torch.compile and torch.export, or keep the layer out with torch.compiler.disable(cut)"
        )
    solver = describe("solver", solver)
    adjoint = solver if adjoint is None else describe("adjoint", adjoint)
    flat = [o for offset in offsets for o in offset]
    return _solve(scores, ground, list(weights), flat, solver, adjoint, "forward", check)


def describe(name, solver):
    """A solver of the library as text, from which `read` makes it again.

    Example:
        >>> from softcut_lib import Direct
        >>> describe("solver", Direct(refine=2))
        "Direct(refine=2, kernel='auto')"
    """
    kind = type(solver)
    if not (is_dataclass(solver) and kind.__module__.startswith(_ROOM)):
        raise TypeError(
            f"{name} must be one of the library's (CG, Multigrid, Direct, SuperLU) inside "
            f"torch.compile, torch.export and other recorded graphs, got {kind.__name__}: a graph "
            "holds no Python objects; keep the layer out of it with torch.compiler.disable(cut)"
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
    if not is_solver(kind):
        raise ValueError(f"{call.func.id} is not a solver of the library, in {text!r}")
    return kind(**{option.arg: ast.literal_eval(option.value) for option in call.keywords})


def is_solver(kind):
    """True for the library's classes of solvers."""
    ours = is_dataclass(kind) and kind.__module__.startswith(_ROOM)
    return ours and "__call__" in vars(kind)


def _answer(scores, ground, weights, offsets, solver, adjoint, name, check):
    """The operator on tensors that hold numbers."""
    offsets = _pairs(offsets, scores)
    x, _ = passes.answer(scores, ground, weights, offsets, read(solver), name, check)
    return x.contiguous()


def _form(scores, ground, weights, offsets, solver, adjoint, name, check):
    """The operator on tensors that have a shape only."""
    return scores.new_empty(scores.shape)


def _differentiable(scores, ground, weights, *options):
    """The operator where autograd looks: one more entry on its tape."""
    with enable_single_level_autograd_function():
        return _Recorded.apply(scores, ground, *options, *weights)


def _batched(info, axes, scores, ground, weights, offsets, solver, adjoint, name, check):
    """The operator under vmap."""
    batching.refuse_batch_rules(read(solver), read(adjoint))
    scores, ground, weights, unfold = batching.fold(
        info.batch_size, (*axes[:2], *axes[2]), scores, ground, weights
    )
    return unfold(_solve(scores, ground, weights, offsets, solver, adjoint, name, check))


class _Recorded(torch.autograd.function._SingleLevelFunction):
    # torch.library.register_autograd would do for torch.compile, but it cannot be combined with
    # torch.func.grad and loses forward-mode tangents without a word. A function of one level
    # belongs to the innermost derivative only; the outer ones see the operator that it calls, for
    # which autograd has to be on again.
    @staticmethod
    def forward(scores, ground, offsets, solver, adjoint, name, check, *weights):
        with (
            torch.enable_grad(),
            _set_fwd_grad_enabled(True),
            torch._C._AutoDispatchBelowAutograd(),
        ):
            return _solve(scores, ground, weights, offsets, solver, adjoint, name, check)

    @staticmethod
    def setup_context(ctx, inputs, output):
        _, ground, ctx.offsets, _, ctx.adjoint, _, _, *weights = inputs
        ctx.grounded = ground is not None
        ctx.save_for_backward(output, *([ground] if ctx.grounded else []), *weights)

    @staticmethod
    def backward(ctx, gradient):
        x, *weights = ctx.saved_tensors
        ground = weights.pop(0) if ctx.grounded else None
        options = (ctx.offsets, ctx.adjoint, ctx.adjoint, "backward", False)
        solution = _solve(gradient, ground, weights, *options)
        needed = (ctx.needs_input_grad[1], *ctx.needs_input_grad[7:])
        to_ground, to_weights = passes.gradients(
            solution, x, ground, weights, _pairs(ctx.offsets, x), needed
        )
        return solution, to_ground, *[None] * len(options), *to_weights

    jvp = staticmethod(batching.refuse_forward_mode("soft_cut"))


def _register():
    """Make the operator known to PyTorch as torch.ops.softcut.solve."""
    library = torch.library.Library("softcut", "DEF")
    tags = [getattr(torch.Tag, tag, None) for tag in ("pt2_compliant_tag", "cudagraph_unsafe")]
    library.define(
        "solve(Tensor scores, Tensor? ground, Tensor[] weights, int[] offsets, str solver, "
        "str adjoint, str name, bool check) -> Tensor",
        tags=[tag for tag in tags if tag is not None],
    )
    library.impl("solve", _answer, "CompositeExplicitAutograd")
    library.impl("solve", _differentiable, "Autograd")
    torch.library.register_fake("softcut::solve", _form, lib=library)
    torch.library.register_vmap("softcut::solve", _batched, lib=library)
    return library


def _pairs(flat, scores):
    """The offsets, which an operator takes as one flat list."""
    dim = scores.dim() - 2
    return tuple(tuple(flat[i : i + dim]) for i in range(0, len(flat), dim))


# At import, because a saved graph names its operators, and loading it looks them up before any
# function of ours is called. The registration lives as long as this object; a reload renews it.
globals().pop("_LIBRARY", None)
_LIBRARY = _register()
_solve = torch.ops.softcut.solve.default
