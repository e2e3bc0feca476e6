"""The layer inside recorded graphs: torch.compile, torch.export, make_fx, jit.trace."""

import io
import shutil
import subprocess
import sys
import warnings

import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx

import softcut_lib as sc
from softcut_lib.layers import operator
from tests.grids import arguments, random

# every solver of the library as it comes, those of later chapters too
SOLVERS = {
    name: getattr(sc, name)() for name in sc.__all__ if operator.is_solver(getattr(sc, name))
} | {"torch": sc.CG(kernel="torch"), "published": sc.PUBLISHED_CG}
every_solver = pytest.mark.parametrize("name", SOLVERS)


@pytest.fixture(autouse=True)
def fresh_compiler():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def inputs(kind="2d", **options):
    """(scores, weights, ground) that need gradients, float32."""
    scores, weights, rest = arguments(kind, dtype=torch.float32, **options)
    return [t.requires_grad_() for t in (scores, rest["ground"], *weights)], rest["offsets"]


def layer(solver, offsets=None, **options):
    return lambda scores, ground, *weights: sc.soft_cut(
        scores, weights, ground=ground, offsets=offsets, solver=solver, **options
    )


def outcome(call, tensors):
    """The output of a call and the gradients of a loss on it."""
    x = call(*tensors)
    return [x, *torch.autograd.grad(x.square().sum(), tensors)]


def same(got, expected, **tolerance):
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a, b, **(tolerance or {"rtol": 0, "atol": 0}))


def compiled(call, **options):
    return torch.compile(call, fullgraph=True, **({"backend": "aot_eager"} | options))


@every_solver
@pytest.mark.parametrize("per_label", [False, True])
def test_a_compiled_layer_computes_the_same_bits(name, per_label):
    tensors, _ = inputs(per_label=per_label)
    call = layer(SOLVERS[name])
    same(outcome(compiled(call), tensors), outcome(call, tensors))


@pytest.mark.parametrize("kind", ["1d", "2d-backwards", "2d-diagonals", "3d"])
def test_any_grid_compiles(kind):
    tensors, offsets = inputs(kind)
    call = layer(None, offsets)
    same(outcome(compiled(call), tensors), outcome(call, tensors))


@every_solver
def test_the_operator_passes_pytorchs_own_checks(name):
    (scores, ground, *weights), _ = inputs()
    text = operator.describe("solver", SOLVERS[name])
    args = (scores, ground, weights, [1, 0, 0, 1], text, text, "forward", True)
    assert set(torch.library.opcheck(operator._solve, args).values()) == {"SUCCESS"}


@pytest.mark.parametrize("train", [True, False])
def test_a_whole_network_compiles(train):
    torch.manual_seed(0)
    net = sc.CutNet(sc.ScoreAndEdges(sc.BasicNet(3, (4,)), sc.EdgeNet(3, 4)), sc.SoftCut())
    net.train(train)
    image = random(2, 3, 6, 7, dtype=torch.float32)

    def step(call):
        net.zero_grad()
        prob = call(image).prob
        prob.square().mean().backward()
        return [prob.detach(), *(p.grad.clone() for p in net.parameters())]

    same(step(compiled(net)), step(net), rtol=1e-5, atol=1e-7)
    with torch.no_grad():
        same(compiled(net)(image), net(image), rtol=1e-5, atol=1e-7)


def test_one_graph_serves_all_sizes():
    from torch._dynamo.testing import CompileCounterWithBackend

    count, call = CompileCounterWithBackend("aot_eager"), layer(None)
    graph = torch.compile(call, fullgraph=True, backend=count, dynamic=True)
    for batch, h, w in ((3, 6, 9), (4, 5, 7), (5, 9, 12)):
        tensors = [
            random(batch, 2, h, w, dtype=torch.float32),
            random(batch, h, w, dtype=torch.float32).exp(),
            random(batch, h - 1, w, dtype=torch.float32).exp(),
            random(batch, h, w - 1, dtype=torch.float32).exp(),
        ]
        tensors = [t.requires_grad_() for t in tensors]
        same(outcome(graph, tensors), outcome(call, tensors))
    assert count.frame_count == 1


