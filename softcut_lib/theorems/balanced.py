"""Properties of normalized cut as a loss (chapter 13): its value, its gradient, its shape.

Each function takes a loss called as `normalized_cut_loss(prob, affinity, seeds=..., roi=...)` and
raises an AssertionError that says what was expected and the likely reason. W is written out here as
a matrix, so that nothing of the library's own way stands behind both sides.
"""

import torch

from softcut_lib.affinity.dense import DenseAffinity


def example(generator, *, labels=3, grid=(4, 5), batch=2, sigma_color=60.0, sigma_space=3.0):
    """Random probabilities, their affinity, and W written out, (B, N, N), in float64."""
    device = generator.device
    options = {"generator": generator, "dtype": torch.float64, "device": device}
    image = 255 * torch.rand(batch, 3, *grid, **options)
    affinity = DenseAffinity(image, sigma_color=sigma_color, sigma_space=sigma_space)
    prob = torch.randn(batch, labels, *grid, **options).softmax(1)
    return prob, affinity, written_out(affinity, prob)


def written_out(affinity, like):
    """The matrix of any affinity, (B, N, N), one column per unit vector."""
    batch, _, *grid = like.shape
    units = torch.eye(grid_size(grid), dtype=like.dtype, device=like.device)
    columns = affinity.matmul(units.reshape(1, -1, *grid).expand(batch, -1, *grid))
    return columns.flatten(2).mT


def grid_size(grid):
    return int(torch.tensor(grid).prod())


class Scaled:
    """c W for an affinity W."""

    def __init__(self, affinity, factor):
        self.affinity, self.factor = affinity, factor
        self.symmetric, self.psd = affinity.symmetric, affinity.psd

    @property
    def degree(self):
        return self.factor * self.affinity.degree

    def matmul(self, maps, **options):
        return self.factor * self.affinity.matmul(maps, **options)


class Hollow(Scaled):
    """W without its diagonal of ones."""

    symmetric, psd = True, False

    def __init__(self, affinity):
        self.affinity = affinity

    @property
    def degree(self):
        return self.affinity.degree - 1

    def matmul(self, maps, **options):
        return self.affinity.matmul(maps, **options) - maps


def ratios(prob, matrix):
    """(cut, association) of each image and class, both divided by the volume d'S, from W itself."""
    s = prob.flatten(2)
    product = torch.einsum("bnm,bkm->bkn", matrix, s)
    volume = torch.einsum("bn,bkn->bk", matrix.sum(2), s)
    others = torch.einsum("bnm,bkm->bkn", matrix, 1 - s)
    return (s * others).sum(2) / volume, (s * product).sum(2) / volume


def value_is_the_cut(loss, *, generator):
    """The value is eq. 6, class by class and image by image, and K minus the association."""
    for labels in (2, 4):
        prob, affinity, matrix = example(generator, labels=labels)
        cut, within = ratios(prob, matrix)
        value = loss(prob, affinity)
        _equal(value, cut.sum(1).mean(), "NC must be sum_k S'W(1-S)/d'S, averaged over the images")
        _equal(value, labels - within.sum(1).mean(), f"NC must be K = {labels} minus association")


def gradient_is_eq_8(loss, *, generator):
    """The gradient is eq. 8: d (S'WS)/(d'S)^2 - 2WS/d'S, divided by the number of images."""
    prob, affinity, matrix = example(generator)
    leaf = prob.clone().requires_grad_()
    arrived = torch.autograd.grad(loss(leaf, affinity), leaf)[0].flatten(2)
    s, d = prob.flatten(2), matrix.sum(2)[:, None]
    product = torch.einsum("bnm,bkm->bkn", matrix, s)
    volume = (d * s).sum(2, keepdim=True)
    within = (s * product).sum(2, keepdim=True)  # a number per class, not an elementwise product
    expected = (d * within / volume**2 - 2 * product / volume) / len(prob)
    _equal(arrived, expected, "eq. 8 has the scalar S'WS per class; is it an elementwise product?")


