from __future__ import annotations

import math

import pytest

from sslbench.report.numbers import decimals, fixed, listed, median_and_iqr, percent, three_digits


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.00012345, "1.23e-04"),
        (0.0123456, "0.0123"),
        (1, "1.00"),
        (9.999, "10.0"),
        (99.94, "99.9"),
        (99.96, "100"),
        (1234.5, "1234"),
        (99949, "99949"),
        (99951, "100k"),
        (123456, "123k"),
        (999_600, "1.00M"),
        (12_345_678, "12.3M"),
        (2e9, "2.00G"),
        (3e12, "3.00T"),
        (-5.4321, "-5.43"),
        (None, "-"),
        (math.nan, "-"),
    ],
)
def test_three_digits_are_kept_and_no_more_than_five_characters(value, text):
    assert three_digits(value) == text


@pytest.mark.parametrize(
    ("values", "places"),
    [([0.953, 0.1], 3), ([1.0], 3), ([35.2, 0.1], 2), ([123.0], 1), ([5e4], 0), ([0.042], 4), ([4e-5], 7), ([0], 3)],
)
def test_a_column_has_decimals_for_its_largest_value(values, places):
    assert decimals([*values, math.nan]) == places


def test_the_leading_zero_goes_only_where_room_is_scarce():
    assert fixed(0.9534, 3) == "0.953"
    assert [fixed(x, 3, leading_zero=False) for x in (0.9534, -0.05, 1.0, 0.9999, 10.5)] == [
        ".953",
        "-.050",
        "1.000",
        "1.000",
        "10.500",
    ]


def test_the_quartiles_are_rounded_as_the_median():
    assert median_and_iqr(29.63, 1.234, " ") == "29.6 (1.2)"
    assert median_and_iqr(180.4, 12.6, "") == "180(13)"
    assert median_and_iqr(0.5, None, " ") == "0.500"
    assert median_and_iqr(None, None, " ") == median_and_iqr(math.nan, 1.0, " ") == "-"


def test_shares_are_percentages():
    assert [percent(x) for x in (0.0, 0.0034, 0.0994, 0.0996, 1.0, None)] == ["0.0", "0.3", "9.9", "10", "100", "-"]


def test_long_runs_of_numbers_are_a_range():
    assert [listed(x) for x in ([3], [1, 0], [])] == ["3", "0, 1", ""]
    assert [listed(x) for x in ([4, 3, 2, 1], [0, 1, 2, 4])] == ["1 to 4", "0, 1, 2, 4"]
