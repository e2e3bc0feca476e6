"""The corrected forms of book/errata.md, and that the printed ones fail."""

import json
import re
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch

import softcut_lib as sc
from softcut_lib.train.experiments import EXPERIMENTS
from softcut_lib.train.objectives import reveal
from softcut_lib.train.table_streets import STREETS

ROOT = Path(__file__).parents[2]


def random_grid(h, w, seed):
    g = torch.Generator().manual_seed(seed)
    scores = torch.randn(1, 1, h, w, generator=g, dtype=torch.float64)
    down = torch.rand(1, h - 1, w, generator=g, dtype=torch.float64)
    right = torch.rand(1, h, w - 1, generator=g, dtype=torch.float64)
    return scores, [down, right]


def prox_two_pixels(z, weight, half=True):
    """argmin of (1/2) |x - z|^2 + weight |x_0 - x_1|, in closed form."""
    reach = weight if half else weight / 2
    mean, gap = np.mean(z), z[0] - z[1]
    return mean + np.array([0.5, -0.5]) * np.sign(gap) * max(abs(gap) - 2 * reach, 0)


def test_eq_1_counts_an_edge_once_its_ends_differ():
    scores, (down, right) = random_grid(2, 2, seed=0)
    edges = [((0, 0), (1, 0), down[0, 0, 0]), ((0, 1), (1, 1), down[0, 0, 1])]
    edges += [((0, 0), (0, 1), right[0, 0, 0]), ((1, 0), (1, 1), right[0, 1, 0])]
    differs = False
    for bits in product([False, True], repeat=4):
        mask = torch.tensor(bits).view(2, 2)
        terminal = torch.where(mask, (-scores[0, 0]).clamp(min=0), scores[0, 0].clamp(min=0)).sum()
        right_form = terminal + sum(w for p, q, w in edges if mask[p] != mask[q])
        printed = terminal + sum(w for p, q, w in edges if mask[p])
        energy = sc.cut_energy(mask[None, None], scores, [down, right])
        assert torch.allclose(energy, right_form)
        differs |= not torch.isclose(printed, right_form)
    assert differs, "the printed condition should charge other edges for some mask"


def test_eq_5_holds_for_sets_of_any_size():
    rng = np.random.default_rng(0)
    for _ in range(100):
        x, y = rng.random((2, 30)) < rng.random((2, 1))
        if x.any() or y.any():
            assert 0 <= 2 * (x & y).sum() / (x.sum() + y.sum()) <= 1


def test_eq_7_squares_matter_only_for_soft_masks():
    g = torch.Generator().manual_seed(0)
    target = torch.randint(0, 2, (2, 6, 7), generator=g)
    soft = torch.rand(2, 1, 6, 7, generator=g, dtype=torch.float64)
    hard = (soft > 0.5).double()
    plain = sc.dice_loss(hard, target)
    assert torch.allclose(plain, sc.dice_loss(hard, target, squared=True))
    assert not torch.allclose(sc.dice_loss(soft, target), sc.dice_loss(soft, target, squared=True))


def test_eq_10_needs_a_vector():
    """z <= 1 is G z <= h with G = h = 1; G z <= z holds with a z for all its multiples, too."""
    goal, z = 3.0, np.linspace(-5, 5, 1001)

    def nearest(allowed):
        return z[allowed][np.argmin(np.abs(z[allowed] - goal))].round(6)

    assert nearest(z <= 1 + 1e-9) == 1
    assert {nearest(g * z <= z + 1e-9) for g in np.linspace(-2, 4, 13)} == {0, goal}


def test_eq_13_needs_the_half():
    z, weight = np.array([2.0, -1.0]), 0.6
    grid = np.linspace(-2, 3, 1001)
    a, b = np.meshgrid(grid, grid, indexing="ij")
    for factor, half in [(0.5, True), (1.0, False)]:
        value = factor * ((a - z[0]) ** 2 + (b - z[1]) ** 2) + weight * abs(a - b)
        i, j = np.unravel_index(value.argmin(), value.shape)
        np.testing.assert_allclose([grid[i], grid[j]], prox_two_pixels(z, weight, half), atol=0.006)


@pytest.mark.parametrize("weight", [0.3, 5.0])
def test_algorithm_1_gradient_is_plus_the_mean(weight):
    z, g, step = np.array([2.0, -1.0]), np.array([0.7, 0.4]), 1e-6
    fused = weight > 1.5
    expected = np.full(2, g.mean()) if fused else g
    steps = step * np.eye(2)
    arrived = [
        g @ (prox_two_pixels(z + d, weight) - prox_two_pixels(z - d, weight)) / (2 * step)
        for d in steps
    ]
    np.testing.assert_allclose(arrived, expected, atol=1e-8)


