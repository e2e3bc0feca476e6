"""Identities of the losses and metrics of chapter 9.

Each function takes the thing it speaks of, called as the library's own, and raises an
AssertionError that says what was expected and the likely reason.
"""

from itertools import combinations, product

import networkx as nx
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy


def _example(generator, shape=(2, 1, 5, 6), dtype=torch.float64):
    """Random logits and a random target with every label in it."""
    device = generator.device
    logits = torch.randn(shape, generator=generator, dtype=dtype, device=device)
    grid = (shape[0], *shape[2:])
    labels = torch.randint(0, max(shape[1], 2), grid, generator=generator, device=device)
    labels.flatten(1)[:, : max(shape[1], 2)] = torch.arange(max(shape[1], 2), device=device)
    return logits, labels


def _equal(arrived, expected, message, tol=1e-6):
    arrived, expected = torch.as_tensor(arrived), torch.as_tensor(expected)
    gap = float((arrived.detach().cpu() - expected.detach().cpu()).abs().max())
    assert gap <= tol, f"{message} (they differ by {gap:.3g})"


def dice_is_an_overlap(dice_loss, *, generator):
    """Dice lies in [0, 1]: 0 for a perfect mask, 1 for a disjoint one, symmetric in its sets."""
    logits, labels = _example(generator)
    value = dice_loss(logits.sigmoid(), labels)
    assert 0 <= value <= 1, f"a Dice loss must lie in [0, 1], got {float(value):.4g}"
    hard = labels[:, None].double()
    _equal(dice_loss(hard, labels), 0, "the loss of the true mask itself must be 0")
    _equal(dice_loss(1 - hard, labels), 1, "the loss of the opposite mask must be 1")
    other = (logits[:, 0] > 0).long()
    _equal(
        dice_loss(hard, other),
        dice_loss(other[:, None].double(), labels),
        "exchanging the two sets must not change the loss: both sizes stand in the denominator",
    )


def dice_ignores_true_negatives(dice_loss, *, generator):
    """Empty background around an image leaves Dice as it is: imbalance does not matter."""
    logits, labels = _example(generator)
    wide = torch.nn.functional.pad(logits.sigmoid(), (0, 90))
    _equal(
        dice_loss(wide, torch.nn.functional.pad(labels, (0, 90))),
        dice_loss(logits.sigmoid(), labels),
        "correct background pixels must not change the loss; is something averaged over pixels?",
    )


def dice_gradient_is_two_valued(dice_loss, *, generator):
    """The gradient is (2 / size) (D/2 - y), and with squared sizes (2 / size) (D p - y)."""
    logits, labels = _example(generator, (1, 1, 5, 6))
    prob, hot = logits.sigmoid().requires_grad_(), labels[:, None].double()
    for squared in (False, True):
        loss = dice_loss(prob, labels, squared=squared)
        size = (prob.square() if squared else prob).sum() + hot.sum()
        overlap = 1 - loss
        _equal(
            torch.autograd.grad(loss, prob, retain_graph=True)[0],
            2 / size * ((overlap * prob if squared else overlap / 2) - hot),
            f"the gradient of Dice (squared={squared}) must be 2/size times "
            + ("(D p - y)" if squared else "(D/2 - y), one value per class"),
        )


def dice_wants_half_its_value(dice_loss, *, generator):
    """Of pixels that look alike Dice takes all or none: all where the share of foreground > D/2."""
    sizes = torch.randint(3, 12, (5,), generator=generator, device=generator.device)
    true = (torch.rand(5, generator=generator, device=generator.device) * (sizes + 1)).long()
    true[0] = sizes[0] - 1  # at least one group with foreground
    shares = true / sizes
    target = torch.cat([(torch.arange(n) < t).long() for n, t in zip(sizes, true, strict=True)])

    def overlap(group_probs):
        prob = torch.as_tensor(group_probs, dtype=torch.float64).repeat_interleave(sizes)
        return 1 - dice_loss(prob[None, None], target[None])

    best = max(product((0.0, 1.0), repeat=5), key=overlap)
    value = overlap(best)
    wanted = (shares > value / 2).double()
    _equal(
        overlap(wanted),
        value,
        f"Dice must take exactly the groups with a share above {value / 2:.4g}",
    )
    for _ in range(50):
        other = torch.rand(5, generator=generator, device=generator.device)
        assert overlap(other) <= value + 1e-12, (
            "no in-between probability may beat taking all or none; are the sizes squared?"
        )


def cross_entropy_wants_the_share(partial_cross_entropy, *, generator):
    """Of pixels that look alike cross-entropy wants the share of foreground, a probability."""
    target = torch.randint(0, 2, (1, 40), generator=generator, device=generator.device)
    target[0, :2] = torch.tensor([0, 1])
    share = target.double().mean()
    score = torch.logit(share).requires_grad_()
    loss = partial_cross_entropy(score.expand(1, 1, 40), target)
    entropy = -(share * share.log() + (1 - share) * (1 - share).log())
    _equal(loss, entropy, "at p = share the loss must be the entropy of the share")
    _equal(torch.autograd.grad(loss, score)[0], 0, "the best common probability is the share")


