"""What the GPU benchmark has recorded: steps of the kernels, whole solves, training steps.

`python -m benchmarks.gpu` writes `book/results/solvers-gpu.json` (chapter 5, appendices A2, A3).
"""

import math

from softcut_lib.show.benchmark_tables import milliseconds
from softcut_lib.show.tables import table

__all__ = ["arms_table", "gpu_steps_table", "gpu_words"]

WAYS = ("torch", "fused", "fused, graphs")


def gpu_steps_table(content, *, caption=None):
    """One step of conjugate gradients on a GPU, in three ways, and a whole solve with graphs.

    Args:
        content: as `read_gpu_benchmarks` gives it.
        caption: a sentence above the table; made from the content if None.

    Returns:
        A `Table`, one line for each form of system: microseconds a step by plain tensor operations,
        by the fused kernels, by the same from a recorded graph; the share of a copy's bandwidth
        that the last reaches (more than 1 where the arrays stay in the cache); and, in float32,
        how many times faster a solve of 64 steps becomes by the graph.
    """
    whole = {_form(row): row["graphs_are_faster_by"] for row in content.get("graphs", [])}
    body = []
    for (batch, labels, grid, dtype), ways in _steps(content).items():
        recorded = ways["fused, graphs"]
        pays = whole.get((batch, labels, grid)) if dtype == "float32" else None
        times = [f"{1e6 * ways[way]['seconds_per_step']:.1f}" for way in WAYS]
        size = " x ".join(map(str, grid))
        body.append([
            f"{batch} x {labels} of {size}", dtype, *times, f"{recorded['share_of_copy']:.2f}",
            None if pays is None else f"{pays:.1f}",
        ])  # fmt: skip
    header = ["images x labels", "numbers", *(f"{way}, us" for way in WAYS)]
    header += ["share of a copy", "solve: graphs pay"]
    default = f"A step of CG on {content['machine']['processor']}"
    return table(header, body, caption=default if caption is None else caption)


def gpu_words(content):
    """What `gpu_steps_table` shows, in sentences; every number is the file's.

    Args:
        content: as `read_gpu_benchmarks` gives it.
    """
    found = _steps(content)
    if not found:
        return "The file holds no step."
    steps = list(found.values())
    least = found[min(found, key=lambda form: form[0] * form[1] * math.prod(form[2]))]
    alone, recorded = (1e6 * least[way]["seconds_per_step"] for way in WAYS[1:])

    def between(slow, fast):
        ratios = [w[slow]["seconds_per_step"] / w[fast]["seconds_per_step"] for w in steps]
        return f"{min(ratios):.1f} to {max(ratios):.0f}"

    shares = [ways["fused, graphs"]["share_of_copy"] for ways in steps]
    return (
        f"A fused step is {between('torch', 'fused')} times as fast as one of tensor operations, "
        f"and from a recorded graph {between('fused', 'fused, graphs')} times as fast again; "
        f"it then moves its bytes at {min(shares):.2f} to {max(shares):.2f} of the rate of a copy. "
        f"On the smallest system a step's two launches take {alone:.0f} us one by one, "
        f"{recorded:.0f} us from a graph."
    )


def _form(row):
    return row["batch"], row["labels"], tuple(row["grid"])


def _steps(content):
    """(batch, labels, grid, dtype) -> way -> row, of forms that were measured in every way."""
    found = {}
    for row in content.get("steps", []):
        if row["what"] == "step":
            found.setdefault((*_form(row), row["dtype"]), {})[row["method"]] = row
    return {form: ways for form, ways in found.items() if set(WAYS) <= set(ways)}


def arms_table(content, *, printed=None, caption=None):
    """A training step of every row of the street experiments, alone on a GPU or a CPU.

    Args:
        content: as `read_recorded("solvers-gpu")` or `read_recorded("arms-cpu")` gives it.
        printed: experiment -> model -> training time of the thesis over that of its Base.
        caption: a sentence above the table; made from the content if None.

    Returns:
        A `Table`: experiment, images of a step and their size, model, median milliseconds, over
        those of Base, the thesis' training time over Base's, solver steps forward and adjoint.
    """
    printed, body = printed or {}, []
    for row in content["arms"]:
        batch, _, height, width = row["size"]
        theirs = printed.get(row["experiment"], {}).get(row["model"])
        steps = [row.get(f"{phase}_steps_max") for phase in ("forward", "adjoint")]
        steps = " / ".join(f"{count:.0f}" for count in steps if count is not None)
        body.append([
            row["experiment"], f"{batch} of {height} x {width}", row["model"],
            milliseconds(row["step_seconds"]["median"]), f"{row['times_base']:.2f}",
            None if theirs is None else f"{theirs:.1f}",
            steps or None,
        ])  # fmt: skip
    header = [
        "experiment",
        "images",
        "model",
        "ms a step",
        "over Base",
        "thesis: over Base",
        "steps",
    ]
    default = f"Training steps on {content['machine']['processor']}, bf16, nothing else running"
    return table(header, body, caption=default if caption is None else caption)
