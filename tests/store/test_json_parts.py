from __future__ import annotations

import json
import math

import numpy as np
import pytest

from sslbench.errors import StoreError
from sslbench.store.json_parts import canonical, plain


def test_numbers_that_are_not_finite_are_null_everywhere():
    given = {"final_loss": math.inf, "scalars": {"tau": [math.nan, 1.0]}, "spread": -math.inf, "x": np.float32("nan")}
    assert plain(given, "x") == {"final_loss": None, "scalars": {"tau": [None, 1.0]}, "spread": None, "x": None}
    assert math.isnan(given["scalars"]["tau"][0]), "what was given is left alone"


def test_numbers_of_numpy_become_plain_ones():
    given = {"a": np.float32(0.5), "b": np.int64(3), "c": np.array([1.0, np.nan]), "d": np.bool_(True), 5: (1, 2)}
    values = plain(given, "x")
    assert values == {"a": 0.5, "b": 3, "c": [1.0, None], "d": True, "5": [1, 2]}
    assert [type(values[name]) for name in "abd"] == [float, int, bool]


def test_what_json_cannot_hold_is_named():
    with pytest.raises(StoreError, match=r"a record's params.method.hook is a builtin_function_or_method, which JSON"):
        canonical({"params": {"method": {"hook": print}}})


def test_equal_records_have_equal_texts_whatever_the_order_of_their_keys(record):
    given = record().to_json()
    assert canonical(given) == canonical(dict(reversed(given.items())))
    assert canonical(given).isascii()
    assert json.loads(canonical(given)) == given
