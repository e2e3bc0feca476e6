"""Every plot carries its alternative text, takes tensors as they are, and refuses what misleads."""

import io

import networkx as nx
import numpy as np
import pytest
import torch
from PIL import Image

import softcut_lib as sc
from softcut_lib import show
from softcut_lib.show.panels import mean_conductance

ALT = "A picture made by a test, with nothing to see."
SCORES = torch.tensor([[2.0, -1.0, 0.5], [1.0, -3.0, 0.0]])
WEIGHTS = [torch.tensor([[1.0, 0.5, 2.0]]), torch.tensor([[0.1, 1.0], [3.0, 0.0]])]


def pixels(picture):
    return np.asarray(Image.open(io.BytesIO(picture.data)).convert("RGB")).astype(int)


@pytest.fixture
def circuit():
    return sc.grid_circuit(SCORES, WEIGHTS)


PLOTS = {
    "images": lambda **k: show.images([SCORES, SCORES > 0, [*WEIGHTS]], **k),
    "curves": lambda **k: show.curves([1, 2], {"y": [1, 3]}, xlabel="x", ylabel="y", **k),
    "bars": lambda **k: show.bars({"a": 1, "b": 2}, ylabel="y", **k),
    "matrix": lambda **k: show.matrix(torch.eye(3), **k),
    "cut": lambda **k: show.cut(torch.rand(3, 2, 3), SCORES, WEIGHTS, SCORES, SCORES > 0, **k),
    "circuit": lambda **k: show.circuit(sc.grid_circuit(SCORES, WEIGHTS), **k),
    "flow_network": lambda **k: show.flow_network(SCORES, WEIGHTS, **k),
}


@pytest.mark.parametrize("name", PLOTS)
def test_carries_its_text(name):
    picture = PLOTS[name](alt=f"  {ALT}\n")
    data, about = picture._repr_mimebundle_()
    assert about[picture.mime]["alt"] == picture.alt == ALT
    assert ALT in data["text/plain"]
    assert (pixels(picture)[0, 0] == 255).all()  # opaque white, for dark pages


@pytest.mark.parametrize("name", PLOTS)
def test_refuses_an_empty_text(name):
    with pytest.raises(ValueError, match="alt must say"):
        PLOTS[name](alt="a plot")


@pytest.mark.parametrize("name", ["cut", "circuit", "flow_network"])
def test_writes_its_own_text(name):
    assert len(PLOTS[name]().alt) > 20


def test_drawing_leaves_pyplot_alone():
    import matplotlib.pyplot as plt

    before, fonts = plt.get_fignums(), plt.rcParams["font.size"]
    PLOTS["curves"](alt=ALT)
    assert plt.get_fignums() == before
    assert plt.rcParams["font.size"] == fonts


@pytest.mark.parametrize("limits", [(12, 300), (0.05, 3), (1, 200), (300, 2e7), (2, 8)])
def test_logarithmic_axes_show_at_least_two_numbers(limits):
    from softcut_lib.show.figures import number_powers
    from softcut_lib.show.style import canvas

    fig, axes = canvas()
    axes[0, 0].plot(limits, [0, 1])
    axes[0, 0].set_xscale("log")
    axes[0, 0].set_xlim(*limits)
    number_powers(axes[0, 0].xaxis)
    fig.canvas.draw()
    labels = axes[0, 0].xaxis.get_ticklabels(which="both")
    inside = [t for t in labels if t.get_text() and limits[0] <= t.get_position()[0] <= limits[1]]
    assert len(inside) >= 2


def test_photographs_are_small_files():
    generator = torch.Generator().manual_seed(0)
    photo = show.images([torch.rand(3, 200, 200, generator=generator)], alt=ALT)
    assert photo.mime == "image/jpeg"
    assert PLOTS["curves"](alt=ALT).mime == "image/png"


def test_kinds_are_guessed():
    from softcut_lib.show.panels import panel

    guesses = [
        (SCORES, "scores"),
        (SCORES > 0, "mask"),
        (SCORES.abs(), "map"),
        (torch.rand(1, 1, 2, 3, generator=torch.Generator().manual_seed(0)), "image"),
        (torch.zeros(2, 3, dtype=torch.long), "labels"),
        (WEIGHTS, "conductance"),
    ]
    for values, kind in guesses:
        assert panel(values, None)[1] == kind


