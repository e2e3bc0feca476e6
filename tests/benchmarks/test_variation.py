"""The benchmark of total variation compares like with like."""

import json
import sys

import numpy as np
import pytest
import torch

import softcut_lib as sc
from benchmarks import variation


def test_the_layer_is_called_with_its_gradients():
    scores, weights, gradient = variation.problem("scene", 1.0)
    answer = variation.layer(scores, weights, gradient, method="published", max_iter=2)
    assert [a.shape for a in answer] == [variation.GRID] * 2 + [w.shape for w in weights]


def test_the_peer_s_refinement_is_the_library_s():
    pytest.importorskip("sklearn")
    scores, weights, _ = variation.problem("noise", 1.0)
    rough, fine = (
        sc.total_variation(
            torch.tensor(scores)[None, None], [torch.tensor(w)[None] for w in weights],
            method="published", max_iter=3, refine=refine,
        )[0, 0].numpy()
        for refine in (False, True)
    )  # fmt: skip
    # ties may be ordered in two ways, so values may differ where the answer is rough
    ours = variation.refine(rough, scores, weights)
    assert np.linalg.norm(ours - fine) <= 0.02 * np.linalg.norm(fine)


def test_what_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "prox_tv", None)
    with pytest.raises(SystemExit, match="pip install prox-tv scikit-learn"):
        variation.main([])


def test_a_run_writes_its_rows(tmp_path):
    pytest.importorskip("prox_tv")
    file = tmp_path / "variation.json"
    variation.main(["--kinds", "noise", "--scales", "0.1", "--repeats", "1", "--output", str(file)])
    found = json.loads(file.read_text())
    assert "--scales 0.1" in found["sessions"][0]["command"]
    exact, *others = found["rows"]
    assert exact["error"] == 0 and exact["method"] == "ours, exact"
    assert all(row["error"] <= variation.TARGET for row in others if row["enough"])
    pairs = {row["steps"]: [r for r in others if r["steps"] == row["steps"]] for row in others}
    for ours, peer in pairs.values():  # the same iteration, refined: the same accuracy
        assert ours["error"] == pytest.approx(peer["error"], rel=0.5, abs=1e-9)