def pooled_equals_per_image_for_one(dice_loss, *, generator):
    """With one image in the batch, pooling over the batch changes nothing."""
    for labels in (1, 3):
        logits, target = _example(generator, (1, labels, 5, 6))
        prob = logits.sigmoid() if labels == 1 else logits.softmax(1)
        _equal(
            dice_loss(prob, target, pooled=True),
            dice_loss(prob, target, pooled=False),
            "for a batch of one the pooled and the per-image loss must agree",
        )


def focal_dice_doubles_logits(focal_dice_loss, dice_loss, *, generator):
    """Focal Dice with t = 1/2 and gamma = 2 is the Dice loss of doubled logits."""
    logits, labels = _example(generator)
    focal = focal_dice_loss(logits.sigmoid(), labels, threshold=0.5, gamma=2.0)
    _equal(
        focal,
        dice_loss((2 * logits).sigmoid(), labels),
        "Focal Dice at t = 1/2, gamma = 2 must be Dice of doubled logits; is the denominator's "
        "sign a plus?",
    )


def focal_dice_turns_at_its_threshold(focal_dice_loss, dice_loss, *, generator):
    """Focal Dice is the Dice loss of sigmoid(gamma (logit p - logit t)), for every t and gamma."""
    logits, labels = _example(generator)
    for threshold, gamma in ((0.5, 1.0), (0.5, 2.0), (0.3, 1.0), (0.7, 3.0)):
        turned = gamma * (logits - torch.logit(torch.tensor(threshold, dtype=logits.dtype)))
        _equal(
            focal_dice_loss(logits.sigmoid(), labels, threshold=threshold, gamma=gamma),
            dice_loss(turned.sigmoid(), labels),
            f"at t = {threshold}, gamma = {gamma} the S-curve must turn the logit's distance from "
            "that of t by gamma, and Dice be the mean over images of 1 - 2 |PT| / (|P| + |T|)",
        )


def s_curve_fixes_its_threshold(s_curve, *, generator):
    """S(0) = 0, S(t) = 1/2, S(1) = 1; increasing; gamma = 1 at t = 1/2 is the identity."""
    x = torch.rand(200, generator=generator, dtype=torch.float64).sort().values
    for threshold in (0.2, 0.5, 0.7):
        for gamma in (1.0, 2.0, 3.5):
            ends = torch.tensor([0.0, threshold, 1.0], dtype=torch.float64)
            _equal(
                s_curve(ends, threshold=threshold, gamma=gamma),
                torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64),
                f"S must take 0, t and 1 to 0, 1/2 and 1 at t = {threshold}, gamma = {gamma}",
            )
            steps = s_curve(x, threshold=threshold, gamma=gamma).diff()
            assert bool((steps >= 0).all()), "S must increase: it may not reorder pixels"
    _equal(s_curve(x, threshold=0.5, gamma=1.0), x, "S must be the identity at t = 1/2, gamma = 1")


def void_changes_nothing(loss, *, generator, labels=1):
    """What stands at void pixels changes neither the loss nor any gradient."""
    logits, target = _example(generator, (2, labels, 5, 6))
    hidden = torch.rand(target.shape, generator=generator, device=target.device) < 0.4
    target = torch.where(hidden, 255, target)
    prob = logits.sigmoid() if labels == 1 else logits.softmax(1)
    other = torch.where(hidden[:, None], prob.roll(1, dims=-1), prob)
    results = []
    for maps in (prob, other):
        maps = maps.detach().requires_grad_()
        value = loss(maps, target)
        results.append((value, torch.autograd.grad(value, maps)[0]))
    _equal(results[1][0], results[0][0], "changing void pixels must not change the loss", 0)
    _equal(results[1][1], results[0][1], "changing void pixels must not change the gradient", 0)
    at_void = results[0][1].abs().amax(1)[hidden]
    assert not at_void.any(), "the gradient must be exactly zero at void pixels"


def all_labelled_is_cross_entropy(partial_cross_entropy, *, generator):
    """With every pixel labelled, partial cross-entropy is PyTorch's cross-entropy."""
    logits, target = _example(generator)
    _equal(
        partial_cross_entropy(logits, target),
        binary_cross_entropy_with_logits(logits[:, 0], target.double()),
        "with all pixels labelled and L = 1 it must be the mean binary cross-entropy, eq. 4",
    )
    logits, target = _example(generator, (2, 4, 5, 6))
    _equal(
        partial_cross_entropy(logits, target),
        cross_entropy(logits, target),
        "with all pixels labelled and L > 1 it must be the mean softmax cross-entropy",
    )


