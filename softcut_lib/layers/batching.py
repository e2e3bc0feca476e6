"""torch.func.vmap over a cut layer: the new axis becomes part of the batch, or of the labels.

Every sample and label is solved by itself, so V batches of B samples are one batch of V B. Where
only the scores are batched and all labels share the circuit, V L labels of the B circuits do the
same with no copy of the weights, and a factor of the B circuits still serves.
"""


def fold(size, axes, scores, ground, weights):
    """One application for a whole vmapped batch.

    Args:
        size: V, the length of the new axis.
        axes: where it stands in scores, ground and each of the weights; None where it is absent.
        scores, ground, weights: as they arrive, the new axis included.

    Returns:
        (scores, ground, weights, unfold): plain arguments, and ``unfold(x) -> (x, axis)``.
    """
    to_scores, *to_circuit = axes
    shared = scores.dim() - 2 - (to_scores is not None)
    circuit = [t for t in (ground, *weights) if t is not None]
    if all(a is None for a in to_circuit) and all(t.dim() == 1 + shared for t in circuit):
        labels = scores.movedim(to_scores, 1)
        inner = labels.shape[1:3]
        return labels.flatten(1, 2), ground, weights, lambda x: (x.unflatten(1, inner), 1)

    scores, ground, *weights = (
        None if t is None else joined(size, t, axis)
        for t, axis in zip((scores, ground, *weights), axes, strict=True)
    )
    return scores, ground, weights, lambda x: parted(size, x)


def joined(size, tensor, axis):
    """(V, B, ...) as one batch (V B, ...); a tensor without the new axis is repeated."""
    first = tensor.unsqueeze(0) if axis is None else tensor.movedim(axis, 0)
    return first.expand(size, *first.shape[1:]).flatten(0, 1)


def parted(size, tensor):
    """What `joined` has joined, and where the new axis stands: (tensor (V, B, ...), 0)."""
    return tensor.unflatten(0, (size, -1)), 0


def refuse_batch_rules(*solvers):
    """Refuse a solver whose answer for one sample depends on the batch that it is in."""
    for solver in solvers:
        if getattr(solver, "stop", "relative") == "published":
            raise ValueError(
                'stop="published" cannot run under torch.func.vmap (nor jacrev, which uses it): it '
                "stops by a norm over the whole batch, so an answer would depend on the vmapped "
                'axis; use stop="relative", for example CG()'
            )


def refuse_forward_mode(name):
    """The rule of a layer called `name` for jvp and jacfwd: to refuse them."""

    def refuse(*_):
        raise RuntimeError(
            f"{name} has no forward-mode derivative (torch.func.jvp, jacfwd, forward_ad); use "
            "reverse mode: torch.func.vjp, jacrev, grad"
        )

    return refuse
