from __future__ import annotations

from dataclasses import dataclass

import pytest

from sslbench_plugins.blocks.studies.tables import as_rows, best_keys


@dataclass(frozen=True)
class Pair:
    second: int
    first: str | None


def test_fields_are_columns_in_their_order():
    rows = as_rows([Pair(1, "a"), Pair(2, None)])
    assert [list(row.items()) for row in rows] == [
        [("second", 1), ("first", "a")],
        [("second", 2), ("first", None)],
    ]


@pytest.mark.parametrize(
    ("values", "lowest", "highest"),
    [
        ({"a": 1.0, "b": None, "c": 1.0 + 1e-13, "d": 2.0}, ["a", "c"], ["d"]),
        ({"a": None}, [], []),
        ({}, [], []),
    ],
)
def test_the_best_are_named_with_their_ties(values, lowest, highest):
    assert best_keys(values, min) == lowest
    assert best_keys(values, max) == highest
