"""What an earlier run left is used where it is of this pretraining, and made again where it is not."""

from __future__ import annotations

import json

import pytest

from sslbench.contracts.executor import CurveRequest, PluginChoice
from sslbench.execute.artifact_cache import ArtifactCache
from sslbench.store.digests import EMPTY, FIELD, write_json
from sslbench.store.record import CurvePoint, MetricValue, TrainingFacts, TrainingInput

INPUT = {"image_size": 8, "classes": 10, "mean": [0.3, 0.3, 0.3], "std": [0.4, 0.4, 0.4]}
UNTRAINED = dict.fromkeys(("images_per_second", "step_ms_median", "step_ms_iqr", "data_wait_share"))
UNTRAINED |= dict.fromkeys(("peak_memory_bytes", "flops_per_image", "final_loss", "losses", "curve"))
UNTRAINED |= {"key": "k0", "epochs": 0, "steps": 0, "seconds": 0.0, "images_skipped": 0, "input": INPUT}
POINT_METRIC = {"value": 0.5, "unit": "", "higher_is_better": True, "std": None, "n": None, "reason": None}
ASKED = {"every": 1, "evaluators": [{"name": "knn", "params": {}, "code": {"evaluator 'knn'": "1"}}]}
TRAINED = {
    **UNTRAINED,
    "epochs": 1,
    "steps": 2,
    "seconds": 0.1,
    "final_loss": 1 / 3,
    "losses": [1 / 3],
    "batch_size": 64,
    "scalars": {"embedding_spread": 0.9},
    "resumed_at": None,
    "curve": [{"epoch": 1, "loss": 1 / 3, "metrics": {"knn_top1": {**POINT_METRIC, "evaluator": "knn"}}}],
    "curve_seconds": 0.2,
    "curve_asked": ASKED,
}
"""as they were written before records had types"""


@pytest.fixture
def facts_of(tmp_path, small_work):
    """The facts that are used where ``pretraining.json`` holds ``content``, and the warnings."""

    def read(content, curve=None):
        warnings = []
        cache = ArtifactCache(small_work(tmp_path, curve=curve), warn=warnings.append)
        cache.files.folder.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            cache.files.facts.write_text(content)
        else:
            write_json(cache.files.facts, content)
        return cache.facts(), warnings

    return read


def test_older_facts_of_an_untrained_method_are_read(facts_of):
    given = TrainingInput(8, 10, (0.3,) * 3, (0.4,) * 3)
    expected = TrainingFacts(key="k0", epochs=0, steps=0, seconds=0.0, images_skipped=0, input=given)
    assert facts_of(UNTRAINED) == (expected, [])


def test_older_facts_of_a_training_are_read_with_their_curve(facts_of):
    request = CurveRequest(1, (PluginChoice("knn"),), ASKED)
    facts, _ = facts_of(TRAINED, request)
    assert facts.curve == (CurvePoint(1, 1 / 3, {"knn_top1": MetricValue(0.5, evaluator="knn")}),)
    assert (facts.losses, facts.scalars, facts.curve_seconds) == ((1 / 3,), {"embedding_spread": 0.9}, 0.2)


def test_facts_with_another_curve_are_not_used(facts_of):
    other = CurveRequest(2, (PluginChoice("knn"),), {**ASKED, "every": 2})
    assert facts_of(TRAINED, other) == (None, [])
    assert facts_of(UNTRAINED, other) == (None, [])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "damaged or of an older sslbench: it is empty"),
        ("[]", "damaged or of an older sslbench: it has no digest"),
        (json.dumps(TRAINED), "damaged or of an older sslbench: it has no digest"),
        (json.dumps({FIELD: EMPTY, **TRAINED}), "damaged: its bytes do not match its digest"),
        ({**TRAINED, "key": "k1"}, "of pretraining k1, not k0"),
        ({**TRAINED, "steps": "2"}, "damaged: steps is '2'; allowed: a whole number"),
        ({**TRAINED, "curve": [1]}, "damaged: curve[0] is 1; allowed: an object"),
    ],
)
def test_facts_that_are_damaged_or_of_another_pretraining_are_named_and_not_used(facts_of, tmp_path, content, words):
    path = tmp_path / "artifacts/k0/pretraining.json"
    assert facts_of(content) == (None, [f"{path}: {words}; training is done again"])


def test_a_training_whose_facts_are_damaged_is_done_again(tmp_path, small_work, do_work):
    (first,) = do_work(small_work(tmp_path)).records
    (tmp_path / "artifacts/k0/pretraining.json").write_text("{}")
    emitted = do_work(small_work(tmp_path))
    assert "training" in emitted.stages
    assert emitted.records[0].metrics == first.metrics
