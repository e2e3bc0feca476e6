import copy
import io
import pickle
import warnings

import numpy as np
import pytest
import torch
from torch.autograd import gradgradcheck

import softcut_lib as sc
from softcut_lib.layers import chains, decomposition, isotonic
from softcut_lib.theorems import variation as theorem
from tests.grids import EIGHT, GRIDS, arguments, every_grid, random

TIGHT = {"kernel": "torch", "tol": 1e-10}
KERNELS = {"flow": {"kernel": "flow"}, "torch": TIGHT}
every_kernel = pytest.mark.parametrize("kernel", KERNELS)
NEIGHBORS = {"four": ((4, 5), None), "eight": ((4, 5), EIGHT), "3d": ((3, 2, 3), None)}
neighbors = pytest.mark.parametrize("grid, offsets", NEIGHBORS.values(), ids=NEIGHBORS)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def options_of(kind, **more):
    scores, weights, options = arguments(kind, **more)
    return scores, [0.4 * w for w in weights], {"offsets": options["offsets"]}


def with_options(**fixed):
    return lambda scores, weights, **options: sc.total_variation(
        scores, weights, **fixed, **options
    )


# The solution


@every_kernel
@neighbors
def test_theorems(kernel, grid, offsets):
    cut = with_options(**KERNELS[kernel])
    place = {"generator": generator(), "grid": grid, "offsets": offsets}
    theorem.it_is_the_minimum(cut, **place)
    theorem.mean_and_constants_are_kept(cut, **place)
    theorem.it_stays_in_range_and_order(cut, **place)
    theorem.limits_of_the_weights(cut, **place)


@pytest.mark.parametrize("offsets", [None, EIGHT], ids=["four", "eight"])
@pytest.mark.parametrize("seed", range(50))
def test_thresholded_total_variation_is_the_minimum_cut(seed, offsets):
    grid = (3 + seed % 7, 4 + seed % 5)
    for level in (0.0, 0.3):
        theorem.threshold_is_min_cut(
            sc.total_variation, sc.min_cut,
            generator=generator(seed), grid=grid, offsets=offsets, level=level,
        )  # fmt: skip


@every_grid
@pytest.mark.parametrize("per_label", [False, True])
def test_all_kernels_agree_on_every_grid(kind, per_label):
    scores, weights, options = options_of(kind, per_label=per_label)
    seen = []
    expected = sc.total_variation(scores, weights, log=seen.append, **options)
    assert seen[0].kernel == ("chains" if kind == "1d" else "flow")
    others = [TIGHT, {"kernel": "flow"}]
    if len(options["offsets"] or scores.shape[2:]) == 2:
        others.append({"method": "published", "max_iter": 2000})
    for other in others:
        x = sc.total_variation(scores, weights, log=seen.append, **options, **other)
        torch.testing.assert_close(x, expected, rtol=0, atol=1e-7)
    for info in seen:
        assert info.residual.shape == scores.shape[:2] and bool(info.converged.all())
        assert float(info.residual.max()) <= 1e-5 and torch.equal(info.blocks, seen[0].blocks)


def test_strong_contrast():
    """Conductances from 1e-6 to 1e3 along the border of two regions, where each takes its mean."""
    inside = torch.zeros(1, 1, 24, 30, dtype=torch.bool)
    inside[..., 6:18, 8:20] = True
    weights = [
        torch.where(sc.jump(inside[:, 0].long(), o) == 0, 1e3, 1e-6).double()
        for o in sc.axis_offsets(2)
    ]
    scores = random(1, 1, 24, 30) + inside
    means = scores[inside].mean(), scores[~inside].mean()
    expected = torch.where(inside, *means)
    for options in ({}, {"kernel": "torch", "tol": 1e-7}):
        x = sc.total_variation(scores, weights, **options)
        torch.testing.assert_close(x, expected, rtol=0, atol=1e-5)


def test_the_exact_solution_has_nothing_to_refine():
    scores, weights, options = options_of("2d-diagonals")
    x = sc.total_variation(scores, weights, refine=False, **options)
    labeled = [w.unsqueeze(1) for w in weights]
    again = isotonic.refine_order(x, scores, labeled, options["offsets"])
    torch.testing.assert_close(again, x, rtol=0, atol=1e-12)


def test_float32_gives_the_rounded_answer():
    scores, weights, _ = options_of("2d", dtype=torch.float32)
    exact = sc.total_variation(scores.double(), [w.double() for w in weights])
    x = sc.total_variation(scores, weights)
    assert x.dtype == torch.float32 and torch.equal(x, exact.float())


