"""The other measurements: growth with the size, memory bandwidth, a whole frame, Direct's contrast.

Forward solves alone, one sample, through the public solvers. Each function yields rows.
"""

import numpy as np
import torch

import softcut_lib as sc
from softcut_lib.solvers.flat import bytes_per_step

from .measure import (
    MAX_STEPS,
    errors,
    find_setting,
    interleaved,
    median_time,
    observed,
    quietly,
    spread,
    steps,
)
from .methods import Method
from .problems import Answer, exact, make

SOLVERS = ("CG", "Multigrid", "Direct")


def available():
    """Solvers of the library that are there: name -> function of the setting."""
    makers = {
        "CG": lambda s: sc.CG(tol=s["tol"], max_iter=MAX_STEPS),
        "Multigrid": lambda s: sc.Multigrid(tol=s["tol"], max_iter=MAX_STEPS),
        "Direct": lambda s: sc.Direct(refine=s["refine"]),
    }
    return {name: makers[name] for name in SOLVERS if hasattr(sc, name)}


def _forward(maker):
    """A forward solve as a method, so that its setting can be searched like the layer's."""

    def prepare(problem, setting):
        system = sc.GridSystem(problem.to(getattr(torch, setting["dtype"])).weights)
        rhs = problem.scores.to(system.dtype)
        solver = maker(setting)

        def run():
            x, info = solver(system, rhs)
            return Answer(x, forward=tuple(info.iterations.flatten().tolist()))

        return run

    return prepare


def _method(name, maker):
    if name != "Direct":
        return Method(name, _forward(maker))
    choices = tuple({"dtype": "float32", "refine": k} for k in (0, 1, 2))
    return Method(name, _forward(maker), search="choices", choices=choices)


def frame(size, kinds, bar, *, seconds):
    """A whole frame solved to the target error, forward: time, error, memory."""
    for kind in kinds:
        bar(f"frame {size[0]}x{size[1]}, {kind}: exact answer")
        problem = make(kind, size, 1)
        reference = exact(problem)
        for name, maker in available().items():
            bar(f"frame {size[0]}x{size[1]}, {kind}: {name}")
            method = _method(name, maker)
            setting, reached = find_setting(method, problem, reference)
            run = method.prepare(problem, setting)
            answer, first, memory = observed(run)
            times = interleaved({name: run}, {name: first}, seconds=seconds)[name]
            yield {
                "kind": kind, "size": list(size), "method": name, "setting": setting,
                "reached": reached, "error": errors(answer, reference)["x"],
                "iterations": steps(answer.forward), "seconds": spread(times), "memory": memory,
            }  # fmt: skip


def growth(sizes, bar, *, seconds, limit):
    """Forward time against the number of pixels at fixed contrast (untrained weights)."""
    last = {}
    for size in sizes:
        problem = make("untrained", size, 1)
        for name, maker in available().items():
            if last.get(name, 0) * 8 > limit:  # four times the pixels, by the power 3/2
                row = {"method": name, "size": list(size), "status": "left out"}
                yield {**row, "reason": f"it would take longer than the limit, {limit:g} s"}
                continue
            bar(f"growth: {name} {size[0]}x{size[1]}")
            run = _forward(maker)(problem, {"dtype": "float32", "tol": 1e-5, "refine": 1})
            answer, first, memory = observed(run)
            times = interleaved({name: run}, {name: first}, seconds=seconds)[name]
            last[name] = min(times)
            yield {
                "method": name, "size": list(size), "status": "measured", "memory": memory,
                "iterations": steps(answer.forward), "seconds": spread(times),
            }  # fmt: skip


def bandwidth(sizes, bar, *, seconds):
    """What part of the machine's memory bandwidth one step of the fused CG reaches.

    Bytes of one step are counted by `flat.bytes_per_step`, each array once for each time the step
    must read or write it. A copy reads one array and writes another. A grid that fits into the
    caches can exceed the copy.
    """
    bar("bandwidth: copy")
    source = torch.zeros(2**26)
    target = torch.ones_like(source)
    copies = median_time(lambda: target.copy_(source), seconds=seconds)
    rate = 2 * source.numel() * 4 / np.median(copies)
    yield {"what": "copy", "seconds": spread(copies), "bytes_per_second": float(f"{rate:.4g}")}
    for size in sizes:
        bar(f"bandwidth: CG {size[0]}x{size[1]}")
        problem = make("piecewise", size, 1)
        system = sc.GridSystem(problem.weights)
        few, many = 10, 60
        runs = {count: _steps(system, problem.scores, count) for count in (few, many)}
        for run in runs.values():
            quietly(run)
        times = interleaved(runs, {few: 0, many: 0}, seconds=seconds)
        step = (np.median(times[many]) - np.median(times[few])) / (many - few)
        moved = bytes_per_step(system)
        arrays = moved // (4 * size[0] * size[1])
        reached = moved / step
        yield {
            "what": "CG step", "size": list(size), "arrays": arrays,
            "seconds_per_step": float(f"{step:.4g}"),
            "bytes_per_second": float(f"{reached:.4g}"), "share": float(f"{reached / rate:.3g}"),
        }  # fmt: skip


def _steps(system, rhs, count):
    solver = sc.CG(tol=1e-30, max_iter=count, accept=True, red_black=False)
    return lambda: solver(system, rhs)


def contrast(size, batch, bar, *, seconds):
    """Direct, forward and backward, on weights whose logarithm spreads over 0 to 8 decades."""
    runs, firsts = {}, {}
    problem = make("untrained", size, batch)
    generator = torch.Generator().manual_seed(0)
    draws = [torch.rand(w.shape, generator=generator) - 0.5 for w in problem.weights]
    for decades in range(0, 9, 2):
        bar(f"contrast: 1e{decades}")
        weights = [10.0 ** (decades * draw) for draw in draws]
        system = sc.GridSystem(weights)

        def run(system=system):
            factor = sc.Direct().factor(system)
            return factor(system, problem.scores), factor(system, problem.gradient)

        runs[decades] = run
        firsts[decades] = observed(run)[1]
    times = interleaved(runs, firsts, seconds=seconds)
    for decades in runs:
        yield {
            "contrast": 10.0**decades, "size": list(size), "batch": batch,
            "seconds": spread(times[decades]),
        }  # fmt: skip


def cg_memory(size, bar):
    """Peak memory of one fused solve above what is held before, in arrays of the grid's size."""
    problem = make("untrained", size, 1)
    system = sc.GridSystem(problem.weights)
    for name, red_black in (("CG", True), ("CG, every pixel", False)):
        bar(f"memory: {name} {size[0]}x{size[1]}")
        solver = sc.CG(tol=1e-5, red_black=red_black)
        solver(system, problem.scores)
        *_, memory = observed(lambda solver=solver: solver(system, problem.scores))
        if memory is not None:
            array = 4 * size[0] * size[1]
            yield {
                "method": name, "size": list(size), "arrays": float(f"{memory / array:.4g}"),
                "allowed": len(problem.weights) + 6, "memory": memory,
            }  # fmt: skip
