"""Chapter 8's from-scratch code against the library."""

import pytest
import torch

import softcut_lib as sc
from tests.notebooks.scratch import load_scratch

pytest.importorskip("cvxpylayers", reason="pip install 'cvxpylayers>=1.0'")


@pytest.fixture(scope="module")
def chapter():
    return load_scratch("08_perturbed")


@pytest.fixture
def problem():
    g = torch.Generator().manual_seed(0)
    draw = {"generator": g, "dtype": torch.float64}
    weights = [torch.rand(2, *sc.edge_shape((4, 5), o), **draw) for o in sc.axis_offsets(2)]
    return torch.randn(2, 1, 4, 5, **draw), weights


def test_averaged_cut_is_the_library_s(chapter, problem):
    options = {"sigma": 0.4, "num_samples": 12}
    found = []
    for cut in (chapter.averaged_cut, None):
        g = torch.Generator().manual_seed(1)
        leaves = [t.clone().requires_grad_() for t in (problem[0], *problem[1])]
        if cut is None:
            out = sc.perturbed(sc.min_cut, generator=g, **options)(leaves[0], leaves[1:])
        else:
            out = cut(leaves[0], leaves[1:], generator=g, **options)
        found.append([out, *torch.autograd.grad(out.pow(2).sum(), leaves)])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("smoothing", [0.0, 1.5])
def test_program_is_the_library_s(chapter, problem, smoothing):
    scores, (C, R) = problem
    p = scores[0, 0]
    layer = chapter.cut_program(4, 5, smoothing)
    (z,) = layer(
        p.clamp(min=0), (-p).clamp(min=0), C[0], R[0], solver_args={"solve_method": "Clarabel"}
    )
    theirs = sc.linear_program_cut(scores, [C, R], smoothing=smoothing)[0, 0]
    torch.testing.assert_close(z, theirs, atol=1e-4, rtol=0)
