"""Identities of the losses beside normalized cut: Laplacian, Potts, CRF, K-means, NEL (chapter 13).

Each function takes a loss, called as the library's own, and raises an AssertionError that says
what was expected and the likely reason.
"""

import torch
from torch.nn.functional import one_hot

from softcut_lib.cuts.energy import cut_energy
from softcut_lib.grid.edges import axis_offsets, diagonal_offsets, edge_shape
from softcut_lib.grid.system import GridSystem
from softcut_lib.theorems.balanced import Hollow, example


def edges_example(generator, *, labels=3, grid=(4, 5), offsets=None, batch=2):
    """Random probabilities and non-negative edge weights on a grid, in float64."""
    options = {"generator": generator, "dtype": torch.float64, "device": generator.device}
    offsets = axis_offsets(len(grid)) if offsets is None else offsets
    weights = [torch.rand(batch, *edge_shape(grid, o), **options) for o in offsets]
    return torch.randn(batch, labels, *grid, **options).softmax(1), weights


def hard_potts_is_the_cut(potts_loss, *, generator):
    """On hard labels eq. 3 is twice the cut of chapter 1: it counts (p, q) and (q, p)."""
    offsets = (*axis_offsets(2), *diagonal_offsets(2))
    prob, weights = edges_example(generator, offsets=offsets)
    labels = prob.argmax(1)
    hard = one_hot(labels, 3).movedim(-1, 1).double()
    arrived = potts_loss(hard, weights, offsets=offsets, form="published")
    energy = cut_energy(labels, torch.zeros_like(prob), weights, offsets=offsets)
    _equal(arrived, 2 * energy.mean(), "eq. 3 on hard labels must be twice the weight that is cut")


def laplacian_is_the_system(laplacian_loss, *, generator):
    """Eq. 1 is twice sum_k S_k'L S_k with the Laplacian L of chapter 3's circuit."""
    prob, weights = edges_example(generator)
    system = GridSystem(weights, ground=torch.zeros_like(prob[:, 0]))
    quadratic = (prob * (system @ prob)).flatten(1).sum(1)
    arrived = laplacian_loss(prob, weights, form="published")
    _equal(arrived, 2 * quadratic.mean(), "eq. 1 must be 2 sum_k S'L S: ordered pairs count twice")


def potts_is_laplacian_plus_indecision(potts_loss, laplacian_loss, *, generator):
    """Eq. 3 minus half of eq. 1 is sum_p d_p (1 - |S_p|^2), zero exactly on hard labels."""
    prob, weights = edges_example(generator)
    degree = GridSystem(weights, ground=torch.zeros_like(prob[:, 0])).diagonal()[:, 0]
    undecided = (degree * (1 - prob.square().sum(1))).flatten(1).sum(1).mean()
    potts = potts_loss(prob, weights, form="published")
    gap = potts - laplacian_loss(prob, weights, form="published") / 2
    _equal(gap, undecided, "they must differ by what undecided pixels pay")
    hard = one_hot(prob.argmax(1), 3).movedim(-1, 1).double()
    _equal(
        potts_loss(hard, weights),
        laplacian_loss(hard, weights),
        "on hard labels the two scale-free losses must agree",
    )


def dense_crf_is_eq_3(dense_crf_loss, *, generator):
    """The dense CRF loss is eq. 3 with the dense kernel; divided by 1'W 1 it is scale-free."""
    prob, affinity, matrix = example(generator)
    s = prob.flatten(2)
    cut = torch.einsum("bkn,bnm,bkm->b", s, matrix, 1 - s)
    _equal(
        dense_crf_loss(prob, affinity, form="published"),
        cut.mean(),
        "the published form must be sum_k S'W(1-S), averaged over images",
    )
    total = matrix.sum((1, 2))
    _equal(dense_crf_loss(prob, affinity), (cut / total).mean(), "scale-free divides by 1'W 1")
    for labels in (2, 3):
        prob, affinity, _ = example(generator, labels=labels)
        summit = dense_crf_loss(torch.full_like(prob, 1 / labels), affinity)
        _equal(summit, 1 - 1 / labels, "where every pixel says 1/K the value must be 1 - 1/K")
        assert dense_crf_loss(prob, affinity) <= summit, "for psd W that is the largest value"
        one = torch.zeros_like(prob)
        one[:, 0] = 1
        _equal(dense_crf_loss(one, affinity), 0, "one class for all cuts nothing: the value is 0")


