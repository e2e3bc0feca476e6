import copy
import io
import pickle
import warnings

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck
from torch.nn.functional import binary_cross_entropy_with_logits, softplus

import softcut_lib as sc
from tests.grids import arguments, random

SOLVERS = {
    "torch": sc.CG(tol=1e-13, kernel="torch"),
    "fused": sc.CG(tol=1e-13, kernel="fused"),
    "superlu": sc.SuperLU(),
}
every_solver = pytest.mark.parametrize("name", SOLVERS)
GRADIENT_GRIDS = ("1d", "2d", "2d-diagonals", "2d-row", "2d-pixel", "3d")


def small(kind, per_label):
    scores, weights, options = arguments(kind, batch=1 if kind != "1d" else 2, per_label=per_label)
    inputs = [t.requires_grad_() for t in (scores, options["ground"], *weights)]

    def cut(solver):
        return lambda p, ground, *w: sc.soft_cut(
            p, w, offsets=options["offsets"], ground=ground, solver=solver
        )

    return inputs, cut


@pytest.mark.parametrize("kind", GRADIENT_GRIDS)
@pytest.mark.parametrize("per_label", [False, True])
@every_solver
def test_first_and_second_derivatives(kind, per_label, name):
    inputs, cut = small(kind, per_label)
    assert gradcheck(cut(SOLVERS[name]), inputs)
    assert gradgradcheck(cut(SOLVERS[name]), inputs)


def test_third_derivative_of_a_single_resistor():
    """x = p / (1 + 2 w) for scores (p, -p): its third derivative in w is -48 p / (1 + 2 w)^4."""
    w = torch.tensor([[0.7]], dtype=torch.float64, requires_grad=True)
    p = torch.tensor([[[1.3, -1.3]]], dtype=torch.float64)
    value = sc.soft_cut(p, [w], solver=sc.SuperLU())[0, 0, 0]
    for _ in range(3):
        (value,) = torch.autograd.grad(value.sum(), w, create_graph=True)
    torch.testing.assert_close(value, -48 * 1.3 / (1 + 2 * w) ** 4)


@pytest.mark.parametrize("kernel", ["torch", "fused"])
@pytest.mark.parametrize("scale", [1.0, 20.0])
def test_float32_gradients_under_a_mean_loss(kernel, scale):
    """Within 2e-4 of float64 at the default tolerance, although every gradient is about 1e-5."""
    grid = (48, 56)
    scores = random(2, 1, *grid)
    weights = [
        scale * softplus(random(2, *sc.edge_shape(grid, o), seed=1)) for o in sc.axis_offsets(2)
    ]
    target = (random(2, 1, *grid, seed=2) > 0).double()

    def gradients(dtype, solver):
        inputs = [t.detach().to(dtype).clone().requires_grad_() for t in (scores, *weights)]
        x = sc.soft_cut(inputs[0], inputs[1:], solver=solver)
        return torch.autograd.grad(binary_cross_entropy_with_logits(x, target.to(dtype)), inputs)

    exact = gradients(torch.float64, sc.SuperLU())
    for got, expected in zip(gradients(torch.float32, sc.CG(kernel=kernel)), exact, strict=True):
        assert (got.double() - expected).norm() <= 2e-4 * expected.norm()


def test_the_adjoint_solver_may_differ_and_every_solve_is_logged():
    scores, weights, options = arguments("2d")
    scores.requires_grad_()
    seen = []
    x = sc.soft_cut(
        scores, weights, solver=sc.SuperLU(), adjoint=sc.CG(), log=seen.append, **options
    )
    x.sum().backward()
    assert [info.solver for info in seen] == ["SuperLU", "CG"]


def test_the_factor_serves_both_passes(monkeypatch):
    from softcut_lib.solvers import superlu

    calls, factor = [], superlu._factor
    monkeypatch.setattr(superlu, "_factor", lambda *a: calls.append(1) or factor(*a))
    scores, weights, options = arguments("2d")
    scores.requires_grad_()
    sc.soft_cut(scores, weights, solver=sc.SuperLU(), **options).square().sum().backward()
    assert len(calls) == 2  # one per sample, shared by the labels, none for the backward pass


def test_a_warning_names_the_pass():
    scores, weights, options = arguments("2d", contrast=3)
    weights[0].requires_grad_()
    hasty = sc.CG(max_iter=1)
    with pytest.warns(sc.ConvergenceWarning, match="soft_cut, forward pass: CG left"):
        sc.soft_cut(scores, weights, solver=hasty, **options)
    x = sc.soft_cut(scores, weights, adjoint=hasty, **options)
    with pytest.warns(sc.ConvergenceWarning, match="soft_cut, backward pass: CG left"):
        x.square().sum().backward()