def pooling_is_another_loss(loss, dense_crf_loss, *, generator):
    """Pooled over classes, the denominator is the constant 1'W1 and the loss a dense CRF's."""
    prob, affinity, matrix = example(generator)
    s = prob.flatten(2)
    cut = torch.einsum("bkn,bnm,bkm->b", s, matrix, 1 - s)
    pooled = (cut / torch.einsum("bn,bkn->b", matrix.sum(2), s)).mean()
    _equal(pooled, dense_crf_loss(prob, affinity), "pooled over classes NC is the dense CRF loss")
    gap = abs(float(loss(prob, affinity) - pooled))
    assert gap > 0.1, "NC must divide class by class; this one is pooled over the classes"


def scale_changes_nothing(loss, *, generator):
    """W and cW have the same normalized cut."""
    prob, affinity, _ = example(generator)
    for factor in (1e-3, 7.0):
        _equal(
            loss(prob, Scaled(affinity, factor)),
            loss(prob, affinity),
            f"{factor} W must give the value of W: numerator and denominator both scale",
        )


def order_changes_nothing(loss, *, generator):
    """Neither the names of the classes nor the order of the pixels matters."""
    prob, affinity, _ = example(generator)
    turned = loss(prob.roll(1, dims=1), affinity)
    _equal(turned, loss(prob, affinity), "renaming the classes must not change NC")
    order = torch.randperm(20, generator=generator, device=generator.device)
    points = affinity.features[:, order].reshape(2, 4, 5, -1)
    shuffled = prob.flatten(2)[..., order].reshape(prob.shape)
    _equal(
        loss(shuffled, DenseAffinity.from_features(points)),
        loss(prob, affinity),
        "moving the pixels together with their features must not change NC",
    )


def images_are_separate(loss, *, generator):
    """The value of a batch is the mean of its images' values."""
    prob, affinity, _ = example(generator, batch=3)
    points = affinity.features.reshape(3, 4, 5, -1)
    single = [
        loss(p[None], DenseAffinity.from_features(f[None]))
        for p, f in zip(prob, points, strict=True)
    ]
    _equal(loss(prob, affinity), sum(single) / 3, "is something pooled over the batch?")


def sameness_is_the_summit(loss, *, generator):
    """Where all pixels say the same, NC is K - 1, its largest value, and the logits are at rest."""
    for labels in (2, 3):
        prob, affinity, _ = example(generator, labels=labels)
        summit = labels - 1
        assert loss(prob, affinity) <= summit + 1e-9, f"for psd W NC is at most K - 1 = {summit}"
        uniform = torch.full_like(prob, 1 / labels)
        one = torch.zeros_like(prob)
        one[:, 0] = 1
        same = prob[:, :, :1, :1].expand_as(prob)
        for name, s in {"uniform": uniform, "one class": one, "the same everywhere": same}.items():
            _equal(loss(s, affinity), summit, f"NC of {name} must be K - 1 = {summit}")
        logits = same.log().requires_grad_()
        grad = torch.autograd.grad(loss(logits.softmax(1), affinity), logits)[0]
        _equal(grad, 0, "through softmax, saying the same everywhere must be stationary")


def empty_class_counts_one(loss, *, generator):
    """A class that holds nothing adds 1, as a vanishing class does, and no NaN to the gradient."""
    prob, affinity, _ = example(generator, labels=2)
    wide = torch.cat([prob, torch.zeros_like(prob[:, :1])], 1).requires_grad_()
    value = loss(wide, affinity)
    _equal(value, loss(prob, affinity) + 1, "an empty class must add exactly 1")
    grad = torch.autograd.grad(value, wide)[0]
    assert bool(grad.isfinite().all()), "the gradient beside an empty class must be finite"
    for share in (1e-3, 1e-6, 1e-45):
        faint = share * wide[:, 1:2].detach()
        near = torch.cat([prob * (1 - faint), faint], 1)
        gap = abs(float(loss(near, affinity).detach() - value.detach()))
        assert gap < 5 * share + 1e-12, f"a class with {share:g} of the mass must add almost 1"