def wide_window_is_the_dense_kernel(gated_crf_loss, *, generator):
    """A window as large as the image is the dense kernel without its diagonal."""
    prob, _, _ = example(generator)
    image = 255 * torch.rand(2, 3, 4, 5, generator=generator, dtype=torch.float64)
    _, affinity, matrix = example(generator)
    affinity = type(affinity)(image, sigma_color=40.0, sigma_space=2.0)
    hollow = Hollow(affinity)
    s = prob.flatten(2)
    total = (hollow.degree.flatten(1).sum(1) - (prob * hollow.matmul(prob)).flatten(1).sum(1)) / 20
    arrived = gated_crf_loss(prob, image, radius=7, sigma_color=40.0, sigma_space=2.0)
    _equal(arrived, total.mean(), "a window over the whole image must give the dense sum")
    places = torch.stack(torch.meshgrid(torch.arange(4), torch.arange(5), indexing="ij"), -1)
    places = places.reshape(20, 2)
    near = (places[:, None] - places[None]).abs().amax(-1) <= 1
    colors = image.flatten(2).mT
    matrix = torch.exp(-torch.cdist(colors, colors).square() / (2 * 40.0**2))
    matrix = matrix * torch.exp(-torch.cdist(places.double(), places.double()).square() / 8)
    matrix = matrix * (near & ~torch.eye(20, dtype=torch.bool))
    apart = 1 - torch.einsum("bkn,bkm->bnm", s, s)
    arrived = gated_crf_loss(prob, image, radius=1, sigma_color=40.0, sigma_space=2.0)
    expected = (matrix * apart).sum((1, 2)).mean() / 20
    _equal(arrived, expected, "radius 1 must sum over the eight neighbours, the pixel left out")


def kmeans_gradient_is_the_distance(kmeans_loss, *, generator):
    """By the envelope theorem the gradient is |I_p - mu_k|^2 / N, as if the means were fixed."""
    prob, _, _ = example(generator)
    image = 255 * torch.rand(2, 3, 4, 5, generator=generator, dtype=torch.float64)
    s, colors = prob.flatten(2), image.flatten(2)
    mean = torch.einsum("bkn,bcn->bkc", s, colors) / s.sum(2, keepdim=True)
    distance = (colors[:, None] - mean[..., None]).square().sum(2)
    leaf = prob.clone().requires_grad_()
    value = kmeans_loss(leaf, image)
    _equal(value, (s * distance).sum((1, 2)).mean() / 20, "it must be the mean squared distance")
    grad = torch.autograd.grad(value, leaf)[0].flatten(2)
    _equal(grad, distance / 20 / 2, "its gradient must be |I_p - mu_k|^2 / N, per image")
    spread = (colors - colors.mean(2, keepdim=True)).square().sum(1).mean()
    uniform = torch.full_like(prob, 1 / 3)
    _equal(kmeans_loss(uniform, image), spread, "of uniform sets it is the variance of the colours")
    other = torch.randn(prob.shape, generator=generator, dtype=prob.dtype).softmax(1)
    between = kmeans_loss((prob + other) / 2, image)
    chord = (kmeans_loss(prob, image) + kmeans_loss(other, image)) / 2
    assert between >= chord - 1e-9, "a minimum over means of linear functions must be concave"


def absent_labels_pay_their_share(absent_label_loss, *, generator):
    """Labels no scribble names pay the share of pixels they hold; named ones pay nothing."""
    prob, _, _ = example(generator, labels=4)
    seeds = torch.full((2, 4, 5), 255)
    _equal(absent_label_loss(prob, seeds), 0, "without a labelled pixel nothing is known", 0)
    seeds[0, 0, 0], seeds[0, 3, 3], seeds[1, 2, 2] = 1, 3, 0
    expected = (prob[0, [0, 2]].sum() + prob[1, 1:].sum()) / 20 / 2
    leaf = prob.clone().requires_grad_()
    value = absent_label_loss(leaf, seeds)
    _equal(value, expected, "it must be the mass of the absent labels over the pixels")
    grad = torch.autograd.grad(value, leaf)[0]
    assert not grad[0, [1, 3]].any() and not grad[1, 0].any(), "named labels must have no gradient"
    _equal(grad[1, 1:], 1 / 40, "every pixel of an absent label must have the same gradient")


def _equal(arrived, expected, message, tol=1e-9):
    arrived, expected = (torch.as_tensor(x, dtype=torch.float64) for x in (arrived, expected))
    gap = float((arrived.detach().cpu() - expected.detach().cpu()).abs().max())
    scale = max(1.0, float(expected.detach().abs().max()))
    assert gap <= tol * scale, f"{message} (they differ by {gap:.3g})"
