"""What holds for every affinity: the protocol, its derivatives, its refusals."""

import pytest
import torch

from softcut_lib.theorems.affinity import written_out
from tests.affinity.kinds import (
    KINDS,
    SIGMAS,
    build,
    build_features,
    every_kind,
    random_image,
    random_maps,
)
from tests.elsewhere import DEVICE, Elsewhere, away, here

GRIDS = [(7,), (4, 5), (1, 6), (1, 1), (3, 2, 4)]


@every_kind
@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_any_grid_any_channels(kind, grid):
    for channels, labels in ((1, 1), (3, 2), (4, 20)):
        affinity = build(kind, random_image(2, channels, *grid))
        assert affinity.shape == (2, *grid)
        maps = random_maps(2, labels, *grid)
        product = affinity.matmul(maps)
        assert product.shape == maps.shape and product.dtype == torch.float64
        # more than 16 channels: each is what it is alone
        for k in range(labels):
            torch.testing.assert_close(affinity.matmul(maps[:, k : k + 1])[:, 0], product[:, k])
        assert affinity.degree.shape == (2, 1, *grid) and (affinity.degree > 0).all()
        torch.testing.assert_close(affinity.degree, affinity.matmul(torch.ones_like(maps))[:, :1])
        assert affinity.degree is affinity.degree, "the degree is computed once"


@every_kind
@pytest.mark.parametrize("features", [1, 2, 3, 5, 8, 20])
def test_any_number_of_features(kind, features):
    points = random_image(2, 4, 3, features) / 200
    affinity = build_features(kind, points)
    product = affinity.matmul(random_maps(2, 3, 4, 3))
    assert product.shape == (2, 3, 4, 3) and product.isfinite().all() and (product > 0).all()


@every_kind
def test_batch_equals_separate_images(kind):
    image, maps = random_image(3, 3, 5, 4), random_maps(3, 2, 5, 4)
    together = build(kind, image).matmul(maps)
    for k in range(3):
        alone = build(kind, image[k : k + 1]).matmul(maps[k : k + 1])
        torch.testing.assert_close(together[k], alone[0], rtol=1e-12, atol=1e-12)


@every_kind
@pytest.mark.parametrize("transpose", [False, True])
def test_derivatives(kind, transpose):
    affinity = build(kind, random_image(2, 3, 3, 4))
    maps = random_maps(2, 2, 3, 4).requires_grad_()

    def product(maps):
        return affinity.matmul(maps, transpose=transpose)

    assert torch.autograd.gradcheck(product, maps)
    assert torch.autograd.gradgradcheck(product, maps)
    single = maps.detach().float().requires_grad_()
    target = random_maps(2, 2, 3, 4, seed=3)
    for x in (maps, single):
        (product(x) * target).sum().backward()
    assert single.grad.dtype == torch.float32
    torch.testing.assert_close(single.grad.double(), maps.grad, rtol=1e-4, atol=1e-4)


@every_kind
def test_vmap_and_jacobian(kind):
    """Maps over any axis, and the Jacobian of a filter is its matrix."""
    affinity = build(kind, random_image(1, 3, 3, 4))
    many = torch.stack([random_maps(1, 2, 3, 4, seed=s) for s in range(3)], 2)
    mapped = torch.func.vmap(affinity.matmul, in_dims=2, out_dims=2)(many)
    each = torch.stack([affinity.matmul(many[:, :, k]) for k in range(3)], 2)
    torch.testing.assert_close(mapped, each)
    jacobian = torch.func.jacrev(affinity.matmul)(random_maps(1, 1, 3, 4))
    torch.testing.assert_close(jacobian.reshape(12, 12), written_out(affinity))


@every_kind
def test_permuting_pixels(kind):
    """Nothing but the features tells pixels apart."""
    points, maps = random_image(1, 20, 3) / 40, random_maps(1, 2, 20)
    order = torch.randperm(20, generator=torch.Generator().manual_seed(0))
    expected = build_features(kind, points).matmul(maps)[..., order]
    permuted = build_features(kind, points[:, order]).matmul(maps[..., order])
    if kind == "nystrom-few":
        pytest.skip("other landmarks, another approximation")
    torch.testing.assert_close(permuted, expected, rtol=1e-10, atol=1e-10)


