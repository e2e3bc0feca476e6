"""What is told about the pixels that no scribble marks: regularizers, and proposals (chapter 15).

A regularizer is a function (prob, image in 0..255, seeds or None, **options) -> (); a proposal is
a full mask made from an image and its scribbles. sigma_color is in 0..255, sigma_space in pixels.
"""

from __future__ import annotations

from softcut_lib.affinity.lattice import LatticeAffinity
from softcut_lib.affinity.tree import TreeAffinity
from softcut_lib.grid.weights import image_weights
from softcut_lib.losses.balanced import kernel_cut_loss, normalized_cut_loss
from softcut_lib.losses.clustering import kmeans_loss
from softcut_lib.losses.crf import dense_crf_loss, gated_crf_loss
from softcut_lib.losses.tree import tree_energy_loss
from softcut_lib.weak.graphcut import grabcut_proposal, graph_cut_proposal
from softcut_lib.weak.proposals import kernel_cut, seeded_normalized_cut

SIGMAS = {"sigma_color": 15.0, "sigma_space": 20.0}
CONTRAST = 0.1  # of the edges of kernel cut and of the alternating graph cut, images in [0, 1]


def _normalized_cut(prob, image, seeds, **options):
    return normalized_cut_loss(prob, LatticeAffinity(image, **{**SIGMAS, **options}), seeds=seeds)


def _dense_crf(prob, image, seeds, **options):
    return dense_crf_loss(prob, LatticeAffinity(image, **{**SIGMAS, **options}), seeds=seeds)


def _kernel_cut(prob, image, seeds, smoothness=1.0, **options):
    affinity = LatticeAffinity(image, **{**SIGMAS, **options})
    weights = image_weights(image / 255, sigma=CONTRAST)
    return kernel_cut_loss(prob, affinity, weights, smoothness=smoothness, seeds=seeds)


def _gated_crf(prob, image, seeds, **options):
    return gated_crf_loss(prob, image, seeds=seeds, **options)


def _tree_energy(prob, image, seeds, form="detached", **options):
    return tree_energy_loss(prob, TreeAffinity(image, **options), seeds=seeds, form=form)


def _kmeans(prob, image, seeds):
    # colors in 0..1 make its value and its gradient of the size of the others'
    return kmeans_loss(prob, image / 255, seeds=seeds)


REGULARIZERS = {
    "normalized-cut": _normalized_cut,
    "dense-crf": _dense_crf,
    "kernel-cut": _kernel_cut,
    "gated-crf": _gated_crf,
    "tree-energy": _tree_energy,
    "k-means": _kmeans,
}
PROPOSALS = ("grabcut", "seeded-normalized-cut", "kernel-cut")


def proposal(name, image, seeds, *, prob=None, smoothness=1.0, strength=1.0, **sigmas):
    """Full masks (B, h, w) from scribbles, by name.

    Args:
        name: one of `PROPOSALS`, or "alternating", the graph cut of a network's ``prob``.
        image: (B, C, h, w) in [0, 1].
        seeds: long (B, h, w), 255 free; an image without a scribble stays free.
        prob: (B, L, h, w), for "alternating".
        smoothness: of the kernel cut.
        strength: of an edge without contrast, for "alternating".
        sigmas: sigma_color and sigma_space of the affinity.

    Returns:
        long (B, h, w).
    """
    marked = (seeds != 255).flatten(1).any(1)
    if not bool(marked.all()):
        result = seeds.clone()
        if bool(marked.any()):
            part = None if prob is None else prob[marked]
            options = {"smoothness": smoothness, "strength": strength, **sigmas}
            result[marked] = proposal(name, image[marked], seeds[marked], prob=part, **options)
        return result
    image = image.detach()
    if name == "alternating":
        weights = image_weights(image, sigma=CONTRAST, scale=strength)
        return graph_cut_proposal(prob.detach(), weights, seeds).to(seeds.device)
    if name == "grabcut":
        return grabcut_proposal(image.cpu(), seeds.cpu()).to(seeds.device)
    affinity = LatticeAffinity(255 * image.cpu(), mode="psd", **{**SIGMAS, **sigmas})
    if name == "seeded-normalized-cut":
        return seeded_normalized_cut(affinity, seeds.cpu()).labels.to(seeds.device)
    if name == "kernel-cut":
        weights = image_weights(image.cpu(), sigma=CONTRAST)
        found = kernel_cut(affinity, seeds.cpu(), weights, smoothness=smoothness)
        return found.labels.to(seeds.device)
    raise ValueError(f"name must be one of {', '.join((*PROPOSALS, 'alternating'))}, got {name!r}")
