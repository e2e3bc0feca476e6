"""Affinities and losses on a GPU: values and gradients of the CPU, and finite under autocast."""

import pytest
import torch

import softcut_lib as sc
from softcut_lib.train.regularizers import REGULARIZERS
from softcut_lib.train.regularizers import SIGMAS as OF_TRAINING
from tests.affinity.kinds import KINDS, SIGMAS, every_kind, random_image, random_maps

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def both(function, *tensors):
    """What a function gives on either device."""
    return [function(*(t.to(device) for t in tensors)) for device in ("cpu", "cuda")]


@every_kind
def test_affinities_agree_with_the_cpu(kind):
    make, options = KINDS[kind]

    def product(image, maps):
        generator = torch.Generator().manual_seed(3)
        more = {"generator": generator} if make is sc.NystromAffinity else {}
        affinity = make(image, **SIGMAS, **options, **more)
        return affinity.matmul(maps), affinity.degree

    image, maps = random_image(2, 3, 30, 40), random_maps(2, 5, 30, 40)
    here, there = both(product, image, maps)
    for a, b in zip(here, there, strict=True):
        assert b.is_cuda
        torch.testing.assert_close(a, b.cpu(), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("name", REGULARIZERS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_regularizers_and_their_gradients_agree_with_the_cpu(name, dtype):
    image = random_image(2, 3, 24, 32, dtype=dtype)
    logits = random_maps(2, 3, 24, 32).log().to(dtype)
    seeds = torch.full((2, 24, 32), 255)
    seeds[:, 4:6, 5:20], seeds[:, 15, 3:9] = 1, 2

    def run(logits, image, seeds):
        leaf = logits.requires_grad_()
        value = REGULARIZERS[name](leaf.softmax(1), image, seeds)
        return value.detach(), *torch.autograd.grad(value, leaf)

    here, there = both(run, logits, image, seeds)
    tolerance = 1e-8 if dtype == torch.float64 else 2e-4
    for a, b in zip(here, there, strict=True):
        scale = float(a.abs().max())
        torch.testing.assert_close(a, b.cpu(), rtol=tolerance, atol=tolerance * scale)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", REGULARIZERS)
def test_a_step_under_autocast_is_finite(name, dtype):
    torch.manual_seed(0)
    network = torch.nn.Conv2d(3, 4, 3, padding=1).cuda()
    image = random_image(1, 3, 40, 48, dtype=torch.float32).cuda()
    with torch.autocast("cuda", dtype):
        prob = network(image / 255).softmax(1)
        loss = REGULARIZERS[name](prob, image, None)
        loss = loss + sc.partial_cross_entropy(
            network(image / 255), torch.zeros(1, 40, 48).long().cuda()
        )
    loss.backward()
    assert bool(loss.isfinite()) and all(
        bool(p.grad.isfinite().all()) for p in network.parameters()
    )


def test_a_full_size_lattice_agrees_with_the_cpu():
    """Where hashing meets a million vertices: 320 x 480, the widths of a training."""
    image, maps = random_image(1, 3, 320, 480), random_maps(1, 21, 320, 480)
    here, there = both(
        lambda image, maps: sc.LatticeAffinity(image, **OF_TRAINING).matmul(maps), image, maps
    )
    torch.testing.assert_close(here, there.cpu(), rtol=1e-8, atol=1e-8)
