"""Properties of learning through a cut from a few revealed pixels (chapter 10).

A pixel p whose answer should change by dL/dx_p = g teaches every pixel q of its component,
dL/dscores_q = g (A^-1)_qp, all of one sign and together g.
"""

import torch

from softcut_lib.grid.edges import axis_offsets, edge_shape


def one_pixel_teaches_all(taught, *, generator, grid=(6, 7), pixel=(2, 3)):
    """What one revealed pixel teaches: positive everywhere, one in sum, most at the pixel itself.

    Args:
        taught: function (weights, pixel) -> dL/dscores (h, w) where dL/dx is 1 at `pixel`, else 0.
        generator: of the conductances.
        grid, pixel: size of the picture, and where the answer is known.
    """
    from softcut_lib.layers.softcut import soft_cut

    weights = [
        3 * torch.rand(1, *edge_shape(grid, o), generator=generator, dtype=torch.float64) + 0.1
        for o in axis_offsets(2)
    ]
    arrived = torch.as_tensor(taught(weights, pixel)).detach().reshape(grid).double()
    assert bool((arrived > 0).all()), (
        "every pixel of a connected grid must be taught with the same sign, but the smallest entry "
        f"is {float(arrived.min()):.3g}: is it A^-1 of one pixel, without a cut-off?"
    )
    total = float(arrived.sum())
    assert abs(total - 1) < 1e-3, (
        f"what is taught must add up to 1, since A^-1 is doubly stochastic; got {total:.4g}: "
        "a factor or a mean over pixels is too many"
    )
    assert arrived.argmax() == pixel[0] * grid[1] + pixel[1], (
        "the revealed pixel itself must be taught most: are rows and columns exchanged?"
    )
    scores = torch.zeros(1, 1, *grid, dtype=torch.float64, requires_grad=True)
    soft_cut(scores, weights)[0, 0, pixel[0], pixel[1]].backward()
    gap = float((arrived - scores.grad[0, 0]).abs().max())
    assert gap < 1e-4, f"it differs from the gradient through soft_cut by {gap:.3g}"


def reveal_is_fair(reveal, *, generator, fraction=0.02, draws=60):
    """Hiding labels keeps each with the same probability, changes none, and never hides all.

    Args:
        reveal: function (target (B, h, w) long, fraction, generator=...) -> target with 255 hidden.
        generator: of the target.
        fraction: probability of keeping a pixel.
        draws: how often the law of large numbers is asked.
    """
    target = torch.randint(0, 2, (2, 40, 50), generator=generator)
    kept = []
    for seed in range(draws):
        seen = reveal(target, fraction, generator=torch.Generator().manual_seed(seed))
        again = reveal(target, fraction, generator=torch.Generator().manual_seed(seed))
        assert torch.equal(seen, again), "the draw must depend on the generator alone"
        assert seen.dtype == target.dtype, f"labels must stay {target.dtype}, got {seen.dtype}"
        assert bool(((seen == target) | (seen == 255)).all()), (
            "a revealed pixel must keep its label and a hidden one become 255"
        )
        kept.append(seen != 255)
    share = torch.stack(kept).double().mean()
    spread = (fraction * (1 - fraction) / (draws * target.numel())) ** 0.5
    assert abs(share - fraction) < 5 * spread, (
        f"a share of {float(share):.4g} of the pixels is revealed, {fraction:.4g} was asked for"
    )
    assert any(not torch.equal(kept[0], other) for other in kept), (
        "generators of different seeds reveal the same pixels: is another one made inside?"
    )
    both = torch.stack(kept).all(1).double().mean()
    assert both < 4 * fraction**2, "the images of a batch must each draw pixels of their own"
    counts = torch.stack(kept).double().sum((1, 2, 3))
    ratio = float(counts.var() / (target.numel() * fraction * (1 - fraction)))
    assert 0.3 < ratio < 2.2, (
        f"the number of revealed pixels varies {ratio:.2g} times as much as that of independent "
        "pixels: is a fixed number drawn, or whole groups of pixels together?"
    )
    halves = [torch.stack(kept)[..., part].double().mean() for part in (slice(25), slice(25, 50))]
    assert abs(halves[0] - halves[1]) < 10 * spread, (
        "some part of the picture is revealed more often"
    )
    one = torch.full((1, 1, 3), 1)
    for seed in range(draws):
        seen = reveal(one, fraction, generator=torch.Generator().manual_seed(seed))
        assert bool((seen != 255).any()), (
            "at least one pixel must be revealed, or the loss is 0 / 0"
        )