@every_kind
def test_half_precision_is_multiplied_in_float32(kind):
    image, maps = random_image(1, 3, 20, 30, dtype=torch.float32), random_maps(1, 2, 20, 30)
    affinity = build(kind, image / 1000, check_range=False)  # all alike: W S is about 600
    expected = affinity.matmul(maps.float())
    maps = maps.half().requires_grad_()
    with torch.autocast("cpu", dtype=torch.float16):
        product = affinity.matmul(maps)
        # 600^2 > 65504: in float16 this would be infinite
        (product.square().sum()).backward()
    assert product.dtype == torch.float32 and affinity.degree.dtype == torch.float32
    torch.testing.assert_close(product, expected, rtol=1e-2, atol=1e-2)
    assert maps.grad is not None


@every_kind
def test_repeated_runs_are_identical(kind):
    image = random_image(2, 3, 30, 40, dtype=torch.float32)
    maps = random_maps(2, 3, 30, 40, dtype=torch.float32)
    first = build(kind, image).matmul(maps)
    assert torch.equal(first, build(kind, image).matmul(maps))


@every_kind
def test_what_is_passed_in_is_left_alone(kind):
    """One feature, one pixel: shapes for which a transposed copy would be no copy."""
    for shape in ((1, 6, 1), (1, 1, 3)):
        points = random_image(*shape) / 100
        before = points.clone()
        affinity = build_features(kind, points)
        affinity.matmul(random_maps(1, 2, shape[1]))
        assert torch.equal(points, before) and torch.equal(affinity.features, before)


@every_kind
def test_another_device(kind):
    """Nothing is left on the CPU: results lie on the image's device and are the same numbers."""
    image, maps = random_image(2, 3, 5, 6), random_maps(2, 2, 5, 6)
    expected = build(kind, image).matmul(maps)
    with Elsewhere():
        affinity = build(kind, away(image))
        product = affinity.matmul(away(maps))
        degree = affinity.degree
    assert product.device == degree.device == DEVICE
    torch.testing.assert_close(here(product), expected)


@every_kind
def test_images_of_bytes(kind):
    image, maps = random_image(1, 3, 4, 5).round(), random_maps(1, 2, 4, 5)
    expected = build(kind, image.float()).matmul(maps)
    assert torch.equal(build(kind, image.to(torch.uint8)).matmul(maps), expected)


@every_kind
def test_refused_images(kind):
    good = random_image(1, 3, 4, 5)
    for image, sigmas, error, message in [
        (good / 255, {}, ValueError, "multiply it by 255"),
        (good - 128, {}, ValueError, "undo its normalization"),
        (good * 2, {}, ValueError, "in 0..255"),
        (good.long(), {}, TypeError, "float32 or float64"),
        (good.numpy(), {}, TypeError, "torch.Tensor"),
        (good[0], {"sigma_space": 0.0}, ValueError, "sigma_space"),
        (good, {"sigma_color": 0.1}, ValueError, "multiply a sigma meant for"),
        (good, {"sigma_space": 0.1}, ValueError, "at least 0.3"),
        (good, {"sigma_color": -1}, ValueError, "sigma_color"),
        (good, {"sigma_color": torch.tensor(15.0)}, ValueError, "sigma_color"),
        (good[:, :, :0], {}, ValueError, "every size at least 1"),
        (good[0, 0], {}, ValueError, "at least 3 axes"),
        (good.clone().requires_grad_(), {}, ValueError, "detach"),
        (good.clone().fill_(torch.nan), {}, ValueError, "finite"),
    ]:
        with pytest.raises(error, match=message):
            build(kind, image, **sigmas)
    build(kind, 0 * good)  # black is an image in 0..255
    meant = build(kind, good / 255, check_range=False, sigma_color=SIGMAS["sigma_color"] / 255)
    maps = random_maps(1, 2, 4, 5)
    torch.testing.assert_close(meant.matmul(maps), build(kind, good).matmul(maps))
    with pytest.raises(TypeError):
        KINDS[kind][0](good, **SIGMAS, no_such_option=1)


@every_kind
def test_refused_maps_and_features(kind):
    affinity = build(kind, random_image(2, 3, 4, 5))
    maps = random_maps(2, 2, 4, 5)
    for wrong, error, message in [
        (maps[:1], ValueError, r"\(2, L, 4, 5\)"),
        (maps[0], ValueError, "must have shape"),
        (maps.transpose(2, 3), ValueError, "must have shape"),
        (maps.long(), TypeError, "floating"),
        (maps.numpy(), TypeError, "torch.Tensor"),
        (maps.to("meta"), ValueError, "device"),
    ]:
        with pytest.raises(error, match=message):
            affinity.matmul(wrong)
    with pytest.raises(ValueError, match="features must be finite"):
        build_features(kind, torch.full((1, 3, 2), torch.inf))
    with pytest.raises(ValueError, match="at least 3 axes"):
        build_features(kind, torch.zeros(3, 2))
