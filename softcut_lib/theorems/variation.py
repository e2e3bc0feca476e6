"""Theorems about total variation and its gradient (chapter 7).

    x = argmin P(x),   P(x) = 1/2 ||x - z||^2 + sum_pq w_pq |x_p - x_q|.

A `cut` is called as ``cut(scores, weights, offsets=...)`` and returns x; `offsets` is passed only
where an identity asks for it, so a reader's ``cut(scores, weights)`` can be tested by itself. All
numbers are float64 on small random grids; a cut has to solve to about ten digits.
"""

import itertools

import torch

from softcut_lib.grid.edges import axis_offsets, jump, spread
from softcut_lib.theorems.linear_system import random_scores, random_system


def random_problem(generator, grid, offsets=None, *, batch=2, labels=1, scale=0.5):
    """(scores (B, L, *grid), weights, offsets) with weights over four decades, some of them 0."""
    system = random_system(grid, generator=generator, offsets=offsets, batch=batch)
    scores = 2 * random_scores(system, generator=generator, labels=labels)
    return scores, [scale * w for w in system.weights], system.offsets


def variation_energy(x, scores, weights, offsets=None):
    """P(x) of every sample and label, (B, L); weights (B, *edge_shape) or (B, L, *edge_shape)."""
    offsets = axis_offsets(scores.dim() - 2) if offsets is None else offsets
    energy = (x - scores).square().flatten(2).sum(2) / 2
    for w, offset in zip(weights, offsets):
        w = w if w.dim() == x.dim() else w.unsqueeze(1)
        energy = energy + (w * jump(x, offset).abs()).flatten(2).sum(2)
    return energy


def reference(scores, weights, offsets=None, *, steps=4000):
    """x and a bound on its distance from the solution, by plain projected gradient steps.

    No code of the layer is used: u <- clip(u + 1/(4K) D(z - D'u), -w, w) for K offsets.
    """
    offsets = axis_offsets(scores.dim() - 2) if offsets is None else offsets
    weights = [w if w.dim() == scores.dim() else w.unsqueeze(1) for w in weights]
    currents = [torch.zeros_like(w.expand(-1, scores.shape[1], *w.shape[2:])) for w in weights]
    for _ in range(steps):
        x = scores - sum(spread(u, o, scores.shape[2:]) for u, o in zip(currents, offsets))
        currents = [
            (u + jump(x, o) / (4 * len(offsets))).clamp(-w, w)
            for u, o, w in zip(currents, offsets, weights)
        ]
    x = scores - sum(spread(u, o, scores.shape[2:]) for u, o in zip(currents, offsets))
    gap = sum(
        (w * jump(x, o).abs() - u * jump(x, o)).flatten(2).sum(2)
        for u, w, o in zip(currents, weights, offsets)
    )
    return x, (2 * gap.clamp(min=0)).sqrt().amax()


def it_is_the_minimum(cut, *, generator, grid=(4, 5), offsets=None, tol=1e-5, steps=4000):
    """x agrees with a long run of the simplest method, whose distance its duality gap bounds."""
    scores, weights, used = random_problem(generator, grid, offsets)
    x = _call(cut, scores, weights, offsets)
    expected, slack = reference(scores, weights, used, steps=steps)
    allowed = tol * float(scores.norm())
    if float(slack) > allowed:
        raise ValueError(
            f"steps must be more than {steps} on a grid of {grid}: the reference itself may be off "
            f"by {float(slack):.3g}, and {allowed:.3g} is asked for"
        )
    error = float((x - expected).norm())
    if error <= allowed + float(slack):
        return
    halved = float((_call(cut, scores, [w / 2 for w in weights], offsets) - expected).norm())
    doubled = float((_call(cut, scores, [2 * w for w in weights], offsets) - expected).norm())
    reason = "is every edge counted once, and are columns and rows not exchanged?"
    if min(halved, doubled) <= 1e-4 * float(scores.norm()):
        reason = "the weights are off by a factor of two: the quadratic term carries 1/2"
    raise AssertionError(
        f"x must minimize 1/2 ||x - z||^2 + sum w |dx|; it is {error:.3g} away from a long run of "
        f"projected gradient steps; {reason}"
    )


