"""`check` says what holds and what does not, in words; hidden seeds come from a key."""

import subprocess
import sys

import networkx as nx
import numpy as np
import pytest
import torch

import softcut_lib as sc
from softcut_lib.coursework import KEY, KEY_FILE, check, hidden_seed, names
from softcut_lib.coursework.catalogue import CHECKS
from tests.test_architecture import EXTRAS


def test_the_library_passes_its_own_checks(capsys):
    """Where the library has the function that is asked for, under several seeds."""
    own = {
        "cut_energy": sc.cut_energy,
        "max_flow": sc.max_flow,
        "voltages": lambda circuit, held: sc.node_voltages(circuit, held=held),
        "effective_resistance": sc.effective_resistance,
        "eliminate": sc.star_mesh,
        "focal_dice": sc.focal_dice_loss,
        "partial_cross_entropy": sc.partial_cross_entropy,
        "absent_labels": sc.absent_label_loss,
        "tv_edge_gradient": lambda mean, x, o: -(sc.jump(x, o).sign() * sc.jump(mean, o)).sum(1),
        "current_fed": lambda x, weights: sc.GridSystem(weights) @ x,
        "count_figures": lambda mask: sc.count_figures(mask[None, None]),
        "brute_force": sc.min_cut,
    }
    for name, function in own.items():
        for seed in (0, 3):
            assert check(name, function, seed=seed) is True, capsys.readouterr().out


def test_it_says_what_failed_and_why(capsys):
    assert check("cut_energy", lambda labels, s, w: -sc.cut_energy(labels, s, w)) is False
    printed = capsys.readouterr().out
    assert printed.startswith("cut_energy: 3 of 3 statements failed\n")
    assert "On random problem 1 (seed 0): the pixels alone (weights 0): expected" in printed
    assert "[theorems.cuts.energy_adds_up]" in printed
    check("current_fed", lambda x, weights: sc.GridSystem(weights) @ x - x)
    printed = " ".join(capsys.readouterr().out.split())
    assert "with 1 V at pixel (0, 0) and 0 V elsewhere, pixel (0, 0) must be fed" in printed
    assert "1 for the ground plus all its own conductances" in printed


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda y: None, "returned None: does it end in a `return`?"),
        (lambda y: "no", "does the function return what its first line promises"),
        (lambda y: y.nonsense, "It was raised in line"),
        (lambda y: 1 / 0, "ZeroDivisionError"),
        (lambda y: torch.stack(3), "of `<lambda>`"),
        (lambda: 0, "takes 0 positional arguments"),
    ],
    ids=["nothing", "a word", "attribute", "division", "in torch", "arguments"],
)
def test_an_error_in_the_function_is_told_with_its_place(function, words, capsys):
    assert not check("isotonic", function)
    assert words in " ".join(capsys.readouterr().out.split())


def test_the_same_error_is_told_once(capsys):
    check("cg_step", lambda *arguments: 1 / 0)
    printed = capsys.readouterr().out
    assert printed.count("ZeroDivisionError") == 1 and printed.count("As above.") == 3


def test_an_unknown_name_lists_what_there_is():
    with pytest.raises(ValueError, match="must be that of a check, got 'adjont'") as error:
        check("adjont", max)
    for call in names().values():
        assert call in str(error.value)


def test_bad_arguments_are_refused():
    with pytest.raises(TypeError, match="without calling it"):
        check("isotonic", torch.zeros(3))
    for option in ("seed", "draws"):
        for value in (-1, 1.5, True):
            with pytest.raises(ValueError, match=f"{option} must be an integer"):
                check("isotonic", max, **{option: value})


def test_seeds_change_the_input_and_the_same_seed_repeats_it():
    def record(seed):
        seen = []
        check("isotonic", lambda y: seen.append(y) or y.sort().values, seed=seed)
        return torch.stack(seen)

    assert torch.equal(record(1), record(1)) and not torch.equal(record(1), record(2))


def test_hidden_seeds_come_from_the_key(monkeypatch, tmp_path):
    monkeypatch.delenv(KEY_FILE, raising=False)
    monkeypatch.setenv(KEY, "one")
    first = {name: hidden_seed(name) for name in CHECKS}
    assert len(set(first.values())) == len(CHECKS) and min(first.values()) >= 0
    assert first == {name: hidden_seed(name) for name in CHECKS}
    monkeypatch.setenv(KEY, "two")
    assert not set(first.values()) & {hidden_seed(name) for name in CHECKS}
    monkeypatch.delenv(KEY)
    (tmp_path / "key").write_text("one\n")
    monkeypatch.setenv(KEY_FILE, str(tmp_path / "key"))
    assert first == {name: hidden_seed(name) for name in CHECKS}, "a file says the same"
    for seed in first.values():
        torch.Generator().manual_seed(seed)


def test_without_a_key_a_hidden_test_stops(monkeypatch, tmp_path):
    monkeypatch.delenv(KEY_FILE, raising=False)
    for value in (None, "  "):
        monkeypatch.delenv(KEY, raising=False)
        if value:
            monkeypatch.setenv(KEY, value)
        with pytest.raises(ValueError, match="set SOFTCUT_COURSEWORK_KEY to a text"):
            hidden_seed("isotonic")
    monkeypatch.delenv(KEY)
    monkeypatch.setenv(KEY_FILE, str(tmp_path / "absent"))
    with pytest.raises(ValueError, match="must name a file that holds the key"):
        hidden_seed("isotonic")
    with pytest.raises(ValueError, match="must be that of a check"):
        hidden_seed("no such check")


