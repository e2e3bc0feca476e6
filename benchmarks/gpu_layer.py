"""Forward and backward of the layer on a GPU beside its peers, and its share of a training step."""

import importlib
import inspect
from dataclasses import replace

import torch

import softcut_lib as sc
from softcut_lib.grid.edges import at_head, at_tail

from . import training_step
from .measure import MAX_STEPS, TARGET, errors, find_setting, quietly, spread, verified
from .measure import steps as counted
from .methods import OURS, PLAIN, Method, layer
from .peers import pattern
from .problems import OFFSETS, Answer, edge_gradients, exact, make


def missing():
    """Peers that cannot be imported here, and why."""
    found = {}
    for method in _peers():
        if method.missing():
            found[method.name] = f"{method.missing()}; pip install {method.package}"
    if training_step.missing():
        found["training step"] = training_step.missing()
    return found


def moved(problem, device):
    """The problem on the device."""
    return replace(
        problem, scores=problem.scores.to(device), gradient=problem.gradient.to(device),
        weights=[w.to(device) for w in problem.weights],
    )  # fmt: skip


def methods(bench):
    """Every row of the table; the fused kernels with and without recorded graphs come first."""
    from softcut_lib.solvers import launch_cuda

    from .gpu import fused

    def ours(setting):
        return fused(bench, tol=setting["tol"], max_iter=60 if bench.dry else MAX_STEPS)

    launched = layer(ours)

    def recorded(problem, setting):
        run = launched(problem, setting)

        def with_graphs():  # they stay from run to run, as they would in training
            launch_cuda.GRAPHS = 4
            try:
                return run()
            finally:
                launch_cuda.GRAPHS = 0

        return with_graphs

    yield Method("CG, fused", launched, ours=True, note="launched one by one")
    yield Method("CG, fused, graphs", recorded, ours=True, tuned_by=launched)
    for method in OURS:
        if method.name not in ("CG", "PUBLISHED_CG") and not method.missing():
            yield method if method.tuned_by is None else replace(method, tuned_by=launched)
    yield from (replace(method, tuned_by=None) for method in PLAIN)
    yield from (method for method in _peers() if not method.missing())


def cells(bench):
    """Each method brought to the same measured error, then timed."""
    from softcut_lib.solvers import launch_cuda

    for kind, size, batch in bench.cells:
        problem = moved(make(kind, size, batch), bench.device)
        reference = exact(problem)
        launch_cuda._kept.clear()
        for method in methods(bench):
            if bench.late():
                return
            row = {"kind": kind, "size": list(size), "batch": batch, "method": method.name}
            try:
                setting, reached = find_setting(method, problem, reference)
                setting, run, answer, *_, found = verified(method, problem, reference, setting)
                times = bench.times(lambda run=run: quietly(run))
                row |= {
                    "status": "measured", "setting": setting, "seconds": spread(times),
                    "reached": max(v for v in found.values() if v is not None) <= TARGET,
                    "errors": found, "peak": bench.peak(lambda run=run: quietly(run)),
                    "forward": counted(answer.forward), "backward": counted(answer.backward),
                }  # fmt: skip
            except Exception as error:  # a peer that fails must not cost the other rows
                row |= {"status": "failed", "reason": f"{type(error).__name__}: {error}"[:300]}
            yield row


def training(bench):
    """Seconds of a training step of the two-decoder U-Net, and of the layer alone."""
    if training_step.missing():
        return
    size, batch = ((64, 64), 1) if bench.dry else ((256, 256), 32)
    problem = moved(make("trained", size, batch), bench.device)
    reference = exact(problem)
    torch.manual_seed(0)
    network = training_step.TwoDecoders().to(bench.device)
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    items = sc.SyntheticHorses("test", count=batch, size=size, seed=1)
    images, target = (
        torch.stack([items[b][name] for b in range(batch)]).to(bench.device)
        for name in ("image", "target")
    )

    def step(solver):
        scores, edges = network(images)
        weights = [w + 1e-12 * e for w, e in zip(problem.weights, edges)]
        output = scores if solver is None else sc.soft_cut(scores, weights, solver=solver)
        loss = sc.dice_loss(output.sigmoid(), target) + sum(w.mean() for w in weights)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    none = spread(bench.times(lambda: step(None)))
    yield {"method": "no layer", "size": list(size), "batch": batch, "step_seconds": none}
    solvers = {"CG": lambda s: sc.CG(tol=s["tol"], max_iter=MAX_STEPS)}
    if hasattr(sc, "Multigrid"):
        solvers["Multigrid"] = lambda s: sc.Multigrid(tol=s["tol"], max_iter=MAX_STEPS)
    solvers["Direct"] = lambda s: sc.Direct(refine=s["refine"])
    for method in OURS:
        if method.name not in solvers or bench.late():
            continue
        setting, _ = find_setting(method, problem, reference)
        solver = solvers[method.name](setting)
        whole = spread(bench.times(lambda solver=solver: quietly(lambda: step(solver))))
        run = method.prepare(problem, setting)
        alone = spread(bench.times(lambda run=run: quietly(run)))
        yield {
            "method": method.name, "size": list(size), "batch": batch, "setting": setting,
            "step_seconds": whole, "layer_seconds": alone,
            "share": float(f"{alone['median'] / whole['median']:.3g}"),
            "errors": errors(quietly(run), reference),
        }  # fmt: skip


