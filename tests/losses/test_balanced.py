"""Normalized cut as a loss: every property of the chapter, derivatives, precision, refusals."""

import pytest
import torch

import softcut_lib as sc
from softcut_lib.losses.balanced import normalized_cut_gradient
from softcut_lib.theorems import balanced as theorem

PROPERTIES = [
    theorem.value_is_the_cut,
    theorem.gradient_is_eq_8,
    theorem.scale_changes_nothing,
    theorem.order_changes_nothing,
    theorem.images_are_separate,
    theorem.sameness_is_the_summit,
    theorem.empty_class_counts_one,
    theorem.padding_has_no_influence,
    theorem.seeds_are_clamped,
    theorem.concave_in_the_sets,
    theorem.concavity_needs_the_diagonal,
]


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(13)


def pooled(prob, affinity, *, seeds=None, roi=None, **options):
    """The widespread misreading: one numerator and one denominator for everything."""
    cut = (prob * affinity.matmul(1 - prob)).sum()
    return cut / (affinity.degree * prob).sum()


@pytest.mark.parametrize("property", PROPERTIES, ids=lambda f: f.__name__)
def test_property(property, generator):
    property(sc.normalized_cut_loss, generator=generator)


def test_pooling_is_another_loss(generator):
    theorem.pooling_is_another_loss(sc.normalized_cut_loss, sc.dense_crf_loss, generator=generator)
    for check in (theorem.value_is_the_cut, theorem.gradient_is_eq_8, theorem.images_are_separate):
        with pytest.raises(AssertionError):
            check(pooled, generator=generator)
    with pytest.raises(AssertionError, match="pooled"):
        theorem.pooling_is_another_loss(pooled, sc.dense_crf_loss, generator=generator)


def test_an_elementwise_product_in_eq_8_is_noticed(generator):
    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx, prob, affinity):
            ctx.save_for_backward(prob)
            ctx.affinity = affinity
            return sc.normalized_cut_loss(prob, affinity)

        @staticmethod
        def backward(ctx, grad):
            (s,), affinity = ctx.saved_tensors, ctx.affinity
            volume = (affinity.degree * s).sum((2, 3), keepdim=True)
            product = affinity.matmul(s)
            wrong = s * product * affinity.degree / volume**2 - 2 * product / volume
            return grad * wrong / len(s), None

    with pytest.raises(AssertionError, match="scalar S'WS"):
        theorem.gradient_is_eq_8(Wrong.apply, generator=generator)


def test_a_degree_that_sees_the_padding_is_noticed(generator):
    def careless(prob, affinity, *, roi=None):
        prob = prob if roi is None else torch.where(roi[:, None], prob, 0)
        within = (prob * affinity.matmul(prob)).sum((2, 3))
        return (1 - within / (affinity.degree * prob).sum((2, 3))).sum(1).mean()

    with pytest.raises(AssertionError, match="degree"):
        theorem.padding_has_no_influence(careless, generator=generator)


def test_explicit_gradient(generator):
    prob, affinity, _ = theorem.example(generator)
    leaf = prob.clone().requires_grad_()
    expected = torch.autograd.grad(sc.normalized_cut_loss(leaf, affinity), leaf)[0]
    torch.testing.assert_close(normalized_cut_gradient(prob, affinity) / 2, expected)
    roi = torch.rand(2, 4, 5, generator=generator) < 0.7
    inside = torch.where(roi[:, None], prob, 0)
    expected = torch.autograd.grad(sc.normalized_cut_loss(leaf, affinity, roi=roi), leaf)[0]
    arrived = torch.where(roi[:, None], normalized_cut_gradient(inside, affinity, roi=roi), 0)
    torch.testing.assert_close(arrived / 2, expected)
    empty = torch.cat([prob, 0 * prob[:, :1]], 1)
    assert not normalized_cut_gradient(empty, affinity)[:, 3].any()


def loss_of_logits(affinity, **options):
    return lambda x: sc.normalized_cut_loss(x.softmax(1), affinity, **options)


@pytest.mark.parametrize("hollow", [False, True])
@pytest.mark.parametrize("options", [{}, {"roi"}, {"seeds"}, {"roi", "seeds", "present"}])
def test_first_and_second_derivatives(options, hollow, generator):
    prob, affinity, _ = theorem.example(generator, labels=2, grid=(2, 3))
    affinity = theorem.Hollow(affinity) if hollow else affinity
    chosen = {}
    if "roi" in options:
        chosen["roi"] = torch.rand(2, 2, 3, generator=generator) < 0.8
    if "seeds" in options:
        chosen["seeds"] = torch.full((2, 2, 3), 255)
        chosen["seeds"][:, 0, 0] = 1
    if "present" in options:
        chosen["classes"] = "present"
    logits = prob.log().requires_grad_()
    assert torch.autograd.gradcheck(loss_of_logits(affinity, **chosen), (logits,))
    assert torch.autograd.gradgradcheck(loss_of_logits(affinity, **chosen), (logits,))


