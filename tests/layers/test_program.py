"""The cut as a linear or quadratic program: its solution is the min cut, its gradient is right."""

import pytest
import torch

import softcut_lib as sc
from tests.grids import EIGHT

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
pytest.importorskip("cvxpylayers", reason="pip install 'cvxpylayers>=1.0'")


def problem(grid=(4, 5), batch=2, labels=1, seed=0, offsets=None):
    g = torch.Generator().manual_seed(seed)
    draw = {"generator": g, "dtype": torch.float64}
    scores = torch.randn(batch, labels, *grid, **draw)
    offsets = offsets or sc.axis_offsets(len(grid))
    return scores, [torch.rand(batch, *sc.edge_shape(grid, o), **draw) for o in offsets]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("grid", "offsets"),
    [((7,), None), ((4, 5), None), ((5, 5), EIGHT), ((2, 3, 3), None), ((1, 1), None)],
    ids=["1d", "2d", "8", "3d", "one"],
)
def test_the_linear_program_is_the_min_cut(grid, offsets, seed):
    scores, weights = problem(grid, seed=seed, offsets=offsets)
    z = sc.linear_program_cut(scores, weights, offsets=offsets)
    cut = sc.min_cut(scores, weights, offsets=offsets)
    torch.testing.assert_close(z, cut.double(), atol=1e-5, rtol=0)


def test_its_gradient_is_zero_between_ties():
    scores, weights = problem()
    leaves = [t.requires_grad_() for t in (scores, *weights)]
    z = sc.linear_program_cut(scores, weights)
    gradients = torch.autograd.grad(z.sum(), leaves)
    assert max(float(g.abs().max()) for g in gradients) < 1e-3


@pytest.mark.parametrize("labels", [1, 2])
def test_the_quadratic_program_has_the_gradient_of_its_solution(labels):
    scores, weights = problem(labels=labels)
    leaves = [t.requires_grad_() for t in (scores, *weights)]
    g = torch.Generator().manual_seed(1)
    aim = torch.randn(scores.shape, generator=g, dtype=torch.float64)

    def value(scores, *weights):
        return (sc.linear_program_cut(scores, weights, smoothing=3.0) * aim).sum()

    gradients = torch.autograd.grad(value(*leaves), leaves)
    step = 1e-4
    for k, gradient in enumerate(gradients):
        along = torch.randn(gradient.shape, generator=g, dtype=torch.float64)
        ends = []
        for sign in (1, -1):
            moved = [t.detach() for t in leaves]
            moved[k] = moved[k] + sign * step * along
            ends.append(float(value(*moved)))
        slope = float((gradient * along).sum())
        assert abs(slope) > 1e-3  # else the comparison says nothing
        assert slope == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-2)


def test_strides_do_not_matter():
    scores, weights = problem(grid=(3, 4))
    strided = [t.mT.contiguous().mT for t in (scores, *weights)]
    assert not strided[1].is_contiguous()
    z = sc.linear_program_cut(strided[0], strided[1:], smoothing=1.0)
    torch.testing.assert_close(z, sc.linear_program_cut(scores, weights, smoothing=1.0))


def test_little_smoothing_rounds_to_the_min_cut():
    scores, weights = problem()
    z = sc.linear_program_cut(scores, weights, smoothing=1e-2)
    assert torch.equal(z > 0.5, sc.min_cut(scores, weights))


def test_without_edges_it_is_a_clipped_score():
    scores, _ = problem(batch=1)
    weights = [torch.zeros(1, 3, 5).double(), torch.zeros(1, 4, 4).double()]
    z = sc.linear_program_cut(scores, weights, smoothing=2.0)
    torch.testing.assert_close(z, (0.5 + scores / 2).clamp(0, 1), atol=1e-5, rtol=0)


def test_dtype_and_use_in_a_network():
    net = sc.CutNet(sc.ScoreAndEdges(sc.BasicNet(), sc.EdgeNet()), sc.linear_program_cut)
    out = net(torch.rand(1, 3, 6, 6, generator=torch.Generator().manual_seed(0)))
    assert out.prob.dtype == torch.float32 and torch.equal(out.output, out.prob)
    assert out.prob.min() > -1e-4 and out.prob.max() < 1 + 1e-4


def test_errors():
    scores, weights = problem()
    with pytest.raises(ValueError, match="smoothing must be a finite number of at least 0"):
        sc.linear_program_cut(scores, weights, smoothing=-1.0)
    with pytest.raises(ValueError, match="smoothing must be a finite number of at least 0, got i"):
        sc.linear_program_cut(scores, weights, smoothing=float("inf"))
    with pytest.raises(ValueError, match=r"weights\[0\] must be at least 0"):
        sc.linear_program_cut(scores, [-w for w in weights])


def test_without_cvxpylayers(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "cvxpylayers.torch", None)
    scores, weights = problem(grid=(2, 7))
    with pytest.raises(ModuleNotFoundError, match="pip install 'cvxpylayers"):
        sc.linear_program_cut(scores, weights)
