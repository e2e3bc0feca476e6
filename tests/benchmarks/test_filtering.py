"""The benchmark of Gaussian filtering measures what it says, beside its accuracy."""

import importlib.util
import json

import pytest
import torch

import softcut_lib as sc
from benchmarks import filtering
from softcut_lib.affinity.features import pixel_features
from softcut_lib.affinity.tables import build_tables

SIZE = (12, 15)


def test_a_run_writes_its_rows(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SOFTCUT_RUNS", str(tmp_path))
    monkeypatch.setattr(filtering, "missing", lambda: "pydensecrf2 is not installed: pip install")
    threads = torch.get_num_threads()
    file = tmp_path / "filtering.json"
    try:
        filtering.main(
            [
                "--quick",
                "--sizes",
                "12x15",
                "--threads",
                "1",
                "--seconds",
                "0.001",
                "--output",
                str(file),
            ]
        )
    finally:
        torch.set_num_threads(threads)
    assert "left out: pydensecrf2" in capsys.readouterr().out
    found = json.loads(file.read_text())
    ours = {m.name for m in filtering.METHODS if m.ours}
    rows = found["rows"]
    assert {r["method"] for r in rows} == ours
    assert len(rows) == len(ours) * len(filtering.LABELS) * 2
    assert all(r["seconds"]["median"] > 0 for r in rows)
    exact = [r for r in rows if r["method"] == "dense"]
    assert all(r["filter_error"] < 1e-5 and r["gradient_cosine"] > 0.99999 for r in exact)
    assert found["sessions"][-1]["commit"] and found["machine"]["processor"]


def test_exact_rows_are_rows_of_the_exact_kernel():
    image = filtering.photograph(SIZE)
    maps = filtering.segmentation(image, 3)
    assert torch.equal(maps.sum(1), torch.ones(1, *SIZE)) and (maps.sum((2, 3)) > 0).all()
    some = torch.tensor([3, 100, 17])
    product, degree = filtering.exact_rows(image, maps, some)
    exact = sc.DenseAffinity(image, **filtering.SIGMAS)
    torch.testing.assert_close(product, exact.matmul(maps).flatten(2)[..., some])
    torch.testing.assert_close(degree, exact.degree.flatten(2)[..., some])


@pytest.mark.skipif(
    importlib.util.find_spec("pydensecrf") is None, reason="pip install pydensecrf2"
)
def test_the_peer_s_lattice_is_read_from_its_probabilities():
    """The lattice of chapter 14 agrees with an independent implementation, up to its factor.

    The peer's features are x, y, red, green, blue, not centred: another place in the lattice.
    """
    image = filtering.photograph((48, 60)).round()
    maps = filtering.segmentation(image, 2)
    peer = filtering.Peer(image)
    points = pixel_features(image, **filtering.SIGMAS).flatten(1, -2)
    lattice = build_tables(points[..., [4, 3, 0, 1, 2]].mT)
    forth = [list(range(6))]
    for theirs, signal in ((peer.matmul(maps), maps), (peer.degree, torch.ones(1, 1, 48, 60))):
        own = lattice.multiply(signal.flatten(2), forth, 1 / 4, torch.ones(1)).view_as(theirs)
        factor = (theirs * own).sum() / own.square().sum()
        assert (theirs - factor * own).norm() < 0.001 * theirs.norm()
