"""Grids of images: whole pixels of small images, marks that colour alone does not carry, and never too large."""

from __future__ import annotations

import re

import pytest
import torch

from sslbench import Tile, TileRow, grid, tile_rows
from sslbench.contracts.picture_checks import LARGEST, LONGEST_CAPTION
from sslbench.draw.canvas import fitted, png_of, tile_side
from sslbench.draw.colours import BLUE, PAPER, VERMILION
from sslbench.draw.legend import LINE, MOST_LINES, placed_legend
from sslbench.draw.words import drawable, drawable_names, shortened, shortened_to, width_of, with_names


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


def test_more_columns_than_pixels_are_drawn_a_pixel_each():
    row = TileRow([Tile(torch.zeros(3, 4, 4, dtype=torch.uint8))] * 400)
    assert tile_rows([row]).shape == (3, 17, 8 + 400 * 9)


def test_the_same_tiles_make_the_same_file():
    tiles = [Tile(image(value=value), f"class {value}", "right") for value in range(0, 200, 20)]
    assert png_of(grid(tiles, 4)) == png_of(grid(tiles, 4))


def test_words_that_the_font_has_not_are_not_drawn_as_boxes():
    assert drawable("Köln \u2013 Ærø") == "Koln - Aero"
    assert drawable("猫 cat\n") == "? cat?"
    assert drawable_names(["Café", "猫", "", "dog"], 6) == ["Cafe", "class 1", "class 2", "dog", "class 4", "class 5"]


def test_a_long_name_keeps_both_ends():
    short, other = (shortened_to(f"a very long name of a class {end}", 80) for end in ("one", "two"))
    assert re.fullmatch("a v.*….*one", short)
    assert short != other
    assert width_of(short) <= 80
    assert shortened_to("short", 60) == "short"
    assert shortened_to("anything", 1) == ""
    whole = "abcdefghij"
    by_length = [shortened(whole, lambda text, most=most: len(text) <= most) for most in (10, 9, 2, 1)]
    assert by_length == [whole, "abcde…hij", "a…", ""]


NAMES = ["Café", "Cafe", "猫", "", "what?", "class 2"]


def test_a_class_has_a_word_of_its_own_and_a_caption_says_what_it_stands_for():
    assert drawable_names(NAMES, 7) == ["class 0", "Cafe", "class #2", "class 3", "what?", "class 2", "class 6"]
    told = "Names that the picture cannot write: class 0 is Café, class #2 is 猫."
    assert with_names("Seen.", NAMES, [2, 0, 1, 3, 4, 5, 2, 6, -1]) == f"Seen. {told}"
    assert with_names("Seen.", NAMES, [1, 3, 4, 5]) == "Seen."
    assert with_names("Seen.", [], [0]) == "Seen."


def test_a_caption_names_as_many_classes_as_it_has_room_for_and_counts_the_others():
    names = [f"класс {number}" for number in range(1000)]
    caption = with_names("Seen.", names, range(1000))
    assert LONGEST_CAPTION - 30 < len(caption) <= LONGEST_CAPTION
    named, more = re.fullmatch(r"Seen\. Names that the picture cannot write: (.*) and (\d+) more\.", caption).groups()
    assert named.startswith("class 0 is класс 0, class 1 is класс 1, ")
    assert len(named.split(", ")) + int(more) == 1000
    assert with_names("s" * 990, names, [3]) == "s" * 990


def test_a_legend_that_is_too_long_says_how_many_are_left_out():
    entries = [((number, 0, 0), f"class {number}") for number in range(250)]
    placed = placed_legend(entries, 150)
    *shown, (colour, words, _, line) = placed
    assert (colour, words, line) == (PAPER, f"and {250 - len(shown)} more", MOST_LINES - 1)
    assert [word for _, word, _, _ in shown] == [word for _, word in entries[: len(shown)]]
    assert len(placed_legend(entries[:MOST_LINES], 100)) == MOST_LINES
    made = tile_rows([TileRow([Tile(image())] * 3)] * 5, side=96, legend=entries)
    assert max(made.shape) <= LARGEST


def test_rows_without_a_place_are_counted_in_the_picture():
    row = TileRow([Tile(image(value=255), "")])
    long = tile_rows([row] * 60)
    shown = (long.shape[1] - 8 - LINE) // 88
    assert shown < 60
    assert bool((long[:, -LINE:] < 200).any())
    assert not bool((tile_rows([row] * 20)[:, -LINE:] < 200).any())
