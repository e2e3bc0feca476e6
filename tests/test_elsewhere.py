"""The library on another device: nothing is mixed with the CPU, and the host seldom waits."""

import pytest
import torch

import softcut_lib as sc
from tests.elsewhere import DEVICE, Elsewhere, away, here
from tests.grids import arguments, random, system_of


def there(kind="2d", **options):
    scores, weights, rest = arguments(kind, **options)
    rest["ground"] = away(rest["ground"])
    return away(scores), [away(w) for w in weights], rest


def test_the_disguise_holds_values_and_refuses_to_mix():
    a = away(torch.tensor([1.0, 2.0]))
    with Elsewhere() as world:
        assert a.device == DEVICE and (2 * a).sum().device == DEVICE
        assert here(2 * a).tolist() == [2, 4] and not world.waits
        assert float(a.sum()) == 3 and len(world.waits) == 1
        with pytest.raises(RuntimeError, match="add of tensors on two devices"):
            a + torch.ones(2)
        assert a.cpu().tolist() == [1, 2] and len(world.waits) == 2


SOLVERS = {
    "cg": sc.CG(tol=1e-10),
    "published": sc.PUBLISHED_CG,
    "direct": sc.Direct(),
    "multigrid": sc.Multigrid(tol=1e-10),
}


@pytest.mark.parametrize("per_label", [False, True])
@pytest.mark.parametrize("name", SOLVERS)
def test_a_solver_stays_on_its_device(name, per_label):
    expected, _ = SOLVERS[name](system_of(*arguments(per_label=per_label)), arguments()[0])
    scores, weights, options = there(per_label=per_label)
    with Elsewhere():
        x, info = sc.solve(system_of(scores, weights, options), scores, SOLVERS[name])
    kept = (info.iterations, info.residual, info.converged, info.history)
    assert all(t.device == DEVICE for t in (x, *kept) if t is not None)
    torch.testing.assert_close(here(x), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", SOLVERS.keys() - {"published"})
def test_gradients_of_the_layer_stay_on_the_device(name):
    found = []
    for scores, weights, options in (arguments(), there()):
        inputs = [scores, options["ground"], *weights]
        with Elsewhere() as world:
            for t in inputs:
                t.requires_grad_()
            x = sc.soft_cut(
                scores, weights, ground=options["ground"], solver=SOLVERS[name], check=False
            )
            first = torch.autograd.grad(x.square().sum(), inputs, create_graph=True)
            second = torch.autograd.grad(sum(g.square().sum() for g in first), inputs)
        found.append([here(t).detach() for t in (x, *first, *second)])
    assert not [w for w in world.waits if "softcut_lib/layers" in w]
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


LOSSES = {
    "dice": sc.dice_loss,
    "focal": sc.focal_loss,
    "focal dice": sc.focal_dice_loss,
    "partial cross-entropy": sc.partial_cross_entropy,
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses_stay_on_the_device(name):
    scores, target = away(random(2, 3, 4, 5)), away(random(2, 4, 5, seed=1).gt(0).long())
    with Elsewhere():
        probabilities = scores.requires_grad_().softmax(1)
        loss = LOSSES[name](probabilities if "dice" in name else scores, target)
        (gradient,) = torch.autograd.grad(loss, scores)
    assert loss.device == gradient.device == DEVICE


def test_the_fused_kernels_host_waits_only_when_it_looks(monkeypatch):
    pytest.importorskip("triton")
    if torch.cuda.is_available():
        pytest.skip("the kernels are compiled here, and read no disguised tensors")
    from softcut_lib.solvers import kernels_cuda, launch_cuda

    class Undisguised:
        """A kernel that is given the values."""

        def __init__(self, kernel):
            self.kernel = kernel

        def __getitem__(self, programs):
            launch = self.kernel[programs]
            return lambda *args, **options: launch(*map(here, args), **options)

    for name in ("begin", "aim", "advance", "descend", "measure"):
        monkeypatch.setattr(kernels_cuda, name, Undisguised(getattr(kernels_cuda, name)))
    monkeypatch.setattr(launch_cuda, "LOOK", (4, 8))
    scores, weights, options = there("2d-diagonals", batch=1, labels=1)
    with Elsewhere() as world:
        system = sc.GridSystem(weights, check=False, **options)
        x = torch.zeros_like(scores)
        world.waits.clear()
        steps, history, *_ = launch_cuda.run(system, scores, x, sc.CG(tol=1e-8))
        assert len(history) > 5  # so there was a second look
        assert [w.split(": ")[-1] for w in world.waits] == [
            "running, taken = self.flags[:2].amax(1).cpu().tolist()"
        ] * 2, world.waits
    assert steps.device == history.device == DEVICE