def test_changed_options_are_seen_by_a_compiled_layer():
    (scores, _, *weights), _ = inputs(contrast=2)
    budget = {"accept": True, "kernel": "torch"}
    cut = sc.SoftCut()
    graph = compiled(cut)
    for solver in (
        sc.CG(max_iter=2, **budget),
        sc.CG(max_iter=3, **budget),
        sc.CG(tol=1e-1, **budget),
        sc.CG(tol=1e-2, **budget),
        sc.SuperLU(),
    ):
        cut.solver = solver
        same([graph(scores, weights)], [cut(scores, weights)])


@pytest.mark.skipif(not shutil.which("g++"), reason="inductor needs a C++ compiler")
def test_inductor_runs_the_layer():
    tensors, _ = inputs()
    call = layer(sc.CG(tol=1e-7))
    got = outcome(compiled(call, backend="inductor"), tensors)
    same(got, outcome(call, tensors), rtol=1e-5, atol=1e-6)


@every_solver
def test_an_exported_layer_is_saved_loaded_and_still_differentiable(name):
    (scores, _, *weights), _ = inputs()
    cut = sc.SoftCut(solver=SOLVERS[name], ground=2.0)
    file = io.BytesIO()
    torch.export.save(torch.export.export(cut, (scores, weights)), file)
    file.seek(0)
    loaded = torch.export.load(file).module()
    tensors = [scores, *weights]
    expected = outcome(lambda p, *w: cut(p, list(w)), tensors)
    same(outcome(lambda p, *w: loaded(p, list(w)), tensors), expected)


def test_an_exported_layer_takes_other_sizes():
    (scores, _, *weights), _ = inputs()
    auto = torch.export.Dim.AUTO
    sizes = ({0: auto, 2: auto, 3: auto}, [{0: auto, 1: auto, 2: auto}] * 2)
    graph = torch.export.export(sc.SoftCut(), (scores, weights), dynamic_shapes=sizes).module()
    scores = random(3, 2, 9, 4, dtype=torch.float32)
    weights = [random(3, *s, dtype=torch.float32).exp() for s in ((8, 4), (9, 3))]
    same([graph(scores, weights)], [sc.soft_cut(scores, weights)])


