"""Confusion matrices of two classes and of a thousand, and maps of images."""

from __future__ import annotations

import pytest
import torch

from sslbench import class_colours, confusion_matrix, point_map, small_images, value_colours
from sslbench.draw.colours import CLASSES, DARK, GROUND, MOST_CLASSES, SCALE, palette, perceived
from sslbench.draw.confusion import merged, most_confused
from sslbench.draw.point_map import places


def test_only_classes_that_occur_are_shown_and_of_many_those_with_the_most_mistakes():
    counts = torch.zeros(1000, 1000, dtype=torch.int64)
    counts[3, 3], counts[3, 900] = 5, 1
    assert most_confused(counts) == [3, 900]
    counts.fill_diagonal_(4)
    counts[10:40, 50] = 1
    counts[999, 998] = 9
    chosen = most_confused(counts)
    assert chosen == [3, *range(10, 26), 50, 998, 999]
    table = merged(counts, chosen)
    assert table.shape == (21, 21)
    assert int(table.sum()) == int(counts.sum())
    assert int(table[-1, chosen.index(50)]) == 14
    assert merged(counts[:2, :2], [0, 1]).tolist() == [[4, 0], [0, 4]]


@pytest.mark.parametrize("classes", [1, 2, 10, 1000])
def test_the_matrix_has_a_size_that_can_be_read(classes):
    counts = torch.ones(classes, classes, dtype=torch.int64)
    made = confusion_matrix(counts, [f"a name of a class that is long {number}" for number in range(classes)])
    assert made.dtype == torch.uint8
    assert 60 < min(made.shape[1:]) <= max(made.shape[1:]) < 1000


def test_a_larger_share_is_darker():
    made = confusion_matrix(torch.tensor([[9, 1], [0, 5]]), ["a", "b"]).float().mean(dim=0)
    height, width = made.shape
    corners = [(row, column) for row in (0, 1) for column in (0, 1)]
    cells = [float(made[height - 99 + 48 * row, width - 99 + 48 * column]) for row, column in corners]
    assert cells[3] < cells[0] < cells[1] < cells[2] == 255


def test_a_map_keeps_its_shape_and_points_upwards():
    xy = torch.tensor([[0.0, 0.0], [4.0, 2.0]])
    assert places(xy, 100).tolist() == [[0, 75], [100, 25]]
    assert places(torch.zeros(3, 2), 100).tolist() == [[50, 50]] * 3


@pytest.mark.parametrize("classes", [None, torch.tensor([0, 9, 9])])
@pytest.mark.parametrize("side", [8, 28, 224])
def test_a_map_shows_every_image(classes, side):
    images = torch.full((3, 3, side, side), 77, dtype=torch.uint8)
    made = point_map(torch.tensor([[0.0, 0], [1, 1], [2, 0]]), images, classes, [f"c{n}" for n in range(10)])
    shown = (made == 77).all(dim=0)
    for column in (20, 500, 980):
        assert bool(shown[:, column - 15 : column + 15].any())


def test_small_images_are_square_and_never_larger_than_they_were():
    assert small_images(torch.zeros(2, 3, 64, 64, dtype=torch.uint8), 32).shape == (2, 3, 32, 32)
    assert small_images(torch.zeros(2, 3, 8, 8, dtype=torch.uint8), 32).shape == (2, 3, 8, 8)
    tall = small_images(torch.zeros(1, 3, 64, 32, dtype=torch.uint8), 32)
    assert tall.shape == (1, 3, 32, 32)
    assert tall[0, 0, 0].tolist() == [GROUND[0]] * 8 + [0] * 16 + [GROUND[0]] * 8


def test_values_and_classes_have_colours_and_what_is_unknown_has_another():
    values = value_colours(torch.tensor([[0.0, 1.0, -3.0, float("nan")]]))
    assert [tuple(column) for column in values[:, 0].T.tolist()] == [SCALE[0], SCALE[-1], SCALE[0], GROUND]
    classes = class_colours(torch.tensor([[0, 1, 8, 9, 255]], dtype=torch.uint8))
    assert [tuple(column) for column in classes[:, 0].T.tolist()] == [
        DARK,
        CLASSES[0],
        CLASSES[7],
        palette()[8],
        GROUND,
    ]


def test_no_two_classes_have_one_colour_and_the_first_ones_are_far_apart():
    places = perceived(torch.tensor([DARK, GROUND, *palette()]))
    apart = torch.cdist(places, places).fill_diagonal_(1)
    assert len(palette()) == MOST_CLASSES == len(set(palette()))
    assert float(apart[:22, :22].min()) > 0.13
    assert float(apart[:66, :66].min()) > 0.08
    assert float(apart.min()) > 0.04
    assert float(perceived(torch.tensor([[255, 255, 255]]))[0, 0]) == pytest.approx(1, abs=1e-6)