def test_algorithm_1_edge_gradient():
    z, g, weight, step = np.array([2.0, -1.0]), np.array([0.7, 0.4]), 0.3, 1e-6
    change = prox_two_pixels(z, weight + step) - prox_two_pixels(z, weight - step)
    assert g @ change / (2 * step) == pytest.approx(-np.sign(z[0] - z[1]) * (g[0] - g[1]))


@pytest.mark.parametrize("sign", [1, -1])
def test_algorithm_2_needs_the_plus(sign):
    scores, weights = random_grid(3, 3, seed=1)
    matrix = sc.GridSystem([5 * w for w in weights]).to_scipy().toarray()
    b = scores.numpy().ravel()
    x, r = np.zeros_like(b), b
    p = r
    for _ in range(len(b)):
        alpha = r @ r / (p @ matrix @ p)
        x, new = x + alpha * p, r - alpha * matrix @ p
        p, r = new + sign * (new @ new) / (r @ r) * p, new
    solved = np.linalg.norm(matrix @ x - b) < 1e-8 * np.linalg.norm(b)
    assert solved == (sign > 0)


def test_eq_24_two_pixels_meet_only_at_infinity():
    scores = torch.tensor([[[[3.0, -1.0]]]], dtype=torch.float64)
    for conductance in (0.0, 1.0, 1e3, 1e6):
        weights = [torch.zeros(1, 0, 2).double(), torch.full((1, 1, 1), conductance).double()]
        x = sc.soft_cut(scores, weights, solver=sc.CG(tol=1e-12)).flatten()
        i, k = scores.flatten()
        expected = torch.stack([conductance * (i + k) + i, conductance * (i + k) + k])
        torch.testing.assert_close(x, expected / (2 * conductance + 1))
        assert x[0] > x[1]


def test_eq_25_diagonal():
    _, (down, right) = random_grid(3, 4, seed=2)
    matrix = sc.GridSystem([down, right]).to_scipy().toarray()
    i, j, w = 1, 1, 4
    k = i * w + j
    below, above = down[0, i, j], down[0, i - 1, j]
    east, west = right[0, i, j], right[0, i, j - 1]
    assert matrix[k, k] == pytest.approx(float(1 + above + below + east + west))
    assert matrix[k, k] != pytest.approx(float(1 + above + below + right[0, i - 1, j] + west))
    assert matrix[k, k + 1] == matrix[k + 1, k] == pytest.approx(-float(east))
    assert matrix[k, k - 1] == matrix[k - 1, k] == pytest.approx(-float(west))


def test_eq_27_is_a_doubled_logit():
    x = torch.linspace(0.01, 0.99, 50, dtype=torch.float64)
    printed = x**2 / (x**2 - (1 - x) ** 2)
    corrected = x**2 / (x**2 + (1 - x) ** 2)
    torch.testing.assert_close(corrected, torch.sigmoid(2 * torch.logit(x)))
    assert ((printed < 0) | (printed > 1)).any()
    target = (x > 0.4).long()[None]
    doubled = sc.dice_loss(torch.sigmoid(2 * torch.logit(x))[None, None], target)
    torch.testing.assert_close(sc.focal_dice_loss(x[None, None], target), doubled)


def test_the_stopping_rule_is_the_norm_of_the_batch():
    """Steps until the 2-norm of the whole batch's residual is small; its 1-norm takes longer."""
    scores, weights = random_grid(30, 40, seed=3)
    system = sc.GridSystem([5 * w for w in weights])
    steps = {2: None, 1: None}
    for count in range(1, 200):
        x, _ = sc.solve(system, scores, replace(sc.PUBLISHED_CG, tol=1e-30, max_iter=count))
        residual = (scores - system @ x).flatten()
        for norm in steps:
            if steps[norm] is None and residual.norm(norm) < 1e-6 * scores.numel():
                steps[norm] = count
        if None not in steps.values():
            break
    _, info = sc.solve(system, scores, sc.PUBLISHED_CG)
    assert int(info.iterations.max()) == steps[2] < steps[1]
    _, both = sc.solve(
        sc.GridSystem([5 * w.repeat(8, 1, 1) for w in weights]),
        scores.repeat(8, 1, 1, 1),
        sc.PUBLISHED_CG,
    )
    assert int(both.iterations.max()) < steps[2], "eight times the same image: looser for each"