def test_strides_do_not_matter():
    scores, weights, options = arguments("2d-diagonals", per_label=True)
    expected = sc.soft_cut(scores, weights, **options)
    ground = options.pop("ground")
    strided = [t.mT.contiguous().mT for t in (scores, ground, *weights)]
    assert not strided[0].is_contiguous()
    got = sc.soft_cut(strided[0], strided[2:], ground=strided[1], **options)
    torch.testing.assert_close(got, expected, rtol=0, atol=0)
    flipped = sc.soft_cut(
        scores.flip(1), [w.flip(1) for w in weights], ground=ground.flip(1), **options
    )
    torch.testing.assert_close(flipped.flip(1), expected, rtol=1e-4, atol=1e-4)


def test_inputs_are_left_as_they_were():
    scores, weights, options = arguments("2d")
    before = [t.clone() for t in (scores, *weights, options["ground"])]
    sc.soft_cut(scores, weights, solver=sc.PUBLISHED_CG, **options)
    for old, new in zip(before, (scores, *weights, options["ground"]), strict=True):
        assert torch.equal(old, new)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_autocast_computes_in_float32(dtype):
    scores, weights, _ = arguments("2d", dtype=torch.float32)
    half = [t.to(dtype).requires_grad_() for t in (scores, *weights)]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        x = sc.soft_cut(half[0], half[1:])
    assert x.dtype == torch.float32
    torch.testing.assert_close(x, sc.soft_cut(half[0].float(), [w.float() for w in half[1:]]))
    x.mean().backward()
    assert all(t.grad.dtype == dtype and t.grad.isfinite().all() for t in half)
    with pytest.raises(TypeError, match="half precision cannot hold the solve"):
        sc.soft_cut(half[0], half[1:])


def test_a_number_as_ground_keeps_its_digits_under_autocast():
    scores, weights, _ = arguments("2d", dtype=torch.float32)
    half, cut = scores.bfloat16(), sc.SoftCut(ground=0.3, solver=sc.SuperLU())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(cut(half, weights), cut(half.float(), weights))
        with pytest.raises(TypeError, match="ground must be a torch.Tensor, got float"):
            sc.soft_cut(half, weights, ground=0.3)  # the function takes one for each pixel


def test_autocast_leaves_float64_alone():
    scores, weights, _ = arguments("2d")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert sc.soft_cut(scores, weights).dtype == torch.float64


def test_a_non_finite_gradient_becomes_nan_for_its_sample():
    scores, weights, options = arguments("2d")
    inputs = [t.requires_grad_() for t in (scores, *weights)]
    x = sc.soft_cut(scores, weights, **options)
    gradient = torch.ones_like(x)
    gradient[0, 0, 0, 0] = float("inf")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = torch.autograd.grad(x, inputs, gradient)
    for g in found:
        assert g[0].isnan().any() and g[1].isfinite().all()


def test_padding_a_batch_with_zero_weights_and_scores_changes_nothing():
    scores, weights, _ = arguments("2d")
    padded = torch.nn.functional.pad(scores, (0, 2, 0, 3))
    wide = [torch.nn.functional.pad(w, (0, 2, 0, 3)) for w in weights]
    x = sc.soft_cut(padded, wide, solver=sc.SuperLU())
    torch.testing.assert_close(x[..., :4, :5], sc.soft_cut(scores, weights, solver=sc.SuperLU()))
    assert not x[..., 4:, :].any() and not x[..., 5:].any()


def test_module_equals_function_and_survives_copies():
    scores, weights, options = arguments("2d-diagonals")
    cut = sc.SoftCut(offsets=options["offsets"], solver=sc.CG(tol=1e-8), ground=2.0)
    expected = sc.soft_cut(
        scores, weights, offsets=options["offsets"], solver=sc.CG(tol=1e-8),
        ground=torch.full_like(scores[:, 0], 2.0),
    )  # fmt: skip
    file = io.BytesIO(pickle.dumps(cut))
    for version in (cut, copy.deepcopy(cut), pickle.load(file), cut.to(torch.float64)):
        assert torch.equal(version(scores, weights), expected)
    assert cut.output == "scores" and "CG(tol=1e-08" in repr(cut) and not list(cut.parameters())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_gradients_agree_with_the_cpu():
    scores, weights, _ = arguments("2d")
    found = []
    for device in ("cpu", "cuda"):
        inputs = [t.detach().to(device).requires_grad_() for t in (scores, *weights)]
        x = sc.soft_cut(inputs[0], inputs[1:], solver=sc.CG(tol=1e-12))
        found.append([x, *torch.autograd.grad(x.square().sum(), inputs)])
    for here, there in zip(*found, strict=True):
        torch.testing.assert_close(here, there.cpu(), rtol=1e-8, atol=1e-9)