def test_integer_ties_and_a_constant_image():
    scores = torch.tensor([[[[1.0, 1.0, 0.0], [1.0, 0.0, 0.0]]]], dtype=torch.float64)
    weights = [torch.ones(1, 1, 3).double(), torch.ones(1, 2, 2).double()]
    x = sc.total_variation(scores, weights)
    torch.testing.assert_close(x, sc.total_variation(scores, weights, **TIGHT))
    flat = torch.full_like(scores, 0.1)
    seen = []
    torch.testing.assert_close(sc.total_variation(flat, weights, log=seen.append), flat)
    assert seen[0].blocks.item() == 1 and seen[0].iterations.item() == 1


def test_padding_a_batch_with_zero_weights_and_scores_changes_nothing():
    scores, weights, _ = options_of("2d")
    pad = torch.nn.functional.pad
    x = sc.total_variation(pad(scores, (0, 2, 0, 3)), [pad(w, (0, 2, 0, 3)) for w in weights])
    torch.testing.assert_close(x[..., :4, :5], sc.total_variation(scores, weights))
    assert not x[..., 4:, :].any() and not x[..., 5:].any()


# Chains and isotonic regression


def chain(y, w):
    return sc.total_variation(y[None, None], [w[None]])[0, 0]


def test_taut_string():
    for seed in range(10):
        theorem.taut_string(chain, generator=generator(seed))


@pytest.mark.parametrize("scale", [1e-3, 0.3, 30.0, 1e6])
def test_chains_equal_flow(scale):
    y, w = random(1, 1, 300), [scale * random(1, 299, seed=1).exp()]
    w[0][0, 150] = 0
    seen = []
    x = sc.total_variation(y, w, log=seen.append)
    torch.testing.assert_close(x, sc.total_variation(y, w, kernel="flow"), rtol=0, atol=1e-9)
    assert seen[0].kernel == "chains" and bool(seen[0].converged.all())


def test_one_weight_for_all_edges():
    """The tied form: a number expanded to all edges gets the sum of their gradients."""
    y = random(1, 1, 40).requires_grad_()
    one = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    each = torch.full((1, 39), 0.5, dtype=torch.float64, requires_grad=True)
    upstream = random(1, 1, 40, seed=3)
    for w in (one.expand(1, 39), each):
        (upstream * sc.total_variation(y, [w])).sum().backward()
    torch.testing.assert_close(one.grad, each.grad.sum())


def test_isotonic_regression():
    for seed in range(5):
        theorem.isotonic_is_the_nearest(isotonic.isotonic_regression, generator=generator(seed))
    y = random(3, 50)
    sklearn = pytest.importorskip("sklearn.isotonic")
    expected = np.stack([sklearn.isotonic_regression(row) for row in y.numpy()])
    np.testing.assert_allclose(isotonic.isotonic_regression(y), expected, atol=1e-12)


# The published method


def published_by_hand(scores, weights, steps):
    """35 Douglas-Rachford steps as the published code ran them, with both projections written out.

    `scores` is one image; the prox of all columns or of all rows is that of the exact layer.
    """
    image = scores[None, None]
    none = [torch.zeros_like(w)[None] for w in weights]
    columns = lambda y: sc.total_variation(y, [weights[0][None], none[1]])  # noqa: E731
    rows = lambda y: sc.total_variation(y, [none[0], weights[1][None]])  # noqa: E731
    t = torch.full_like(image, 2 * float(image.mean()))
    for _ in range(steps):
        s = 2 * (t - columns(t)) - t
        rest = image - s
        t = (t - 2 * ((rest - rows(rest)) - image) - s) / 2
    s = t - columns(t)
    rest = image - s
    return (-s - ((rest - rows(rest)) - image))[0, 0]


def test_published_steps():
    scores, weights, _ = options_of("2d", batch=1, labels=1)
    for steps in (1, 35):
        x = sc.total_variation(scores, weights, method="published", refine=False, max_iter=steps)
        expected = published_by_hand(scores[0, 0], [w[0] for w in weights], steps)
        torch.testing.assert_close(x[0, 0], expected, rtol=0, atol=1e-9)
    default = sc.total_variation(scores, weights, method="published", refine=False)
    assert torch.equal(default, x)


