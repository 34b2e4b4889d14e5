from __future__ import annotations

from sslbench.report.text import Column, markdown, split_header, terminal


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
