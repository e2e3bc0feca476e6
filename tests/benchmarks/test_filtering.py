"""The benchmark of Gaussian filtering measures what it says, beside its accuracy."""

import importlib.util
import json
import sys

import pytest
import torch

import softcut_lib as sc
from benchmarks import filtering, loss_step
from softcut_lib.affinity.features import pixel_features
from softcut_lib.affinity.tables import build_tables

SIZE = (12, 15)


def test_a_run_writes_its_rows(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SOFTCUT_RUNS", str(tmp_path))
    for name in ("pydensecrf", "pykeops"):
        monkeypatch.setitem(sys.modules, name, None)
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
                "--no-loss",
                "--output",
                str(file),
            ]
        )
    finally:
        torch.set_num_threads(threads)
    told = capsys.readouterr().out
    assert "left out: pydensecrf2" in told and "left out: KeOps is not installed" in told
    found = json.loads(file.read_text())
    ours = {m.name for m in filtering.METHODS if not m.missing()}
    assert {"lattice, sym", "dense"} <= ours and filtering.PEER not in ours
    rows = found["rows"]
    assert {r["method"] for r in rows} == ours
    assert len(rows) == len(ours) * len(filtering.LABELS) * 2
    assert all(r["seconds"]["median"] > 0 for r in rows)
    exact = [r for r in rows if r["method"] == "dense"]
    assert all(r["filter_error"] < 1e-5 and r["gradient_cosine"] > 0.99999 for r in exact)
    assert found["sessions"][-1]["commit"] and found["machine"]["processor"]


def test_a_loss_is_timed_beside_the_steps_of_networks():
    small = {"SmallUNet": lambda labels: sc.SmallUNet(out_channels=labels, width=8)}
    threads = torch.get_num_threads()
    try:
        rows = list(loss_step.shares((16, 20), 1, seconds=0.001, networks=small, peer=False))
    finally:
        torch.set_num_threads(threads)
    kinds = [(row["part"], row["name"], row["labels"]) for row in rows]
    parts = (("step", "SmallUNet"), ("loss", "ours, all of it"))
    assert kinds == [(*part, labels) for labels in (2, 21) for part in parts]
    assert all(row["seconds"]["median"] > 0 and row["size"] == [16, 20] for row in rows)


def test_the_parts_timed_are_a_step_and_a_loss():
    """A step changes the network, and the loss gives the gradient that autograd gives."""
    image = filtering.photograph(SIZE)
    target = filtering.segmentation(image, 2).argmax(1)
    nets = []

    def build(labels):
        nets.append(sc.SmallUNet(out_channels=labels, width=8, levels=1))
        return nets[-1]

    step = loss_step.training_step(build, image, target, 2)
    before = [p.clone() for p in nets[0].parameters()]
    step()
    assert not any(torch.equal(a, b) for a, b in zip(before, nets[0].parameters()))
    draw = torch.Generator().manual_seed(0)
    scores = torch.randn(1, 2, *SIZE, generator=draw).requires_grad_()
    affinity = sc.LatticeAffinity(image, **filtering.SIGMAS)
    sc.normalized_cut_loss(scores.softmax(1), affinity).backward()
    torch.testing.assert_close(loss_step.whole_loss(image, scores)(), scores.grad)


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