def test_published_equals_prox_tv():
    prox_tv = pytest.importorskip("prox_tv")
    scores, weights = image_problem((40, 50), seed=2)
    x = sc.total_variation(scores, weights, method="published", refine=False)
    expected = prox_tv.tv1w_2d(scores[0, 0].numpy(), *(w[0].numpy() for w in weights), max_iters=35)
    np.testing.assert_allclose(x[0, 0], expected, rtol=0, atol=1e-10)


def image_problem(grid, *, scale=1.0, seed=0):
    scores = 2 * random(1, 1, *grid, seed=seed)
    scores[..., : grid[0] // 2, :] += 1
    weights = [
        scale * torch.nn.functional.softplus(random(1, *sc.edge_shape(grid, o), seed=seed + 1))
        for o in sc.axis_offsets(2)
    ]
    return scores, weights


def test_refinement():
    published = with_options(method="published")
    theorem.refinement_helps(published, generator=generator())
    scores, weights = image_problem((50, 60))
    seen = {}
    for refine in (False, True):
        x = sc.total_variation(scores, weights, method="published", refine=refine,
                               log=lambda info, key=refine: seen.update({key: info}))  # fmt: skip
        seen[f"x {refine}"] = x
    assert seen[True].blocks.item() < 0.6 * seen[False].blocks.item()
    assert seen[True].gap.item() < seen[False].gap.item()
    signs = (seen["x True"] > 0) != (seen["x False"] > 0)
    assert float(signs.double().mean()) <= 0.002


def test_refinement_finds_the_exact_blocks_long_before_the_values_are_exact():
    scores, weights = image_problem((40, 50))
    exact = sc.total_variation(scores, weights)
    budget = {"method": "published", "max_iter": 70}
    rough = sc.total_variation(scores, weights, refine=False, **budget)
    fine = sc.total_variation(scores, weights, **budget)
    assert float((fine - exact).abs().max()) <= 1e-10
    assert float((rough - exact).abs().max()) >= 1e-4


# The gradient


@pytest.mark.parametrize(
    "grid, offsets, options",
    [((9,), None, {}), ((3, 4), None, {}), ((3, 3), EIGHT, {}), ((2, 3), None, TIGHT)],
    ids=["1d", "2d", "diagonals", "torch"],
)
def test_gradient_is_finite_differences(grid, offsets, options):
    theorem.gradient_is_finite_differences(
        with_options(**options), generator=generator(), grid=grid, offsets=offsets
    )


def test_weights_of_each_label_have_their_own_gradient():
    scores, weights, _ = options_of("2d", per_label=True)
    inputs = [t.requires_grad_() for t in (scores, *weights)]
    upstream = random(*scores.shape, seed=8)
    found = torch.autograd.grad(sc.total_variation(scores, weights), inputs, upstream)
    for label in range(2):
        alone = [t.detach()[:, [label]].requires_grad_() for t in inputs]
        x = sc.total_variation(alone[0], alone[1:])
        for one, all_ in zip(
            torch.autograd.grad(x, alone, upstream[:, [label]]), found, strict=True
        ):
            torch.testing.assert_close(one, all_[:, [label]])


def test_the_gradient_can_be_differentiated_and_is_constant_in_the_inputs():
    scores, weights, _ = options_of("2d", batch=1)
    scores.requires_grad_()
    x = sc.total_variation(scores, weights)
    (slope,) = torch.autograd.grad(x.square().sum() / 2, scores, create_graph=True)
    torch.testing.assert_close(slope, x)  # M x = x: every block is constant
    (again,) = torch.autograd.grad(
        (slope * random(*x.shape, seed=2)).sum(), scores, retain_graph=True
    )
    (once,) = torch.autograd.grad(x, scores, random(*x.shape, seed=2))
    torch.testing.assert_close(again, once)
    weights = [w.requires_grad_() for w in weights]
    assert gradgradcheck(lambda p, *w: sc.total_variation(p, w), (scores, *weights), atol=1e-4)


def test_blocks_of_a_value_or_connected():
    """Two equal scores apart: one block by value, two regions."""
    scores = torch.tensor([[[3.0, 0.0, 3.0]]], dtype=torch.float64, requires_grad=True)
    weights = [torch.full((1, 2), 0.5, dtype=torch.float64)]
    upstream = torch.tensor([[[1.0, 0.0, 0.0]]], dtype=torch.float64)
    expected = {"connected": [1.0, 0.0, 0.0], "value": [0.5, 0.0, 0.5]}
    for blocks, row in expected.items():
        x = sc.total_variation(scores, weights, blocks=blocks)
        assert x.flatten().tolist() == [2.5, 1.0, 2.5]
        assert torch.autograd.grad(x, scores, upstream)[0].flatten().tolist() == row


@pytest.mark.parametrize("more", [{"kernel": "flow"}, {"kernel": "torch"}, {"method": "published"}])
def test_an_edge_of_weight_zero_joins_nothing(more):
    """Two columns of equal value, no weight between them: the gradient is averaged in each."""
    scores = torch.ones(1, 1, 3, 2, dtype=torch.float64, requires_grad=True)
    weights = [torch.ones(1, 2, 2).double(), torch.zeros(1, 3, 1).double()]
    seen, upstream = [], random(1, 1, 3, 2)
    x = sc.total_variation(scores, weights, log=seen.append, **more)
    (slope,) = torch.autograd.grad(x, scores, upstream)
    torch.testing.assert_close(slope, upstream.mean(2, keepdim=True).expand_as(upstream))
    assert seen[0].blocks.item() == 2


def test_blocks_that_float32_rounds_to_one_value_are_two():
    """10000.49999 and 10000.50001: the edge between them pulls, so its weight has a gradient."""
    scores = torch.tensor([[[10000.0, 10001.0]]], requires_grad=True)
    w = torch.tensor([[0.49999]], requires_grad=True)
    x = sc.total_variation(scores, [w])
    assert x[..., 0] == x[..., 1]
    slopes = torch.autograd.grad(x, (scores, w), torch.tensor([[[1.0, -1.0]]]))
    assert slopes[0].flatten().tolist() == [1, -1] and slopes[1].item() == 2


@pytest.mark.parametrize(
    "kind, turned, more",
    [
        ("1d", ((-1,),), {}),
        ("2d", ((-1, 0), (0, 1)), {"method": "published", "max_iter": 2000}),
        ("2d", ((-1, 0), (0, -1)), {"kernel": "torch"}),
    ],
)
def test_edges_may_be_named_from_their_other_end(kind, turned, more):
    """Solution, gradient and duality gap (so the currents too) do not know the direction."""
    scores, weights, _ = options_of(kind)
    inputs, seen, found = [t.requires_grad_() for t in (scores, *weights)], [], []
    for offsets in (None, turned):
        x = sc.total_variation(scores, weights, offsets=offsets, log=seen.append, **more)
        found.append([x, *torch.autograd.grad(x, inputs, random(*x.shape, seed=4))])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)
    torch.testing.assert_close(seen[0].gap, seen[1].gap, rtol=1e-6, atol=1e-12)
    assert seen[1].converged.all()


