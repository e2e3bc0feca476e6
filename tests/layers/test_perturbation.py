"""Averaged decoders: known laws, unbiased gradients, a loss that belongs to its gradient."""

from functools import partial

import pytest
import torch

import softcut_lib as sc
from softcut_lib.theorems import perturbation as theorem

EIGHT = (*sc.axis_offsets(2), *sc.diagonal_offsets(2))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def problem(batch=2, grid=(4, 5), labels=1, seed=0):
    g = generator(seed)
    scores = torch.randn(batch, labels, *grid, generator=g)
    weights = [torch.rand(batch, *sc.edge_shape(grid, o), generator=g) for o in sc.axis_offsets(2)]
    return scores, weights


def test_single_pixels_follow_the_normal_law():
    theorem.single_pixels_follow_the_normal_law(sc.perturbed, generator=generator())


@pytest.mark.parametrize("noise", ["gaussian", "gumbel"])
def test_gradient_is_that_of_the_mean(noise):
    theorem.gradient_is_that_of_the_mean(sc.perturbed, generator=generator(1), noise=noise)


@pytest.mark.parametrize("factor", [0.8, 1.25])
def test_a_gradient_that_is_a_quarter_off_is_seen(factor):
    """The standard error that is allowed is small beside the slope itself."""

    def stretched(*args, **options):
        cut = sc.perturbed(*args, **options)

        def call(scores, weights):
            prob = cut(scores, weights)
            return prob.detach() + factor * (prob - prob.detach())

        return call

    with pytest.raises(AssertionError, match="the estimate must be unbiased"):
        theorem.gradient_is_that_of_the_mean(stretched, generator=generator(1))


@pytest.mark.parametrize("noise", ["gaussian", "gumbel"])
@pytest.mark.parametrize("void", [False, True])
def test_fenchel_young_value_and_gradient(noise, void):
    def loss_of(own):
        return sc.fenchel_young_loss(
            sc.min_cut, sigma=0.5, num_samples=6, noise=noise, generator=own
        )

    theorem.value_and_gradient_belong_together(loss_of, generator=generator(2), void=void)


@pytest.mark.parametrize("labels", [1, 3])
def test_with_little_noise_the_loss_is_what_the_target_costs_more(labels):
    """Energy of the target above the least: the objective is minus chapter 1's, but a constant."""
    scores, weights = problem(labels=labels)
    target = torch.randint(0, max(labels, 2), (2, 4, 5), generator=generator(7))
    decode = sc.min_cut if labels == 1 else sc.alpha_expansion
    loss = sc.fenchel_young_loss(decode, sigma=1e-7, num_samples=1, generator=generator())
    energies = [sc.cut_energy(y, scores, weights) for y in (target, decode(scores, weights))]
    gap = (energies[0] - energies[1]).mean()
    torch.testing.assert_close(loss(scores, weights, target), gap, rtol=1e-5, atol=1e-5)


def test_little_noise_is_the_decoder():
    scores, weights = problem()
    cut = sc.perturbed(sc.min_cut, sigma=1e-6, num_samples=3, generator=generator())
    assert torch.equal(cut(scores, weights), sc.min_cut(scores, weights).float())
    assert cut.output == "probabilities"


def test_gumbel_noise_is_centered():
    scores = torch.zeros(1, 1, 40_000)
    cut = sc.perturbed(
        lambda s, w: s, sigma=1.0, num_samples=1, noise="gumbel", generator=generator()
    )
    mean = float(cut(scores, [torch.zeros(1, 39_999)]).mean())
    assert abs(mean) < 5 * 1.2825 / 200


def test_other_samples_leave_the_mean_and_shrink_the_spread():
    """Without the control variate the estimate is the same on average but far noisier."""
    scores, weights = problem(batch=1, grid=(2, 3))
    scores.requires_grad_()
    decode = theorem.exhaustive()

    def estimates(num_samples, repeats):
        found = []
        for seed in range(repeats):
            cut = sc.perturbed(
                decode, sigma=1.0, num_samples=num_samples, generator=generator(seed)
            )
            found.append(torch.autograd.grad(cut(scores, weights).sum(), scores)[0])
        return torch.stack(found)

    paired, alone = estimates(2, 2000), estimates(1, 4000).view(2000, 2, *scores.shape).mean(1)
    spread = (paired.var(0) / 2000 + alone.var(0) / 2000).sqrt()
    assert ((paired.mean(0) - alone.mean(0)).abs() < 5 * spread).all()
    assert paired.var(0).sum() < alone.var(0).sum()


def test_same_seed_same_answer():
    scores, weights = problem()
    first, second = (
        sc.perturbed(sc.min_cut, sigma=0.5, num_samples=4, generator=generator(3))(scores, weights)
        for _ in range(2)
    )
    assert torch.equal(first, second)