def nan_at(tensor):
    spoiled = tensor.clone()
    spoiled.view(-1)[0] = float("nan")
    return spoiled


REFUSALS = {
    "scores type": (
        lambda p, w: sc.soft_cut(p.numpy(), w),
        TypeError,
        "scores must be a torch.Tensor",
    ),
    "weights type": (lambda p, w: sc.soft_cut(p, w[0]), TypeError, "weights must be a list"),
    "no weights": (
        lambda p, w: sc.soft_cut(p, []),
        ValueError,
        "scores must have shape|at least one edge",
    ),
    "integer": (
        lambda p, w: sc.soft_cut(p.long(), w),
        TypeError,
        "scores must be float32 or float64",
    ),
    "mixed dtype": (
        lambda p, w: sc.soft_cut(p.float(), w),
        TypeError,
        r"weights\[0\] must have the dtype of scores",
    ),
    "no label axis": (lambda p, w: sc.soft_cut(p[:, 0], w), ValueError, r"scores\[:, None\]"),
    "batch": (lambda p, w: sc.soft_cut(p[:1], w), ValueError, "batch size of scores, 1, got 2"),
    "one image's weights": (
        lambda p, w: sc.soft_cut(p, [t[:1] for t in w]),
        ValueError,
        r"got 1; repeat them, w.expand\(2, \*w.shape\[1:\]\)",
    ),
    "maps for edges": (
        lambda p, w: sc.soft_cut(p, [p[:, 0].exp(), p[:, 0].exp()]),
        ValueError,
        r"becomes edges by crop_edges\(maps, offsets\)",
    ),
    "diagonals without offsets": (
        lambda p, w: sc.soft_cut(p, [*w, w[0], w[0]]),
        ValueError,
        "one tensor per axis of the grid where offsets is None, got 4 .*diagonal_offsets",
    ),
    "a class of solvers": (
        lambda p, w: sc.soft_cut(p, w, solver=sc.Multigrid),
        TypeError,
        r"solver must be a solver, got a class; make one of it, Multigrid\(\)",
    ),
    "a word for a solver": (
        lambda p, w: sc.SoftCut(adjoint="cg"),
        TypeError,
        r"adjoint must be a solver, such as CG\(\).*got 'cg'",
    ),
    "empty": (
        lambda p, w: sc.soft_cut(p[:, :0], w),
        ValueError,
        "at least one sample, label and pixel",
    ),
    "shape": (lambda p, w: sc.soft_cut(p[..., :-1], w), ValueError, r"must end in \(3, 4\)"),
    "swapped": (lambda p, w: sc.soft_cut(p, w[::-1]), ValueError, "they look swapped"),
    "count": (
        lambda p, w: sc.soft_cut(p, [*w, w[0]], offsets=((1, 0), (0, 1))),
        ValueError,
        "expected 2 for offsets",
    ),
    "negative": (
        lambda p, w: sc.soft_cut(p, [w[0], -w[1]]),
        ValueError,
        r"weights\[1\] must be at least 0",
    ),
    "nan weight": (
        lambda p, w: sc.soft_cut(p, [nan_at(w[0]), w[1]]),
        ValueError,
        r"weights\[0\] must be finite, got 1 NaN",
    ),
    "nan score": (
        lambda p, w: sc.soft_cut(nan_at(p), w),
        ValueError,
        "scores must be finite, got 1",
    ),
    "zero ground": (
        lambda p, w: sc.soft_cut(p, w, ground=torch.zeros_like(p[:, 0])),
        ValueError,
        "ground must be above 0",
    ),
    "labels": (
        lambda p, w: sc.soft_cut(p, [t[:, None].expand(-1, 3, -1, -1) for t in w]),
        ValueError,
        "must have 2 labels as scores do, got 3",
    ),
    "module scores": (
        lambda p, w: sc.SoftCut(ground=2.0)(p[0, 0, 0], w),
        ValueError,
        "scores must have at least 3 axes",
    ),
    "module ground": (
        lambda p, w: sc.SoftCut(ground=0.0),
        ValueError,
        "ground must be a finite number",
    ),
    "option": (lambda p, w: sc.soft_cut(p, w, tol=1e-3), TypeError, "unexpected keyword"),
    "positional": (lambda p, w: sc.soft_cut(p, w, None), TypeError, "positional"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refusals(case):
    call, error, message = REFUSALS[case]
    scores, weights, _ = arguments("2d")
    with pytest.raises(error, match=message):
        call(scores, weights)


def test_check_false_skips_the_values_only():
    scores, weights, _ = arguments("2d")
    x = sc.soft_cut(nan_at(scores), weights, check=False)
    assert x[0, 0].isnan().all() and x[1].isfinite().all()
    with pytest.raises(ValueError, match="must end in"):
        sc.soft_cut(scores[..., :-1], weights, check=False)