def test_each_system_of_dual_ascent_stops_by_itself():
    """After as many steps as alone, and few: without restarts the hard ones take some 2000."""
    scores, weights = random(2, 2, 9, 10), [random(2, *s, seed=1).exp() for s in ((8, 10), (9, 9))]
    weights = [w * torch.tensor([1e-3, 1.0]).view(2, 1, 1) for w in weights]
    seen, answers = [], []
    for b in (slice(0, 2), slice(0, 1), slice(1, 2)):
        options = {"kernel": "torch", "refine": False, "log": seen.append}
        answers.append(sc.total_variation(scores[b], [w[b] for w in weights], **options))
    together, easy, hard = (info.iterations for info in seen)
    assert easy.max() < hard.min() and hard.max() <= 600
    assert torch.equal(together, torch.cat([easy, hard]))
    assert torch.equal(answers[0], torch.cat(answers[1:]))


def test_connected_blocks_are_those_of_scikit_image():
    measure = pytest.importorskip("skimage.measure")
    values = torch.randint(3, (1, 1, 12, 15), generator=generator()).double()
    weights = [torch.ones(1, 11, 15).double(), torch.ones(1, 12, 14).double()]
    labels = decomposition.connected_blocks(sc.GridSystem(weights), values)[0, 0].numpy()
    expected = measure.label(values[0, 0].numpy().astype(int) + 1, connectivity=1)
    pairs = np.unique(np.stack([labels.ravel(), expected.ravel()]), axis=1)
    assert pairs.shape[1] == labels.max() + 1 == expected.max()


def test_a_non_finite_gradient_becomes_nan_for_its_sample():
    scores, weights, options = options_of("2d")
    inputs = [t.requires_grad_() for t in (scores, *weights)]
    x = sc.total_variation(scores, weights, **options)
    gradient = torch.ones_like(x)
    gradient[0, 0, 0, 0] = float("nan")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = torch.autograd.grad(x, inputs, gradient)
    assert found[0][0].isnan().any() and all(g[1].isfinite().all() for g in found)