def test_the_minimum_cut_is_the_default_and_expansion_serves_several_labels():
    scores, weights = problem()
    options = {"sigma": 0.5, "num_samples": 4}
    average, named = (
        sc.perturbed(*decode, **options, generator=generator(3))(scores, weights)
        for decode in ((), (sc.min_cut,))
    )
    assert torch.equal(average, named)
    many, weights = problem(labels=3)
    cut = sc.perturbed(sc.alpha_expansion, **options, generator=generator(4))
    prob = cut(many.requires_grad_(), weights)
    torch.testing.assert_close(prob.sum(1), torch.ones_like(prob[:, 0]))
    assert torch.autograd.grad(prob.square().sum(), many)[0].any()


def test_a_second_derivative_is_refused():
    scores, weights = problem()
    scores.requires_grad_()
    cut = sc.perturbed(sc.min_cut, sigma=0.5, num_samples=4, generator=generator())
    (slope,) = torch.autograd.grad(cut(scores, weights).square().sum(), scores, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        slope.sum().backward()


def test_offsets_reach_the_decoder():
    g = generator()
    scores = torch.randn(1, 1, 4, 4, generator=g)
    weights = [torch.rand(1, *sc.edge_shape((4, 4), o), generator=g) for o in EIGHT]
    options = {"sigma": 0.4, "num_samples": 5}
    one = sc.perturbed(sc.min_cut, offsets=EIGHT, generator=generator(1), **options)
    two = sc.perturbed(
        lambda s, w, offsets: partial(sc.min_cut, offsets=EIGHT)(s, w),
        offsets=EIGHT, generator=generator(1), **options,
    )  # fmt: skip
    assert torch.equal(one(scores, weights), two(scores, weights))


def test_a_network_learns_through_it():
    image = torch.rand(1, 3, 8, 8, generator=generator())
    cut = sc.perturbed(sc.min_cut, sigma=1.5, num_samples=8, generator=generator())
    torch.manual_seed(0)
    net = sc.CutNet(sc.ScoreAndEdges(sc.BasicNet(), sc.EdgeNet()), cut)
    out = net(image)
    assert torch.equal(out.output, out.prob)
    out.prob.square().sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in net.parameters())


def test_weights_may_carry_a_label_axis_of_one():
    """The loss and its gradients are those of the same weights without it."""
    for batch in (1, 2):
        scores, weights = problem(batch)
        target = (scores[:, 0] > 0).long()
        found = []
        for axis in (False, True):
            leaves = [w.unsqueeze(1) if axis else w.clone() for w in weights]
            leaves = [w.requires_grad_() for w in leaves]
            loss = sc.fenchel_young_loss(sigma=0.5, num_samples=3, generator=generator(5))
            value = loss(scores, leaves, target)
            slopes = torch.autograd.grad(value, leaves)
            found.append([value, *(g.view(w.shape) for g, w in zip(slopes, weights))])
        for one, other in zip(*found, strict=True):
            torch.testing.assert_close(one, other)


def test_the_other_images_of_a_batch_do_not_matter():
    """With the same noise an image's gradient is the same whatever the other images' answers."""
    scores, weights = problem(batch=2)
    other = scores.clone()
    other[1] = scores[1].flip(0, 1, 2) + 1
    g = torch.randn(scores.shape, generator=generator(8))
    for noise in ("gaussian", "gumbel"):
        found = []
        for s in (scores, other):
            leaves = [t.clone().requires_grad_() for t in (s, *weights)]
            cut = sc.perturbed(sigma=0.5, num_samples=6, noise=noise, generator=generator(3))
            found.append(torch.autograd.grad(cut(leaves[0], leaves[1:]), leaves, g))
        for one, two in zip(*found, strict=True):
            assert torch.equal(one[0], two[0]) and not torch.equal(one[1], two[1])


def test_the_loss_falls_where_scores_agree_with_the_target():
    scores, weights = problem()
    target = (scores[:, 0] > 0).long()
    loss = sc.fenchel_young_loss(sc.min_cut, sigma=0.1, num_samples=4, generator=generator())
    values = [float(loss(scale * (2 * target[:, None] - 1.0), weights, target)) for scale in (1, 9)]
    assert values[1] < values[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sigma": 0.0}, "sigma must be a finite number above 0"),
        ({"num_samples": 0}, "num_samples must be an integer"),
        ({"noise": "uniform"}, "noise must be 'gaussian' or 'gumbel'"),
    ],
)
def test_options(options, message):
    with pytest.raises(ValueError, match=message):
        sc.perturbed(sc.min_cut, **{"sigma": 1.0, "num_samples": 2, **options})


def test_bad_input():
    with pytest.raises(TypeError, match="decode must be callable"):
        sc.perturbed("min_cut", sigma=1.0, num_samples=2)
    scores, weights = problem()
    cut = sc.perturbed(sc.min_cut, sigma=1.0, num_samples=2)
    with pytest.raises(ValueError, match=r"weights\[0\] must be at least 0"):
        cut(scores, [-w for w in weights])
    loss = sc.fenchel_young_loss(sc.min_cut, sigma=1.0, num_samples=2)
    with pytest.raises(ValueError, match="target must be a long tensor of shape"):
        loss(scores, weights, torch.zeros(2, 5, 4, dtype=torch.long))
    with pytest.raises(ValueError, match=r"target must hold labels 0..1 or 255"):
        loss(scores, weights, torch.full((2, 4, 5), 3))
