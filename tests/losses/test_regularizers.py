"""Laplacian, Potts, CRF, K-means and absent-label losses: identities, derivatives, refusals."""

import pytest
import torch

import softcut_lib as sc
from softcut_lib.theorems import regularizers as theorem
from softcut_lib.theorems.balanced import Scaled

IMAGE = 255 * torch.rand(2, 3, 4, 5, generator=torch.Generator().manual_seed(5)).double()
EDGES = theorem.edges_example(torch.Generator().manual_seed(6))[1]
AFFINITY = sc.DenseAffinity(IMAGE, sigma_color=60.0, sigma_space=3.0)


def like(prob, tensors):
    return [t.to(prob.dtype) for t in tensors]


# each loss of probabilities alone, with the options that all of them share
LOSSES = {
    "potts": lambda p, **o: sc.potts_loss(p, like(p, EDGES), **o),
    "potts, published": lambda p, **o: sc.potts_loss(p, like(p, EDGES), form="published", **o),
    "laplacian": lambda p, **o: sc.laplacian_loss(p, like(p, EDGES), **o),
    "laplacian, published": lambda p, **o: sc.laplacian_loss(
        p, like(p, EDGES), form="published", **o
    ),
    "dense CRF": lambda p, **o: sc.dense_crf_loss(p, AFFINITY, **o),
    "dense CRF, published": lambda p, **o: sc.dense_crf_loss(p, AFFINITY, form="published", **o),
    "gated CRF": lambda p, **o: sc.gated_crf_loss(p, *like(p, [IMAGE]), radius=2, **o),
    "K-means": lambda p, **o: sc.kmeans_loss(p, *like(p, [IMAGE]), **o),
}
every_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)


@pytest.mark.parametrize(
    "name",
    "partial_cross_entropy normalized_cut_loss kernel_cut_loss potts_loss laplacian_loss "
    "dense_crf_loss gated_crf_loss kmeans_loss absent_label_loss tree_energy_loss".split(),
)
def test_value_sign_and_reduction_are_stated(name):
    words = getattr(sc, name).__doc__
    assert all(what in words for what in ("Value:", "Sign:", "Reduction:"))


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(14)


@pytest.fixture
def prob(generator):
    return torch.randn(2, 3, 4, 5, generator=generator, dtype=torch.float64).softmax(1)


def test_identities(generator):
    theorem.hard_potts_is_the_cut(sc.potts_loss, generator=generator)
    theorem.laplacian_is_the_system(sc.laplacian_loss, generator=generator)
    theorem.potts_is_laplacian_plus_indecision(
        sc.potts_loss, sc.laplacian_loss, generator=generator
    )
    theorem.dense_crf_is_eq_3(sc.dense_crf_loss, generator=generator)
    theorem.wide_window_is_the_dense_kernel(sc.gated_crf_loss, generator=generator)
    theorem.kmeans_gradient_is_the_distance(sc.kmeans_loss, generator=generator)
    theorem.absent_labels_pay_their_share(sc.absent_label_loss, generator=generator)


def test_a_factor_of_two_is_noticed(generator):
    def once(*a, form, **k):
        return sc.potts_loss(*a, form=form, **k) / 2

    with pytest.raises(AssertionError, match="twice the weight"):
        theorem.hard_potts_is_the_cut(once, generator=generator)
    with pytest.raises(AssertionError, match=r"2 sum_k S'L S"):
        theorem.laplacian_is_the_system(
            lambda *a, **k: sc.laplacian_loss(*a, **k) / 2, generator=generator
        )


def test_fixed_means_have_another_curvature(prob):
    """The envelope theorem holds for the gradient only: the Hessian needs the means' motion."""

    def fixed(s):
        colors = IMAGE.flatten(2)
        flat = s.flatten(2)
        mean = torch.einsum("bkn,bcn->bkc", flat, colors) / flat.sum(2, keepdim=True)
        distance = (colors[:, None] - mean.detach()[..., None]).square().sum(2)
        return (flat * distance).sum((1, 2)).mean() / 20

    def second(loss):
        leaf = prob.clone().requires_grad_()
        (grad,) = torch.autograd.grad(loss(leaf), leaf, create_graph=True)
        return grad.detach(), grad.square().sum().requires_grad

    first, moves = second(lambda s: sc.kmeans_loss(s, IMAGE))
    alone, does_not = second(fixed)
    torch.testing.assert_close(first, alone)
    assert moves and not does_not