# The layer


def test_module_equals_function_and_survives_copies():
    scores, weights, options = options_of("2d-diagonals")
    cut = sc.TotalVariation(**options, kernel="torch", tol=1e-7)
    expected = sc.total_variation(scores, weights, **options, kernel="torch", tol=1e-7)
    file = io.BytesIO(pickle.dumps(cut))
    for version in (cut, copy.deepcopy(cut), pickle.load(file), cut.to(torch.float64)):
        assert torch.equal(version(scores, weights), expected)
    assert cut.output == "scores" and "tol=1e-07" in repr(cut) and not list(cut.parameters())


def test_it_trains_inside_a_cut_net():
    """With scores that differ by more than the weights: in one block of all no edge would learn."""
    torch.manual_seed(0)
    net = sc.CutNet(sc.ScoreAndEdges(sc.BasicNet(), sc.EdgeNet()), sc.TotalVariation())
    with torch.no_grad():
        for p in net.net.score_net.parameters():
            p.mul_(8)
    out = net(torch.rand(2, 3, 9, 10, generator=generator()))
    torch.testing.assert_close(out.prob, out.output.sigmoid())
    out.prob.mean().backward()
    moved = [p.grad is not None and bool(p.grad.any()) for p in net.parameters()]
    assert all(moved)


def test_a_sample_does_not_depend_on_its_batch():
    scores, weights, options = options_of("2d-diagonals")
    for more in ({}, {"kernel": "torch"}):
        together = sc.total_variation(scores, weights, **options, **more)
        alone = sc.total_variation(scores[1:], [w[1:] for w in weights], **options, **more)
        assert torch.equal(together[1:], alone)


def test_inputs_are_left_as_they_were():
    scores, weights, options = options_of("2d")
    before = [t.clone() for t in (scores, *weights)]
    for more in ({}, {"kernel": "torch"}, {"method": "published"}):
        sc.total_variation(scores, weights, **options, **more)
    assert all(torch.equal(old, new) for old, new in zip(before, (scores, *weights), strict=True))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_autocast_computes_from_float32(dtype):
    scores, weights, _ = options_of("2d", dtype=torch.float32)
    half = [t.to(dtype).requires_grad_() for t in (scores, *weights)]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        x = sc.total_variation(half[0], half[1:])
    assert x.dtype == torch.float32
    x.mean().backward()
    assert all(t.grad.dtype == dtype for t in half)
    with pytest.raises(TypeError, match="half precision"):
        sc.total_variation(half[0], half[1:])


def test_an_accurate_solution_that_is_not_warns():
    scores, weights = image_problem((10, 12))
    with pytest.warns(sc.ConvergenceWarning, match="kernel 'torch' left 1 of 1 .* 3 steps"):
        sc.total_variation(scores, weights, kernel="torch", max_iter=3)
    seen = []
    sc.total_variation(scores, weights, method="published", max_iter=1, log=seen.append)
    assert not seen[0].converged.any()  # a budget: reported, not warned of


@pytest.mark.parametrize("more", [{"kernel": "torch", "max_iter": 10}, {"kernel": "flow"}])
def test_what_is_told_bounds_the_error(more, monkeypatch):
    scores, weights, options = options_of("2d")
    right, seen = sc.total_variation(scores, weights, **options), []
    monkeypatch.setattr(decomposition, "ROUNDING", 0.1)  # parts that gain little are overlooked
    with pytest.warns(sc.ConvergenceWarning):
        x = sc.total_variation(scores, weights, **options, **more, log=seen.append)
    error, norm = (t.flatten(2).norm(dim=2) for t in (x - right, scores))
    assert (error > 0).all() and (error <= norm * seen[0].residual).all()
    torch.testing.assert_close(norm * seen[0].residual, (2 * seen[0].gap).sqrt())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_agrees_with_the_cpu():
    scores, weights, _ = options_of("2d")
    for more in ({"tol": 1e-9}, {"kernel": "flow"}, {"method": "published"}):
        found = []
        for device in ("cpu", "cuda"):
            inputs = [t.detach().to(device).requires_grad_() for t in (scores, *weights)]
            x = sc.total_variation(inputs[0], inputs[1:], **more)
            found.append([x, *torch.autograd.grad(x.square().sum(), inputs)])
        for here, there in zip(*found, strict=True):
            torch.testing.assert_close(here, there.cpu(), rtol=1e-7, atol=1e-8)


