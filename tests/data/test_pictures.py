"""Label tables and connected pieces, the parts that the road-scene loaders share."""

import numpy as np
import pytest

from softcut_lib.data.pictures import UNKNOWN, chosen_classes, label_table, pieces, to_target

IDS = {"sky": 0, "car": 3, "person": 4, "dirt": 7}


def test_the_table_numbers_the_chosen_classes_in_their_order():
    table = label_table(IDS, chosen_classes(("person", "car"), IDS), {7})
    assert [table[k] for k in (0, 3, 4, 7)] == [0, 2, 1, 255]
    assert set(table[[1, 2, 5, 6, 8, 255]]) == {UNKNOWN}


def test_a_void_label_that_is_chosen_is_a_class():
    assert label_table(IDS, ("background", "dirt"), {7})[7] == 1


def test_without_background_the_other_labels_are_void():
    assert [label_table(IDS, ("sky", "car"), {7})[k] for k in (0, 3, 4, 7)] == [0, 1, 255, 255]


@pytest.mark.parametrize(
    ("error", "classes"),
    [(ValueError, ("tree",)), (ValueError, ()), (ValueError, ("car", "car")), (TypeError, "car")],
)
def test_wrong_classes_are_refused(error, classes):
    with pytest.raises(error, match="classes must be"):
        chosen_classes(classes, IDS)


def test_labels_outside_the_table_are_counted_and_named():
    labels = np.array([[0, 3, 9], [9, 12, 4]], np.uint8)
    with pytest.raises(ValueError, match=r"x.png.*outside the table: 9 \(2 pixels\), 12 \(1 pix"):
        to_target(labels, label_table(IDS, ("background", "car"), ()), "x.png", "")


@pytest.mark.parametrize("labels", [np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2), np.int32)])
def test_label_pictures_of_another_form_are_refused(labels):
    with pytest.raises(ValueError, match="x.png' must be an 8-bit picture"):
        to_target(labels, label_table(IDS, ("background", "car"), ()), "x.png", "")


def test_pieces_touch_at_corners():
    mask = np.array([[1, 0, 0, 1], [0, 1, 0, 0], [0, 0, 0, 1]], bool)
    found = pieces(mask)
    assert found.max() == 3 and found[0, 0] == found[1, 1] and not found[~mask].any()
