"""The library's own solvers and the plain-tensor loops as methods of the benchmark.

A method turns a `Problem` and a setting into a function without arguments that does all the timed
work, from scores and weights to the output and its gradients, and returns an `Answer`.
"""

import importlib
import re
from dataclasses import dataclass, field

import torch

import softcut_lib as sc

from . import plain
from .measure import MAX_STEPS
from .problems import Answer, edge_gradients


@dataclass(frozen=True)
class Method:
    """One row of the tables.

    Attributes:
        name: in tables and files.
        prepare: (problem, setting) -> function without arguments that returns an `Answer`; what
            `prepare` itself does (symbolic analysis, compilation) is not timed.
        search: "tol" where a tolerance must be found for the wanted error; "choices" where the
            first setting that reaches it is taken; "none" for a method that is timed as it is.
        choices: the settings in question, the cheapest first.
        ours: belongs to the library.
        needs: module that must be importable, or None.
        package: what pip calls it.
        install: how to get it where that takes more than pip.
        note: what a reader must know about this row.
        forward_only: it has no backward pass.
        kinds: the kinds of weights it can do; all if empty.
        tuned_by: a faster method with the same iterates, which finds the tolerance.
        batched: the whole batch in one call (not a loop over its samples).
    """

    name: str
    prepare: object
    search: str = "tol"
    choices: tuple = field(default=({"dtype": "float32"}, {"dtype": "float64"}))
    ours: bool = False
    needs: str | None = None
    package: str | None = None
    install: str = ""
    note: str = ""
    forward_only: bool = False
    kinds: tuple = ()
    tuned_by: object = None
    batched: bool = True

    def missing(self):
        """Why this method cannot run here, or None."""
        if self.needs is None:
            return None
        module, _, name = self.needs.partition(":")
        try:
            found = importlib.import_module(module)
            if name:
                getattr(found, name)
        except Exception as error:  # a broken build fails in many ways, and all are reported
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            return re.sub(r"[(\s]/\S+", "", reason)  # without this machine's folders
        return None


def dtype_of(setting):
    return getattr(torch, setting.get("dtype", "float32"))


def layer(make_solver):
    """The public layer with a solver, differentiated by autograd."""

    def prepare(problem, setting):
        dtype, solver = dtype_of(setting), make_solver(setting)
        given = problem.to(dtype)

        def run():
            infos = []
            scores = given.scores.detach().requires_grad_()
            weights = [w.detach().requires_grad_() for w in given.weights]
            x = sc.soft_cut(scores, weights, solver=solver, log=infos.append)
            lam, *edges = torch.autograd.grad(x, (scores, *weights), given.gradient)
            steps = [tuple(info.iterations.flatten().tolist()) for info in infos]
            return Answer(x.detach(), lam, edges, *steps)

        return run

    return prepare


def _cg(**options):
    return lambda setting: sc.CG(tol=setting["tol"], max_iter=MAX_STEPS, **options)


def _loop(problem, setting, *, step=plain.advance, max_iter=MAX_STEPS):
    given = problem.to(dtype_of(setting))
    options = {"tol": setting["tol"], "max_iter": max_iter, "step": step}

    def run():
        x, forward = plain.solve(given.scores, given.weights, **options)
        lam, backward = plain.solve(given.gradient, given.weights, **options)
        edges = edge_gradients(lam, x)
        return Answer(x, lam, edges, tuple(forward.tolist()), tuple(backward.tolist()))

    return run


def _compiled(problem, setting):
    torch._dynamo.reset()  # each size is compiled anew; the old ones would only fill its cache
    step = torch.compile(plain.advance, dynamic=False)
    _loop(problem, setting, step=step, max_iter=2)()  # compiles
    return _loop(problem, setting, step=step)


def _multigrid(setting):
    return sc.Multigrid(tol=setting["tol"], max_iter=MAX_STEPS)


_FAST_PLAIN = layer(_cg(preconditioner=None, start="rhs"))

OURS = [
    Method("CG", layer(_cg()), ours=True, note="fused, on every second pixel (red-black)"),
    Method(
        "CG, every pixel",
        layer(_cg(red_black=False)),
        ours=True,
        note="fused, diagonal preconditioner",
    ),
    Method(
        "CG, torch kernel",
        layer(_cg(kernel="torch")),
        tuned_by=layer(_cg(red_black=False)),
        note="the readable reference, diagonal preconditioner",
    ),
    Method(
        "Multigrid",
        layer(_multigrid),
        ours=True,
        needs="softcut_lib:Multigrid",
        note="conjugate gradients preconditioned by a V-cycle",
    ),
    Method(
        "Direct",
        layer(lambda setting: sc.Direct(refine=setting["refine"])),
        search="choices",
        choices=(
            {"dtype": "float32", "refine": 0},
            {"dtype": "float32", "refine": 1},
            {"dtype": "float32", "refine": 2},
            {"dtype": "float64", "refine": 0},
        ),
        ours=True,
        note="nested dissection; one factor for both passes",
    ),
    Method(
        "PUBLISHED_CG",
        layer(lambda setting: sc.PUBLISHED_CG),
        search="none",
        choices=({"dtype": "float32"},),
        note="the thesis' approximate layer with its own stopping rule, on our fused kernel; its "
        "error is what it is",
    ),
]

PLAIN = [
    Method(
        "plain CG",
        _loop,
        tuned_by=_FAST_PLAIN,
        note="the thesis' algorithm in plain tensor operations with few temporaries, stopped by a "
        "relative rule",
    ),
    Method(
        "plain CG, torch kernel",
        layer(_cg(kernel="torch", preconditioner=None, start="rhs")),
        tuned_by=_FAST_PLAIN,
        note="the same algorithm as the library's readable reference writes it",
    ),
    Method(
        "plain CG, torch.compile",
        _compiled,
        tuned_by=_FAST_PLAIN,
        note="the loop of plain CG, its step compiled",
    ),
]
