"""Grids of images: whole pixels of small images, marks that colour alone does not carry, and never too large."""

from __future__ import annotations

import pytest
import torch

from sslbench import Tile, TileRow, grid, tile_rows
from sslbench.draw.canvas import LARGEST, fitted, png_of, tile_side
from sslbench.draw.colours import BLUE, VERMILION
from sslbench.draw.words import drawable, drawable_names, shortened_to, width_of


def image(side=8, value=100):
    return torch.full((3, side, side), value, dtype=torch.uint8)


@pytest.mark.parametrize(("side", "tile"), [(1, 80), (8, 80), (28, 84), (32, 96), (64, 64), (96, 96), (224, 96)])
def test_a_tile_is_a_whole_multiple_of_a_small_image(side, tile):
    assert tile_side(side) == tile


def test_small_images_keep_their_pixels_and_all_keep_their_shape():
    small = torch.tensor([[[0, 255], [255, 0]]], dtype=torch.uint8)
    large = torch.from_numpy(__import__("numpy").array(fitted(small, 8)))
    assert large.shape == (8, 8, 3)
    assert set(large.flatten().tolist()) == {0, 255}
    assert fitted(torch.zeros(3, 10, 40, dtype=torch.uint8), 80).size == (80, 20)
    assert fitted(torch.zeros(3, 4000, 1, dtype=torch.uint8), 80).size == (1, 80)


def test_a_grid_has_its_tiles_row_by_row():
    made = grid([Tile(image(value=value)) for value in (10, 20, 30)], columns=2)
    assert (made.dtype, made.shape[0]) == (torch.uint8, 3)
    first, second, third = made[0, 20, 20], made[0, 20, 20 + 88], made[0, 20 + 88, 20]
    assert [int(pixel) for pixel in (first, second, third)] == [10, 20, 30]
    assert int(made[0, 20 + 88, 20 + 88]) == 255


@pytest.mark.parametrize(("mark", "colour"), [("right", BLUE), ("wrong", VERMILION)])
def test_a_mark_is_a_frame_and_a_sign(mark, colour):
    plain, marked = (grid([Tile(image(), mark=one)], columns=1) for one in ("", mark))
    assert tuple(marked[:, 9, 9].tolist()) == colour
    other = grid([Tile(image(), mark="wrong" if mark == "right" else "right")], columns=1)
    shapes = [(made[:, 8:26, 70:88] == 255).all(dim=0) for made in (marked, other)]
    assert shapes[0].any()
    assert not torch.equal(*shapes)
    assert not torch.equal(plain, marked)


def test_rows_have_words_in_front_and_headings_above_and_free_places():
    rows = [TileRow([Tile(image(), "one"), None], "first"), TileRow([None, Tile(image())], "second")]
    bare = tile_rows([TileRow(row.tiles) for row in rows])
    full = tile_rows(rows, ["left", "right"])
    assert full.shape[1] > bare.shape[1]
    assert full.shape[2] > bare.shape[2]


def test_what_does_not_fit_is_made_smaller_or_left_out():
    wide = tile_rows([TileRow([Tile(image())] * 60)])
    long = tile_rows([TileRow([Tile(image(), "title")])] * 60)
    assert max(wide.shape) <= LARGEST
    assert max(long.shape) <= LARGEST
    assert grid([], 3).shape == (3, 8, 8)


def test_the_same_tiles_make_the_same_file():
    tiles = [Tile(image(value=value), f"class {value}", "right") for value in range(0, 200, 20)]
    assert png_of(grid(tiles, 4)) == png_of(grid(tiles, 4))


def test_words_that_the_font_has_not_are_not_drawn_as_boxes():
    assert drawable("Köln \u2013 Ærø") == "Koln - Aero"
    assert drawable("猫 cat\n") == "? cat?"
    assert drawable_names(["Café", "猫", "", "dog"], 6) == ["Cafe", "class 1", "class 2", "dog", "class 4", "class 5"]
    short = shortened_to("a very long name of a class", 60)
    assert short.endswith("…")
    assert width_of(short) <= 60
    assert shortened_to("short", 60) == "short"