@every_loss
def test_derivatives(loss, prob):
    seeds = torch.full((2, 4, 5), 255)
    seeds[:, 1, 2] = 2
    roi = torch.ones(2, 4, 5, dtype=torch.bool)
    roi[1, :, 3:] = False
    logits = prob.log().requires_grad_()
    scale = 1 / float(loss(prob))

    def of_logits(x):
        return scale * loss(x.softmax(1), seeds=seeds, roi=roi)

    assert torch.autograd.gradcheck(of_logits, (logits,))
    # the fast check compares one small number: at its usual 1e-5 fixed means of K-means would pass
    assert torch.autograd.gradgradcheck(of_logits, (logits,), fast_mode=True, atol=1e-8)


@every_loss
def test_seeds_are_clamped(loss, prob, generator):
    seeds = torch.randint(0, 3, (2, 4, 5), generator=generator)
    free = torch.rand(2, 4, 5, generator=generator) < 0.6
    seeds[free] = 255
    hot = torch.nn.functional.one_hot(seeds.clamp(max=2), 3).movedim(-1, 1).double()
    leaf = prob.clone().requires_grad_()
    value = loss(leaf, seeds=seeds)
    torch.testing.assert_close(value, loss(torch.where(free[:, None], prob, hot)))
    grad = torch.autograd.grad(value, leaf)[0].movedim(1, -1)
    assert not grad[~free].any() and grad[free].any()


@every_loss
def test_padding_has_no_influence(loss, prob, generator):
    roi = torch.rand(2, 4, 5, generator=generator) < 0.7
    other = torch.where(roi[:, None], prob, float("nan"))
    leaves = [x.clone().requires_grad_() for x in (prob, other)]
    values = [loss(x, roi=roi) for x in leaves]
    grads = [torch.autograd.grad(v, x)[0] for v, x in zip(values, leaves, strict=True)]
    torch.testing.assert_close(*values)
    torch.testing.assert_close(*grads)
    assert not grads[0].movedim(1, -1)[~roi].any()
    nothing = loss(leaves[0], roi=roi & ~roi)
    nothing.backward()
    assert nothing == 0 and not leaves[0].grad.any()


def test_padding_is_as_if_cut_away(prob, generator):
    """Also where it is scribbled: a label that is named outside the region alone is not named."""
    roi = torch.zeros(2, 4, 5, dtype=torch.bool)
    roi[:, :3, :4] = True
    seeds = torch.full((2, 4, 5), 255)
    seeds[:, 1, 1], seeds[:, 2, 3], seeds[:, 3, 4] = 0, 1, 2
    small, image = prob[..., :3, :4], IMAGE[..., :3, :4]
    near = sc.DenseAffinity(image, sigma_color=60.0, sigma_space=3.0)
    edges = [EDGES[0][:, :2, :4], EDGES[1][:, :3, :3]]
    whole, cut = {"seeds": seeds, "roi": roi}, {"seeds": seeds[:, :3, :4]}
    pairs = {
        "K-means": (sc.kmeans_loss(prob, IMAGE, **whole), sc.kmeans_loss(small, image, **cut)),
        "gated": (
            sc.gated_crf_loss(prob, IMAGE, **whole, radius=2),
            sc.gated_crf_loss(small, image, **cut, radius=2),
        ),
        "potts": (sc.potts_loss(prob, EDGES, **whole), sc.potts_loss(small, edges, **cut)),
        "dense": (
            sc.dense_crf_loss(prob, AFFINITY, **whole, form="published"),
            sc.dense_crf_loss(small, near, **cut, form="published"),
        ),
        "normalized": (
            sc.normalized_cut_loss(prob, AFFINITY, **whole, classes="present"),
            sc.normalized_cut_loss(small, near, **cut, classes="present"),
        ),
        "absent": (sc.absent_label_loss(prob, **whole), sc.absent_label_loss(small, **cut)),
    }
    for name, (arrived, expected) in pairs.items():
        torch.testing.assert_close(arrived, expected, msg=lambda m, name=name: f"{name}: {m}")


@every_loss
def test_images_are_separate(loss, prob):
    twice = loss(torch.cat([prob[:1], prob[:1]]), roi=None)
    a, b = loss(torch.cat([prob[:1], prob[1:]])), loss(torch.cat([prob[1:], prob[1:]]))
    # the images differ, so swap which probabilities each of them gets
    c = loss(torch.cat([prob[1:], prob[:1]]))
    torch.testing.assert_close(a + c, twice + b)


