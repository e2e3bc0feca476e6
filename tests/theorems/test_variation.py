"""The theorems on total variation notice what is wrong."""

import pytest
import torch

import softcut_lib as sc
from softcut_lib.layers.blockwise import block_mean
from softcut_lib.layers.isotonic import isotonic_regression, refine_order
from softcut_lib.theorems import variation as theorem


def generator():
    return torch.Generator().manual_seed(3)


def changed(scores=1.0, weights=1.0, result=1.0):
    """Total variation of scores and weights that are off by a factor."""
    return lambda z, w, **options: (
        result * sc.total_variation(scores * z, [weights * k for k in w], **options)
    )


def crossed(z, w, **options):
    """Columns and rows exchanged (square grids only)."""
    return sc.total_variation(z, [w[1].mT, w[0].mT], **options)


class Wrong(torch.autograd.Function):
    """Total variation whose gradient has a flipped sign, as in the thesis' Algorithm 1."""

    @staticmethod
    def forward(ctx, z, *w):
        with torch.enable_grad():
            inputs = [t.detach().requires_grad_() for t in (z, *w)]
            x = sc.total_variation(inputs[0], inputs[1:])
        ctx.graph = inputs, x
        return x.detach()

    @staticmethod
    def backward(ctx, g):
        inputs, x = ctx.graph
        return tuple(-t for t in torch.autograd.grad(x, inputs, g))


def not_pooled_back(y):
    """Isotonic regression that forgets to look back after it has pooled two neighbors."""
    x = y.clone()
    for k in range(len(x) - 1):
        if x[k] > x[k + 1]:
            x[k : k + 2] = x[k : k + 2].mean()
    return x


def loose_string(y, w):
    """The solution for half the radius: inside the tube, but it bends away from the walls."""
    return sc.total_variation(y[None, None], [w[None] / 2])[0, 0]


WRONG = {
    "factor two": (
        lambda: theorem.it_is_the_minimum(changed(weights=2.0), generator=generator()),
        "factor of two",
    ),
    "crossed": (
        lambda: theorem.it_is_the_minimum(crossed, generator=generator(), grid=(4, 4)),
        "columns and rows",
    ),
    "cut of other weights": (
        lambda: theorem.threshold_is_min_cut(
            changed(weights=0.5), sc.min_cut, generator=generator()
        ),
        "pixels differ",
    ),
    "mean": (
        lambda: theorem.mean_and_constants_are_kept(changed(result=1.1), generator=generator()),
        "mean of the scores",
    ),
    "range": (
        lambda: theorem.it_stays_in_range_and_order(changed(result=5.0), generator=generator()),
        "between the least and the greatest",
    ),
    "no weights": (
        lambda: theorem.limits_of_the_weights(changed(scores=2.0), generator=generator()),
        "leave the scores alone",
    ),
    "gradient": (
        lambda: theorem.gradient_is_finite_differences(
            lambda z, w: Wrong.apply(z, *w), generator=generator(), grid=(2, 3), labels=1
        ),
        "sign is flipped",
    ),
    "edges": (
        lambda: theorem.edge_formula(
            lambda m, x, o: (sc.jump(x, o).sign() * sc.jump(m, o)).sum(1), generator=generator()
        ),
        "sign is flipped",
    ),
    "labels apart": (
        lambda: theorem.edge_formula(
            lambda m, x, o: -sc.jump(x, o).sign() * sc.jump(m, o), generator=generator()
        ),
        "summed over labels",
    ),
    "projection": (
        lambda: theorem.block_mean_is_a_projection(
            lambda v, labels: v.mean((2, 3), keepdim=True).expand_as(v), generator=generator()
        ),
        "the block's mean",
    ),
    "string": (
        lambda: theorem.taut_string(loose_string, generator=generator()),
        "touches no wall",
    ),
    "string outside": (
        lambda: theorem.taut_string(lambda y, w: y.mean().expand_as(y), generator=generator()),
        "stay in the tube",
    ),
    "isotonic": (
        lambda: theorem.isotonic_is_the_nearest(not_pooled_back, generator=generator()),
        "go back more than one block",
    ),
    "order": (
        lambda: theorem.order_is_enough(lambda x, z, w: x, generator=generator()),
        "order of the solution",
    ),
    "refinement": (
        lambda: theorem.refinement_helps(
            lambda z, w, refine: 0 * z if refine else z, generator=generator()
        ),
        "of the signs|raised the energy",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_noticed(case):
    check, message = WRONG[case]
    with pytest.raises(AssertionError, match=message):
        check()


def test_what_is_right_passes():
    theorem.isotonic_is_the_nearest(isotonic_regression, generator=generator())
    theorem.block_mean_is_a_projection(block_mean, generator=generator())
    theorem.taut_string(
        lambda y, w: sc.total_variation(y[None, None], [w[None]])[0, 0], generator=generator()
    )


def test_the_order_of_the_pixels_is_enough():
    def refine(x, scores, weights):
        return refine_order(x, scores, [w.unsqueeze(1) for w in weights], sc.axis_offsets(2))

    theorem.order_is_enough(refine, generator=generator())


def test_the_reference_bounds_its_own_distance():
    scores, weights, _ = theorem.random_problem(generator(), (3, 4))
    rough, bound = theorem.reference(scores, weights, steps=30)
    exact = sc.total_variation(scores, weights)
    assert 0 < float((rough - exact).norm()) <= float(bound) * 2**0.5
    least = theorem.variation_energy(exact, scores, weights)
    assert bool((least <= theorem.variation_energy(rough, scores, weights)).all())