def test_a_saved_graph_runs_in_a_new_process(tmp_path):
    (scores, _, *weights), _ = inputs()
    torch.export.save(torch.export.export(sc.SoftCut(), (scores, weights)), tmp_path / "cut.pt2")
    arrays = [t.detach() for t in (scores, *weights)]
    torch.save([*arrays, sc.soft_cut(arrays[0], arrays[1:])], tmp_path / "data.pt")
    code = (
        "import torch; from softcut_lib import SoftCut;"
        "p, *w, x = torch.load('data.pt'); cut = torch.export.load('cut.pt2').module();"
        "assert torch.equal(cut(p, w), x)"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


@pytest.mark.filterwarnings("ignore")
def test_older_recorders_take_the_operator_too():
    (scores, _, *weights), _ = inputs()
    call = lambda p, c, r: sc.soft_cut(p, [c, r])  # noqa: E731
    tensors = [t.detach() for t in (scores, *weights)]
    other = [2 * t for t in tensors]
    for mode in ("real", "symbolic"):
        same([make_fx(call, tracing_mode=mode)(*tensors)(*other)], [call(*other)])
    same([torch.jit.trace(call, tensors)(*other)], [call(*other)])


def test_shapes_without_numbers():
    meta = torch.empty(2, 3, 4, 5, device="meta")
    weights = [torch.empty(2, 3, 5, device="meta"), torch.empty(2, 4, 4, device="meta")]
    assert sc.soft_cut(meta, weights).shape == meta.shape


def test_values_are_checked_when_the_graph_runs():
    (scores, _, *weights), _ = inputs()
    graph = compiled(sc.SoftCut())
    graph(scores, weights)
    with pytest.raises(ValueError, match=r"weights\[1\] must be at least 0"):
        graph(scores, [weights[0], -weights[1]])
    with pytest.raises(ValueError, match="scores must be finite"):
        graph(scores * float("nan"), weights)
    assert compiled(sc.SoftCut(check=False))(scores * float("nan"), weights).isnan().all()


def test_shapes_are_checked_when_the_graph_is_made():
    (scores, _, *weights), _ = inputs()
    with pytest.raises(torch._dynamo.exc.Unsupported, match="they look swapped"):
        compiled(sc.SoftCut())(scores, weights[::-1])
    with pytest.raises(ValueError, match="they look swapped"):
        torch.export.export(sc.SoftCut(), (scores, weights[::-1]))


def test_a_graph_warns_like_the_layer():
    (scores, _, *weights), _ = inputs(contrast=3)
    hasty = sc.CG(max_iter=1)
    with pytest.warns(sc.ConvergenceWarning, match="soft_cut, forward pass: CG left"):
        compiled(sc.SoftCut(solver=hasty))(scores, weights)
    x = compiled(sc.SoftCut(adjoint=hasty))(scores, weights)
    with pytest.warns(sc.ConvergenceWarning, match="soft_cut, backward pass: CG left"):
        x.square().sum().backward()


def test_a_non_finite_gradient_is_not_refused():
    (scores, _, *weights), _ = inputs()
    x = compiled(sc.SoftCut())(scores, weights)
    gradient = torch.ones_like(x)
    gradient[0, 0, 0, 0] = float("inf")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = torch.autograd.grad(x, [scores, *weights], gradient)
    assert all(g[0].isnan().any() and g[1].isfinite().all() for g in found)


def test_a_direct_solver_factors_once_in_each_pass_of_a_graph(monkeypatch):
    from softcut_lib.solvers import superlu

    calls, factor = [], superlu._factor
    monkeypatch.setattr(superlu, "_factor", lambda *a: calls.append(1) or factor(*a))
    tensors, _ = inputs()
    outcome(compiled(layer(sc.SuperLU())), tensors)
    assert len(calls) == 2 * 2  # two samples


PYTHON_ONLY = {
    "solver": ({"solver": lambda system, rhs: sc.CG()(system, rhs)}, TypeError, "solver must be"),
    "adjoint": ({"adjoint": lambda system, rhs: sc.CG()(system, rhs)}, TypeError, "adjoint must"),
    "log": ({"log": lambda info: None}, ValueError, "log is called in eager mode only"),
}


@pytest.mark.parametrize("case", PYTHON_ONLY)
def test_python_objects_do_not_enter_a_graph(case):
    options, error, message = PYTHON_ONLY[case]
    (scores, _, *weights), _ = inputs()
    cut = sc.SoftCut(**options)
    with pytest.raises(torch._dynamo.exc.Unsupported, match=message):
        compiled(cut)(scores, weights)
    torch._dynamo.reset()
    with pytest.raises(error, match=message):
        torch.compile(cut, backend="aot_eager")(scores, weights)
    with pytest.raises(error, match=message):
        torch.export.export(cut, (scores, weights))


def test_a_layer_with_python_objects_can_be_kept_out_of_the_graph():
    """What the message advises: torch.compiler.disable(cut)."""
    (scores, _, *weights), _ = inputs()
    seen = []
    cut = torch.compiler.disable(
        sc.SoftCut(solver=lambda system, rhs: sc.CG()(system, rhs), log=seen.append)
    )
    graph = torch.compile(lambda p, c, r: 2 * cut(2 * p, [c, r]), backend="aot_eager")
    same(
        outcome(graph, [scores, *weights]),
        outcome(lambda p, *w: 2 * cut(2 * p, w), [scores, *weights]),
    )
    assert len(seen) == 4


@pytest.mark.parametrize("text", ["GridSystem()", "SolveInfo()", "soft_cut()"])
def test_only_solvers_are_read_back(text):
    with pytest.raises(ValueError, match="is not a solver of the library"):
        operator.read(text)


@every_solver
def test_a_solver_is_its_text(name):
    assert operator.read(operator.describe("solver", SOLVERS[name])) == SOLVERS[name]
