"""Time the solvers on a GPU: `python -m benchmarks.gpu --help`.

What it answers: how long one step of the fused kernels takes and what part of the memory bandwidth
that is; whether recorded CUDA graphs pay (`softcut_lib.solvers.launch_cuda.GRAPHS`); which launch
geometry is best; how forward and backward of the layer compare with the same loop in plain
tensor operations, compiled or not, and with CuPy and cuDSS, all at the same measured error; the
layer's share of a training step; and what rows of the street experiments cost beside the network
without a cut.
"""

import argparse
import gc
import os
import shlex
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import torch

OUTPUT = Path(__file__).parents[1] / "book" / "results" / "solvers-gpu.json"
PARTS = ("steps", "graphs", "cells", "arms", "training", "geometry")
NO_GPU = """There is no CUDA device here, and these figures mean nothing without one. On a machine
with a GPU and triton (PyTorch's CUDA builds bring it): python -m benchmarks.gpu
Here, the same code on tiny systems in Triton's interpreter: python -m benchmarks.gpu --dry"""


def parse(argv):
    parser = argparse.ArgumentParser("python -m benchmarks.gpu", description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    add("--seconds", type=float, default=0.4, help="for the repeats of one row (default 0.4)")
    add("--minutes", type=float, default=8, help="begin nothing new after this long (default 8)")
    add("--add", action="store_true", help="keep the other parts of the output file")
    add("--output", type=Path, help=f"default: {OUTPUT.relative_to(Path(__file__).parents[1])}")
    add("--dry", action="store_true", help="tiny systems in Triton's interpreter, without a GPU")
    return parser.parse_args(argv)


class Bench:
    """Device, sizes and clock of one run."""

    def __init__(self, options):
        self.dry, self.seconds = options.dry, options.seconds
        self.device = torch.device("cpu" if options.dry else "cuda")
        self.end = time.monotonic() + 60 * options.minutes
        small = options.dry
        # (batch, labels, grid), the most important first
        self.forms = (
            [(1, 1, (6, 7)), (2, 1, (5, 6))]
            if small
            else [
                (8, 1, (256, 256)), (32, 1, (256, 256)), (1, 1, (1024, 2048)), (1, 1, (256, 256)),
                (8, 1, (512, 512)), (1, 21, (512, 512)), (1, 1, (128, 128, 128)),
            ]
        )  # fmt: skip
        self.cells = (
            [("piecewise", (6, 7), 2)]
            if small
            else [
                (kind, size, batch)
                for size, batch in (((256, 256), 8), ((256, 256), 32), ((1024, 2048), 1),
                                    ((512, 512), 8), ((64, 64), 8))
                for kind in ("untrained", "trained", "photograph", "piecewise")
            ]
        )  # fmt: skip
        # both end where the host looks (launch_cuda.LOOK), so that no launch is wasted
        self.few, self.many = (4, 12) if small else (16, 240)

    def late(self):
        return time.monotonic() > self.end

    def wait(self):
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def times(self, run, *, rounds=40):
        """Seconds of repeated runs, on the device's clock where there is one, after a warm-up."""
        run()
        self.wait()
        found, start = [], time.perf_counter()
        while not found or (len(found) < rounds and time.perf_counter() - start < self.seconds):
            if self.device.type == "cuda":
                marks = [torch.cuda.Event(enable_timing=True) for _ in range(2)]
                marks[0].record()
                run()
                marks[1].record()
                self.wait()
                found.append(marks[0].elapsed_time(marks[1]) / 1e3)
            else:
                begun = time.perf_counter()
                run()
                found.append(time.perf_counter() - begun)
        return found

    def peak(self, run):
        """Bytes that a run takes beyond what is held before; None without a GPU."""
        if self.device.type != "cuda":
            return None
        gc.collect()
        self.wait()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        run()
        self.wait()
        return torch.cuda.max_memory_allocated() - before


@contextmanager
def settings(graphs=0, tile=None, warps=None, programs=None):
    """The fused kernels with recorded graphs or another geometry."""
    from softcut_lib.solvers import kernels_cuda, launch_cuda

    chosen = [(launch_cuda, "GRAPHS", graphs), (kernels_cuda, "TILE", tile),
              (kernels_cuda, "WARPS", warps), (kernels_cuda, "PROGRAMS", programs)]  # fmt: skip
    before = [getattr(module, name) for module, name, _ in chosen]
    for module, name, value in chosen:
        if value is not None:
            setattr(module, name, value)
    try:
        yield
    finally:
        launch_cuda._kept.clear()
        for (module, name, _), value in zip(chosen, before):
            setattr(module, name, value)


def fused(bench, **options):
    """CG with the fused kernels; in a dry run they are interpreted, on CPU tensors."""
    import softcut_lib as sc

    cg = sc.CG(kernel="fused", accept=True, **options)
    if not bench.dry:
        return cg
    from softcut_lib.solvers import launch_cuda

    def solver(system, rhs):
        with torch.no_grad():
            x = torch.zeros_like(rhs)
            steps, squares, *lengths = launch_cuda.run(system, rhs, x, cg)
            return x, cg._info(system, rhs, x, "fused", steps, squares, lengths)

    return solver


def random_system(bench, batch, labels, grid, dtype):
    """Weights that no solver finishes early on, and a right-hand side."""
    import softcut_lib as sc

    generator = torch.Generator(bench.device).manual_seed(0)
    options = {"dtype": dtype, "device": bench.device, "generator": generator}
    weights = [
        torch.randn(batch, *sc.edge_shape(grid, o), **options).mul(3).exp()
        for o in sc.axis_offsets(len(grid))
    ]
    rhs = torch.randn(batch, labels, *grid, **options)
    return sc.GridSystem(weights, grid=grid, check=False), rhs


def seconds_per_step(bench, solver, system, rhs):
    """From two runs of different length, so that packing and what comes after drop out."""
    from benchmarks.measure import quietly, spread

    runs = [
        bench.times(lambda count=count: quietly(lambda: solver(count)(system, rhs)))
        for count in (bench.few, bench.many)
    ]
    few, many = (spread(times) for times in runs)
    per = (many["median"] - few["median"]) / (bench.many - bench.few)
    return {"seconds_per_step": float(f"{per:.4g}"), "few": few, "many": many}


def _copy(bench):
    """(seconds, bytes read and written per second) of a large copy."""
    from benchmarks.measure import spread

    source = torch.ones(2**12 if bench.dry else 2**28, device=bench.device)
    target = torch.empty_like(source)
    seconds = spread(bench.times(lambda: target.copy_(source)))
    return seconds, 2 * source.numel() * 4 / seconds["median"]


def steps(bench):
    """One step on different shapes: fused, fused with graphs, plain tensors, the same compiled."""
    import softcut_lib as sc

    copy, rate = _copy(bench)
    yield {"what": "copy", "seconds": copy, "bytes_per_second": float(f"{rate:.4g}")}
    for batch, labels, grid in bench.forms:
        for dtype in (torch.float32, torch.float64):
            system, rhs = random_system(bench, batch, labels, grid, dtype)
            shape = {"batch": batch, "labels": labels, "grid": list(grid)}
            # the first pass reads K weights, ground, z and p and writes p and q; the second reads
            # x, p, z, q and the diagonal and writes x and z; weights, ground and diagonal are
            # shared by the labels of a sample (caches permitting)
            arrays = 9 + (len(grid) + 3) / labels
            moved = arrays * rhs.numel() * rhs.element_size()

            def ours(count):
                return fused(bench, tol=1e-30, max_iter=count)

            def plain(count):
                return sc.CG(tol=1e-30, max_iter=count, accept=True, kernel="torch")

            with settings():
                found = {"fused": seconds_per_step(bench, ours, system, rhs)}
            with settings(graphs=2):
                found["fused, graphs"] = seconds_per_step(bench, ours, system, rhs)
            found["torch"] = seconds_per_step(bench, plain, system, rhs)
            for name, row in found.items():
                row |= {"what": "step", "method": name, "dtype": str(dtype)[6:], **shape}
                if "fused" in name and row["seconds_per_step"] > 0:
                    reached = moved / row["seconds_per_step"]
                    row |= {
                        "arrays": round(arrays, 2), "bytes_per_second": float(f"{reached:.4g}"),
                        "share_of_copy": float(f"{reached / rate:.3g}"),
                    }  # fmt: skip
                yield row
        if bench.late():
            return


def graphs(bench):
    """A whole solve of 64 steps with and without recorded graphs, and what recording costs."""
    from benchmarks.measure import quietly, spread

    for batch, labels, grid in bench.forms:
        system, rhs = random_system(bench, batch, labels, grid, torch.float32)
        solver = fused(bench, tol=1e-30, max_iter=4 if bench.dry else 64)

        def run(solver=solver, system=system, rhs=rhs):
            return quietly(lambda: solver(system, rhs))

        row = {"batch": batch, "labels": labels, "grid": list(grid)}
        with settings():
            row["seconds"] = spread(bench.times(run))
            row["peak"] = bench.peak(run)
        with settings(graphs=1):
            bench.wait()
            start = time.perf_counter()
            run()
            bench.wait()
            row["first_with_recording_s"] = float(f"{time.perf_counter() - start:.4g}")
            row["seconds_with_graphs"] = spread(bench.times(run))
        pay = row["seconds"]["median"] / row["seconds_with_graphs"]["median"]
        yield row | {"graphs_are_faster_by": float(f"{pay:.3g}")}


def geometry(bench):
    """Seconds per step for other tiles, warps and programs: what the constants should be."""
    choices = [(512, 4, 512)]
    if not bench.dry:
        choices = [
            (tile, warps, programs)
            for tile in (256, 512, 1024, 2048)
            for warps in (2, 4, 8)
            for programs in (256, 512, 1024)
        ]
    for batch, labels, grid in bench.forms[:3]:
        for dtype in (torch.float32,):
            system, rhs = random_system(bench, batch, labels, grid, dtype)
            for tile, warps, programs in choices:
                with settings(graphs=1, tile=tile, warps=warps, programs=programs):
                    row = seconds_per_step(
                        bench, lambda count: fused(bench, tol=1e-30, max_iter=count), system, rhs
                    )
                yield {
                    "batch": batch, "grid": list(grid), "tile": tile, "warps": warps,
                    "programs": programs, "seconds_per_step": row["seconds_per_step"],
                }  # fmt: skip
                if bench.late():
                    return


def main(argv=None):
    options = parse(sys.argv[1:] if argv is None else argv)
    if options.dry:
        os.environ["TRITON_INTERPRET"] = "1"  # before the kernels are imported
    elif not torch.cuda.is_available():
        print(NO_GPU, file=sys.stderr)
        return 2
    try:
        import triton
    except ImportError:
        print("The fused kernels need triton: pip install triton", file=sys.stderr)
        return 2
    from benchmarks import arms, gpu_layer
    from benchmarks.measure import TARGET
    from softcut_lib.train.provenance import describe_machine, describe_session
    from softcut_lib.train.runs import write_json

    bench = Bench(options)
    if options.dry:
        from softcut_lib.solvers import launch_cuda

        launch_cuda.LOOK, launch_cuda.GRAPH_STEPS = (4,), 4
        launch_cuda._recorded = lambda launch: launch
    missing = gpu_layer.missing()
    for name, why in missing.items():
        print(f"missing: {name} ({why})")
    machine = describe_machine(bench.device.type)
    machine["versions"]["triton"] = triton.__version__
    command = shlex.join(["python", "-m", "benchmarks.gpu", *(argv or sys.argv[1:])])
    results = {
        "schema": 1, "about": "solvers on a GPU", "dry": options.dry, "target": TARGET,
        "machine": machine, "sessions": [describe_session(command)], "missing": missing,
    }  # fmt: skip
    parts = {"steps": steps, "graphs": graphs, "geometry": geometry, "arms": arms.arms,
             "cells": gpu_layer.cells, "training": gpu_layer.training}  # fmt: skip
    output = options.output or (None if options.dry else OUTPUT)
    if options.add:
        results = _earlier(output, results)
    before, started = results.get("wall_time_s", 0), time.monotonic()
    for name in options.parts:
        if bench.late():
            print(f"{name}: left out, the {options.minutes:g} minutes were over")
            results.setdefault(name, [])
            continue
        rows = results[name] = []
        for row in parts[name](bench):
            rows.append(row)
            print(f"{name}: " + ", ".join(f"{k} {_short(v)}" for k, v in row.items()), flush=True)
            if output:  # a lease that ends early still leaves what was measured
                results["wall_time_s"] = round(before + time.monotonic() - started, 1)
                write_json(output, results)
    if output:
        print(f"wrote {output}")
    return 0


def _earlier(path, results):
    """The file's content with this session added, where it was measured on the same kind of GPU."""
    from softcut_lib.train.runs import read_json

    if path is None or not path.exists():
        return results
    earlier = read_json(path)
    if earlier["machine"] != results["machine"]:
        raise ValueError(
            f"--add: {path} was measured on {earlier['machine']}, this is {results['machine']}; "
            "write another --output"
        )
    return {**earlier, "sessions": earlier["sessions"] + results["sessions"]}


def _short(value):
    if isinstance(value, dict) and "median" in value:
        return f"{value['median']:.4g}"
    return value


if __name__ == "__main__":
    sys.exit(main())
