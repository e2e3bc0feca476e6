"""The from-scratch network and training loop of chapter 10 against the library."""

import pytest
import torch

import softcut_lib as sc
from softcut_lib.theorems.training import reveal_is_fair
from softcut_lib.train.objectives import RevealedPixels, reveal, step_generator
from tests.notebooks.scratch import load_scratch


@pytest.fixture(scope="module")
def scratch():
    return load_scratch("10_horses")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def items(count=3):
    data = sc.SyntheticHorses("train", count=count, size=(32, 40))
    return [data[k] for k in range(count)]


def library_net(own, cut=True):
    net = sc.CutNet(sc.ScoreAndEdges(sc.BasicNet(), sc.EdgeNet()), sc.SoftCut())
    if not cut:
        net = sc.CutNet(sc.BasicNet())
    net.load_state_dict(dict(zip(net.state_dict(), own.state_dict().values(), strict=True)))
    return net


@pytest.mark.parametrize("cut", [False, True])
def test_network_is_the_librarys(scratch, cut):
    own = scratch.HorseNet(cut)
    image = items(1)[0]["image"][None]
    scores, weights, x = own(image)
    theirs = library_net(own, cut)(image)
    torch.testing.assert_close(scores, theirs.scores)
    torch.testing.assert_close(x, theirs.output)
    assert (weights is None) == (not cut)
    for mine, other in zip(weights or [], theirs.weights or [], strict=True):
        torch.testing.assert_close(mine, other)


def test_same_seed_same_start(scratch):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        own = list(scratch.HorseNet(True).state_dict().values())
    from softcut_lib.train.experiments import build_model

    theirs = list(build_model("horses", "softcut", seed=3).state_dict().values())
    assert all(torch.equal(a, b) for a, b in zip(own, theirs, strict=True))


def test_lottery_and_loss_are_the_librarys(scratch):
    reveal_is_fair(
        lambda target, fraction, *, generator: scratch.hide(target, fraction, generator=generator),
        generator=generator(),
    )
    target = items(1)[0]["target"][None]
    labels = scratch.hide(target, 0.05, generator=step_generator(0, 4))
    assert torch.equal(labels, reveal(target, 0.05, generator=step_generator(0, 4)))
    x = torch.randn(1, 1, 32, 40, generator=generator())
    expected = sc.partial_cross_entropy(x, labels)
    torch.testing.assert_close(scratch.loss_on(x, labels), expected)


def test_training_loop_takes_the_librarys_steps(scratch):
    """Three steps of both, from the same start with the same revealed pixels."""
    torch.manual_seed(0)
    own = scratch.HorseNet(True)
    theirs = library_net(own)
    data, objective = items(), RevealedPixels(0.05)
    draw = lambda step: step_generator(7, step)  # noqa: E731
    history = scratch.train(own, data, data, epochs=1, lr=1e-3, fraction=0.05, draw=draw)
    optimizer, losses = torch.optim.Adam(theirs.parameters(), lr=1e-3), []
    for step, item in enumerate(data):
        loss = objective.training(theirs(item["image"][None]), item["target"][None], draw(step))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert history[0]["train"] == pytest.approx(sum(losses) / 3, rel=1e-4)
    evaluated = [
        float(objective.evaluation(theirs(item["image"][None]), item["target"][None]).detach())
        for item in data
    ]
    assert history[0]["val"] == pytest.approx(sum(evaluated) / 3, rel=1e-3)


def test_the_best_network_is_kept(scratch):
    torch.manual_seed(0)
    own, data = scratch.HorseNet(False), items(2)
    history = scratch.train(
        own, data, data, epochs=4, lr=0.05, fraction=0.05, draw=lambda k: step_generator(0, k)
    )
    lowest = min(row["val"] for row in history)
    assert scratch.validation_loss(own, data) == pytest.approx(lowest, rel=1e-6)
