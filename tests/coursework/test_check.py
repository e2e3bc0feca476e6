"""`check` says what holds and what does not, in words; hidden seeds come from a key."""

import subprocess
import sys

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
        (lambda y: None, "does the function return what its first line promises"),
        (lambda y: y.nonsense, "It was raised in line"),
        (lambda y: 1 / 0, "ZeroDivisionError"),
        (lambda y: torch.stack(3), "of `<lambda>`"),
        (lambda: 0, "takes 0 positional arguments"),
    ],
    ids=["nothing", "attribute", "division", "in torch", "arguments"],
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
