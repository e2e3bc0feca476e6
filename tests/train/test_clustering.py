"""Energies of clusterings: the algorithms against the network, and against each other."""

from types import SimpleNamespace

import pytest
import torch

from softcut_lib import toy_scene
from softcut_lib.train.clustering import clustering_energies, held_out_energies


def items(count=2):
    found = []
    for k in range(count):
        generator = torch.Generator().manual_seed(k)
        image, target = toy_scene("disc", size=(24, 32), generator=generator)
        found.append({"image": image, "target": target, "name": f"disc{k}"})
    return found


def fixed(prob):
    return lambda image: SimpleNamespace(prob=prob)


def test_the_algorithms_are_below_a_poor_network():
    data = items()
    halves = torch.zeros(1, 1, 24, 32)
    halves[..., 16:] = 1
    found = clustering_energies(fixed(halves), data, sigma_color=60, sigma_space=10)
    assert found["name"] == ["disc0", "disc1"]
    for k in range(2):
        assert found["kmeans_algorithm"][k] < 0.6 * found["kmeans"][k]
        assert found["normalized_cut_algorithm"][k] < found["normalized_cut"][k]


def test_k_means_energies_are_the_spread_about_the_means():
    (item,) = items(1)
    prob = item["target"][None, None].float()
    found = clustering_energies(fixed(prob), [item], sigma_color=60)
    colors = 255 * item["image"].flatten(1).double()
    inside = item["target"].flatten() == 1
    spread = sum(
        (c - c.mean(1, keepdim=True)).square().sum()
        for c in (colors[:, inside], colors[:, ~inside])
    )
    assert found["kmeans"][0] == pytest.approx(float(spread) / colors.shape[1], rel=1e-4)


def test_one_channel_is_two_clusters():
    (item,) = items(1)
    prob = item["target"][None, None].float()
    one = clustering_energies(fixed(prob), [item])
    two = clustering_energies(fixed(torch.cat([1 - prob, prob], 1)), [item])
    assert one == two


def test_the_answer_repeats_and_options_are_checked():
    data = items(1)
    prob = torch.rand(1, 3, 24, 32, generator=torch.Generator().manual_seed(0)).softmax(1)
    assert clustering_energies(fixed(prob), data) == clustering_energies(fixed(prob), data)
    with pytest.raises(ValueError, match="starts"):
        clustering_energies(fixed(prob), data, starts=0)


class Bright(torch.nn.Module):
    """Says which pixels are brighter than a level that lies where the network lies."""

    def __init__(self):
        super().__init__()
        self.level = torch.nn.Parameter(torch.tensor(0.5))

    def forward(self, image):
        return SimpleNamespace(prob=(image.mean(1, keepdim=True) > self.level).float())


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_held_out_energies_are_those_of_both_splits(device):
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    sets = {"val": items(2), "test": items(3)[2:]}
    network = Bright().to(device)
    every = held_out_energies(network, sets)["clustering"]
    assert every.pop("split") == ["val", "val", "test"]
    assert every == clustering_energies(Bright(), [*sets["val"], *sets["test"]])
    few = held_out_energies(network, sets, count=1)["clustering"]
    assert few.pop("split") == ["val", "test"]
    assert few == {name: [values[0], values[2]] for name, values in every.items()}