def test_it_needs_the_plain_package_alone():
    code = (
        f"import sys, importlib.abc\nEXTRAS = {EXTRAS | {'nbgrader', 'nbformat', 'nbconvert'}}\n"
        "class Absent(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in EXTRAS - {'triton'}: raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        "import softcut_lib as sc\nfrom softcut_lib.coursework import check\n"
        "print(check('effective_resistance', sc.effective_resistance))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0 and run.stdout.endswith("True\n"), run.stderr


def said(capsys):
    return " ".join(capsys.readouterr().out.split())


def test_a_function_must_leave_its_input_as_it_is(capsys):
    """Also where the answer itself is right: what was given would be wrong from then on."""

    def reveal(target, fraction, *, generator):
        target[torch.rand(target.shape, generator=generator) >= fraction] = 255
        return target

    def eliminate(circuit, node):
        left = sc.star_mesh(circuit, node)
        circuit.remove_node(node)
        return left

    def current_fed(x, weights):
        answer = sc.GridSystem(weights) @ x
        weights[1].zero_()
        return answer

    for name, function, changed in (
        ("reveal", reveal, "`target`"),
        ("eliminate", eliminate, "`circuit`"),
        ("current_fed", current_fed, "`weights[1]`"),
    ):
        assert not check(name, function)
        assert f"the function changed {changed}, which it was given" in said(capsys)


def test_rounding_is_told_from_a_mistake(capsys):
    """A right answer in float32, as torch.tensor makes it from numbers, is told what is wrong."""
    assert not check("cut_energy", lambda *given: torch.tensor(sc.cut_energy(*given).tolist()))
    printed = said(capsys)
    assert "The answer is torch.float32, what the function was given torch.float64" in printed
    assert not check("cut_energy", lambda *given: 2 * sc.cut_energy(*given))
    assert "float32" not in said(capsys)


def test_labels_of_another_shape_are_refused_for_their_shape(capsys):
    answers = (lambda s, w: sc.min_cut(s, w)[0, 0], lambda s, w: sc.min_cut(s, w)[0])
    for squeezed in answers:
        assert not check("brute_force", squeezed)
        assert "must have the shape of the scores, (1, 1, 2, 4), got" in said(capsys)
    assert not check("max_flow", lambda s, w: (0.0, sc.min_cut(s, w).flatten()))
    assert "must have the shape of the scores, (1, 1, 5, 6), got (30,)" in said(capsys)


def test_the_image_that_differs_is_shown(capsys):
    def first_weights(labels, scores, weights):
        return sc.cut_energy(labels, scores, [w[:1].expand_as(w) for w in weights])

    assert not check("cut_energy", first_weights)
    assert "for image 1, got" in said(capsys)


def test_right_answers_of_another_form_pass(capsys):
    """What a student may also write: other formulas, other types, derivatives by autograd."""

    def dice(prob, target, *, squared):
        with torch.enable_grad():
            p = prob.detach().clone().requires_grad_()
            sizes = (p * p if squared else p).sum() + target.sum()
            loss = 1 - 2 * (p * target).sum() / sizes
            return loss.item(), torch.autograd.grad(loss, p)[0]

    def cg_step(product, x, r, p):
        step = (r * p).sum() / (p * product(p)).sum()
        rest = r - step * product(p)
        back = (rest * product(p)).sum() / (p * product(p)).sum()
        return x + step * p, rest, rest - back * p

    def effective_resistance(circuit, a, b):
        nodes = list(circuit)
        laplacian = nx.laplacian_matrix(circuit, nodes, weight="conductance").toarray()
        across = np.isin(np.arange(len(nodes)), nodes.index(a)) * 1.0
        across[nodes.index(b)] -= 1
        return across @ np.linalg.pinv(laplacian) @ across

    def partial_cross_entropy(logits, target):
        if logits.shape[1] == 1:
            logits = torch.cat([torch.zeros_like(logits), logits], 1)
        return torch.nn.functional.cross_entropy(logits, target, ignore_index=255)

    def nystrom(features, landmarks, maps):
        kernel = lambda a, b: (-(a[:, None] - b).square().sum(-1) / 2).exp()  # noqa: E731
        chosen = features[landmarks]
        inverse = torch.linalg.inv(kernel(chosen, chosen))
        return kernel(features, chosen) @ inverse @ kernel(chosen, features) @ maps

    def reveal(target, fraction, *, generator):
        seen = torch.bernoulli(torch.full(target.shape, fraction), generator=generator).bool()
        for image in seen:  # one pixel of each image, which is more than was asked
            image[0, 0] |= ~image.any()
        return target.where(seen, torch.tensor(255))

    def max_flow(scores, weights):
        value, labels = sc.max_flow(scores, weights)
        return np.float64(value), labels.numpy()

    for function in (
        dice, cg_step, effective_resistance, partial_cross_entropy, nystrom, reveal, max_flow,
    ):  # fmt: skip
        for seed in (0, 5):
            assert check(function.__name__, function, seed=seed), capsys.readouterr().out