def partial_is_unbiased(partial_cross_entropy, *, generator):
    """Averaged over every way to reveal k pixels, the partial loss is the full one, exactly."""
    logits, target = _example(generator, (2, 1, 3))
    full = partial_cross_entropy(logits, target)
    for count in (1, 2, 3):
        values = []
        for seen in combinations(range(6), count):
            revealed = torch.full_like(target, 255)
            revealed.view(-1)[list(seen)] = target.view(-1)[list(seen)]
            values.append(partial_cross_entropy(logits, revealed))
        _equal(
            torch.stack(values).mean(),
            full,
            f"over all {len(values)} ways to reveal {count} of 6 pixels the mean must be the full "
            "loss; is it divided by the number of labelled pixels, those of the whole batch?",
        )


def focal_without_focus_is_cross_entropy(focal_loss, partial_cross_entropy, *, generator):
    """gamma = 0 leaves the cross-entropy, and a larger gamma never makes a loss larger."""
    for labels in (1, 3):
        logits, target = _example(generator, (2, labels, 5, 6))
        plain = partial_cross_entropy(logits, target)
        _equal(
            focal_loss(logits, target, gamma=0.0), plain, "Focal loss at gamma = 0 must be eq. 4"
        )
        last = plain
        for gamma in (0.5, 1.0, 2.0, 5.0):
            value = focal_loss(logits, target, gamma=gamma)
            assert value <= last, "the factor (1 - p)^gamma <= 1 can only shrink the loss"
            last = value


def dice_and_iou_agree(dice_loss, mean_iou, *, generator):
    """On hard masks D = 2 J / (1 + J): both rank predictions alike."""
    logits, target = _example(generator, (1, 1, 5, 6))
    hard = (logits > 0).double()
    overlap, jaccard = 1 - dice_loss(hard, target), mean_iou(hard, target)
    _equal(
        overlap,
        2 * jaccard / (1 + jaccard),
        "on a hard mask Dice must be 2 J / (1 + J), J the intersection over union",
    )


def figures_are_counted(count_figures, *, generator):
    """Separate squares count one each, corners join, random masks as graphs do, nothing is 0."""
    number = int(torch.randint(2, 6, (1,), generator=generator, device=generator.device))
    mask = torch.zeros(1, 1, 8, 4 * number, dtype=torch.bool)
    assert int(count_figures(mask)) == 0, "an empty mask has no figure"
    for k in range(number):
        mask[..., 2:4, 4 * k : 4 * k + 2] = True
    got = int(count_figures(mask))
    assert got == number, f"{number} separate squares are {number} figures, got {got}"
    mask[..., 4, 2] = True  # touches the first square's corner only
    got = int(count_figures(mask))
    assert got == number, f"pixels that touch at a corner are one figure, got {got} for {number}"
    for share in (0.2, 0.3, 0.4, 0.5):
        mask = torch.rand(1, 1, 8, 9, generator=generator, device=generator.device) < share
        pixels = {tuple(pixel) for pixel in mask[0, 0].nonzero().tolist()}
        joined = nx.Graph((p, p) for p in pixels)
        joined.add_edges_from(p for p in product(pixels, pixels) if _apart(*p) == 1)
        expected, got = nx.number_connected_components(joined), int(count_figures(mask))
        assert got == expected, (
            f"a random mask of 8 x 9 pixels has {expected} figures, got {got}: is every pixel of "
            "a figure reached, whichever way it winds, and nothing beyond the border?"
        )


def _apart(p, q):
    return max(abs(p[0] - q[0]), abs(p[1] - q[1]))


def overlap_is_counted(iou, *, generator):
    """IoU is |P and T| / |P or T| over pixels that are not void; 1 where both sets are empty.

    ``iou(mask (h, w) bool, target (h, w) long, 255 void) -> float``, against sets of coordinates.
    """
    mask = torch.rand(5, 7, generator=generator) < 0.5
    target = torch.randint(0, 2, (5, 7), generator=generator)
    some = torch.rand(5, 7, generator=generator) < 0.3
    for name, labels in (("no void", target), ("void pixels", torch.where(some, 255, target))):
        known = labels != 255
        P, T = ({tuple(i) for i in (m & known).nonzero().tolist()} for m in (mask, labels == 1))
        expected, got = len(P & T) / len(P | T), float(iou(mask, labels))
        reason = "is it the intersection over the union?"
        if abs(got - 2 * len(P & T) / (len(P) + len(T))) < 1e-9:
            reason = "that is Dice, 2 |P and T| / (|P| + |T|)"
        elif name == "void pixels":
            reason = "is a void pixel counted, in the mask or in the target?"
        assert abs(got - expected) <= 1e-6, (
            f"{name}: expected {expected:.5f}, got {got:.5f}; {reason}"
        )
    nothing = torch.zeros(5, 7, dtype=torch.bool)
    got = float(iou(nothing, nothing.long()))
    assert got == 1, f"two empty sets agree, so their IoU is 1 by convention, got {got:.5g}"
