"""Mean-field inference in a fully connected CRF: the classic post-processing (chapter 15).

    E(x) = sum_p -log P_p(x_p) + sum_m w_m sum_{p < q} K^m_pq [x_p != x_q],
    Q <- softmax(log P + sum_m w_m K^m Q),         its fixed points are the mean-field solutions.

With F(Q) = sum Q log Q - sum Q log P - 1/2 sum_m w_m Q'K^m Q the update minimizes the tangent of
the last term, which lies above it for a positive semidefinite K: no step raises F.
"""

from __future__ import annotations

import torch

from softcut_lib import _checks as check
from softcut_lib.affinity.dense import DenseAffinity
from softcut_lib.affinity.features import check_features


def mean_field(logits, kernels, *, steps=10, normalize=True, from_logits=True):
    """Probabilities of a dense CRF whose unary terms are a network's scores.

    Q <- softmax(log P + sum_m w_m K^m Q), `steps` times from Q = P; the argmax is the labeling.

    Args:
        logits: (B, L, *grid) scores, or probabilities if not `from_logits`; L = 1 is one sigmoid
            channel and stands for two labels. A constant: no gradient flows.
        kernels: pairs (w, affinity), w >= 0 and any affinity of these very images; see
            `crf_kernels`. None of them leaves softmax(logits).
        steps: parallel updates, at least 0; 10 is usual.
        normalize: K = D^-1/2 W D^-1/2 with the affinity's degrees D, as public code has it, so
            that w does not depend on the size of the image; False takes K = W.
        from_logits: whether sigmoid or softmax is still to come.

    Returns:
        Q (B, L, *grid), float32 or wider, detached.

    Raises:
        TypeError: logits that are not floating.
        ValueError: shapes that do not fit, values that are not finite, a negative strength, a
            kernel with a degree that is not positive (a lattice built too coarse).

    Source: Kraehenbuehl and Koltun 2011, algorithm 1, and 2013 for the descent; the published
    normalized cut results use it after training. A pixel's message to itself is kept, as there:
    it makes K positive semidefinite.

    Example:
        >>> import torch
        >>> from softcut_lib import DenseAffinity
        >>> image = torch.tensor([[[[0.0, 0.0, 255.0]]]])
        >>> W = DenseAffinity(image, sigma_color=15, sigma_space=5)
        >>> logits = torch.tensor([[[[2.0, -0.5, -1.0]]]])  # the middle looks like the first
        >>> (mean_field(logits, [(3.0, W)]) > 0.5).tolist()
        [[[[True, True, False]]]]
    """
    check.grid_axes("logits", logits, 3)
    if not logits.is_floating_point():
        raise TypeError(f"logits must be floating point, got {logits.dtype}; call .float()")
    check.finite("logits", logits)
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 0:
        raise ValueError(f"steps must be an integer of at least 0, got {steps!r}")
    for strength, _ in kernels:
        if isinstance(strength, bool) or not 0 <= strength < float("inf"):
            raise ValueError(f"kernels must have strengths of at least 0, got {strength!r}")
    with torch.no_grad():
        unary = log_probabilities(logits.detach(), from_logits=from_logits)
        scales = [_scale(affinity, unary, normalize) for _, affinity in kernels]
        q = unary.softmax(1)
        for _ in range(steps):
            messages = torch.zeros_like(unary)
            for (strength, affinity), scale in zip(kernels, scales, strict=True):
                messages += strength * scale * affinity.matmul(scale * q)
            q = (unary + messages).softmax(1)
    return q[:, 1:] if logits.shape[1] == 1 else q


def free_energy(q, logits, kernels, *, normalize=True, from_logits=True):
    """F(Q), what the mean-field updates descend; (B,).

    F = sum_p sum_l Q log Q - Q log P - 1/2 sum_m w_m Q'K^m Q,  arguments as in `mean_field`.
    """
    unary = log_probabilities(logits, from_logits=from_logits)
    q = torch.cat([1 - q, q], 1) if q.shape[1] == 1 else q
    value = torch.special.xlogy(q, q) - q * unary
    for strength, affinity in kernels:
        scale = _scale(affinity, unary, normalize)
        value = value - strength / 2 * q * scale * affinity.matmul(scale * q)
    return value.flatten(1).sum(1)


def log_probabilities(logits, *, from_logits=True):
    """log P over at least two labels, (B, max(L, 2), *grid), float32 or wider."""
    maps = logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits
    if from_logits:
        two = torch.cat([torch.zeros_like(maps), maps], 1) if maps.shape[1] == 1 else maps
        return two.log_softmax(1)
    two = torch.cat([1 - maps, maps], 1) if maps.shape[1] == 1 else maps
    return two.clamp_min(1e-7).log().log_softmax(1)


def crf_kernels(
    image,
    *,
    kind=DenseAffinity,
    bilateral=4.0,
    sigma_color=13.0,
    sigma_space=60.0,
    spatial=3.0,
    sigma_near=3.0,
    **options,
):
    """The two usual kernels of a dense CRF: alike in color and not far, and just near.

    w_1 exp(-|dI|^2 / 2 sigma_color^2 - |dp|^2 / 2 sigma_space^2), w_2 exp(-|dp|^2 / 2 sigma_near^2)

    Args:
        image: (B, C, *grid) in 0..255.
        kind: `DenseAffinity`, `NystromAffinity` or `LatticeAffinity`, with its `options`.
        bilateral, spatial: the strengths w_1 and w_2, at least 0; a kernel of strength 0 is left
            out.
        sigma_color: in the units of the image; sigma_space, sigma_near: in pixels.

    Returns:
        List of pairs (strength, affinity) for `mean_field`.

    Raises:
        TypeError, ValueError: as for the affinity.

    Source: Kraehenbuehl and Koltun 2011, eq. 3; the strengths are those of DeepLab's public code.

    Example:
        >>> import torch
        >>> [w for w, _ in crf_kernels(torch.full((1, 3, 4, 5), 9.0))]
        [4.0, 3.0]
    """
    check.positive_number("sigma_near", sigma_near)
    kernels = []
    alike = kind(image, sigma_color=sigma_color, sigma_space=sigma_space, **options)
    if bilateral:
        kernels.append((bilateral, alike))
    if spatial:
        axes = [torch.arange(n, device=image.device) / sigma_near for n in image.shape[2:]]
        places = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)
        near = check_features(places.to(alike.features.dtype).expand(len(image), *places.shape))
        kernels.append((spatial, kind.from_features(near, **options)))
    return kernels


def _scale(affinity, like, normalize):
    """1 / sqrt(degree) as (B, 1, *grid), or 1."""
    degree = affinity.degree.to(like.dtype)
    if degree.shape != (like.shape[0], 1, *like.shape[2:]):
        raise ValueError(
            "kernels must be affinities of these very images, of the size of the logits "
            f"{tuple(like.shape)}, got degrees {tuple(degree.shape)}"
        )
    if not normalize:
        return 1.0
    if not bool((degree > 0).all()):
        raise ValueError(
            "kernels must have positive degrees, got a minimum of "
            f"{float(degree.min()):g}; pass normalize=False or an affinity with exact rows"
        )
    return degree.rsqrt()
