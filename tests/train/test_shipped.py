"""Networks that come with the library: plain numbers, their origin, and the run they came from."""

import warnings

import pytest
import torch

from softcut_lib import ConvergenceWarning, SyntheticHorses, trained_model, trained_models
from softcut_lib.train.evaluation import evaluate
from softcut_lib.train.experiments import EXPERIMENTS, load_model, run
from softcut_lib.train.shipped import FOLDER, export_model

HORSES = [name for name in trained_models() if name.startswith("horses")]
STREETS = [name for name in trained_models() if name not in HORSES]


@pytest.mark.parametrize("name", trained_models())
def test_shipped_files_are_small_and_say_where_they_come_from(name):
    size = (FOLDER / f"{name}.safetensors").stat().st_size
    assert size < (100_000 if name in HORSES else 1_000_000)
    network, origin = trained_model(name)
    assert not network.training
    assert len(origin["sessions"][0]["commit"].removesuffix("+changes")) == 40
    assert 0.4 < origin["summary"]["iou"] < 1


def test_those_of_the_before_and_after_figure_were_trained_alike():
    """Apart from the model: same data, seed and options, from a clean commit."""
    models = ("base", "submodular-isotonic", "softcut-published", "softcut-multigrid")
    origins = [trained_model(f"horses-{model}-synthetic")[1] for model in models]
    assert [origin["model"] for origin in origins] == list(models)
    for origin in origins:
        assert origin["options"] == origins[0]["options"] and origin["seed"] == 0
        assert all(len(session["commit"]) == 40 for session in origin["sessions"])


@pytest.mark.slow
@pytest.mark.parametrize("name", STREETS)
def test_the_recorded_score_is_reached_again_on_the_same_tiles(name):
    network, origin = trained_model(name)
    experiment = EXPERIMENTS[origin["experiment"]]
    tiles = experiment.data[origin["data"]].load("test")
    test = evaluate(network, tiles, experiment.objective)
    assert sum(test["iou"]) / len(tiles) == pytest.approx(origin["summary"]["iou"], abs=2e-3)


@pytest.mark.parametrize("name", HORSES)
def test_the_recorded_score_is_what_the_network_reaches(name):
    network, origin = trained_model(name)
    horses = SyntheticHorses("test")
    few = [horses[index] for index in range(12)]
    with warnings.catch_warnings():
        # conductances reach 1e6: in float32 CG may stop above its tolerance, as it did in training
        warnings.simplefilter("ignore", ConvergenceWarning)
        test = evaluate(network, few, EXPERIMENTS[origin["experiment"]].objective)
    mean = sum(test["iou"]) / len(few)
    assert abs(mean - origin["summary"]["iou"]) < 4 * origin["summary"]["iou_bracket"]


def test_an_exported_run_is_the_run(tmp_path):
    options = {"model": "softcut", "epochs": 1, "progress": False, "runs": tmp_path}
    run("horses", profile="fast", **options)
    folder = next((tmp_path / "horses").iterdir())
    network, origin = trained_model(export_model(folder, tmp_path / "net.safetensors"))
    original, config = load_model(folder)
    assert origin["options"] == config["options"]
    for (name, a), b in zip(
        original.state_dict().items(), network.state_dict().values(), strict=True
    ):
        assert torch.equal(a, b), name


def test_errors(tmp_path):
    with pytest.raises(ValueError, match=r"horses-softcut-synthetic.*got 'cats'"):
        trained_model("cats")
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"not a network")
    with pytest.raises(ValueError, match=r"broken.safetensors is no network"):
        trained_model(broken)
    with pytest.raises(ValueError, match=r"must end in .safetensors"):
        export_model(tmp_path, tmp_path / "net.pt")