def test_an_unsymmetric_affinity(generator):
    """A skew part of W changes neither S'WS nor the sum of d, and the gradient is exact."""

    class Skewed(theorem.Scaled):
        def __init__(self, affinity, skew):
            super().__init__(affinity, 1.0)
            self.skew, self.symmetric = skew - skew.mT, False

        def matmul(self, maps, transpose=False):
            skew = -self.skew if transpose else self.skew
            extra = torch.einsum("nm,bkm->bkn", skew, maps.flatten(2)).reshape(maps.shape)
            return self.affinity.matmul(maps) + extra

    prob, affinity, _ = theorem.example(generator, grid=(2, 3))
    skew = 0.01 * torch.randn(6, 6, generator=generator, dtype=torch.float64)
    skewed = Skewed(affinity, skew)
    torch.testing.assert_close(
        sc.normalized_cut_loss(prob, skewed), sc.normalized_cut_loss(prob, affinity)
    )
    logits = prob.log().requires_grad_()
    assert torch.autograd.gradcheck(loss_of_logits(skewed), (logits,))
    assert torch.autograd.gradgradcheck(loss_of_logits(skewed), (logits,))


def test_one_product_forward_and_none_backward(generator):
    prob, affinity, _ = theorem.example(generator)
    affinity.degree  # noqa: B018  computed once, before counting
    calls, multiply = [], affinity._multiply
    affinity._multiply = lambda *a: calls.append(1) or multiply(*a)
    leaf = prob.clone().requires_grad_()
    value = sc.normalized_cut_loss(leaf, affinity)
    assert len(calls) == 1
    value.backward()
    assert len(calls) == 1


def test_float32_and_half(generator):
    prob, affinity, _ = theorem.example(generator, grid=(48, 50), batch=1, sigma_color=200.0)
    points = affinity.features.float().reshape(1, 48, 50, -1)
    single = sc.DenseAffinity.from_features(points)
    leaves = [prob.clone().requires_grad_(), prob.float().requires_grad_()]
    values = [sc.normalized_cut_loss(p, w) for p, w in zip(leaves, (affinity, single), strict=True)]
    grads = [torch.autograd.grad(v, p)[0] for v, p in zip(values, leaves, strict=True)]
    assert values[1].dtype == torch.float32
    torch.testing.assert_close(values[1], values[0].float(), rtol=0, atol=2e-6)
    torch.testing.assert_close(grads[1], grads[0].float(), rtol=1e-3, atol=1e-8)
    for dtype in (torch.float16, torch.bfloat16):
        logits = prob.log().to(dtype).requires_grad_()
        with torch.autocast("cpu", dtype=dtype):
            half = logits.softmax(1).to(dtype)
            value = sc.normalized_cut_loss(half, single)
            value.backward()
        assert value.dtype == torch.float32 and logits.grad.isfinite().all()
        torch.testing.assert_close(value, values[1], rtol=0, atol=3e-2)
        assert logits.grad.any()
        # what half precision would have done: the sums that the loss needs overflow it
        assert not torch.isfinite(single.degree.sum().to(torch.float16))


def test_runs_are_identical(generator):
    prob, affinity, _ = theorem.example(generator, grid=(20, 21))
    first, second = (sc.normalized_cut_loss(prob, affinity) for _ in range(2))
    assert first == second


def test_the_transformed_gradient(generator):
    prob, affinity, _ = theorem.example(generator)
    leaf = prob.clone().requires_grad_()
    expected = torch.autograd.grad(sc.normalized_cut_loss(leaf, affinity), leaf)[0]
    transformed = torch.func.grad(lambda p: sc.normalized_cut_loss(p, affinity, check_values=False))
    torch.testing.assert_close(transformed(prob), expected)


def test_one_channel_is_two_classes(generator):
    prob, affinity, _ = theorem.example(generator, labels=2)
    seeds = torch.full((2, 4, 5), 255)
    seeds[:, 0], seeds[:, 3] = 0, 1
    roi = torch.rand(2, 4, 5, generator=generator) < 0.8
    for options in ({}, {"seeds": seeds}, {"roi": roi}, {"seeds": seeds, "roi": roi}):
        torch.testing.assert_close(
            sc.normalized_cut_loss(prob[:, 1:], affinity, **options),
            sc.normalized_cut_loss(prob, affinity, **options),
        )


