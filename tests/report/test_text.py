from __future__ import annotations

import pytest

from sslbench.report.screen import PAGE, Page, width_of
from sslbench.report.text import Column, fitted, hanging, listing, markdown, split_header, terminal, wrapped


def test_words_are_left_and_numbers_right():
    text = terminal([Column("name", ["a", "longer"]), Column("n", ["1", "100"], number=True)], 2, False)
    assert text.split("\n") == ["name      n", "------  ---", "a         1", "longer  100"]


def test_a_header_longer_than_its_cells_is_broken_at_the_best_place():
    text = terminal([Column("few_label_top1@2", ["0.5"], number=True), Column("x", ["yes"])], 1, True)
    assert text.split("\n") == ["few_label", "   top1@2 x", "--------- ---", "      0.5 yes"]
    wide = terminal([Column("few_label_top1@2", ["0.5"], number=True)], 1, False)
    assert wide.split("\n") == ["few_label_top1@2", "-" * 16, " " * 13 + "0.5"]
    assert split_header("step ms (IQR)") == ["step ms", "(IQR)"]
    assert split_header("MFLOP/img") == ["MFLOP/", "img"]
    assert split_header("method") == ["method"]
    assert split_header("img/s") == ["img/s"]
    assert split_header("_x") == ["_x"]


def test_a_header_as_short_as_its_cells_stays_on_one_line():
    assert terminal([Column("knn_top1", ["0.953±0.001"], number=True)], 1, True).startswith("   knn_top1\n")


def test_a_cell_of_two_lines_makes_its_row_higher():
    text = terminal([Column("a", ["one\ntwo", "x"]), Column("b", ["1", "2"], number=True)], 1, True)
    assert text.split("\n") == ["a   b", "--- -", "one 1", "two", "x   2"]


def test_markdown_escapes_what_would_end_a_cell():
    text = markdown([Column("a|b", ["x|y\nz"]), Column("n", ["1"], number=True)])
    assert text.split("\n") == ["| a\\|b | n |", "| :--- | ---: |", "| x\\|y z | 1 |"]


@pytest.fixture
def page():
    """Lay pages out for a terminal of so many columns, or for a file."""
    tokens = []

    def make(width, whole=False):
        tokens.append(PAGE.set(Page(width, whole)))

    yield make
    for token in reversed(tokens):
        PAGE.reset(token)


def widest(text):
    return max(map(width_of, text.split("\n")))


def test_wide_characters_and_combining_ones_are_aligned():
    text = terminal([Column("n", ["猫", "cafe\u0301", "x"]), Column("v", ["1", "2", "3"], number=True)], 2, False)
    assert text.split("\n") == ["n     v", "----  -", "猫    1", "cafe\u0301  2", "x     3"]


def test_no_cell_sends_what_a_terminal_obeys():
    text = terminal([Column("n\x1b[31m", ["\x1b]0;t\x07", "b"]), Column("v", ["1", "2"])], 2, False)
    assert text.split("\n")[2:] == [r"\x1b]0;t\x07  1", "b             2"]


WIDE = [
    Column("method", ["a method with a long name", "b"]),
    Column("backbone", ["vit-tiny-small-image", "-"]),
    Column("top1", ["0.95", "0.91"], number=True),
    Column("img/s", ["1042", "98"], number=True, rank=1),
    Column("train s", ["1.0", "2.0"], number=True, rank=2),
]


def test_a_table_that_fits_is_roomy(page):
    page(80)
    assert fitted(WIDE).split("\n")[0] == "method                     backbone              top1  img/s  train s"


def test_words_are_folded_before_a_column_is_left_out(page):
    page(48)
    text = fitted(WIDE)
    assert "left out" not in text
    assert widest(text) <= 48
    assert "vit-tiny-" in text
    assert "vit-tiny-small-image" not in text


@pytest.mark.parametrize(
    ("width", "kept", "missing"),
    [(41, ["img/s"], "train s"), (34, [], "img/s, train s")],
)
def test_the_least_important_columns_are_left_out_and_named(page, width, kept, missing):
    page(width)
    table, _, note = fitted(WIDE, "--format csv").partition("\n\n")
    heads = table.split("---")[0]
    assert widest(table) <= width
    assert [name for name in ("img/s", "train s") if name in heads] == kept
    words = " ".join(note.split())
    assert words == f"left out at {width} columns: {missing} (--format csv and a terminal of 42 columns have them)"


def test_what_has_rank_0_is_never_left_out(page):
    page(10)
    heads = fitted(WIDE).split("\n")
    assert any("method" in line for line in heads)
    assert any("top1" in line for line in heads)


def test_a_file_has_every_column(page):
    page(40, whole=True)
    assert "left out" not in fitted(WIDE)
    assert "train" in fitted(WIDE)
    assert listing(WIDE).split("\n")[2].startswith("a method with a long name")
    assert len(listing(WIDE).split("\n")) == 4


def test_long_words_are_broken_where_a_terminal_must_be_kept_to(page):
    columns = [Column("image", ["photos/猫猫猫猫猫猫猫猫猫猫猫猫猫猫猫猫猫猫猫猫.png"]), Column("label", ["cat"])]
    page(30)
    assert widest(fitted(columns)) <= 30
    page(30, whole=True)
    assert "猫.png" in fitted(columns)


def test_paragraphs_and_lists_keep_to_the_page(page):
    page(20)
    assert wrapped("a sentence that is longer than that", rest="  ") == "a sentence that is\n  longer than that"
    assert hanging("name  ", "a summary of it all") == "name  a summary of\n      it all"
    page(20, whole=True)
    assert hanging("name  ", "a summary of it all") == "name  a summary of it all"


def test_markdown_holds_no_html():
    assert "<" not in markdown([Column("a", ["<img src=x>"])])