def nan_at(tensor):
    spoiled = tensor.clone()
    spoiled.view(-1)[0] = float("nan")
    return spoiled


def call(**options):
    return lambda p, w: sc.total_variation(p, w, **options)


REFUSALS = {
    "scores type": (lambda p, w: sc.total_variation(p.numpy(), w), TypeError, "torch.Tensor"),
    "weights type": (lambda p, w: sc.total_variation(p, w[0]), TypeError, "must be a list"),
    "integer": (lambda p, w: sc.total_variation(p.long(), w), TypeError, "float32 or float64"),
    "dtype": (lambda p, w: sc.total_variation(p.float(), w), TypeError, "the dtype of scores"),
    "label": (lambda p, w: sc.total_variation(p[:, 0], w), ValueError, r"scores\[:, None\]"),
    "batch": (lambda p, w: sc.total_variation(p[:1], w), ValueError, "batch size of scores, 1"),
    "empty": (lambda p, w: sc.total_variation(p[:, :0], w), ValueError, "at least one sample"),
    "swapped": (lambda p, w: sc.total_variation(p, w[::-1]), ValueError, "they look swapped"),
    "negative": (lambda p, w: sc.total_variation(p, [w[0], -w[1]]), ValueError, r"at least 0"),
    "nan": (lambda p, w: sc.total_variation(nan_at(p), w), ValueError, "scores must be finite"),
    "method": (call(method="fast"), ValueError, "method must be 'accurate' or 'published'"),
    "kernel": (call(kernel="numba"), ValueError, "kernel must be 'auto' or 'chains'"),
    "chains": (call(kernel="chains"), ValueError, "one offset only, got 2 offsets"),
    "published": (call(method="published", kernel="flow"), ValueError, "rows and columns"),
    "blocks": (call(blocks="pixel"), ValueError, "blocks must be 'connected' or 'value'"),
    "refine": (call(refine="isotonic"), TypeError, "refine must be True or False"),
    "tol": (call(tol=0.0), ValueError, "tol must be a finite number above 0"),
    "steps": (call(max_iter=0), ValueError, "max_iter must be an integer of at least 1"),
    "module": (lambda p, w: sc.TotalVariation(tol=-1.0), ValueError, "tol must be"),
    "option": (call(solver=None), TypeError, "unexpected keyword"),
    "positional": (lambda p, w: sc.total_variation(p, w, None), TypeError, "positional"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refusals(case):
    refused, error, message = REFUSALS[case]
    scores, weights, _ = options_of("2d")
    with pytest.raises(error, match=message):
        refused(scores, weights)


def test_published_needs_two_offsets():
    scores, weights, options = options_of("3d")
    with pytest.raises(ValueError, match="chains of two offsets.*got 3 offsets"):
        sc.total_variation(scores, weights, method="published", **options)


@pytest.mark.parametrize("more", [{}, {"method": "published"}, {"kernel": "torch"}])
def test_check_false_lets_scores_that_are_not_finite_through(more):
    scores, weights, _ = options_of("2d")
    x = sc.total_variation(nan_at(scores), weights, check=False, **more)
    assert x[0, 0].isnan().any() and x[1].isfinite().all()


def test_families_cover_every_edge_once():
    """The chains of an offset, solved alone, equal the layer with this offset alone."""
    for kind in ("2d-long", "2d-backwards", "3d-26"):
        scores, weights, _ = options_of(kind, batch=1, labels=1)
        grid, offsets = GRIDS[kind]
        for w, offset in zip(weights, offsets, strict=True):
            x = chains.Family(w[0], offset, grid)(scores.flatten().numpy())
            expected = sc.total_variation(scores, [w], offsets=(offset,), kernel="flow")
            torch.testing.assert_close(torch.from_numpy(x), expected.flatten())


def test_the_steps_start_at_twice_the_mean_on_every_kind_of_array():
    for size in (1, 2, 7, 64, 1000):
        y = random(3, size, seed=size)
        start = chains.twice_the_mean(y)
        torch.testing.assert_close(start, 2 * y.mean(1, keepdim=True), rtol=0, atol=1e-14)
        assert np.array_equal(chains.twice_the_mean(y.numpy()), start.numpy())
        assert torch.equal(y, random(3, size, seed=size))
