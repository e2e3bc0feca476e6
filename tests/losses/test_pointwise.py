"""Partial cross-entropy and Focal loss: identities, stability, derivatives, refusals."""

import pytest
import torch

import softcut_lib as sc
from softcut_lib.theorems import losses as theorem

LOSSES = [sc.partial_cross_entropy, sc.focal_loss]


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(4)


def case(generator, labels=1, grid=(4, 5), batch=2):
    logits = torch.randn(batch, labels, *grid, generator=generator, dtype=torch.float64)
    target = torch.randint(0, max(labels, 2), (batch, *grid), generator=generator)
    target[:, 0] = 255
    return logits, target


def test_cross_entropy(generator):
    theorem.all_labelled_is_cross_entropy(sc.partial_cross_entropy, generator=generator)
    theorem.focal_without_focus_is_cross_entropy(
        sc.focal_loss, sc.partial_cross_entropy, generator=generator
    )


def test_unbiased(generator):
    theorem.cross_entropy_wants_the_share(sc.partial_cross_entropy, generator=generator)
    theorem.partial_is_unbiased(sc.partial_cross_entropy, generator=generator)


@pytest.mark.parametrize("labels", [1, 3])
@pytest.mark.parametrize("loss", LOSSES)
def test_void(loss, labels, generator):
    theorem.void_changes_nothing(loss, generator=generator, labels=labels)
    theorem.void_changes_nothing(
        lambda p, t: loss(p, t, from_logits=False), generator=generator, labels=labels
    )


@pytest.mark.parametrize("from_logits", [True, False])
@pytest.mark.parametrize("labels", [1, 3])
@pytest.mark.parametrize("loss", LOSSES)
def test_nothing_labelled(loss, labels, from_logits):
    maps = torch.full((2, labels, 3), 0.5, requires_grad=True)
    value = loss(maps, torch.full((2, 3), 255), from_logits=from_logits)
    value.backward()
    assert value == 0 and not maps.grad.any()


@pytest.mark.parametrize("loss", LOSSES)
def test_mean_is_over_labelled_pixels(loss, generator):
    logits, target = case(generator, labels=3)
    values = loss(logits, target, reduction="none")
    assert values.shape == target.shape and not values[target == 255].any()
    torch.testing.assert_close(loss(logits, target), values[target != 255].mean())
    torch.testing.assert_close(loss(logits, target, reduction="sum"), values.sum())
    other = torch.where(target == 255, -100, target)
    torch.testing.assert_close(loss(logits, other, ignore_index=-100), loss(logits, target))


@pytest.mark.parametrize("labels", [1, 3])
@pytest.mark.parametrize("loss", LOSSES)
def test_probabilities_agree_with_logits(loss, labels, generator):
    logits, target = case(generator, labels)
    prob = logits.sigmoid() if labels == 1 else logits.softmax(1)
    torch.testing.assert_close(
        loss(prob, target, from_logits=False), loss(logits, target), rtol=1e-5, atol=1e-6
    )


def test_focal_equation(generator):
    """Eq. 26 written out, and softmax of (z, 0) as the sigmoid of z."""
    logits, target = case(generator)
    p, y, known = logits[:, 0].sigmoid(), target.double(), target != 255
    written = -y * (1 - p) ** 3 * p.log() - (1 - y) * p**3 * (1 - p).log()
    torch.testing.assert_close(sc.focal_loss(logits, target, gamma=3.0), written[known].mean())
    two = torch.cat([torch.zeros_like(logits), logits], 1)
    torch.testing.assert_close(sc.focal_loss(two, target), sc.focal_loss(logits, target))


@pytest.mark.parametrize("grid", [(5,), (3, 3), (2, 3, 2)])
@pytest.mark.parametrize("loss", LOSSES)
def test_derivatives(loss, grid, generator):
    for labels in (1, 3):
        logits, target = case(generator, labels, grid)
        prob = logits.sigmoid() if labels == 1 else logits.softmax(1)
        for maps, from_logits in ((logits, True), (prob, False)):

            def f(x, target=target, from_logits=from_logits):
                return loss(x, target, from_logits=from_logits)

            maps.requires_grad_()
            assert torch.autograd.gradcheck(f, maps)
            assert torch.autograd.gradgradcheck(f, maps)