SCRIBBLES = torch.full((2, 4, 5), 255)
SCRIBBLES[:, 0, 1], SCRIBBLES[:, 0, 3] = 0, 2
REGIONAL = LOSSES | {
    "absent": lambda p, roi: sc.absent_label_loss(p, SCRIBBLES, roi=roi),
    "normalized cut": lambda p, roi: sc.normalized_cut_loss(p, AFFINITY, roi=roi),
    "tree energy": lambda p, roi: sc.tree_energy_loss(p, sc.TreeAffinity(IMAGE), roi=roi),
}


@pytest.mark.parametrize("loss", REGIONAL.values(), ids=REGIONAL)
def test_images_are_separate_in_regions_of_different_size(loss, prob):
    """What an image's region holds divides that image's sum alone, not the batch's."""
    small, large = torch.zeros(4, 5, dtype=torch.bool), torch.ones(4, 5, dtype=torch.bool)
    small[:2, :4] = True

    def value(first, second):
        return loss(prob, roi=torch.stack([first, second]))

    mixed = value(small, large) + value(large, small)
    torch.testing.assert_close(mixed, value(small, small) + value(large, large))


@every_loss
def test_one_channel_is_two_classes(loss, generator):
    one = torch.rand(2, 1, 4, 5, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(loss(one), loss(torch.cat([1 - one, one], 1)))


@pytest.mark.parametrize("name", ["potts", "laplacian", "dense CRF"])
def test_scale_free(name, prob):
    def scaled(c):
        if name == "dense CRF":
            return sc.dense_crf_loss(prob, Scaled(AFFINITY, c))
        loss = sc.potts_loss if name == "potts" else sc.laplacian_loss
        return loss(prob, [c * w for w in EDGES])

    torch.testing.assert_close(scaled(5.0), scaled(1.0))
    assert 0 <= scaled(1.0) <= 1


def test_no_weight_at_all(prob):
    weights = [torch.zeros_like(w) for w in EDGES]
    leaf = prob.clone().requires_grad_()
    value = sc.potts_loss(leaf, weights) + sc.laplacian_loss(leaf, weights)
    value.backward()
    assert value == 0 and not leaf.grad.any()


def test_edge_weights_can_be_learned(prob):
    weights = [w.clone().requires_grad_() for w in EDGES]
    for loss in (sc.potts_loss, sc.laplacian_loss):
        assert torch.autograd.gradcheck(lambda *w, loss=loss: loss(prob, list(w)), weights)


@every_loss
def test_precision(loss, prob):
    leaves = [x.clone().requires_grad_() for x in (prob, prob.float())]
    values = [loss(x) for x in leaves]
    grads = [torch.autograd.grad(v, x)[0] for v, x in zip(values, leaves, strict=True)]
    assert values[1].dtype == torch.float32
    torch.testing.assert_close(values[1], values[0].float(), rtol=2e-5, atol=1e-6)
    torch.testing.assert_close(grads[1], grads[0].float(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_autocast(dtype, generator):
    """48 x 50 pixels: sums over them overflow float16."""
    image = 255 * torch.rand(1, 3, 48, 50, generator=generator)
    affinity = sc.DenseAffinity(image, sigma_color=200.0, sigma_space=50.0)
    weights = [torch.full((1, 47, 50), 40.0), torch.full((1, 48, 49), 40.0)]
    logits = torch.randn(1, 3, 48, 50, generator=generator)
    seeds = torch.full((1, 48, 50), 255)
    seeds[:, 3] = 1

    def values(x):
        return [
            sc.potts_loss(x, weights, form="published"),
            sc.laplacian_loss(x, weights, form="published"),
            sc.dense_crf_loss(x, affinity, form="published"),
            sc.gated_crf_loss(x, image),
            sc.kmeans_loss(x, image),
            sc.absent_label_loss(x, seeds),
            sc.kernel_cut_loss(x, affinity, weights),
        ]

    half = logits.to(dtype).requires_grad_()
    with torch.autocast("cpu", dtype=dtype):
        arrived = values(half.softmax(1).to(dtype))
    expected = values(half.detach().float().softmax(1))
    for a, e in zip(arrived, expected, strict=True):
        assert a.dtype == torch.float32 and a.isfinite()
        torch.testing.assert_close(a, e, rtol=2e-2, atol=2e-2)
    sum(a / e for a, e in zip(arrived, expected, strict=True)).backward()
    assert half.grad.isfinite().all() and half.grad.any()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_kmeans_takes_no_part_in_autocast(dtype):
    """Black and white: a class's sum of colours, 261,120 about the mean, overflows float16."""
    image = torch.zeros(1, 1, 64, 64)
    image[..., 32:] = 255
    prob = (0.1 + 0.8 * image / 255).requires_grad_()
    with torch.autocast("cpu", dtype=dtype):
        mixed = sc.kmeans_loss(prob, image)
    plain = sc.kmeans_loss(prob, image)
    assert torch.equal(mixed, plain) and plain.isfinite()
    assert torch.equal(*(torch.autograd.grad(value, prob)[0] for value in (mixed, plain)))


def test_kmeans_in_float32_far_from_black(generator):
    """Colours are taken about their mean, or |I|^2 would swallow a small variance."""
    image = 250 + torch.rand(1, 3, 30, 30, generator=generator)
    prob = torch.rand(1, 1, 30, 30, generator=generator)
    torch.testing.assert_close(
        sc.kmeans_loss(prob, image).double(), sc.kmeans_loss(prob.double(), image.double()),
        rtol=1e-4, atol=0,
    )  # fmt: skip


def test_an_empty_class_adds_nothing(prob):
    wide = torch.cat([prob, 0 * prob[:, :1]], 1).requires_grad_()
    value = sc.kmeans_loss(wide, IMAGE)
    torch.testing.assert_close(value, sc.kmeans_loss(prob, IMAGE))
    assert not torch.autograd.grad(value, wide)[0][:, 3].any()


def test_the_window_holds_little(prob):
    """A window's work is one offset at a time: 60 pairs for radius 5, each once."""
    from softcut_lib.losses.crf import _half_window, _Window

    offsets = _half_window(2, 5)
    assert len(offsets) == 60 == len({tuple(-a for a in o) for o in offsets} - set(offsets))
    window = _Window(IMAGE / 30, 2)
    maps = torch.cat([prob, prob], 1)
    torch.testing.assert_close(window.matmul(maps)[:, :3], window.matmul(prob))
    total = (window.matmul(prob) * prob.flip(2)).sum() - (window.matmul(prob.flip(2)) * prob).sum()
    assert abs(total) < 1e-12


def test_three_dimensions_and_one(generator):
    for grid in ((7,), (3, 4, 2), (1, 1)):
        prob = torch.rand(1, 1, *grid, generator=generator, dtype=torch.float64)
        image = 255 * torch.rand(1, 2, *grid, generator=generator, dtype=torch.float64)
        affinity = sc.DenseAffinity(image, sigma_color=40, sigma_space=3)
        weights = sc.image_weights(image / 255)
        values = [
            sc.gated_crf_loss(prob, image), sc.kmeans_loss(prob, image),
            sc.dense_crf_loss(prob, affinity), sc.potts_loss(prob, weights),
            sc.kernel_cut_loss(prob, affinity, weights),
        ]  # fmt: skip
        assert all(v.isfinite() and v >= 0 for v in values)


UNIFORM = torch.full((2, 3, 4, 5), 1 / 3).double()


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: sc.potts_loss(2 * UNIFORM, EDGES), ValueError, "sum to 1"),
        (lambda: sc.potts_loss(UNIFORM, EDGES[::-1]), ValueError, "weights"),
        (lambda: sc.potts_loss(UNIFORM, [-w for w in EDGES]), ValueError, "at least 0"),
        (lambda: sc.potts_loss(UNIFORM[:1], EDGES), ValueError, "batch size of prob"),
        (lambda: sc.potts_loss(UNIFORM.float(), EDGES), TypeError, "dtype of prob"),
        (lambda: sc.potts_loss(UNIFORM, EDGES, form="free"), ValueError, "form must be"),
        (lambda: sc.laplacian_loss(UNIFORM, [w[:, None] for w in EDGES]), ValueError, "shared"),
        (lambda: sc.kmeans_loss(UNIFORM, IMAGE[:1]), ValueError, "image must have the batch"),
        (lambda: sc.kmeans_loss(UNIFORM, IMAGE.long()), TypeError, "image must be float"),
        (lambda: sc.kmeans_loss(UNIFORM, IMAGE.to("meta")), ValueError, "device of prob"),
        (lambda: sc.kmeans_loss(UNIFORM, IMAGE / 0), ValueError, "image must be finite"),
        (lambda: sc.gated_crf_loss(UNIFORM, IMAGE.to("meta")), ValueError, "device of prob"),
        (lambda: sc.dense_crf_loss(UNIFORM, IMAGE), TypeError, "affinity must have matmul"),
        (lambda: sc.gated_crf_loss(UNIFORM, IMAGE / 255), ValueError, r"0\.\.255"),
        (lambda: sc.gated_crf_loss(UNIFORM, IMAGE, radius=0), ValueError, "radius"),
        (lambda: sc.gated_crf_loss(UNIFORM, IMAGE[..., :4]), ValueError, "image must have"),
        (lambda: sc.dense_crf_loss(UNIFORM[..., :4], AFFINITY), ValueError, "maps must have"),
        (
            lambda: sc.absent_label_loss(UNIFORM, torch.full((2, 4, 5), 3)),
            ValueError,
            r"seeds must hold labels 0\.\.2",
        ),
        (
            lambda: sc.kernel_cut_loss(UNIFORM, AFFINITY, EDGES, smoothness=0),
            ValueError,
            "smoothness",
        ),
    ],
)
def test_refusals(call, error, words):
    with pytest.raises(error, match=words):
        call()


