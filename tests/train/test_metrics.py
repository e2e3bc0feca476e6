"""Accuracy, mean IoU and the number of figures, as the published code defines them."""

import pytest
import torch

import softcut_lib as sc
from softcut_lib.theorems import losses as theorem
from softcut_lib.train.evaluation import evaluate
from softcut_lib.train.metrics import labeling_iou
from softcut_lib.train.objectives import RevealedPixels


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(2)


def test_dice_and_iou(generator):
    for _ in range(5):
        theorem.dice_and_iou_agree(sc.dice_loss, sc.mean_iou, generator=generator)


def test_iou_by_hand():
    prob = torch.tensor([[[0.9, 0.51, 0.5, 0.1]], [[0.0, 0.0, 0.0, 0.0]]])
    target = torch.tensor([[1, 0, 1, 0], [0, 0, 0, 0]])
    values = sc.mean_iou(prob, target, per_image=True)
    torch.testing.assert_close(values, torch.tensor([1 / 3, 1.0]))  # 0.5 is not above 0.5
    torch.testing.assert_close(sc.mean_iou(prob, target), values.mean())
    assert sc.mean_iou(prob, torch.full_like(target, 255), per_image=True).tolist() == [1, 1]
    nothing = sc.mean_iou(torch.zeros(1, 1, 4), target[:1])
    assert 0 < nothing < 1e-7


def test_multiclass_iou_thresholds_each_map():
    prob = torch.tensor([[[0.4, 0.8], [0.3, 0.1], [0.3, 0.1]]])
    target = torch.tensor([[0, 0]])
    # No map exceeds 0.5 at the first pixel, so label 0 has IoU 1/2; labels 1 and 2 are absent.
    torch.testing.assert_close(sc.mean_iou(prob, target), torch.tensor(2.5 / 3))


def test_a_labeling_is_cut_at_its_largest_map(generator):
    prob = torch.rand(2, 4, 5, 6, generator=generator).softmax(1)
    target = torch.randint(0, 4, (2, 5, 6), generator=generator)
    target[0, 0] = 255
    hard = torch.nn.functional.one_hot(prob.argmax(1), 4).movedim(-1, 1).bool()
    values = labeling_iou(prob, target, per_image=True)
    torch.testing.assert_close(values, sc.mean_iou(hard, target, per_image=True))
    torch.testing.assert_close(labeling_iou(hard, target), values.mean())
    assert float(sc.mean_iou(prob, target)) < 0.5 * float(values.mean()), "none is above 1/2"
    single = torch.rand(2, 1, 5, 6, generator=generator)
    mask = target.clamp(max=1)
    torch.testing.assert_close(labeling_iou(single, mask), sc.mean_iou(single, mask))


@pytest.mark.parametrize("metric", [sc.accuracy, sc.mean_iou])
@pytest.mark.parametrize("labels", [1, 3])
def test_void_is_left_out(metric, labels, generator):
    prob = torch.rand(3, labels, 4, 5, generator=generator)
    target = torch.randint(0, max(labels, 2), (3, 4, 5), generator=generator)
    target[:, :, 3:] = 255
    whole = metric(prob, target, per_image=True)
    torch.testing.assert_close(whole, metric(prob[..., :3], target[..., :3], per_image=True))
    torch.testing.assert_close(metric(prob, target), whole.mean())


def test_accuracy_by_hand():
    """One map against its threshold, where 0.5 is not above 0.5; several by the largest."""
    one = torch.tensor([[[0.9, 0.5, 0.4, 0.1]]])
    assert sc.accuracy(one, torch.tensor([[1, 0, 1, 255]])) == pytest.approx(2 / 3)
    three = torch.tensor([[[0.4, 0.2, 0.1, 0.3], [0.3, 0.5, 0.2, 0.3], [0.3, 0.3, 0.7, 0.4]]])
    assert sc.accuracy(three, torch.tensor([[0, 1, 2, 0]])) == 0.75