def threshold_is_min_cut(cut, min_cut, *, generator, grid=(5, 6), offsets=None, level=0.0):
    """{x > level} is the minimum cut of the scores minus level, with the fewest pixels of equals.

    ``min_cut(scores, weights, offsets=...)`` returns bool (B, 1, *grid).
    """
    scores, weights, used = random_problem(generator, grid, offsets)
    x = _call(cut, scores, weights, offsets)
    labels = min_cut(scores - level, weights, offsets=used)
    wrong = int(((x > level) != labels).sum())
    assert not wrong, (
        f"x > {level:g} must be the minimum cut of scores - {level:g}, but {wrong} of "
        f"{labels.numel()} pixels differ; is x the exact minimum, with the 1/2 at the quadratic "
        "term and each edge counted once?"
    )


def mean_and_constants_are_kept(cut, *, generator, grid=(4, 5), offsets=None):
    """The mean of x is that of the scores; constant scores, and a constant added, pass through."""
    scores, weights, _ = random_problem(generator, grid, offsets)
    x = _call(cut, scores, weights, offsets)
    gap = float((x - scores).flatten(2).mean(2).abs().max())
    assert gap <= 1e-9, f"x must have the mean of the scores, it is off by {gap:.3g}"
    moved = _call(cut, scores + 3, weights, offsets)
    gap = float((moved - x - 3).abs().max())
    assert gap <= 1e-9, f"adding 3 to all scores must add 3 to x, it is off by {gap:.3g}"
    flat = _call(cut, torch.full_like(scores, 1.5), weights, offsets)
    assert float((flat - 1.5).abs().max()) <= 1e-9, "constant scores must stay as they are"


def it_stays_in_range_and_order(cut, *, generator, grid=(4, 5), offsets=None):
    """min z <= x <= max z; larger scores give larger x; no two answers move further than scores."""
    scores, weights, _ = random_problem(generator, grid, offsets)
    x = _call(cut, scores, weights, offsets)
    low, high = scores.flatten(2).amin(2), scores.flatten(2).amax(2)
    inside = (x.flatten(2).amin(2) >= low - 1e-9) & (x.flatten(2).amax(2) <= high + 1e-9)
    assert bool(inside.all()), "x must lie between the least and the greatest score"
    more = scores + torch.rand(scores.shape, generator=generator, dtype=scores.dtype)
    y = _call(cut, more, weights, offsets)
    assert float((y - x).min()) >= -1e-9, "raising scores must not lower x anywhere"
    moved, way = float((y - x).norm()), float((more - scores).norm())
    assert moved <= way + 1e-9, f"x moved by {moved:.3g}, further than the scores, by {way:.3g}"


def limits_of_the_weights(cut, *, generator, grid=(4, 5), offsets=None):
    """Without weights x = scores; with very large ones every pixel takes the mean."""
    scores, weights, _ = random_problem(generator, grid, offsets)
    x = _call(cut, scores, [0 * w for w in weights], offsets)
    assert float((x - scores).abs().max()) <= 1e-9, "weights of 0 must leave the scores alone"
    x = _call(cut, scores, [torch.full_like(w, 1e4) for w in weights], offsets)
    mean = scores.flatten(2).mean(2)[(..., *(None,) * len(grid))]
    assert float((x - mean).abs().max()) <= 1e-8, "very large weights must give the mean everywhere"


