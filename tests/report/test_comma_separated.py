from __future__ import annotations

import csv
import io

import pytest

from sslbench.report.comma_separated import as_csv, no_formula
from sslbench.report.tables import render


@pytest.mark.parametrize("text", ["=1+1", "+cmd", "-x.png", "@sum", "\t=1", "\r=1", "\n=1", "\uff1d1", "-1+A0"])
def test_what_a_spreadsheet_would_compute_has_an_apostrophe(text):
    assert no_formula(text) == f"'{text}"


@pytest.mark.parametrize("value", ["-0.5", "+1e-05", "-inf", -0.5, 3, None, True, "-", "a=b", "simclr", ""])
def test_numbers_and_words_are_as_they_are(value):
    assert no_formula(value) is value or no_formula(value) == value


def test_bytes_that_are_no_text_are_escaped():
    assert no_formula("caf\udce9.png") == r"caf\xe9.png"


def test_headers_and_cells_are_read_back():
    text = as_csv([{"=a": "=b", "n": -1.5, "many": ["-x", "y"], "c": "a,\nb"}])
    assert list(csv.reader(io.StringIO(text))) == [["'=a", "n", "many", "c"], ["'=b", "-1.5", "'-x, y", "a,\nb"]]


def test_results_hold_no_formula_and_negative_numbers_stay_numbers(record):
    text = render([record("=HYPERLINK(1)", metrics={"knn_top1": -0.25})], "csv", "s")
    (row,) = csv.DictReader(io.StringIO(text))
    assert (row["method"], row["knn_top1_mean"]) == ("'=HYPERLINK(1)", "-0.25")