def _peers():
    cupy = {"needs": "cupyx.scipy.sparse.linalg", "package": "cupy-cuda13x"}
    return [
        Method("CuPy CG", _cupy, note="one sample after another, diagonal preconditioner", **cupy),
        Method(
            "cuDSS", _cudss, search="choices",
            choices=({"dtype": "float32"}, {"dtype": "float64"}),
            needs="nvmath.sparse.advanced", package="nvmath-python[cu13]",
            note="the whole batch at once; its analysis is made before the clock starts",
        ),
    ]  # fmt: skip


def _matrices(problem, setting):
    """A function that gives the CSR values (B, nnz) of the problem's matrices, and their pattern.

    The matrix is symmetric, so compressed columns are compressed rows.
    """
    where, device = pattern(problem.size), problem.scores.device
    order = where.order.to(device)
    pointer, column = (
        torch.from_numpy(a).to(device).contiguous() for a in (where.indptr, where.indices)
    )
    weights = [w.to(getattr(torch, setting["dtype"])) for w in problem.weights]

    def values():
        diagonal = weights[0].new_ones(problem.batch, *problem.size)
        for w, o in zip(weights, OFFSETS):
            diagonal = diagonal + at_tail(w, o, problem.size) + at_head(w, o, problem.size)
        flat = [-w.flatten(1) for w in weights]
        return torch.cat([diagonal.flatten(1), *flat, *flat], 1)[:, order], diagonal.flatten(1)

    return values, pointer, column


def _right_hand_sides(problem, setting):
    dtype = getattr(torch, setting["dtype"])
    return [t.to(dtype).flatten(1) for t in (problem.scores, problem.gradient)]


def _cupy(problem, setting):
    cupy = importlib.import_module("cupy")
    sparse = importlib.import_module("cupyx.scipy.sparse")
    linalg = importlib.import_module("cupyx.scipy.sparse.linalg")
    values, pointer, column = _matrices(problem, setting)
    pointer, column = cupy.from_dlpack(pointer), cupy.from_dlpack(column)
    rtol = "rtol" if "rtol" in inspect.signature(linalg.cg).parameters else "tol"
    options = {rtol: setting["tol"], "atol": 0, "maxiter": MAX_STEPS}

    def run():
        entries, diagonal = values()
        both = []
        for right in _right_hand_sides(problem, setting):
            rows = []
            for b in range(problem.batch):
                data = cupy.from_dlpack(entries[b].contiguous())
                shape = (right.shape[1],) * 2
                matrix = sparse.csr_matrix((data, column, pointer), shape=shape)
                scale = sparse.diags(1 / cupy.from_dlpack(diagonal[b].contiguous()))
                x, _ = linalg.cg(matrix, cupy.from_dlpack(right[b]), M=scale, **options)
                rows.append(torch.from_dlpack(x))
            both.append(torch.stack(rows).view(problem.scores.shape))
        x, adjoint = both
        return Answer(x, adjoint, edge_gradients(adjoint, x))

    # torch and CuPy each have their own current stream
    def on_one_stream():
        with cupy.cuda.ExternalStream(torch.cuda.current_stream().cuda_stream):
            return run()

    return on_one_stream


def _cudss(problem, setting):
    advanced = importlib.import_module("nvmath.sparse.advanced")
    values, pointer, column = _matrices(problem, setting)

    def operands():
        entries, _ = values()
        n = problem.scores[0, 0].numel()
        matrices = [torch.sparse_csr_tensor(pointer, column, e, size=(n, n)) for e in entries]
        scores, gradient = _right_hand_sides(problem, setting)
        # two right-hand sides per matrix, in column-major order as cuDSS wants them
        return matrices, [torch.stack(pair).T for pair in zip(scores, gradient)]

    options = advanced.DirectSolverOptions(
        sparse_system_type=advanced.DirectSolverMatrixType.SPD, blocking=True
    )
    solver = advanced.DirectSolver(*operands(), options=options)
    solver.plan()

    def run():
        matrices, right = operands()
        solver.reset_operands(a=matrices, b=right)
        solver.factorize()
        both = torch.stack([x.T for x in solver.solve()], 1)
        x, adjoint = (t.reshape(problem.scores.shape) for t in both)
        return Answer(x, adjoint, edge_gradients(adjoint, x))

    return run
