from __future__ import annotations

import pytest

from sslbench.errors import UserError
from sslbench.report.rows import filter_records


@pytest.fixture
def records(record):
    return [
        record("simclr", seed=0, params={"method": {"temperature": 0.1, "symmetric": True}}),
        record("simclr", seed=1, params={"method": {"temperature": 0.5, "symmetric": False}}),
        record("mae", seed=0, masking="random", mask_ratio=0.75, augmentation="none"),
        record("raw-pixels", seed=0, augmentation=None, backbone=None, status="failed", reason="why"),
    ]


def chosen(records, *conditions):
    return [records.index(record) for record in filter_records(records, conditions)]


def test_without_conditions_all_records_are_wanted(records):
    assert chosen(records) == [0, 1, 2, 3]


def test_all_fields_must_match_and_one_value_of_each_suffices(records):
    assert chosen(records, "method=simclr") == [0, 1]
    assert chosen(records, "method=simclr", "seed=1") == [1]
    assert chosen(records, "method=simclr", "method=mae", "seed=0") == [0, 2]
    assert chosen(records, "status=failed") == [3]
    assert chosen(records, "status=oom") == [], "a status that there may be"
    assert chosen(records, "method=mae", "seed=1") == []


def test_numbers_are_equal_however_they_are_written(records):
    assert chosen(records, "mask_ratio=.75") == chosen(records, "mask_ratio=0.750") == [2]
    assert chosen(records, "seed=01") == [1]


def test_what_a_record_does_not_have_is_a_dash_and_not_the_word_none(records):
    assert chosen(records, "backbone=-") == [3]
    assert chosen(records, "augmentation=none") == [2]
    assert chosen(records, "masking=-", "seed=0") == [0, 3]


def test_parameters_are_fields_too(records):
    assert chosen(records, "method.temperature=0.5") == [1]
    assert chosen(records, "method.symmetric=True") == chosen(records, "method.symmetric=true") == [0]
    assert chosen(records, "training.epochs=20") == [0, 1, 2]


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        (
            "method=raw-pixelz",
            "--where 'method=raw-pixelz': no record has it; did you mean 'raw-pixels'? (method is mae, raw-pixels,"
            " simclr in these results)",
        ),
        ("method=", "--where 'method=': no record has it (method is mae, raw-pixels, simclr in these results)"),
        ("seed=one", "--where 'seed=one': no record has it (seed is 0, 1 in these results)"),
        ("seed=7", "--where 'seed=7': no record has it (seed is 0, 1 in these results)"),
        ("status=fialed", "--where 'status=fialed': no record has it; did you mean 'failed'?"),
        ("method.symmetric=1", "no record has it (method.symmetric is false, true in these results)"),
    ],
)
def test_a_value_that_no_record_has_is_a_mistake_that_names_those_there_are(records, condition, words):
    with pytest.raises(UserError) as caught:
        filter_records(records, [condition, "seed=0"])
    (line,) = caught.value.messages
    assert words in line


def test_a_condition_that_is_given_twice_is_a_mistake_and_without_records_none_is(records):
    with pytest.raises(UserError, match="^--where 'seed=0' is given twice$"):
        filter_records(records, ["seed=0", "seed=0"])
    assert filter_records([], ["method=simclr"]) == []


def test_every_mistake_is_named_with_what_was_meant(records):
    with pytest.raises(UserError) as caught:
        filter_records(records, ["metod=simclr", "simclr", "method.temprature=1", "seed=0"])
    unknown, no_value, parameter = caught.value.messages
    assert unknown.startswith(
        "--where 'metod=simclr': unknown field 'metod'; did you mean 'method'? (allowed: cell, status, method, "
    )
    assert unknown.endswith("seed, and parameters such as method.lr)")
    assert no_value == "--where 'simclr' is not FIELD=VALUE, such as method=simclr"
    assert "did you mean 'method.temperature'?" in parameter
