"""Every affinity under test, and random images and maps for it."""

import pytest
import torch

import softcut_lib as sc

SIGMAS = {"sigma_color": 40.0, "sigma_space": 3.0}

# name: (class, options)
KINDS = {
    "dense": (sc.DenseAffinity, {}),
    "nystrom": (sc.NystromAffinity, {}),
    "nystrom-few": (sc.NystromAffinity, {"landmarks": 3}),
} | {
    f"lattice-{mode}-{kernel}": (sc.LatticeAffinity, {"mode": mode, "kernel": kernel})
    for mode in ("sym", "plain", "psd")
    for kernel in ("auto", "torch")
}
every_kind = pytest.mark.parametrize("kind", KINDS)


def random_image(*shape, seed=0, dtype=torch.float64):
    """Uniform numbers in 0..255 that depend on shape and seed only."""
    generator = torch.Generator().manual_seed(seed)
    return (255 * torch.rand(*shape, generator=generator, dtype=torch.float64)).to(dtype)


def random_maps(batch, labels, *grid, seed=1, dtype=torch.float64):
    """Random probabilities, one map per label."""
    generator = torch.Generator().manual_seed(seed)
    maps = torch.randn(batch, labels, *grid, generator=generator, dtype=torch.float64)
    return maps.softmax(1).to(dtype)


def build(kind, image, **changes):
    """The affinity of this kind for an image."""
    make, options = KINDS[kind]
    return make(image, **{**SIGMAS, **options, **changes})


def build_features(kind, features):
    """The affinity of this kind for given features."""
    make, options = KINDS[kind]
    return make.from_features(features, **options)
