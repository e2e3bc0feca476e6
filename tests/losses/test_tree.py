"""Tree energy loss: its value and gradient written out, its limits, its refusals."""

import pytest
import torch

import softcut_lib as sc
from softcut_lib.theorems.trees import tree_energy_is_the_distance_to_averages

DRAW = torch.Generator().manual_seed(5)
IMAGE = 255 * torch.rand(2, 3, 4, 5, generator=DRAW).double()
PROB = torch.randn(2, 3, 4, 5, generator=DRAW, dtype=torch.float64).softmax(1)
SEEDS = torch.randint(0, 3, (2, 4, 5), generator=DRAW)
SEEDS[torch.rand(2, 4, 5, generator=DRAW) < 0.6] = 255
TREE = sc.TreeAffinity(IMAGE, sigma_color=80)
UNIFORM = torch.full((2, 3, 4, 5), 1 / 3).double()


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(14)


def test_identities(generator):
    tree_energy_is_the_distance_to_averages(sc.tree_energy_loss, generator=generator)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda *a, **k: sc.tree_energy_loss(*a), "mean over unlabelled pixels"),
        (lambda *a, **k: sc.tree_energy_loss(*a, **k, form="published"), "Y is a constant"),
    ],
)
def test_other_losses_are_noticed(wrong, words, generator):
    with pytest.raises(AssertionError, match=words):
        tree_energy_is_the_distance_to_averages(wrong, generator=generator)


def test_it_is_zero_where_all_pixels_agree_and_at_most_two():
    assert sc.tree_energy_loss(UNIFORM, TREE) < 1e-12
    checkers = torch.zeros(1, 1, 4, 4)
    checkers[..., ::2, ::2] = checkers[..., 1::2, 1::2] = 1
    flat = sc.TreeAffinity(torch.zeros(1, 3, 4, 4))
    torch.testing.assert_close(sc.tree_energy_loss(checkers, flat), torch.tensor(1.0))
    assert sc.tree_energy_loss(PROB, TREE) < 2


def test_one_region_s_answer_does_not_reach_the_other():
    image = torch.zeros(1, 3, 4, 6)
    image[..., 3:] = 255
    prob = torch.full((1, 1, 4, 6), 0.2)
    prob[..., 3:] = 0.7
    assert sc.tree_energy_loss(prob, sc.TreeAffinity(image)) < 1e-6


def test_published_differentiates_its_labels():
    logits = PROB.log().requires_grad_()

    def of_logits(x):
        return sc.tree_energy_loss(x.softmax(1), TREE, seeds=SEEDS, form="published")

    assert torch.autograd.gradcheck(of_logits, (logits,))
    detached, published = (
        torch.autograd.grad(sc.tree_energy_loss(leaf, TREE, seeds=SEEDS, form=form), leaf)[0]
        for form in ("detached", "published")
        for leaf in [PROB.clone().requires_grad_()]
    )
    held = (SEEDS != 255)[:, None].expand_as(PROB)
    assert not detached[held].any() and published[held].any()
    same = [sc.tree_energy_loss(PROB, TREE, form=form) for form in ("detached", "published")]
    assert torch.equal(*same)


def test_trees_one_after_the_other():
    """Published: a tree of colours, then one of features, each average of the one before."""
    features = torch.randn(2, 4, 5, 7, generator=torch.Generator().manual_seed(1)).double()
    deep = sc.TreeAffinity.from_features(features)
    labels = PROB
    for affinity in (TREE, deep):
        labels = affinity.matmul(labels) / affinity.degree
    expected = (PROB - labels).abs().sum((1, 2, 3)).mean() / 20
    torch.testing.assert_close(sc.tree_energy_loss(PROB, [TREE, deep]), expected)
    torch.testing.assert_close(sc.tree_energy_loss(PROB, [TREE]), sc.tree_energy_loss(PROB, TREE))
    assert expected != sc.tree_energy_loss(PROB, [deep, TREE])


