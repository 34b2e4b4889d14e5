from __future__ import annotations

import json
import math

import numpy as np
import pytest

from sslbench.errors import StoreError
from sslbench.store.record import canonical, clean


def metric(value, **more):
    return {"value": value, "unit": "", "higher_is_better": True, "std": None, "n": None, "reason": None, **more}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.float32("nan")])
def test_a_metric_that_is_no_number_becomes_null_with_the_reason(record, value):
    cleaned = clean(record(metrics={"knn_top1": metric(value, std=math.nan, n=3)}))
    found = cleaned["metrics"]["knn_top1"]
    assert found["value"] is None
    assert found["std"] is None
    assert found["n"] == 3
    assert found["reason"] == f"not a finite number ({float(value)})"


def test_a_reason_that_was_given_is_kept(record):
    cleaned = clean(record(metrics={"m": metric(math.nan, reason="no labels"), "n": metric(None, reason="too few")}))
    assert [cleaned["metrics"][name]["reason"] for name in "mn"] == ["no labels", "too few"]


def test_numbers_that_are_not_finite_are_null_everywhere(record):
    loss = {"final_loss": math.inf, "scalars": {"tau": [math.nan, 1.0]}}
    cleaned = clean(record(pretraining=loss, features={"spread": -math.inf}))
    assert cleaned["pretraining"] == {"final_loss": None, "scalars": {"tau": [None, 1.0]}}
    assert cleaned["features"] == {"spread": None}


def test_cleaning_leaves_the_given_record_alone(record):
    given = record(metrics={"m": metric(math.nan)})
    clean(given)
    assert math.isnan(given["metrics"]["m"]["value"])


def test_numbers_of_numpy_become_plain_ones(record):
    given = {"a": np.float32(0.5), "b": np.int64(3), "c": np.array([1.0, np.nan]), "d": np.bool_(True), 5: (1, 2)}
    found = clean(record(features=given))["features"]
    assert found == {"a": 0.5, "b": 3, "c": [1.0, None], "d": True, "5": [1, 2]}
    assert [type(found[name]) for name in "abd"] == [float, int, bool]


def test_what_json_cannot_hold_is_named(record):
    with pytest.raises(StoreError, match=r"a record's params.method.hook is a builtin_function_or_method, which JSON"):
        clean(record(params={"method": {"hook": print}}))


def test_equal_records_have_equal_texts_whatever_the_order_of_their_keys(record):
    given = record()
    assert canonical(given) == canonical(dict(reversed(given.items())))
    assert canonical(given).isascii()
    assert json.loads(canonical(given)) == given
