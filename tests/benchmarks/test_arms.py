"""Steps of the street experiments are timed in turns, the rows in one file."""

import json
import sys

import pytest
import torch

from benchmarks import arms
from softcut_lib.show.gpu_tables import arms_table

pytest.importorskip("monai")


def test_rows_of_an_experiment_in_turns(tmp_path, monkeypatch):
    calls, made = [], arms._step

    def watched(device, name, model, experiment, images, target):
        step, solves, size = made(device, name, model, experiment, images[..., :64, :64],
                                  target[..., :64, :64])  # fmt: skip
        return lambda: (calls.append(model), step()), solves, size

    monkeypatch.setattr(arms, "_step", watched)
    out, before = tmp_path / "arms.json", torch.get_num_threads()
    words = ["--experiments", "object", "--batch", "1", "--rounds", "2", "--output", str(out)]
    try:
        assert arms.main([*words, "--threads", "1"]) == 0
    finally:
        torch.set_num_threads(before)
    one, *turns = (calls[k : k + 4] for k in range(0, 12, 4))
    assert one == list(arms.TIMED), "the warm-up"
    assert turns == [one, one[1:] + one[:1]], "two rounds, in turns"
    content = json.loads(out.read_text())
    base, control, variation, cut = content["arms"]
    assert base["times_base"] == 1 and "forward_steps_max" not in base | control
    assert cut["forward_steps_max"] > 0 and cut["adjoint_steps_max"] == 1
    assert variation["step_seconds"]["n"] == 2 and variation["size"] == [1, 4, 64, 64]
    assert len(arms_table(content, printed={}).rows) == 4
    assert content["machine"]["threads"] == 1 and content["wall_time_s"] > 0


def test_without_the_network_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "monai", None)
    with pytest.raises(SystemExit, match="pip install monai"):
        arms.main([])
