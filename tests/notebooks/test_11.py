"""The from-scratch code of chapter 11 against the library."""

import pytest
import torch

import softcut_lib as sc
from softcut_lib.theorems.streets import one_decoder_serves_both
from softcut_lib.train.table_small import small_net
from tests.notebooks.scratch import load_scratch

pytest.importorskip("monai")


@pytest.fixture(scope="module")
def scratch():
    return load_scratch("11_cityscapes")


@pytest.fixture(scope="module")
def unet():
    torch.manual_seed(0)
    return small_net().eval()


def picture(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_wiring_is_the_librarys(scratch, unet):
    image = picture(2, 3, 64, 96)
    features = unet.encoder((image - unet.mean) / unet.std)
    scores, weights = scratch.scores_and_weights(features, unet.decoder, unet.edge_decoder)
    expected, pair = unet(image)
    torch.testing.assert_close(scores, expected)
    for mine, theirs in zip(weights, pair, strict=True):
        torch.testing.assert_close(mine, theirs)


def test_the_wiring_keeps_the_promise(scratch, unet):
    """The conductances before the crop, seen through an edge decoder of one more row and column."""

    def both(features):
        wide = lambda f: torch.nn.functional.pad(unet.edge_decoder(f), (0, 1, 0, 1))  # noqa: E731
        _, (down, right) = scratch.scores_and_weights(features, unet.decoder, wide)
        return down[:, None, :, :-1], right[:, None, :-1, :]

    features = unet.encoder(picture(1, 3, 64, 32))
    one_decoder_serves_both(both, features)


def test_the_loss_is_the_librarys(scratch):
    prob = picture(3, 1, 6, 7)
    target = torch.randint(0, 2, (3, 6, 7), generator=torch.Generator().manual_seed(1))
    target[0, 0] = 255
    target[2] = 0
    torch.testing.assert_close(
        scratch.pooled_dice(prob, target), sc.dice_loss(prob, target, pooled=True)
    )


def test_the_mark_is_the_librarys(scratch):
    streets = sc.SyntheticStreets(
        "val", count=2, size=(64, 128), classes=("car", "traffic sign"), instances=True
    )
    items = list(sc.Tiles(streets, task="object", tile=64))
    assert items
    for item in items:
        assert torch.equal(scratch.mark(item["target"] == 1), item["image"][3])


def test_training_takes_the_steps_it_says(scratch):
    """Two steps from scratch equal two written out here; the order is that of the seed."""
    tiles = [
        {"image": picture(3, 32, 32, seed=k), "target": (picture(32, 32, seed=k) > 0.5).long()}
        for k in range(5)
    ]
    nets = []
    for _ in "ab":
        torch.manual_seed(0)
        nets.append(sc.CutNet(small_net(edges=None)))
    losses = scratch.train(nets[0], tiles, steps=2, batch=3, seed=4, lr=0.01)
    optimizer = torch.optim.Adam(nets[1].parameters(), lr=0.01)
    order, expected = torch.Generator().manual_seed(4), []
    for _ in range(2):
        chosen = torch.randint(5, (3,), generator=order).tolist()
        image, target = (torch.stack([tiles[k][p] for k in chosen]) for p in ("image", "target"))
        loss = sc.dice_loss(nets[1](image).prob, target, pooled=True)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        expected.append(loss.item())
    assert losses == pytest.approx(expected, rel=1e-4)