def test_long_titles_and_long_legends_get_room_of_their_own():
    one, two = (show.images([SCORES] * 2, titles=[t] * 2, alt=ALT) for t in ("a", "a\nb"))
    few, many = (
        show.curves([0, 1], {str(k): [0, k] for k in range(n)}, xlabel="x", ylabel="y", alt=ALT)
        for n in (4, 5)
    )
    assert pixels(two).shape[0] > pixels(one).shape[0]  # nothing is pushed into the row above
    assert pixels(many).shape[0] > pixels(few).shape[0]  # the legend stands below the axes


def test_a_legend_of_long_names_stays_within_the_figure():
    from softcut_lib.show.figures import legend_below
    from softcut_lib.show.style import canvas

    for letters in (3, 20, 40):
        fig, axes = canvas()
        for k in range(6):
            axes[0, 0].plot([0, k], label=f"{k} " + "m" * letters)
        legend_below(fig, 3.4)
        fig.canvas.draw()
        box = fig.legends[0].get_window_extent()
        assert len(fig.legends) == 1
        assert 0 <= box.x0 and box.x1 <= fig.bbox.width and box.y0 >= 0


def test_mean_conductance_by_hand():
    mean = mean_conductance(WEIGHTS)
    assert mean[0, 0] == pytest.approx((1.0 * 0.1) ** (1 / 2))
    assert mean[0, 1] == pytest.approx((0.5 * 0.1 * 1.0) ** (1 / 3))
    batched = mean_conductance([w[None] for w in WEIGHTS])
    assert torch.equal(mean, batched)


def test_overlay_keeps_the_inside_and_dims_the_outside():
    image = torch.full((3, 9, 9), 0.5)
    mask = torch.zeros(9, 9, dtype=torch.bool)
    mask[3:6, 3:6] = True
    out = show.overlay_mask(image, mask)
    assert (out[:, mask] == 0.5).all()
    assert out[:, 0, 0].tolist() != [0.5, 0.5, 0.5]
    assert out[:, 2, 3].tolist() == pytest.approx([1.0, 0.85, 0.1])
    with pytest.raises(ValueError, match="mask must have the image's shape"):
        show.overlay_mask(image, mask[:4])


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        (([torch.zeros(2, 4, 5)],), {}, "pictures must be of shape"),
        (([SCORES],), {"kinds": "photo"}, "kinds must be among"),
        (([SCORES, SCORES],), {"titles": ["one"]}, "titles must hold one entry per picture, 2"),
    ],
)
def test_images_refuses(arguments, options, words):
    with pytest.raises(ValueError, match=words):
        show.images(*arguments, alt=ALT, **options)


def test_circuit_shows_voltages_and_conductances(circuit):
    plain, solved = show.circuit(circuit), show.circuit(circuit, sc.node_voltages(circuit))
    assert "voltages from" in solved.alt and "voltages" not in plain.alt
    assert not np.array_equal(pixels(plain), pixels(solved))
    strong = nx.Graph(circuit)
    strong.edges[(0, 0), (0, 1)]["conductance"] = 1e4
    drawn = pixels(show.circuit(strong, values=False)), pixels(show.circuit(circuit, values=False))
    assert (drawn[0] < 100).sum() > (drawn[1] < 100).sum()  # a thicker line


def test_flow_network_reads_flow_and_cut():
    cut = sc.max_flow(SCORES[None, None], [w[None] for w in WEIGHTS])
    text = show.flow_network(SCORES, WEIGHTS, labels=cut.labels).alt
    assert f"have capacity {float(cut.value):g}" in text
    with pytest.raises(ValueError, match="at most 16 pixels"):
        show.flow_network(torch.zeros(5, 5), [torch.zeros(4, 5), torch.zeros(5, 4)])


def test_unknown_plots_are_named():
    with pytest.raises(AttributeError, match="there is images"):
        show.show_images  # noqa: B018
    assert {"images", "curves", "explore"} <= set(dir(show))
