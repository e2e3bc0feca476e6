"""The pad of scribbles on the kernel's side: its label map, its refusals, its static form."""

import builtins

import numpy as np
import pytest
import torch

import softcut_lib as sc
from softcut_lib import show
from softcut_lib.show.scribble_pad import NO_KERNEL, STATIC

LINES = [(1, [(2, 3), (7, 3)]), (0, [(1, 8)])]


def test_its_label_map_is_that_of_draw_scribbles():
    pad = show.scribbling(torch.zeros(1, 3, 10, 14), width=2, start=LINES)
    assert torch.equal(pad.seeds, sc.draw_scribbles(LINES, (10, 14), width=2))
    pad.lines = []
    assert pad.seeds.unique().tolist() == [255]
    pad.lines = [[0, [[4, 4]]]]
    assert pad.seeds[4, 4] == 0


def test_where_the_book_is_built_it_is_a_sentence(monkeypatch):
    """And no widget is made, whose saved state would make the page ask for scripts."""
    start = [(1, [(2, 3), (5, 3)])]
    monkeypatch.delenv(STATIC, raising=False)
    pad = show.scribbling(np.zeros((9, 9)), start=start)
    assert "application/vnd.jupyter.widget-view+json" in str(pad._repr_mimebundle_())
    monkeypatch.setenv(STATIC, "1")
    still = show.scribbling(np.zeros((9, 9)), start=start)
    assert (still.seeds == pad.seeds).all() and still.lines == pad.lines
    assert not hasattr(still, "comm")
    bundle = still._repr_mimebundle_()
    assert bundle["text/plain"] == NO_KERNEL and "needs a running kernel" in bundle["text/html"]
    assert "widget" not in str(bundle)


def test_the_build_says_that_its_pages_have_no_kernel(tmp_path, monkeypatch):
    from book import build

    monkeypatch.setattr(build, "BUILD", tmp_path)
    assert build.environment()[STATIC] == "1"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"labels": ("one",)}, "two names"),
        ({"labels": "ab"}, "two names"),
        ({"width": 0}, "width"),
        ({"start": [(2, [(1, 1)])]}, "labels below 2, got 2"),
        ({"start": [(0, [])]}, "at least one"),
    ],
)
def test_refuses(options, words):
    with pytest.raises(ValueError, match=words):
        show.scribbling(np.zeros((9, 9)), **options)


def test_without_anywidget_it_says_what_to_install(monkeypatch):
    original = builtins.__import__

    def without(name, *rest, **more):
        if name == "anywidget":
            raise ModuleNotFoundError(name)
        return original(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ModuleNotFoundError, match=r"softcut-lib\[widgets\]"):
        show.scribbling(np.zeros((9, 9)))
