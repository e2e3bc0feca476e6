"""Dice and Focal Dice: identities, conventions of the published code, derivatives, refusals."""

import pytest
import torch

import softcut_lib as sc
from softcut_lib.losses.dice import s_curve
from softcut_lib.theorems import losses as theorem

LOSSES = [sc.dice_loss, sc.focal_dice_loss]


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(9)


def case(generator, labels=1, grid=(4, 5), batch=2, dtype=torch.float64):
    logits = torch.randn(batch, labels, *grid, generator=generator, dtype=dtype)
    target = torch.randint(0, max(labels, 2), (batch, *grid), generator=generator)
    target[:, 0] = 255
    return (logits.sigmoid() if labels == 1 else logits.softmax(1)), target


@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize("loss", LOSSES)
def test_overlap(loss, squared, generator):
    theorem.dice_is_an_overlap(lambda p, t: loss(p, t, squared=squared), generator=generator)
    theorem.dice_ignores_true_negatives(
        lambda p, t: loss(p, t, squared=squared), generator=generator
    )


def test_gradient(generator):
    theorem.dice_gradient_is_two_valued(sc.dice_loss, generator=generator)


def test_threshold_of_dice(generator):
    for _ in range(5):
        theorem.dice_wants_half_its_value(sc.dice_loss, generator=generator)
    with pytest.raises(AssertionError, match="in-between|share above"):
        for _ in range(20):
            theorem.dice_wants_half_its_value(
                lambda p, t: sc.dice_loss(p, t, squared=True), generator=generator
            )


@pytest.mark.parametrize("loss", LOSSES)
def test_pooled_for_one(loss, generator):
    theorem.pooled_equals_per_image_for_one(loss, generator=generator)


@pytest.mark.parametrize("squared", [False, True])
def test_focal_dice_doubles_logits(squared, generator):
    def focal(*a, **k):
        return sc.focal_dice_loss(*a, **k, squared=squared, smooth=0.0, absent="zero")

    def dice(*a):
        return sc.dice_loss(*a, squared=squared)

    theorem.focal_dice_doubles_logits(focal, dice, generator=generator)


def test_s_curve(generator):
    theorem.s_curve_fixes_its_threshold(s_curve, generator=generator)
    x = torch.rand(50, generator=generator, dtype=torch.float64)
    for t, g in ((0.3, 2.0), (0.5, 3.0), (0.8, 1.5)):
        by_logits = torch.sigmoid(g * (torch.logit(x) - torch.logit(torch.tensor(t).double())))
        torch.testing.assert_close(s_curve(x, threshold=t, gamma=g), by_logits)
    extreme = s_curve(torch.tensor([0.0, 0.4, 0.6, 1.0]), gamma=500.0)
    torch.testing.assert_close(extreme, torch.tensor([0.0, 0.0, 1.0, 1.0]))


@pytest.mark.parametrize("pooled", [False, True])
@pytest.mark.parametrize("labels", [1, 3])
@pytest.mark.parametrize("loss", LOSSES)
def test_void(loss, labels, pooled, generator):
    theorem.void_changes_nothing(
        lambda p, t: loss(p, t, pooled=pooled), generator=generator, labels=labels
    )


@pytest.mark.parametrize("loss", LOSSES)
def test_void_may_hold_infinity(loss):
    prob = torch.tensor([[[0.5, float("inf"), 0.2]]], requires_grad=True)
    value = loss(prob, torch.tensor([[1, 255, 0]]))
    value.backward()
    assert value.isfinite() and prob.grad.isfinite().all() and prob.grad[0, 0, 1] == 0


def test_as_coded(generator):
    """The formulas of the reference, written out."""
    prob, target = case(generator)
    y = (target == 1).double()
    p = torch.where(target == 255, 0, prob[:, 0])
    expected = 1 - 2 * (p * y).sum() / max(p.sum() + y.sum(), 1e-7)
    torch.testing.assert_close(sc.dice_loss(prob, target, pooled=True), expected)
    squares = 1 - 2 * (p * y).sum() / (p.square().sum() + y.sum())
    torch.testing.assert_close(sc.dice_loss(prob, target, pooled=True, squared=True), squares)
    q = p**2 / (p**2 + (1 - p) ** 2)
    focal = 1 - (2 * (q * y).sum() + 1e-7) / (q.sum() + y.sum() + 1e-7)
    torch.testing.assert_close(sc.focal_dice_loss(prob, target, pooled=True), focal)


def test_per_image_is_the_mean_of_single_images(generator):
    prob, target = case(generator, labels=3, batch=3)
    single = torch.stack([sc.dice_loss(p[None], t[None]) for p, t in zip(prob, target)])
    torch.testing.assert_close(sc.dice_loss(prob, target), single.mean())
    values = sc.dice_loss(prob, target, reduction="none")
    assert values.shape == (3, 3)
    torch.testing.assert_close(sc.dice_loss(prob, target, reduction="sum"), values.sum())
    assert sc.dice_loss(prob, target, reduction="none", pooled=True).shape == (3,)


def test_labels_are_binary_problems(generator):
    prob, target = case(generator, labels=3)
    values = sc.dice_loss(prob, target, reduction="none")
    for label in range(3):
        one = torch.where(target == 255, 255, (target == label).long())
        binary = sc.dice_loss(prob[:, label : label + 1], one, reduction="none")
        torch.testing.assert_close(values[:, label : label + 1], binary)