@pytest.mark.parametrize("labels", [1, 3])
def test_a_networks_decoder_makes_the_masks_that_are_tested(labels, generator):
    """The loss stays that of the probabilities, `decode` gives the rest."""
    shape = (1, labels, 6, 5)
    scores, wanted = (torch.rand(shape, generator=generator) for _ in range(2))
    mask = (wanted > 0.5).long()[:, 0] if labels == 1 else wanted.argmax(1)
    net = sc.CutNet(lambda image: (scores, []), decode=lambda scores, weights: mask)
    item = {
        "image": torch.zeros(3, 6, 5),
        "target": torch.randint(0, max(labels, 2), (6, 5), generator=generator),
        "name": "a",
    }
    row = evaluate(net, [item], RevealedPixels())
    chosen = mask[:, None] if labels == 1 else torch.nn.functional.one_hot(mask).movedim(-1, 1)
    assert row["iou"] == [float(sc.mean_iou(chosen.bool(), item["target"][None]))]
    loss = RevealedPixels().evaluation(net(item["image"][None]), item["target"][None])
    assert row["loss"] == [float(loss)]


def test_metrics_take_masks_and_do_not_track(generator):
    prob = torch.rand(2, 1, 6, 6, generator=generator, requires_grad=True)
    target = torch.randint(0, 2, (2, 6, 6), generator=generator)
    for metric in (sc.accuracy, sc.mean_iou):
        soft = metric(prob, target, threshold=0.3)
        assert not soft.requires_grad
        torch.testing.assert_close(soft, metric(prob > 0.3, target))
    assert sc.count_figures(prob) == sc.count_figures(prob > 0.5)


def test_accuracy_misleads():
    target = (torch.arange(1000) < 10).long()[None]
    nothing = torch.zeros(1, 1, 1000)
    torch.testing.assert_close(sc.accuracy(nothing, target), torch.tensor(0.99))
    assert sc.mean_iou(nothing, target) < 1e-6
    with pytest.raises(ValueError, match="image 1"):
        sc.accuracy(torch.rand(2, 1, 3), torch.tensor([[0, 1, 0], [255, 255, 255]]))


def test_figures(generator):
    theorem.figures_are_counted(sc.count_figures, generator=generator)


def test_figures_of_images_and_labels():
    prob = torch.zeros(2, 1, 5, 5)
    prob[0, 0, ::2, ::2] = 1
    assert sc.count_figures(prob, per_image=True).tolist() == [9, 0]
    assert sc.count_figures(prob) == 4.5
    two = torch.cat([1 - prob, prob], 1)
    assert sc.count_figures(two, per_image=True).tolist() == [10, 1]
    assert sc.count_figures(two, per_image=True, background=False).tolist() == [9, 0]


def test_figures_in_other_dimensions():
    line = torch.tensor([1, 1, 0, 1, 0, 1]).bool()
    assert sc.count_figures(line[None, None]) == 3
    volume = torch.eye(3).bool()[:, :, None] & torch.tensor([True, False, True])
    assert sc.count_figures(volume[None, None]) == 2


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (([0.5],), TypeError, "torch.Tensor"),
        ((torch.ones(1, 1, 2).long(),), TypeError, "call .float()"),
        ((torch.ones(1, 2),), ValueError, r"\(B, L, \*grid\)"),
        ((torch.full((1, 1, 2), 9.0),), ValueError, "sigmoid"),
    ],
)
def test_refusals(arguments, error, words):
    for metric in (sc.accuracy, sc.mean_iou):
        with pytest.raises(error, match=words):
            metric(*arguments, torch.zeros(1, 2).long())
    with pytest.raises(error, match=words):
        sc.count_figures(*arguments)


def test_threshold_is_checked():
    prob, target = torch.rand(1, 1, 2), torch.zeros(1, 2).long()
    with pytest.raises(ValueError, match="threshold"):
        sc.mean_iou(prob, target, threshold=1.0)
    with pytest.raises(TypeError, match="threshold"):
        sc.accuracy(prob, target, threshold="high")
