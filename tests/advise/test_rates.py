"""Chance does not pass for advice: the simulation of ``benchmarks/advice_rates.py`` with few folders."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest

from sslbench.advise.frozen import Session, Settings
from sslbench.hooks.registry import Registry

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def rates():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        yield importlib.import_module("advice_rates")


@pytest.fixture(scope="module")
def advisor(rates):
    return rates.Advisor(Session(Settings("cpu", "fp32"), Registry(), lambda event: None))


def test_labels_that_have_nothing_to_do_with_the_images_are_no_advice(rates, advisor):
    found = rates.verdicts(rates.folder_of_chance, advisor, 5)
    assert found["cannot tell"] == 5


def test_a_model_that_is_no_better_than_pixels_and_its_network_untrained_is_not_recommended(rates, advisor):
    found = rates.verdicts(rates.folder_without_gain, advisor, 4)
    assert sum(found[verdict] for verdict in rates.BETTER) <= 1


def test_ten_points_on_five_hundred_images_are_seen(rates, advisor):
    assert rates.verdicts(rates.folder_with_ten_points, advisor, 4)["fine-tune"] >= 3


@pytest.mark.parametrize("rows", [2, 6])
def test_a_table_of_equal_rows_tells_none_apart_and_one_with_a_better_row_does(rates, rows):
    assert rates.tables_that_tell(np.random.default_rng(0), 12, rows) <= 1
    assert rates.tables_that_tell(np.random.default_rng(0), 5, rows, gap=0.8) == 5
