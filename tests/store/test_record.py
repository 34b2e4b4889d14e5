from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, fields, replace

import pytest

from sslbench.store.json_parts import DamagedRecord, canonical
from sslbench.store.record import (
    SCHEMA,
    CurvePoint,
    DataFacts,
    FeatureFacts,
    InputFacts,
    MetricValue,
    Record,
    TrainingFacts,
    TrainingInput,
    WeightsFacts,
)


@pytest.fixture
def full():
    """A record in which every field has a value."""
    metric = MetricValue(0.5, "x", False, 0.1, 10, None, 0.01, "knn")
    training = TrainingFacts(
        key="p0",
        epochs=2,
        steps=4,
        seconds=1.5,
        images_per_second=100.0,
        step_ms_median=30.0,
        step_ms_iqr=1.0,
        data_wait_share=0.01,
        peak_memory_bytes=10**9,
        flops_per_image=1e7,
        final_loss=3.0,
        losses=(4.0, None, 3.0),
        curve=(CurvePoint(1, 4.0, {"knn_top1": metric}), CurvePoint(2, None)),
        batch_size=32,
        scalars={"tau": 0.99, "std": None},
        resumed_at=2,
        at_once=1,
        threads=2,
        joules_per_image=0.25,
        why_no_energy="it was measured",
        images_skipped=3,
        input=TrainingInput(32, 10, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2)),
        curve_seconds=0.5,
        curve_asked={"every": 1},
        weights=WeightsFacts(
            source="resnet18.a1_in1k",
            file="model.safetensors",
            digest="d0",
            tensors=122,
            used=120,
            chosen="ema",
            prefix="model_ema.",
            changed={"renamed": {"layer*.conv": 2}},
            dropped={"the classifier": {"fc.*": 2}},
            input_from={"size": "user"},
            licence="mit",
            licence_reason=None,
            code="a/b",
            notes=("a guess",),
            input=InputFacts(224, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2), 0.9, "bicubic"),
        ),
    )
    return Record(
        cell="c0",
        status="collapsed",
        method="mae",
        seed=3,
        reason="no spread",
        augmentation="crop",
        masking="random",
        mask_ratio=0.75,
        evaluator="knn",
        dataset="digits",
        backbone="vit-tiny",
        params={"method": {"lr": 0.1, "betas": [0.9, 0.95]}, "training": {"evaluate_on": "test"}},
        metrics={"knn_top1": metric, "none": MetricValue(None, reason="no labels")},
        headline="knn_top1",
        pretraining=training,
        features=FeatureFacts(64, 1000.0, 0.5, 0.3),
        data=DataFacts(80, 20, "test", 2, "cat", 0.5, 32, (32, 48), {"cannot be read": 1}, 0, "f0"),
        traceback="Traceback",
        provenance={"time": "2026-12-01T00:00:00+00:00", "gpu": None},
        inputs={"code": {"the harness": "sslbench 0.1.0+0f"}, "data": "f0"},
        kind="speed",
        speed={"against": [{"ratio": 2.0}]},
    )


def test_a_record_comes_back_as_it_went_through_json(full):
    for record in (full, Record("c1", "done", "simclr", 0)):
        text = canonical(record.to_json())
        again = Record.from_json(json.loads(text))
        assert again == record
        assert canonical(again.to_json()) == text


def test_json_has_the_schema_and_every_field(full):
    data = full.to_json()
    assert data["schema"] == SCHEMA == 2
    assert set(data) == {"schema", *(item.name for item in fields(Record))} - {"extra"}
    assert data["pretraining"]["losses"] == [4.0, None, 3.0]
    assert data["pretraining"]["curve"][1] == {"epoch": 2, "loss": None, "metrics": {}}
    assert not any(value is None for value in (*data.values(), *data["pretraining"].values()))


def test_json_is_a_copy(full):
    data = full.to_json()
    data["params"]["method"]["betas"].append(1)
    data["metrics"].clear()
    data["provenance"]["time"] = "never"
    assert full.params["method"]["betas"] == [0.9, 0.95]
    assert set(full.metrics) == {"knn_top1", "none"}
    assert full.made == "2026-12-01T00:00:00+00:00"


def test_unknown_keys_are_kept_in_their_place(full):
    data = full.to_json()
    data["future"] = {"a": [1, {"b": None}]}
    data["metrics"]["knn_top1"]["quantiles"] = [0.1, 0.9]
    data["pretraining"]["curve"][0]["images"] = 128
    data["features"]["rank"] = 12
    record = Record.from_json(data)
    assert record.extra == {"future": {"a": [1, {"b": None}]}}
    assert record.metrics["knn_top1"].extra == {"quantiles": [0.1, 0.9]}
    assert record.features.extra == {"rank": 12}
    assert record.to_json() == data


def test_a_record_cannot_be_changed(full):
    with pytest.raises(FrozenInstanceError):
        full.status = "done"


@pytest.mark.parametrize(
    ("status", "finished"),
    [("done", True), ("collapsed", True), ("diverged", False), ("failed", False), ("skipped", False)],
)
def test_a_finished_record_was_evaluated(full, status, finished):
    assert replace(full, status=status).finished is finished


def test_when_it_was_made_may_be_unknown(full):
    assert replace(full, provenance=None).made == replace(full, provenance={}).made == ""


