"""What chapter 10 says of recorded runs, for invented files: none, one seed, two, three."""

import json
import textwrap

import numpy as np
import pytest

import softcut_lib as sc
from softcut_lib import show
from softcut_lib.train import results
from tests.notebooks.scratch import read_notebook
from tests.train.test_results import SESSION, record

dir(show)  # loads its modules: one that is loaded below would keep the files that stand in there
GAINS = {"base": 0.0, "softcut-multigrid": 0.2, "softcut-published": 0.1, "softcut-exact": 0.2}
STOP = {"step": 400, "reason": "logits must be finite; look at what produced them"}


def invented(model, seed, **options):
    """A run over 98 pictures; the published layer's stopped itself."""
    luck = np.random.default_rng(100 * seed + len(model)).normal(size=98)
    common = np.random.default_rng(1).normal(size=98)
    iou = (0.4 + GAINS[model] + 0.02 * common + 0.005 * luck - 0.1 * ("decode" in options)).tolist()
    run = record(model, seed)
    run["options"] = {**run["options"], "epochs": 100, "scale": 0.5, **options}
    run["counts"] = {**run["counts"], "test": 98}
    if "published" in model:
        run["history"] = [{**e, "adjoint_steps_mean": 3 + 40 * e["epoch"]} for e in run["history"]]
    names = [f"horse{k:03d}" for k in range(98)]
    run["test"] = {"name": names, "iou": iou, "loss": iou, "figures": [3] * 98}
    return results.as_row({**run, "stopped": STOP if "published" in model else None})


def said(seeds, folder, monkeypatch, capsys):
    """What the cells between the two headings print, with files of these seeds only."""
    runs = [invented(model, seed) for model in GAINS for seed in seeds]
    cuts = [invented(model, seed, decode="min_cut") for model in GAINS if model != "base"
            for seed in seeds]  # fmt: skip
    chapter = sc.EXPERIMENTS["horses"]
    for part, rows in (("", [*runs, invented("base", 0, lr=1e-2)]), ("-min_cut", cuts)):
        content = {
            "schema": 2, "experiment": "horses", "title": chapter.title, "source": chapter.source,
            "data": "weizmann", "about": "invented", "written": SESSION, "rows": rows,
        }  # fmt: skip
        if seeds:
            file = folder / f"horses-weizmann-scale0.5{part}.json"
            file.write_text(json.dumps(content))

    def file_of(name, path=None):
        if not (folder / name.split("/")[-1]).is_file():
            raise ValueError(name)
        return folder / name.split("/")[-1]

    monkeypatch.setattr(results, "book_file", file_of)
    cells = read_notebook("10_horses").cells
    ends = [k for k, cell in enumerate(cells)
            if cell.source.startswith(("## Several seeds", "## On synthetic"))]  # fmt: skip
    reach = {"higher": "far", "lower": "near", "same": "as far"}
    space = {"show": show, "textwrap": textwrap, "reach": reach, "recorded": results.recorded}
    exec("from softcut_lib.train.pairing import paired_differences", space)
    for cell in cells[slice(*ends)]:
        if cell.cell_type == "code":
            exec(compile(cell.source, "10_horses.ipynb", "exec"), space)
    return " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("count", [2, 3])
def test_several_seeds_are_answered(count, tmp_path, monkeypatch, capsys):
    text = said(range(count), tmp_path, monkeypatch, capsys)
    assert "Does the cut gain over Base? Yes: +0." in text and f"({count} seeds, 98" in text
    assert "as the thesis found on U-Nets? No, it is worse: -0.1" in text
    assert "Does a converged adjoint help against one of a single step? Not recorded yet." in text
    assert "mean steps of an adjoint, seed 1: 3.0 in the first pass, 43 in the longest" in text
    assert "Soft cut, published CG, seed 1, stopped itself in pass 3 of 100 (logits must be" in text
    assert f"{3 * count} of {4 * count} runs reached their end." in text
    assert "Lower: Soft cut, published CG; Soft cut, converged; Soft cut, direct solver." in text
    assert "Base: of 2 settings validation chooses Adam at 0.001, as would the test" in text
    assert "Soft cut, converged: fewer than two settings recorded" in text


def test_one_seed_is_no_answer(tmp_path, monkeypatch, capsys):
    text = said([0], tmp_path, monkeypatch, capsys)
    assert "Does the cut gain over Base? Not enough runs to say: +0." in text
    assert "One seed, not enough to say: Soft cut, published CG;" in text
    assert "Yes:" not in text and "Higher:" not in text and "Lower:" not in text


def test_without_files_it_says_so(tmp_path, monkeypatch, capsys):
    text = said([], tmp_path, monkeypatch, capsys)
    assert "No recorded runs." in text and "Does the cut gain over Base? Not recorded yet." in text
    assert "Yes:" not in text and "seeds" not in text