def test_only_the_region_is_averaged_and_counted():
    roi = torch.ones(2, 4, 5, dtype=torch.bool)
    roi[1, :, 3:] = False
    leaves = [PROB.clone(), torch.where(roi[:, None], PROB, float("nan"))]
    leaves = [x.requires_grad_() for x in leaves]
    for form in ("detached", "published"):
        values = [sc.tree_energy_loss(x, TREE, seeds=SEEDS, roi=roi, form=form) for x in leaves]
        grads = [torch.autograd.grad(v, x)[0] for v, x in zip(values, leaves)]
        torch.testing.assert_close(*values)
        torch.testing.assert_close(*grads)
        assert not grads[0].movedim(1, -1)[~roi].any()
    W = torch.eye(20).double().view(1, 20, 4, 5).expand(2, 20, 4, 5)
    W = TREE.matmul(W)[1].flatten(1) * roi[1].flatten()[None] * roi[1].flatten()[:, None]
    flat = PROB[1].flatten(1)
    gap = (flat - flat @ W / W.sum(1).clamp_min(1e-30)).abs().sum(0)[roi[1].flatten()].mean()
    first = sc.tree_energy_loss(PROB, TREE, roi=roi)
    alone = sc.tree_energy_loss(PROB[:1], sc.TreeAffinity(IMAGE[:1], sigma_color=80))
    torch.testing.assert_close(2 * first - alone, gap)


def test_nothing_to_tell_is_zero():
    leaf = PROB.clone().requires_grad_()
    value = sc.tree_energy_loss(leaf, TREE, seeds=torch.zeros_like(SEEDS))
    value = value + sc.tree_energy_loss(leaf, TREE, roi=torch.zeros(2, 4, 5, dtype=torch.bool))
    value.backward()
    assert value == 0 and not leaf.grad.any()


def test_one_channel_is_two_classes_and_images_are_separate():
    one = PROB[:, :1]
    two = torch.cat([1 - one, one], 1)
    torch.testing.assert_close(sc.tree_energy_loss(one, TREE), sc.tree_energy_loss(two, TREE))
    each = [
        sc.tree_energy_loss(
            PROB[k : k + 1],
            sc.TreeAffinity(IMAGE[k : k + 1], sigma_color=80),
            seeds=SEEDS[k : k + 1],
        )
        for k in range(2)
    ]
    together = sc.tree_energy_loss(PROB, TREE, seeds=SEEDS)
    torch.testing.assert_close(together, torch.stack(each).mean())
    order = torch.tensor([2, 0, 1])
    permuted = sc.tree_energy_loss(PROB[:, order], TREE, seeds=SEEDS)
    torch.testing.assert_close(permuted, together)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_precision_and_autocast(dtype):
    image = torch.rand(1, 3, 48, 50, generator=torch.Generator().manual_seed(0)) * 255
    tree = sc.TreeAffinity(image, sigma_color=200)
    logits = torch.randn(1, 3, 48, 50, generator=torch.Generator().manual_seed(1))
    half = logits.to(dtype).requires_grad_()
    with torch.autocast("cpu", dtype=dtype):
        arrived = sc.tree_energy_loss(half.softmax(1).to(dtype), tree, form="published")
    expected = sc.tree_energy_loss(half.detach().double().softmax(1), tree)
    assert arrived.dtype == torch.float32
    torch.testing.assert_close(arrived.double(), expected, rtol=2e-2, atol=2e-2)
    arrived.backward()
    assert half.grad.isfinite().all() and half.grad.any()


def test_many_answers_are_mapped_over():
    many = torch.stack([PROB, PROB.flip(1), PROB.roll(1, 3)])

    def loss(prob):
        return sc.tree_energy_loss(prob, TREE, seeds=SEEDS, check_values=False)

    torch.testing.assert_close(torch.func.vmap(loss)(many), torch.stack([loss(x) for x in many]))
    mapped = torch.func.vmap(torch.func.grad(loss))(many)
    torch.testing.assert_close(mapped, torch.stack([torch.func.grad(loss)(x) for x in many]))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: sc.tree_energy_loss(2 * UNIFORM, TREE), ValueError, "sum to 1"),
        (lambda: sc.tree_energy_loss(UNIFORM, IMAGE), TypeError, "affinity must have matmul"),
        (lambda: sc.tree_energy_loss(UNIFORM, TREE, form="free"), ValueError, "form must be"),
        (lambda: sc.tree_energy_loss(UNIFORM[..., :4], TREE), ValueError, "maps must have"),
        (
            lambda: sc.tree_energy_loss(UNIFORM, TREE, seeds=torch.full((2, 4, 5), 3)),
            ValueError,
            r"seeds must hold labels 0\.\.2",
        ),
        (
            lambda: sc.tree_energy_loss(UNIFORM, TREE, seeds=torch.zeros(2, 4, 5)),
            TypeError,
            "seeds must be torch.int64",
        ),
    ],
)
def test_refusals(call, error, words):
    with pytest.raises(error, match=words):
        call()
