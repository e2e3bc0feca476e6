"""The live circuit: its voltages are the library's at every setting, and Kirchhoff's law holds."""

import numpy as np
import pytest
import torch

import softcut_lib as sc
from softcut_lib import show
from tests.browser.chromium import DESKTOP, PHONE, opened

ALT = "Nine pixels whose resistors can be changed."
LIVE = "document.querySelector('.softcut-circuit').circuit"


def nine(**change):
    scores = torch.tensor([[4.0, 2.0, -1.0], [3.0, -1.0, -3.0], [1.0, -2.0, 2.0]])
    C = torch.tensor([[3.0, 1.0, 2.0], [2.0, 1.0, 3.0]])
    R = torch.tensor([[2.0, 1.0], [1.0, 3.0], [1.0, 2.0]])
    return sc.grid_circuit(scores, [C, R], **change)


def same(page, graph):
    """The page's voltages are those of its own circuit, by the library."""
    found = page.evaluate(f"{LIVE}.circuit")
    names = [tuple(map(int, n["name"].strip("()").split(", "))) for n in found["nodes"]]
    for node, name in zip(found["nodes"], names):
        graph.nodes[name]["current"] = node["current"]
    for edge in found["edges"]:
        ends = [names[k] if k >= 0 else "ground" for k in (edge["a"], edge["b"])]
        graph.edges[ends]["conductance"] = edge["conductance"]
    expected = sc.node_voltages(graph)
    volts = page.evaluate(f"[...{LIVE}.x]")
    assert np.abs([v - expected[name] for v, name in zip(volts, names)]).max() < 1e-9
    assert page.evaluate(f"{LIVE}.worst") < 1e-10
    return expected


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_resistors_and_sources_are_changed_by_mouse_and_keys(browser, size):
    graph = nine()
    html = '<meta name="viewport" content="width=device-width">'
    html += show.live_circuit(graph, alt=ALT).html()
    with opened(browser, html=html, size=size) as page:
        page.wait_for_function(f"{LIVE}?.x")
        first = same(page, graph)
        page.get_by_label("Resistor between (1, 0) and (1, 1)").click(force=True)
        page.locator("input").fill("190")
        assert "between (1, 0) and (1, 1)" in page.inner_text("label span")
        second = same(page, graph)
        assert abs(second[1, 0] - second[1, 1]) < 0.1 < abs(first[1, 0] - first[1, 1])
        page.get_by_label("Node (2, 2)").focus()
        for _ in range(5):
            page.keyboard.press("ArrowUp")
        third = same(page, graph)
        assert third[2, 2] > second[2, 2]
        page.get_by_label("Resistor from (0, 0) to the ground").focus()
        page.keyboard.press("ArrowUp")
        assert abs(same(page, graph)[0, 0]) < abs(third[0, 0])
        assert "Kirchhoff at (0, 0)" in page.inner_text(".law")
        assert not page.errors and not page.asked
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]


def test_two_on_one_page_and_a_chain(browser):
    chain = sc.grid_circuit([3.0, -1.0, -1.5], [torch.tensor([1.0, 0.5])])
    pages = [show.live_circuit(graph, alt=ALT).html() for graph in (chain, nine())]
    with opened(browser, html=f"<body style='color:#eee'>{''.join(pages)}</body>") as page:
        page.wait_for_function("document.querySelectorAll('.softcut-circuit')[1].circuit?.x")
        counts = page.evaluate(
            "[...document.querySelectorAll('.softcut-circuit')].map(h => h.circuit.x.length)"
        )
        assert counts == [3, 9]
        assert page.get_attribute(".softcut-circuit", "data-mode") == "dark"
        volts = page.evaluate(f"[...{LIVE}.x]")
        assert np.allclose(volts, [sc.node_voltages(chain)[k,] for k in range(3)])


def test_a_printed_book_gets_a_still():
    data, about = show.live_circuit(nine(), alt=ALT)._repr_mimebundle_()
    assert {"text/html", "image/png", "text/plain"} <= set(data)
    assert about["image/png"]["alt"] == ALT


@pytest.mark.parametrize(
    ("graph", "words"),
    [
        (lambda: sc.grid_circuit(torch.zeros(7, 7), [torch.ones(6, 7), torch.ones(7, 6)]), "36"),
        (lambda: nine(ground=0.0), "ground"),
    ],
)
def test_refuses(graph, words):
    with pytest.raises(ValueError, match=words):
        show.live_circuit(graph(), alt=ALT)