@pytest.mark.parametrize("labels", [1, 3])
@pytest.mark.parametrize("loss", LOSSES)
def test_extreme_values(loss, labels):
    """Float32 stays finite and right where exp and log of probabilities are not."""
    target = torch.tensor([[0, 1, 0, 1, 255]])
    scores = torch.tensor([200.0, 200.0, -200.0, -200.0, float("inf")])
    logits = (
        torch.stack([-scores, scores, -scores - 400])[None] if labels == 3 else scores[None, None]
    )
    logits = logits.clone().requires_grad_()
    values = loss(logits, target, reduction="none")
    expected = 400.0 if labels == 3 else 200.0
    torch.testing.assert_close(values, torch.tensor([[expected, 0.0, 0.0, expected, 0.0]]))
    values.sum().backward()
    assert logits.grad.isfinite().all()
    certain = torch.tensor([0.0, 1.0, 1.0, 0.0, 0.5])
    prob = (
        torch.stack([1 - certain, certain, 0 * certain])[None]
        if labels == 3
        else certain[None, None]
    )
    prob = prob.clone().requires_grad_()
    for gamma in (0.0, 0.5, 2.0):
        options = {"gamma": gamma} if loss is sc.focal_loss else {}
        values = loss(prob, target, from_logits=False, reduction="none", **options)
        wrong = torch.tensor(1e-7).log().neg().item()
        torch.testing.assert_close(values, torch.tensor([[0.0, 0.0, wrong, wrong, 0.0]]))
        values.sum().backward()
        assert prob.grad.isfinite().all()


@pytest.mark.parametrize("loss", LOSSES)
def test_precision(loss, generator):
    logits, target = case(generator, labels=3, grid=(32, 32))
    torch.testing.assert_close(
        loss(logits.float(), target), loss(logits, target).float(), rtol=1e-5, atol=1e-6
    )
    half = logits.bfloat16().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = loss(half, target)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, loss(logits.bfloat16().double(), target).float())
    value.backward()
    assert half.grad.isfinite().all()


@pytest.mark.parametrize("loss", LOSSES)
def test_function_transforms(loss, generator):
    logits, target = case(generator, labels=3)

    def one(x, t):
        return loss(x[None], t[None], reduction="sum", check_values=False)

    gradients = torch.func.vmap(torch.func.grad(one))(logits, target)
    logits.requires_grad_()
    loss(logits, target, reduction="sum").backward()
    torch.testing.assert_close(gradients, logits.grad)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"logits": torch.full((1, 1, 2, 2), float("nan"))}, ValueError, "logits must be finite"),
        ({"logits": torch.rand(1, 2, 2)}, ValueError, "target must have shape"),
        ({"from_logits": False, "logits": torch.full((1, 1, 2, 2), 3.0)}, ValueError, "sigmoid"),
        ({"target": torch.zeros(1, 2, 2).int()}, TypeError, r"call \.long\(\)"),
        ({"target": torch.full((1, 2, 2), 7)}, ValueError, "0..1"),
        ({"target": torch.full((1, 2, 2), -100)}, ValueError, "pass ignore_index=-100"),
        ({"eps": -1e-7}, ValueError, "eps"),
        ({"reduction": "average"}, ValueError, "reduction"),
    ],
)
def test_refusals(loss, change, error, words):
    arguments = {"logits": torch.rand(1, 1, 2, 2), "target": torch.zeros(1, 2, 2).long()} | change
    with pytest.raises(error, match=words):
        loss(arguments.pop("logits"), arguments.pop("target"), **arguments)


def test_gamma_is_checked():
    with pytest.raises(ValueError, match="gamma"):
        sc.focal_loss(torch.rand(1, 1, 2), torch.zeros(1, 2).long(), gamma=-1.0)