def changed(data, path, value):
    """The same JSON with another value at a path; of ``...``: without it."""
    *keys, last = path
    inner = data
    for key in keys:
        inner = inner[key]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return data


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (["cell"], ..., "cell is missing"),
        (["cell"], 5, "cell is 5; allowed: a text"),
        (["seed"], "0", "seed is '0'; allowed: a whole number"),
        (["seed"], 0.5, "seed is 0.5; allowed: a whole number"),
        (["seed"], True, "seed is True; allowed: a whole number"),
        (["seed"], None, "seed is None; allowed: a whole number"),
        (["status"], "fine", "status is 'fine'; allowed: done, collapsed, diverged, timeout, oom, failed, skipped"),
        (["kind"], "gate", "kind is 'gate'; allowed: run, speed"),
        (["mask_ratio"], "0.75", "mask_ratio is '0.75'; allowed: a finite number"),
        (["mask_ratio"], float("nan"), "mask_ratio is nan; allowed: a finite number"),
        (["params"], [], "params is []; allowed: an object"),
        (["params", "method"], None, "params.method is None; allowed: an object"),
        (["metrics"], None, "metrics is None; allowed: an object"),
        (["metrics", "knn_top1"], 0.5, "metrics.knn_top1 is 0.5; allowed: an object"),
        (["metrics", "knn_top1", "value"], ..., "metrics.knn_top1.value is missing"),
        (["metrics", "knn_top1", "value"], "high", "metrics.knn_top1.value is 'high'; allowed: a finite number"),
        (["metrics", "knn_top1", "n"], 1.5, "metrics.knn_top1.n is 1.5; allowed: a whole number"),
        (["metrics", "knn_top1", "higher_is_better"], 1, "higher_is_better is 1; allowed: true or false"),
        (["pretraining", "losses"], "4, 3", "pretraining.losses is '4, 3'; allowed: a list"),
        (["pretraining", "losses"], [1, {}], "pretraining.losses[1] is {}; allowed: a finite number"),
        (["pretraining", "curve", 1], 7, "pretraining.curve[1] is 7; allowed: an object"),
        (["pretraining", "curve", 0, "epoch"], ..., "pretraining.curve[0].epoch is missing"),
        (["pretraining", "input", "mean"], None, "pretraining.input.mean is None; allowed: a list"),
        (["features", "dim"], "64", "features.dim is '64'; allowed: a whole number"),
        (["traceback"], "x".join(map(str, range(99))).split("x"), "traceback is ['0', '1', '2',"),
    ],
)
def test_each_kind_of_damage_is_named_with_its_place_and_what_is_allowed(full, path, value, words):
    data = changed(full.to_json(), path, value)
    with pytest.raises(DamagedRecord) as caught:
        Record.from_json(data, "results.sqlite: record of cell c0")
    (message,) = caught.value.messages
    assert message.startswith("results.sqlite: record of cell c0: damaged: ")
    assert words in message
    assert len(message) < 200
    assert "\n" not in message


@pytest.mark.parametrize("data", [None, 3, "record", [], [1]])
def test_what_is_no_object_is_no_record(data):
    with pytest.raises(DamagedRecord, match=r"record: damaged: is .*; allowed: an object"):
        Record.from_json(data)


def test_whole_numbers_may_stand_for_others_and_stay_as_they_are(full):
    data = changed(full.to_json(), ["metrics", "knn_top1", "value"], 1)
    assert json.dumps(Record.from_json(data).to_json()["metrics"]["knn_top1"]["value"]) == "1"


def test_schema_1_had_another_name_for_where_it_was_evaluated(full):
    data = full.to_json()
    del data["schema"]
    data["params"]["training"] = {"epochs": 2, "judge_on": "validation", "batch_size": 8}
    record = Record.from_json(data)
    assert record.params["training"] == {"epochs": 2, "evaluate_on": "validation", "batch_size": 8}
    assert list(record.params["training"]) == ["epochs", "evaluate_on", "batch_size"]
    assert Record.from_json({**data, "schema": 1}) == record
    assert "judge_on" in data["params"]["training"], "what was given is left alone"


@pytest.mark.parametrize("params", [{}, {"method": {}}, {"training": {}}])
def test_schema_1_without_settings_is_read(params):
    data = {"cell": "c", "status": "skipped", "method": "mae", "seed": 0, "params": params}
    assert Record.from_json(data).params == params


@pytest.mark.parametrize("schema", [3, 0, "2", None, 1.5])
def test_another_schema_is_named_and_never_misread(full, schema):
    with pytest.raises(DamagedRecord) as caught:
        Record.from_json({**full.to_json(), "schema": schema}, "x.json: record 4")
    assert str(caught.value) == f"x.json: record 4: has schema {schema!r}; this version reads 1 and 2"


def test_a_part_is_read_by_itself(full):
    facts = TrainingFacts.from_json(json.loads(json.dumps(full.pretraining.to_json())), "pretraining.json")
    assert facts == full.pretraining
    with pytest.raises(DamagedRecord, match=r"^pretraining.json: damaged: epochs is 'two'; allowed: a whole number$"):
        TrainingFacts.from_json({"epochs": "two"}, "pretraining.json")