def test_published_experiments_are_repeated_as_the_code_has_them():
    trained = [e for name, e in STREETS.items() if name in EXPERIMENTS]
    assert trained and {e.steps_per_epoch for e in trained} == {156}
    text, code = EXPERIMENTS["frames"], EXPERIMENTS["frames-code"]
    assert text.windows == code.windows == (320, 256)
    assert "sign, car, person" in str(text.data["cityscapes"])
    assert "car, person, road" in str(code.data["cityscapes"])


def test_revealed_pixels_add_up_to_a_tenth():
    """Drawn anew at each of a hundred epochs, a thousandth at a time."""
    fraction = EXPERIMENTS["horses"].with_options("weizmann").objective.fraction
    generator = torch.Generator().manual_seed(0)
    target, seen = torch.zeros(1, 200, 200, dtype=torch.long), []
    for _ in range(100):
        seen.append(reveal(target, fraction, generator=generator) != 255)
    assert 0.0005 < seen[0].double().mean() < 0.002
    assert 0.08 < torch.stack(seen).any(0).double().mean() < 0.12


def test_theorem_2_2_needs_the_positive_diagonal():
    matrix = np.array([[-2.0, 1.0], [1.0, -2.0]])
    assert (matrix == matrix.T).all() and (abs(matrix.diagonal()) > 1).all()
    assert np.linalg.eigvalsh(matrix).max() < 0


@pytest.mark.parametrize(("foreground", "background"), [(1.0, 3.0), (3.0, 1.0)])
def test_theorem_a_1_larger_measure_wins(foreground, background):
    scores = torch.full((1, 1, 3, 4), foreground - background, dtype=torch.float64)
    _, weights = random_grid(3, 4, seed=3)
    assert (sc.min_cut(scores, weights) == (foreground > background)).all()


def test_abstract_against_table_2():
    results = json.loads((ROOT / "book" / "papers.json").read_text())["results"]
    table = {(r["row"], r["metric"]): r["value"] for r in results if r.get("experiment") == 1}
    miou = {row: value for (row, metric), value in table.items() if metric == "miou"}
    minutes = {row: v for (row, metric), v in table.items() if metric == "train_time_minutes"}
    assert max(miou, key=miou.get) == "Submodular + isotonic"
    assert max(minutes, key=minutes.get) == "SoftCut exact"


def test_eq_6_wants_the_mean():
    """More scribbles: the sum grows with them, the mean and the normalized cut do not."""
    generator = torch.Generator().manual_seed(0)
    image = 255 * torch.rand(1, 3, 20, 20, generator=generator)
    logits = torch.randn(1, 2, 20, 20, generator=generator)
    affinity = sc.DenseAffinity(image, sigma_color=60, sigma_space=10)
    assert 0 <= sc.normalized_cut_loss(logits.softmax(1), affinity) <= 1
    sums, means = [], []
    for count in (20, 320):
        target = torch.full((1, 20, 20), 255)
        target.view(-1)[:count] = torch.arange(count) % 2
        sums.append(sc.partial_cross_entropy(logits, target, reduction="sum"))
        means.append(sc.partial_cross_entropy(logits, target))
    assert sums[1] > 10 * sums[0] and 0.5 < means[1] / means[0] < 2


def test_numbers_of_the_nc_paper_by_place():
    results = json.loads((ROOT / "book" / "papers.json").read_text())["results"]
    value = {
        (r["table"], r["row"]): f"{100 * r['value']:.1f}"
        for r in results
        if r["source"] == "tang2018normalized" and r["metric"] in ("miou", "miou_before_crf")
    }
    grabcut = [value[place, "GrabCut proposals"] for place in ("section 5.2.1", 2)]
    pce = [value[1, "pCE"], value[2, "joint loss without NC"], value[1, "pCE + NEL"]]
    assert len(set(grabcut)) == 2 and len(set(pce)) == 3
    assert abs(float(pce[1]) - float(pce[2])) < abs(float(pce[1]) - float(pce[0]))
    page = (ROOT / "book" / "errata.md").read_text()
    entry = page[page.index("(err-nc-numbers)=") : page.index("(err-nc-boxsup)=")]
    assert all(number in entry for number in (*grabcut, *pce))


def test_every_test_that_the_page_names_exists():
    page = (ROOT / "book" / "errata.md").read_text()
    named = set(re.findall(r"`(test_\w+)`", page))
    here = {name for name in globals() if name.startswith("test_")}
    assert named and named <= here, named - here
    for module, function in re.findall(r"softcut_lib\.theorems\.(\w+)\.(\w+)", page):
        text = (ROOT / "softcut_lib" / "theorems" / f"{module}.py").read_text()
        assert f"def {function}(" in text
