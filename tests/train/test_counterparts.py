"""The normalized cut paper beside ours: every printed number has a line, a value or a command."""

import pytest

from softcut_lib import show
from softcut_lib.cli import build_parser
from softcut_lib.train.counterparts import (
    DATA,
    beside_paper,
    by_network,
    energies_beside_paper,
    measured,
    shares,
    to_fill,
)
from softcut_lib.train.experiments import EXPERIMENTS
from softcut_lib.train.results import papers

PRINTED = [e for e in papers()["results"] if e["source"] == "tang2018normalized"]


def file(experiment, data, *rows, **columns):
    return {"experiment": experiment, "data": data, "rows": [
        {"model": model, "seed": seed, "test": {"iou": [iou, iou], **columns}}
        for model, seed, iou in rows
    ]}  # fmt: skip


@pytest.mark.parametrize("table", [1, 2, 3])
def test_every_printed_number_has_a_line_and_a_command(table):
    lines = beside_paper(table, [])
    numbers = [(e["row"], e["metric"], e["value"]) for e in PRINTED if e["table"] == table]
    assert [(x["row"], x["metric"], x["printed"]) for x in lines] == numbers
    wanted = {(*pair, data) for x in lines for data, pair in x["models"].items() if pair}
    given = set()
    for command in to_fill(lines):
        arguments = build_parser().parse_args(command.split()[1:])
        assert arguments.data in EXPERIMENTS[arguments.experiment].data
        given |= {(arguments.experiment, m, arguments.data) for m in arguments.models}
    assert given == wanted
    assert all(m in EXPERIMENTS[name].models for name, m, _ in wanted)
    assert all(x["models"]["voc"] for x in lines if "VGG16" not in x["row"])


def test_rows_are_what_their_names_say():
    """The supervision of a counterpart is that of the printed row."""
    told = {}
    for line in beside_paper(1, []) + beside_paper(2, []):
        experiment, model = line["models"]["weizmann"]
        net = EXPERIMENTS[experiment].models[model].build()
        branches = len(getattr(net.net, "branches", ()))
        told[line["row"]] = net.supervision, branches, EXPERIMENTS[experiment].decode
    for row, (supervision, branches, decode) in told.items():
        assert (supervision.regularizer == "normalized-cut") == (
            "NC" in row and "without" not in row
        ), row
        assert (supervision.absent > 0) == ("NEL" in row), row
        assert (supervision.shown == "masks") == (row == "full masks"), row
        if row.startswith("pCE"):
            assert (branches > 0) == ("multi-scale" in row), row
            assert (decode == "mean_field") == row.endswith("CRF"), row


def test_values_are_means_over_the_seeds_and_pooled_where_recorded():
    horses = file("scribbles", "weizmann", ("unet-pce", 0, 0.6), ("unet-pce", 1, 0.8))
    found = measured([horses], "scribbles", "unet-pce")
    assert found["iou"] == pytest.approx(0.7) and found["seeds"] == [0, 1]
    assert found["spread"] == pytest.approx(0.1414, abs=1e-3) and not found["pooled"]
    voc = file("scribbles-voc", "voc", ("atrous-pce", 0, 0.9), both=[[1, 0], [1, 2]],
               either=[[2, 4], [2, 4]])  # fmt: skip
    found = measured([voc], "scribbles-voc", "atrous-pce")
    assert found["iou"] == pytest.approx((0.5 + 0.25) / 2) and found["pooled"]
    assert measured([voc], "scribbles-voc", "atrous-nc") is None
    trial = file("scribbles", "weizmann", ("unet-pce", 1, 0.1))
    with pytest.raises(ValueError, match="files: several hold unet-pce of scribbles, seed 1"):
        measured([horses, trial], "scribbles", "unet-pce")
    line = next(x for x in beside_paper(2, [horses, voc]) if x["metric"] == "miou_before_crf"
                and x["row"] == "joint loss without NC")  # fmt: skip
    assert line["ours"]["weizmann"]["iou"] == pytest.approx(0.7) and line["ours"]["camvid"] is None


def test_tables_are_empty_where_nothing_was_run():
    horses = file("scribbles", "weizmann", ("unet-pce", 0, 0.6), ("unet-pce", 1, 0.8))
    lines = beside_paper(2, [horses])
    rows = {(r[0], r[1]): r for r in show.paper_table(lines).rows}
    key = ("joint loss without NC", "mIoU before CRF post-processing")
    assert rows[key][2:] == ["0.560", "", "0.700 (0.141), 2", ""]
    commands = [row[0] for row in show.fill_table(lines).rows]
    assert not any("unet-pce" in c and "reproduce scribbles --data weizmann" in c for c in commands)
    assert all(
        r[3:] == ["none"] * 3 for r in show.paper_table(beside_paper(3, [])).rows if "VGG" in r[0]
    )


