"""What an evaluator calls its metrics is refused where tables or CSV would have two columns of one name."""

from __future__ import annotations

import pytest

from sslbench import EvaluatorSpec, Metric
from sslbench.contracts.executor import PluginChoice
from sslbench.contracts.metric_names import COLUMNS, metric_name_mistakes
from sslbench.hooks.registry import default_registry
from sslbench.report.aggregate import SPEEDS
from sslbench.report.rows import AXES, FIELDS
from sslbench.testing.conformance import problems


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["top1", "top1"], "metric name 'top1' is given 2 times; each metric has a name of its own"),
        (["seed"], "metric name 'seed' is that of a column that every table has"),
        (["images_per_second"], "is that of a column that every table has"),
        (["images_per_second_mean"], "is that of a column that every table has"),
        (["few_label_top1@2", "few_label_top1@2_std"], "is that of a column of its metric 'few_label_top1@2'"),
        (["a", "a_draws"], "metric name 'a_draws' is that of a column of its metric 'a'"),
        (["top1 (knn)"], "allowed: 1 to 100 printable characters, no blank at an end or before a bracket"),
        ([""], "allowed: 1 to 100 printable"),
        (["a\nb"], "metric name 'a\\nb': allowed"),
        (["x" * 101], "allowed: 1 to 100 printable"),
        ([3], "metric name 3 is no text"),
    ],
)
def test_a_name_that_collides_is_a_mistake(names, words):
    (line,) = metric_name_mistakes(names)
    assert words in line


def test_other_names_are_fine():
    assert metric_name_mistakes(["top1", "few_label_top1@2", "few_label_top1@10%", "feature_std", "top1_n_way"]) == []


def test_the_columns_of_every_table_are_known():
    assert {*AXES, *FIELDS, *SPEEDS, "seeds", "status"} <= COLUMNS


class Naming:
    def __init__(self, *names):
        self.names = names

    def evaluate(self, data):
        return [Metric(name, 0.5) for name in self.names]


def spec_of(*names):
    return EvaluatorSpec(name="naming", summary="s", build=lambda params, context: Naming(*names), headline="top1")


def test_conformance_names_it():
    lines = problems(spec_of("top1", "top1_std", "seed"))
    assert "evaluator 'naming': metric name 'seed' is that of a column that every table has" in lines
    assert any("metric name 'top1_std' is that of a column of its metric 'top1'" in line for line in lines)


def test_its_record_is_failed_and_names_it(tmp_path, small_work, do_work):
    class Names:
        def get(self, kind, name):
            return spec_of("top1", "seed") if name == "naming" else default_registry().get(kind, name)

    plugins = {"method": PluginChoice("raw-pixels"), "backbone": None, "augmentation": None}
    work = small_work(tmp_path, plugins=plugins, evaluators=("naming", "knn"))
    failed, done = do_work(work, Names()).records
    assert (failed.status, done.status) == ("failed", "done")
    assert failed.reason == "evaluator 'naming': metric name 'seed' is that of a column that every table has"