def test_absent_label():
    prob = torch.full((1, 1, 2, 2), 0.3, requires_grad=True)
    empty = torch.zeros(1, 2, 2).long()
    zero = sc.dice_loss(prob, empty)
    zero.backward()
    assert zero == 0 and not prob.grad.any()
    assert sc.dice_loss(prob, empty, absent="count") == 1
    assert sc.focal_dice_loss(prob, empty) > 0.99
    nothing = torch.zeros(1, 1, 2, 2)
    assert sc.focal_dice_loss(nothing, empty) == 0
    assert sc.dice_loss(nothing, empty, absent="count", smooth=1.0) == 0
    nothing.requires_grad_()  # 0 / eps, where without eps it would be 0 / 0
    counted = sc.dice_loss(nothing, empty, absent="count")
    assert counted == 1 and torch.autograd.grad(counted, nothing)[0].isfinite().all()
    all_void = torch.full((1, 2, 2), 255)
    for loss in LOSSES:  # both sets are empty: no division by zero, nor in the gradient
        nothing_known = loss(prob, all_void)
        assert nothing_known == 0 and not torch.autograd.grad(nothing_known, prob)[0].any()


@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize("grid", [(5,), (3, 3), (2, 3, 2)])
@pytest.mark.parametrize("loss", LOSSES)
def test_derivatives(loss, grid, squared, generator):
    for labels in (1, 3):
        prob, target = case(generator, labels, grid)
        prob.requires_grad_()
        for pooled in (False, True):

            def f(p, target=target, pooled=pooled):
                return loss(p, target, squared=squared, pooled=pooled)

            assert torch.autograd.gradcheck(f, prob)
            assert torch.autograd.gradgradcheck(f, prob)


def test_focal_dice_derivatives_at_any_threshold(generator):
    prob, target = case(generator)
    prob.requires_grad_()
    for threshold, gamma in ((0.2, 1.5), (0.7, 3.0)):

        def f(p, threshold=threshold, gamma=gamma):
            return sc.focal_dice_loss(p, target, threshold=threshold, gamma=gamma)

        assert torch.autograd.gradcheck(f, prob) and torch.autograd.gradgradcheck(f, prob)


@pytest.mark.parametrize("loss", LOSSES)
def test_precision(loss, generator):
    prob, target = case(generator, grid=(64, 64))
    reference = loss(prob, target)
    single = prob.float().requires_grad_()
    value = loss(single, target)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, reference.float(), rtol=1e-5, atol=1e-6)
    half = prob.bfloat16().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = loss(half, target)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, loss(prob.bfloat16().double(), target).float())
    value.backward()
    assert half.grad.dtype == torch.bfloat16 and half.grad.isfinite().all()
    certain = torch.tensor([[[0.0, 1.0, 1.0]]], requires_grad=True)
    loss(certain, torch.tensor([[0, 1, 0]])).backward()
    assert certain.grad.isfinite().all()


@pytest.mark.parametrize("loss", LOSSES)
def test_compiles_with_function_transforms(loss, generator):
    prob, target = case(generator)

    def one(p, t):
        return loss(p[None], t[None], check_values=False)

    gradients = torch.func.vmap(torch.func.grad(one))(prob, target)
    prob.requires_grad_()
    loss(prob, target, reduction="sum").backward()
    torch.testing.assert_close(gradients, prob.grad)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"prob": [1.0]}, TypeError, "prob must be a torch.Tensor"),
        ({"prob": torch.ones(1, 1, 2, 2).long()}, TypeError, "call .float()"),
        ({"prob": torch.rand(2, 2)}, ValueError, r"\(B, L, \*grid\)"),
        ({"prob": torch.full((1, 1, 2, 2), 3.0)}, ValueError, "sigmoid"),
        ({"prob": torch.full((1, 1, 2, 2), float("nan"))}, ValueError, "probabilities"),
        ({"target": torch.zeros(1, 2, 2)}, TypeError, r"call \.long\(\)"),
        ({"target": torch.zeros(1, 1, 2, 2).long()}, ValueError, "drop its label axis"),
        ({"target": torch.zeros(2, 2).long()}, ValueError, "add its batch axis"),
        ({"target": torch.zeros(1, 2, 3).long()}, ValueError, "shape"),
        ({"target": torch.full((1, 2, 2), 2)}, ValueError, "foreground 1"),
        ({"target": torch.full((1, 2, 2), -1)}, ValueError, "labels from -1"),
        ({"target": torch.zeros(1, 2, 2, device="meta").long()}, ValueError, "device"),
        ({"eps": 0.0}, ValueError, "eps"),
        ({"smooth": -1.0}, ValueError, "smooth"),
        ({"absent": "skip"}, ValueError, "absent"),
        ({"reduction": "max"}, ValueError, "reduction"),
        ({"ignore_index": 2.5}, TypeError, "ignore_index"),
    ],
)
def test_refusals(loss, change, error, words):
    arguments = {"prob": torch.rand(1, 1, 2, 2), "target": torch.zeros(1, 2, 2).long()} | change
    with pytest.raises(error, match=words):
        loss(arguments.pop("prob"), arguments.pop("target"), **arguments)


def test_one_map_per_label_is_recognized():
    with pytest.raises(ValueError, match="argmax"):
        sc.dice_loss(torch.rand(1, 3, 2, 2), torch.zeros(1, 3, 2, 2).long())


@pytest.mark.parametrize(
    ("change", "words"),
    [({"gamma": 0.5}, "gamma"), ({"threshold": 1.0}, "threshold"), ({"threshold": 0}, "threshold")],
)
def test_focal_refusals(change, words):
    with pytest.raises(ValueError, match=words):
        sc.focal_dice_loss(torch.rand(1, 1, 2), torch.zeros(1, 2).long(), **change)