def test_present_classes(generator):
    prob, affinity, matrix = theorem.example(generator, labels=4)
    seeds = torch.full((2, 4, 5), 255)
    options = {"seeds": seeds, "classes": "present"}
    nothing = sc.normalized_cut_loss(prob.requires_grad_(), affinity, **options)
    assert nothing == 0 and not torch.autograd.grad(nothing, prob)[0].any()
    seeds[0, 0, 0], seeds[0, 1, 1] = 0, 2
    hot = prob.detach().clone()
    for (i, j), label in {(0, 0): 0, (1, 1): 2}.items():
        hot[0, :, i, j] = torch.nn.functional.one_hot(torch.tensor(label), 4).double()
    cut, _ = theorem.ratios(hot, matrix)
    expected = (cut[0, 0] + cut[0, 2]) / 2  # the second image has no labelled pixel
    torch.testing.assert_close(sc.normalized_cut_loss(prob, affinity, **options), expected)


def test_an_empty_region_is_finite(generator):
    prob, affinity, _ = theorem.example(generator)
    roi = torch.zeros(2, 4, 5, dtype=torch.bool)
    value = sc.normalized_cut_loss(prob.requires_grad_(), affinity, roi=roi)
    assert value == 3 and not torch.autograd.grad(value, prob)[0].any()


def test_kernel_cut_is_its_two_parts(generator):
    prob, affinity, _ = theorem.example(generator)
    weights = [torch.rand(2, 3, 5, generator=generator).double() for _ in range(1)]
    weights += [torch.rand(2, 4, 4, generator=generator).double()]
    seeds = torch.full((2, 4, 5), 255)
    seeds[:, 2, 2] = 1
    for options in ({}, {"seeds": seeds}, {"roi": seeds > 1}):
        expected = sc.normalized_cut_loss(prob, affinity, **options)
        expected = expected + 0.7 * sc.potts_loss(prob, weights, **options)
        arrived = sc.kernel_cut_loss(prob, affinity, weights, smoothness=0.7, **options)
        torch.testing.assert_close(arrived, expected)
    logits = prob.log().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x: sc.kernel_cut_loss(x.softmax(1), affinity, weights), (logits,)
    )


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"prob": torch.rand(1, 2, 2, 3).sigmoid()}, ValueError, "must sum to 1 .* softmax"),
        ({"prob": torch.full((1, 1, 2, 3), 3.0)}, ValueError, "probabilities in"),
        ({"prob": torch.full((1, 1, 2, 3), float("nan"))}, ValueError, "probabilities in"),
        ({"prob": torch.ones(1, 1, 2, 3).long()}, TypeError, "floating point"),
        ({"prob": torch.ones(2, 3)}, ValueError, r"\(B, L, \*grid\)"),
        ({"prob": torch.ones(1, 1, 2, 2)}, ValueError, "must have shape"),
        ({"seeds": torch.full((1, 2, 3), 2)}, ValueError, r"seeds must hold labels 0\.\.1"),
        ({"seeds": torch.full((1, 2, 3), 1.0)}, TypeError, r"seeds .*\.long\(\)"),
        ({"seeds": torch.ones(1, 1, 2, 3).long()}, ValueError, r"seeds\[:, 0\]"),
        ({"roi": torch.ones(1, 2, 3)}, TypeError, "roi must be bool"),
        ({"roi": torch.ones(2, 3).bool()}, ValueError, r"roi must have shape .* roi\[None\]"),
        ({"classes": "seen"}, ValueError, "classes must be"),
        ({"classes": "present"}, ValueError, "needs seeds"),
        ({"affinity": torch.eye(6)}, TypeError, "affinity must have matmul"),
    ],
)
def test_refusals(change, error, words):
    image = torch.arange(18.0).reshape(1, 3, 2, 3)
    affinity = sc.DenseAffinity(image, sigma_color=15, sigma_space=2)
    arguments = {"prob": torch.full((1, 1, 2, 3), 0.5), "affinity": affinity} | change
    with pytest.raises(error, match=words):
        sc.normalized_cut_loss(**arguments)


def test_checks_can_be_skipped():
    affinity = sc.DenseAffinity(
        torch.arange(6.0).reshape(1, 1, 2, 3), sigma_color=15, sigma_space=2
    )
    prob = torch.full((1, 2, 2, 3), 0.7)
    assert sc.normalized_cut_loss(prob, affinity, check_values=False).isfinite()
