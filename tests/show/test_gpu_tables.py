"""Tables of the GPU benchmark say what its file says."""

import pytest

from softcut_lib.show.gpu_tables import arms_table, gpu_steps_table, gpu_words


def step(way, seconds, dtype="float32", **more):
    form = {"batch": 8, "labels": 1, "grid": [4, 5], "dtype": dtype}
    return {"what": "step", "method": way, "seconds_per_step": seconds, **form, **more}


STEPS = [
    {"what": "copy"},
    step("torch", 8e-4), step("fused", 1e-4), step("fused, graphs", 2e-5, share_of_copy=0.5),
    step("torch", 9e-4, "float64"),  # the lease ended here
]  # fmt: skip
GRAPHS = [{"batch": 8, "labels": 1, "grid": [4, 5], "graphs_are_faster_by": 3.0}]
CONTENT = {"steps": STEPS, "graphs": GRAPHS, "machine": {"processor": "a GPU"}}


def test_steps_are_shown_where_all_ways_were_measured():
    (line,) = gpu_steps_table(CONTENT).rows
    assert line == ["8 x 1 of 4 x 5", "float32", "800.0", "100.0", "20.0", "0.50", "3.0"]
    assert gpu_words(CONTENT).startswith("A fused step is 8.0 to 8 times as fast")
    assert "5.0 to 5 times as fast again" in gpu_words(CONTENT)
    assert gpu_words(CONTENT).endswith("take 100 us one by one, 20 us from a graph.")


@pytest.mark.parametrize("content", [{}, {"steps": []}, {"steps": STEPS[:2]}])
def test_a_file_without_steps_says_so(content):
    content = {**content, "machine": CONTENT["machine"]}
    assert gpu_words(content) == "The file holds no step."
    assert gpu_steps_table(content).rows == []


def test_a_row_of_the_arms_is_told_beside_the_thesis():
    one = {"experiment": "sign", "size": [8, 3, 128, 128], "step_seconds": {"median": 0.02}}
    rows = [
        {**one, "model": "base", "times_base": 1.0},
        {**one, "model": "cut", "times_base": 2.5, "forward_steps_max": 30, "adjoint_steps_max": 1},
    ]
    content = {"arms": rows, "machine": {"processor": "a GPU"}}
    first, second = arms_table(content, printed={"sign": {"cut": 12.0}}).rows
    assert first[1:3] == ["8 of 128 x 128", "base"] and first[-2:] == ["-", "-"]
    assert second[-3:] == ["2.50", "12.0", "30 / 1"]
    assert "a GPU" in arms_table(content).caption
