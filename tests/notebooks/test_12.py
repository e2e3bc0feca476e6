"""The from-scratch code of chapter 12 against the library."""

import pytest
import torch

import softcut_lib as sc
from tests.notebooks.scratch import load_scratch


@pytest.fixture(scope="module")
def scratch():
    return load_scratch("12_many_classes")


def draw(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def test_cut_classes_is_the_softmax_of_the_layer(scratch):
    scores, weights = draw(2, 3, 7, 9), [draw(2, 6, 9, seed=1), draw(2, 7, 8, seed=2)]
    prob = scratch.cut_classes(scores, weights)
    torch.testing.assert_close(prob, sc.soft_cut(scores, weights).softmax(1), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(prob.sum(1), torch.ones(2, 7, 9))


@pytest.mark.parametrize(("size", "n", "s"), [((10, 7), 4, 2), ((9, 13), 8, 4), ((5, 5), 3, 3)])
def test_windows_are_the_librarys(scratch, size, n, s):
    x = draw(2, *size)
    windows = scratch.split(x, n, s)
    expected = sc.split_windows(x[None], window=n, stride=s)
    assert torch.equal(torch.stack(windows), expected)
    assert torch.equal(scratch.join(windows, size, n, s), x)
    assert torch.equal(
        scratch.join(windows, size, n, s), sc.join_windows(expected, size, window=n, stride=s)[0]
    )