def padding_has_no_influence(loss, *, generator):
    """With a region of interest, nothing outside it changes the value or a gradient."""
    prob, affinity, _ = example(generator)
    roi = torch.zeros(2, 6, 7, dtype=torch.bool, device=prob.device)
    roi[:, :4, :5] = True
    points = affinity.features.reshape(2, 4, 5, -1).movedim(-1, 1)
    inner = prob.clone().requires_grad_()
    expected = loss(inner, affinity)
    expected_grad = torch.autograd.grad(expected, inner)[0]
    for filler in (0.0, float("nan")):
        padded = torch.nn.functional.pad(prob, (0, 2, 0, 2), value=filler).requires_grad_()
        around = torch.nn.functional.pad(points, (0, 2, 0, 2), value=1.0)
        value = loss(padded, DenseAffinity.from_features(around.movedim(1, -1)), roi=roi)
        _equal(value, expected, "padding must not count; does the degree see pixels outside?")
        grad = torch.autograd.grad(value, padded)[0]
        _equal(grad[..., :4, :5], expected_grad, "padding must not change the gradient inside")
        _equal(grad.masked_select(~roi[:, None]), 0, "the gradient outside must be 0", 0)


def seeds_are_clamped(loss, *, generator):
    """At scribbles the loss sees the label whatever the network says; its gradient is exactly 0."""
    prob, affinity, _ = example(generator)
    device = prob.device
    seeds = torch.randint(0, 3, (2, 4, 5), generator=generator, device=device)
    free = torch.rand(2, 4, 5, generator=generator, device=device) < 0.6
    seeds = torch.where(free, 255, seeds)
    hot = torch.nn.functional.one_hot(seeds.clamp(max=2), 3).movedim(-1, 1).to(prob)
    by_hand = torch.where(free[:, None], prob, hot)
    leaf = prob.clone().requires_grad_()
    value = loss(leaf, affinity, seeds=seeds)
    _equal(value, loss(by_hand, affinity), "seeds must replace the probabilities by one-hot labels")
    grad = torch.autograd.grad(value, leaf)[0]
    _equal(grad.movedim(1, -1)[~free], 0, "the gradient at seeds must be exactly 0", 0)
    assert bool((grad.movedim(1, -1)[free] != 0).any()), "free pixels must have a gradient"


def concave_in_the_sets(loss, *, generator):
    """For a positive semidefinite W the chord between two soft segmentations lies below NC."""
    first, affinity, _ = example(generator)
    for _ in range(20):
        second = torch.randn(first.shape, generator=generator, dtype=first.dtype).softmax(1)
        t = float(torch.rand((), generator=generator))
        chord = t * loss(first, affinity) + (1 - t) * loss(second, affinity)
        between = loss(t * first + (1 - t) * second, affinity)
        assert between >= chord - 1e-9, "S'WS/d'S is convex for psd W, so NC must be concave in S"
        first = second


def largest_curvature(loss, affinity, point, *, of="sets"):
    """The largest eigenvalue of the Hessian of NC at `point`, in the sets or in the logits."""

    def value(flat):
        x = flat.reshape(point.shape)
        return loss(x if of == "sets" else x.softmax(1), affinity)

    hessian = torch.autograd.functional.hessian(value, point.flatten())
    return float(torch.linalg.eigvalsh(hessian).max())


def concavity_needs_the_diagonal(loss, *, generator):
    """With W_pp = 1 no direction curves upwards; without it, or in logits, some do."""
    prob, affinity, _ = example(generator, labels=2, grid=(3, 4), batch=1)

    def unchecked(sets, affinity):  # the Hessian leaves the simplex
        return loss(sets, affinity, check_values=False)

    flat = largest_curvature(unchecked, affinity, prob)
    assert flat < 1e-9, f"for psd W the Hessian must be negative semidefinite, got {flat:.2e}"
    hollow = largest_curvature(unchecked, Hollow(affinity), prob)
    assert hollow > 1e-6, "without its diagonal W is indefinite and NC must curve upwards somewhere"
    in_logits = largest_curvature(unchecked, affinity, 3 * prob.log(), of="logits")
    assert in_logits > 1e-6, "in logits NC must curve upwards somewhere"


def _equal(arrived, expected, message, tol=1e-9):
    arrived, expected = (torch.as_tensor(x, dtype=torch.float64) for x in (arrived, expected))
    gap = float((arrived.detach().cpu() - expected.detach().cpu()).abs().max())
    assert gap <= tol, f"{message} (they differ by {gap:.3g})"
