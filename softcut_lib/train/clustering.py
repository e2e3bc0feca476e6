"""Energies of a clustering network beside those of the algorithms (chapter 13).

    k-means:         (1/N) sum_p |I_p - mu_{y_p}|^2, colors in 0..255
    normalized cut:  sum_k 1 - S_k'W S_k / d'S_k

both of hard labels y. The algorithms solve each image by itself; the network has seen others.
"""

from __future__ import annotations

from types import SimpleNamespace

import torch
from scipy.cluster.vq import kmeans2
from torch.nn.functional import one_hot
from torch.utils.data import Subset

from softcut_lib import _checks as check
from softcut_lib.affinity.lattice import LatticeAffinity
from softcut_lib.losses.balanced import normalized_cut_loss
from softcut_lib.losses.clustering import kmeans_loss
from softcut_lib.weak.spectral import kernel_kmeans, spectral_cut


@torch.no_grad()
def clustering_energies(network, items, *, sigma_color=15.0, sigma_space=40.0, starts=5) -> dict:
    """Energies of each image's labels, by a network and by algorithms on the image alone.

    Args:
        network: called as ``network(image)`` on (1, 3, h, w) in [0, 1]; its ``prob`` (1, L, h, w)
            gives two clusters for L = 1, else L.
        items: data set of dicts with image and name.
        sigma_color, sigma_space: of the normalized cut, as in the paper's clustering networks.
        starts: of k-means (Lloyd's steps from k-means++, the best kept).

    Returns:
        dict of equally long lists: name; kmeans and kmeans_algorithm, in squared units of 0..255;
        normalized_cut and normalized_cut_algorithm (eigenvectors, then kernel k-means).

    Source: Tang et al. 2018, section 5.1 and Fig. 5.

    Example:
        >>> from types import SimpleNamespace
        >>> from softcut_lib import toy_scene
        >>> image, target = toy_scene("disc", generator=torch.Generator().manual_seed(0))
        >>> perfect = lambda image: SimpleNamespace(prob=target[None, None].float())
        >>> item = {"image": image, "name": "disc"}
        >>> found = clustering_energies(perfect, [item], sigma_color=60)
        >>> 0.9 < found["kmeans_algorithm"][0] / found["kmeans"][0] <= 1.0
        True
    """
    check.positive_integer("starts", starts)
    names = ("name", "kmeans", "kmeans_algorithm", "normalized_cut", "normalized_cut_algorithm")
    found = {name: [] for name in names}
    for item in items:
        image = item["image"][None]
        colors = 255 * image
        prob = network(image).prob
        count = max(prob.shape[1], 2)
        labels = (prob[:, 0] > 0.5).long() if prob.shape[1] == 1 else prob.argmax(1)
        points = colors[0].flatten(1).T.double().numpy()
        best = min(
            (_kmeans(points, count, seed).view_as(labels) for seed in range(starts)),
            key=lambda y: float(kmeans_loss(_sets(y, count), colors)),
        )
        affinity = LatticeAffinity(colors, sigma_color=sigma_color, sigma_space=sigma_space)
        cut = kernel_kmeans(affinity, spectral_cut(affinity, count), classes=count).labels
        found["name"].append(item["name"])
        for name, y in (("kmeans", labels), ("kmeans_algorithm", best)):
            found[name].append(float(kmeans_loss(_sets(y, count), colors)))
        for name, y in (("normalized_cut", labels), ("normalized_cut_algorithm", cut)):
            found[name].append(float(normalized_cut_loss(_sets(y, count), affinity)))
    return found


def held_out_energies(network, sets, *, count=None) -> dict:
    """`clustering_energies` of the validation and test images, as part of a record.

    Args:
        network: a trained network, on any device; the energies are computed on the CPU.
        sets: "val" and "test" -> data set.
        count: only the first so many images of each split; None for all.

    Returns:
        {"clustering": columns of `clustering_energies`, and split}. No image was trained on; those
        of the split "val" chose the epoch.
    """
    from tqdm import tqdm

    columns = {"split": []}
    network.eval()
    device = next(network.parameters()).device

    def answer(image):
        return SimpleNamespace(prob=network(image.to(device)).prob.cpu())

    for split in ("val", "test"):
        items = Subset(sets[split], range(len(sets[split]))[:count])
        # disable=None: a bar where the error stream is a terminal
        bar = tqdm(items, unit="image", desc=f"energies, {split}", leave=False, disable=None)
        found = clustering_energies(answer, bar)
        columns["split"] += [split] * len(found["name"])
        for name, values in found.items():
            columns.setdefault(name, []).extend(values)
    return {"clustering": columns}


def _sets(labels, count):
    return one_hot(labels, count).movedim(-1, 1).float()


def _kmeans(points, count, seed):
    import warnings

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="One of the clusters is empty")
        _, labels = kmeans2(points, count, iter=30, minit="++", seed=seed)
    return torch.from_numpy(labels).long()