MAPPED = {
    "normalized cut": lambda S, W, w, I, y: sc.normalized_cut_loss(
        S, W, seeds=y, check_values=False
    ),
    "kernel cut": lambda S, W, w, I, y: sc.kernel_cut_loss(S, W, w, seeds=y, check_values=False),
    "dense CRF": lambda S, W, w, I, y: sc.dense_crf_loss(S, W, check_values=False),
    "gated CRF": lambda S, W, w, I, y: sc.gated_crf_loss(S, I, radius=1, check_values=False),
    "k-means": lambda S, W, w, I, y: sc.kmeans_loss(S, I, check_values=False),
    "Potts": lambda S, W, w, I, y: sc.potts_loss(S, w, check_values=False),
    "Laplacian": lambda S, W, w, I, y: sc.laplacian_loss(S, w, seeds=y, check_values=False),
    "absent": lambda S, W, w, I, y: sc.absent_label_loss(S, y, check_values=False),
}


@pytest.mark.parametrize("name", MAPPED)
@pytest.mark.parametrize("kind", ["dense", "lattice"])
def test_many_answers_to_the_same_images_are_mapped_over(name, kind):
    """torch.func: values and gradients over answers are those of a loop."""
    draw = torch.Generator().manual_seed(4)
    image = 255 * torch.rand(2, 3, 5, 6, generator=draw, dtype=torch.float64)
    build = sc.DenseAffinity if kind == "dense" else sc.LatticeAffinity
    W = build(image, sigma_color=80, sigma_space=4)
    weights = sc.image_weights(image / 255)
    seeds = torch.full((2, 5, 6), 255)
    seeds[:, 1, 1:3], seeds[:, 3, 2:5] = 0, 1
    many = torch.randn(4, 2, 3, 5, 6, generator=draw, dtype=torch.float64)

    def loss(logits):
        return MAPPED[name](logits.softmax(1), W, weights, image, seeds)

    value = torch.func.vmap(loss)(many)
    torch.testing.assert_close(value, torch.stack([loss(x) for x in many]))
    gradient = torch.func.vmap(torch.func.grad(loss))(many)
    torch.testing.assert_close(gradient, torch.stack([torch.func.grad(loss)(x) for x in many]))
    leaf = many.clone().requires_grad_()
    (expected,) = torch.autograd.grad(sum(loss(x) for x in leaf), leaf)
    torch.testing.assert_close(gradient, expected)


def test_mapping_over_answers_and_looking_at_values_is_refused():
    W = sc.DenseAffinity(torch.zeros(1, 3, 2, 2), sigma_color=15, sigma_space=10)
    many = torch.full((3, 1, 2, 2, 2), 0.5)
    with pytest.raises(ValueError, match="check_values must be False under torch.func.vmap"):
        torch.func.vmap(lambda S: sc.normalized_cut_loss(S, W))(many)
