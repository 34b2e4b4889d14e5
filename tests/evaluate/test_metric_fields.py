"""What an evaluator yields that no record can hold is refused at once, and what it changes is put back."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch

from sslbench import EvaluatorSpec, Metric
from sslbench.contracts.executor import PluginChoice
from sslbench.contracts.metric_checks import metric_mistakes
from sslbench.hooks.registry import default_registry
from sslbench.store.record import Record


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        (("m", 0.5), "yielded ('m', 0.5); allowed: Metric(name, value), Picture(name, image, caption)"),
        (Metric("m", "0.5"), "metric 'm': value = '0.5'; allowed: a number, or None"),
        (Metric("m", 1j), "metric 'm': value = 1j; allowed: a number, or None"),
        (Metric("m", torch.ones(3)), "metric 'm': value = tensor([1., 1., 1.]); allowed: a number, or None"),
        (Metric("m", 0.5, std=-1.0), "metric 'm': std = -1.0; allowed: 0 or more, or None"),
        (Metric("m", 0.5, n=2.5), "metric 'm': n = 2.5; allowed: a number of draws, or None"),
        (Metric("m", 0.5, n=-1), "metric 'm': n = -1; allowed: 0 or more, or None"),
        (Metric("m", 0.5, higher_is_better="yes"), "metric 'm': higher_is_better = 'yes'; allowed: True, False, None"),
        (Metric("m", 0.5, unit=3), "metric 'm': unit = 3; allowed: a text"),
        (Metric("m", None, reason=3), "metric 'm': reason = 3; allowed: a text"),
        (
            Metric("m", 0.5, per_image=torch.ones(3)),
            "metric 'm': per_image: shape [3]; allowed: a tensor with one value for each of 4 test images",
        ),
        (
            Metric("m", 0.5, per_image=[1, 0, 1, 0]),
            "metric 'm': per_image: a list; allowed: a tensor with one value for each of 4 test images",
        ),
        (Metric("other", 0.5), "metric 'm', its headline, is not among what it yielded: other"),
    ],
)
def test_what_no_record_holds_is_a_mistake(metric, words):
    assert metric_mistakes([metric], 4, "m") == [words]


def test_nothing_at_all_is_a_mistake_where_there_is_a_headline():
    assert metric_mistakes([], 4, "m") == ["metric 'm', its headline, is not among what it yielded: nothing"]
    assert metric_mistakes([], 4) == []


@pytest.mark.parametrize("value", [0.5, 1, True, None, np.float32(0.5), np.int64(1), torch.tensor(0.5), float("inf")])
def test_numbers_of_libraries_are_numbers(value):
    assert metric_mistakes([Metric("m", value, n=np.int64(2), std=np.float32(0))], 4, "m") == []


class Changes:
    def evaluate(self, data):
        os.chdir("/")
        torch.set_default_dtype(torch.float64)
        torch.rand(1)
        yield Metric("m", 0.5, per_image=torch.full((len(data.test.features),), 0.5))


class Misses:
    def evaluate(self, data):
        yield Metric("m", None, reason=3)


def done(tmp_path, small_work, do_work, evaluator):
    spec = EvaluatorSpec(name="odd", summary="s", build=lambda params, context: evaluator, headline="m")

    class Names:
        def get(self, kind, name):
            return spec if name == "odd" else default_registry().get(kind, name)

    plugins = {"method": PluginChoice("raw-pixels"), "backbone": None, "augmentation": None}
    return do_work(small_work(tmp_path, plugins=plugins, evaluators=("odd", "knn")), Names())


def test_the_next_evaluator_finds_what_the_one_before_changed_put_back(tmp_path, small_work, do_work):
    before = os.getcwd()
    words = "^evaluator 'odd' changed the current folder, torch's default dtype, put back$"
    with pytest.warns(UserWarning, match=words):
        emitted = done(tmp_path, small_work, do_work, Changes())
    assert [record.status for record in emitted.records] == ["done", "done"]
    assert (os.getcwd(), torch.get_default_dtype()) == (before, torch.float32)


def test_a_record_that_could_not_be_read_again_is_never_made(tmp_path, small_work, do_work):
    failed, knn = done(tmp_path, small_work, do_work, Misses()).records
    assert (failed.status, knn.status) == ("failed", "done")
    assert failed.reason == "evaluator 'odd': metric 'm': reason = 3; allowed: a text"
    assert Record.from_json(failed.to_json(), "here") == failed