def gradient_is_finite_differences(cut, *, generator, grid=(3, 4), offsets=None, labels=2):
    """dL/dscores and dL/dweights equal central differences wherever blocks stay as they are.

    Where a step of 1e-6 changes a block or the order of two, the solution has a corner there and
    no derivative; such entries, seen by two step lengths that disagree, are left out, and must be
    few.
    """
    scores, weights, _ = random_problem(generator, grid, offsets, batch=1, labels=labels)
    weights = [w + 0.01 for w in weights]
    upstream = torch.randn(scores.shape, generator=generator, dtype=scores.dtype)
    inputs = [t.clone().requires_grad_() for t in (scores, *weights)]
    x = _call(cut, inputs[0], inputs[1:], offsets)
    found = torch.autograd.grad((upstream * x).sum(), inputs)
    total = corners = 0
    for k, (name, arrived) in enumerate(zip(["scores"] + ["weights"] * len(weights), found)):
        for index in itertools.product(*map(range, arrived.shape)):
            slopes = [_slope(cut, inputs, k, index, upstream, offsets, h) for h in (1e-6, 3e-7)]
            total += 1
            if abs(slopes[0] - slopes[1]) > 1e-6 * (1 + abs(slopes[0])):
                corners += 1
                continue
            got = float(arrived[index])
            if abs(got - slopes[0]) <= 1e-5 * (1 + abs(slopes[0])):
                continue
            sign = abs(got + slopes[0]) <= 1e-5 * (1 + abs(slopes[0]))
            reason = (
                "the sign is flipped: scores get +mean, weights -sign(x_q - x_p) (G_q - G_p)"
                if sign
                else "are the blocks those of the solution, and is the mean taken over each alone?"
            )
            raise AssertionError(
                f"dL/d{name} at {index}: the difference quotient is {slopes[0]:.6g}, the gradient "
                f"{got:.6g}; {reason}"
            )
    assert corners <= 0.05 * total, f"{corners} of {total} entries sat on a corner, too many"


def _slope(cut, inputs, k, index, upstream, offsets, step):
    values = []
    for sign in (1, -1):
        moved = [t.detach().clone() for t in inputs]
        moved[k][index] += sign * step
        x = _call(cut, moved[0], moved[1:], offsets)
        values.append(float((upstream * x).sum()))
    return (values[0] - values[1]) / (2 * step)


def edge_formula(edge_gradient, *, generator, offset=(1, 0), grid=(4, 5), labels=3):
    """edge_gradient(mean, x, offset) is -sign(jump x) jump(mean), summed over labels.

    `mean` holds the block means of the incoming gradient; both are (B, L, *grid), the answer has
    the shape (B, *edge_shape) of shared weights.
    """
    x = torch.randint(4, (2, labels, *grid), generator=generator).double()
    mean = torch.randn(2, labels, *grid, generator=generator, dtype=torch.float64)
    by_label = -jump(x, offset).sign() * jump(mean, offset)
    arrived, expected = edge_gradient(mean, x, offset), by_label.sum(1)
    assert arrived.shape == expected.shape, (
        f"weights shared by all labels have one gradient, {tuple(expected.shape)}, summed over "
        f"labels; got {tuple(arrived.shape)}"
    )
    reason = "is it -sign(x_q - x_p) (G_q - G_p), the sign of x and the difference of G?"
    if float((arrived + expected).abs().max()) <= 1e-12:
        reason = "the sign is flipped: a larger weight draws the higher pixel down"
    assert float((arrived - expected).abs().max()) <= 1e-12, f"the edge gradient is wrong; {reason}"


def block_mean_is_a_projection(block_mean, *, generator, grid=(4, 5), blocks=6):
    """block_mean(values, labels) averages over each block: symmetric, and twice is once."""
    labels = torch.randint(blocks, (2, 2, *grid), generator=generator)
    one, two = (
        torch.randn(2, 2, *grid, generator=generator, dtype=torch.float64) for _ in range(2)
    )
    mean = block_mean(one, labels)
    for b, label, k in itertools.product(range(2), range(2), range(blocks)):
        inside = labels[b, label] == k
        if bool(inside.any()):
            gap = float((mean[b, label][inside] - one[b, label][inside].mean()).abs().max())
            assert gap <= 1e-12, (
                f"every pixel of a block must get the block's mean, off by {gap:.3g}"
            )
    assert float((block_mean(mean, labels) - mean).abs().max()) <= 1e-12, "twice must be once"
    gap = float((mean * two).sum() - (one * block_mean(two, labels)).sum())
    assert abs(gap) <= 1e-9, f"<M a, b> must be <a, M b>, the difference is {gap:.3g}"