def test_shares_of_full_supervision():
    atrous = file("scribbles", "weizmann", ("atrous-masks", 0, 0.8), ("atrous-pce", 0, 0.6))
    found = {(x["row"], x["metric"]): x for x in shares(beside_paper(3, [atrous]))}
    line = found["DeepLab-MSc-largeFOV", "miou_scribbles_without_nc"]
    assert line["ours"]["weizmann"] == pytest.approx(0.75) and line["ours"]["voc"] is None
    full, part = (next(e["value"] for e in PRINTED if e["row"] == line["row"] and e["metric"] == m)
                  for m in ("miou_full", "miou_scribbles_without_nc"))  # fmt: skip
    assert line["printed"] == pytest.approx(part / full)
    rows = show.shares_table(found.values()).rows
    assert [r for r in rows if r[4] == "75%"] and set(DATA) == set(line["ours"])


def test_shares_of_our_networks():
    runs = [("unet-masks", 0, 0.8), ("unet-pce", 0, 0.62), ("unet-pce", 1, 0.8),
            ("softcut-nc", 0, 0.5)]  # fmt: skip
    found = by_network(file("scribbles", "weizmann", *runs))
    assert set(found) == {"unet", "softcut"} and set(found["unet"]) == {"masks", "pce"}
    assert found["unet"]["pce"]["share"] == pytest.approx(0.71 / 0.8)
    assert found["softcut"]["nc"]["share"] is None  # nothing to compare with
    rows = {row[0]: row[1:] for row in show.network_table(found).rows}
    assert rows["small U-Net"] == ["0.800", "0.710, 89%", "-", "1 to 2"]
    assert rows["small U-Net and edge net, soft cut"] == ["-", "-", "0.500", "1"]
    assert by_network(None) == {}
    assert show.network_table({}).rows == [["no recorded runs in this copy"]]


def clustered(experiment, data, net):
    """A file of two seeds of the three rows, whose energies say row, column, seed and image."""
    rows = []
    for k, way in enumerate(("masks", "only-nc", "only-kmeans")):
        for seed in (0, 1):
            columns = {
                column: [scale * (1 + k + seed / 4 + image / 8) for image in range(3)]
                for column, scale in (("normalized_cut", 0.25), ("kmeans", 1000.0),
                                      ("normalized_cut_algorithm", 0.125),
                                      ("kmeans_algorithm", 500.0))
            }  # fmt: skip
            energies = {"name": ["a", "b", "c"], **columns}
            rows.append({"model": f"{net}-{way}", "seed": seed, "clustering": energies})
    return {"experiment": experiment, "data": data, "rows": rows}


def test_the_energies_of_figure_5_stand_beside_the_networks_that_cluster():
    printed = {e["row"]: e["value"] for e in PRINTED if e["table"] == "figure 5"}
    msra = clustered("clustering-msra", "msra", "atrous-plain")
    lines = energies_beside_paper([msra])
    assert {x["row"]: x["printed"] for x in lines} == printed and len(printed) == 6
    found = {x["row"]: x["ours"]["msra"]["energy"] for x in lines}
    middle = 1 / 4  # what seed and image add to the row's number, on average
    assert found == pytest.approx({
        "K-means before": 1000 * (1 + middle), "K-means after": 1000 * (3 + middle),
        "K-means algorithm": 500 * (3 + middle), "NC before": 0.25 * (1 + middle),
        "NC after": 0.25 * (2 + middle), "NC algorithm": 0.125 * (2 + middle),
    })  # fmt: skip
    for line in lines:
        for experiment, model in line["models"].values():
            assert model in EXPERIMENTS[experiment].models
        ours = line["ours"]["msra"]
        assert ours["seeds"] == [0, 1] and ours["images"] == 3 and line["ours"]["weizmann"] is None
    cells = {row[0]: row[1:] for row in show.energies_table(lines).rows}
    assert cells["NC after"] == ["0.11", "0.562 (0.044), 2, 3", ""]
    assert cells["K-means before"] == ["3406", "1250 (177), 2, 3", ""]
    models = "--models unet-masks unet-only-kmeans unet-only-nc --seeds 0 1 2"
    assert to_fill(lines) == [f"softcut reproduce scribbles-clustering --data weizmann {models}"]
    (command,) = [c for c in to_fill(energies_beside_paper([])) if "msra" in c]
    arguments = build_parser().parse_args(command.split()[1:])
    assert set(arguments.models) == set(EXPERIMENTS[arguments.experiment].models)
    assert arguments.data in EXPERIMENTS[arguments.experiment].data