def taut_string(solve, *, generator, count=30):
    """On one chain the running sum of x is the shortest path in a tube about that of y.

    ``solve(y (n,), w (n-1,)) -> x (n,)``. The path X stays within w of Y, ends where Y ends, and
    bends only at a wall: up at the upper one, down at the lower.
    """
    y = torch.randn(count, generator=generator, dtype=torch.float64)
    w = torch.randn(count - 1, generator=generator, dtype=torch.float64).exp() / 2
    x = solve(y, w)
    above = (x - y).cumsum(0)
    assert abs(float(above[-1])) <= 1e-9, "the string must end where the running sum of y ends"
    above = above[:-1]
    out = float((above.abs() - w).max())
    assert out <= 1e-9, f"the string must stay in the tube, it leaves it by {out:.3g}"
    bend = x.diff()
    wrong = (bend.abs() > 1e-9) & ((above - w * bend.sign()).abs() > 1e-9)
    assert not bool(wrong.any()), (
        f"the string bends at {int(wrong.sum())} places where it touches no wall: it may bend up "
        "at the upper wall and down at the lower one only"
    )


def isotonic_is_the_nearest(isotonic_regression, *, generator, count=9):
    """x_i = max over a <= i of min over b >= i of mean(y_a..y_b): the regression in closed form.

    ``isotonic_regression(y (n,)) -> x (n,)``, non-decreasing.
    """
    y = torch.randn(count, generator=generator, dtype=torch.float64)
    x = isotonic_regression(y)
    for i in range(count):
        best = max(min(float(y[a : b + 1].mean()) for b in range(i, count)) for a in range(i + 1))
        assert abs(float(x[i]) - best) <= 1e-9, (
            f"x[{i}] must be {best:.6g}, got {float(x[i]):.6g}; pooled neighbors take the mean of "
            "all their values, and pooling may have to go back more than one block"
        )


def order_is_enough(refine, *, generator, grid=(4, 5)):
    """``refine(x, scores, weights)`` finds the solution from any x that has its order."""
    from softcut_lib.layers.variation import total_variation

    scores, weights, _ = random_problem(generator, grid)
    exact = total_variation(scores, weights)
    distorted = (exact / 2).exp() - 5  # other values, the same order
    error = float((refine(distorted, scores, weights) - exact).abs().max())
    assert error <= 1e-8, (
        f"an x with the order of the solution must be refined to the solution, off by {error:.3g}; "
        "does each edge add its weight to the lower pixel of the target and take it from the "
        "higher, is the regression in the order of x, and are its values put back in their places?"
    )


def refinement_helps(cut, *, generator, grid=(8, 9), offsets=None, share=0.05):
    """Isotonic refinement never raises the energy, makes fewer blocks, and changes few signs.

    ``cut(scores, weights, refine=...)`` must be approximate, or nothing is left to refine.
    """
    scores, weights, used = random_problem(generator, grid, offsets)
    rough, fine = (_call(cut, scores, weights, offsets, refine=refine) for refine in (False, True))
    change = variation_energy(fine, scores, weights, used) - variation_energy(
        rough, scores, weights, used
    )
    assert float(change.max()) <= 1e-9, f"refinement raised the energy by {float(change.max()):.3g}"
    values = [len(torch.unique(x[0, 0])) for x in (rough, fine)]
    assert values[1] <= values[0], f"refinement made {values[0]} values into {values[1]}"
    flipped = float(((rough > 0) != (fine > 0)).double().mean())
    assert flipped <= share, f"refinement changed {flipped:.1%} of the signs"


def _call(cut, scores, weights, offsets, **options):
    return cut(scores, weights, **({} if offsets is None else {"offsets": offsets}), **options)
