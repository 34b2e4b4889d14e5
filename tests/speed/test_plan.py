from __future__ import annotations

import pytest

from sslbench.errors import UserError
from sslbench.hooks.registry import Registry
from sslbench.plan.suite import RawSuite
from sslbench.speed.plan import plan_speed
from sslbench.speed.suite import SpeedFile, read_speed_suite

REGISTRY = Registry()
AXES = {
    "method": ["mae:decoder_depth=1", "simclr"],
    "backbone": ["vit-tiny-small-image"],
    "masking": ["random:ratio=0.5", "random:ratio=0.75"],
}


def planned(axes=AXES, overrides=None, device="cpu", **data):
    layout = SpeedFile.model_validate({"axes": axes, **data})
    speed = layout.speed.model_copy(
        update={"device": device, "precisions": data.get("speed", {}).get("precisions", ["fp32"])}
    )
    return plan_speed(
        RawSuite("mine", "mine", {"axes": axes, **data}),
        layout.model_copy(update={"speed": speed}),
        overrides or {},
        REGISTRY,
    )


def test_all_axes_are_crossed_and_an_axis_that_a_method_does_not_use_is_none_once():
    plan = planned(speed={"batch_sizes": [4, 8], "precisions": ["fp32", "bf16"], "compile": ["eager", "compile"]})
    counts = {}
    for row in plan.rows:
        counts[row.method.name] = counts.get(row.method.name, 0) + 1
    assert counts == {"mae": 2 * 2 * 2 * 2, "simclr": 2 * 2 * 2}
    assert {row.mask_ratio for row in plan.rows if row.method.name == "simclr"} == {None}
    assert len({row.key for row in plan.rows}) == len(plan.rows)
    assert plan.pairs == ()


def test_an_augmentation_matters_only_with_a_data_set():
    assert {row.augmentation for row in planned({**AXES, "augmentation": ["mae", "none"]}).rows} == {None}
    rows = planned({**AXES, "dataset": ["digits"], "augmentation": ["mae", "none"]}).rows
    assert [row.augmentation.name for row in rows if row.method.name == "simclr"] == ["mae", "none"]
    # `auto`: what the data set recommends.
    assert {row.augmentation.name for row in planned({**AXES, "dataset": ["digits"]}).rows} == {"affine"}
    assert {row.augmentation.name for row in planned({**AXES, "dataset": ["shapes"]}).rows} == {"mae", "simclr"}


def test_a_baseline_is_the_row_with_some_things_changed_and_is_added_where_it_is_missing():
    plan = planned(
        baselines=[{"name": "full", "change": {"method.mask_tokens_in_encoder": True, "masking.ratio": 0.75}}]
    )
    names = [(row.method.name, row.value("method.mask_tokens_in_encoder"), row.mask_ratio) for row in plan.rows]
    # Before the first row that is compared with it; SimCLR has no such parameter and no such baseline.
    assert names == [("mae", True, 0.75), ("mae", False, 0.5), ("mae", False, 0.75), ("simclr", None, None)]
    assert [(pair.row, pair.baseline, pair.names) for pair in plan.pairs] == [(1, 0, ("full",)), (2, 0, ("full",))]


def test_a_row_is_not_compared_with_itself_and_two_names_of_one_baseline_are_one_pair():
    changes = [
        {"name": "a", "change": {"precision": "fp32"}},
        {"name": "b", "change": {"precision": "fp32", "batch_size": 32}},
    ]
    plan = planned({**AXES, "method": ["simclr"]}, speed={"precisions": ["fp32", "bf16"]}, baselines=changes)
    assert [row.precision for row in plan.rows] == ["fp32", "bf16"]
    assert [(pair.row, pair.baseline, pair.names) for pair in plan.pairs] == [(1, 0, ("a", "b"))]


def test_a_baseline_may_be_another_plugin():
    plan = planned({**AXES, "method": ["simclr"]}, baselines=[{"name": "byol", "change": {"method": "byol"}}])
    assert [row.method.name for row in plan.rows] == ["byol", "simclr"]
    # One that uses no masking has none, whatever the row has; one that lacks what it needs is none.
    plan = planned(baselines=[{"name": "byol", "change": {"method": "byol"}}])
    assert [row.mask_ratio for row in plan.rows] == [None, 0.5, 0.75, None]
    assert len(plan.pairs) == 3
    plan = planned({**AXES, "method": ["simclr"]}, baselines=[{"name": "mae", "change": {"method": "mae"}}])
    assert plan.pairs == ()


def test_what_makes_no_sense_is_skipped_with_its_reason():
    plan = planned({**AXES, "method": ["mae", "random-init"], "backbone": ["convnet-small"]})
    assert {row.skip for row in plan.rows} == {
        "mae needs a backbone with tokens; convnet-small has none",
        "random-init takes no training step",
    }


def test_parts_are_of_the_device_and_say_what_they_leave_out():
    parts = [
        {"device": "cuda", "axes": AXES, "batch_sizes": [64]},
        {"device": "cpu", "axes": {**AXES, "method": ["simclr"]}, "batch_sizes": [4], "left_out": "mae", "seconds": 60},
        {"axes": {**AXES, "method": ["byol"]}},
    ]
    cpu, gpu = planned({}, parts=parts), planned({}, device="cuda:1", parts=parts)
    assert [(row.method.name, row.batch_size) for row in cpu.rows] == [("simclr", 4), ("byol", 32)]
    assert (cpu.left_out, cpu.seconds) == (("mae",), 60)
    assert {row.method.name for row in gpu.rows} == {"mae", "simclr", "byol"}
    assert (gpu.left_out, gpu.seconds) == ((), None)


def test_the_command_line_replaces_an_axis_of_every_part():
    parts = [{"axes": {**AXES, "method": ["simclr"]}}, {"axes": {**AXES, "method": ["byol"]}}]
    assert [row.method.name for row in planned({}, {"method": ["simsiam"]}, parts=parts).rows] == ["simsiam"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"precission": "fp32"}, r"nothing is called 'precission'; did you mean 'precision'\?"),
        ({"precision": "fp64"}, r"precision = 'fp64': one of fp32, tf32, bf16, fp16"),
        ({"compile": "fast"}, r"compile = 'fast': one of eager, compile, cuda-graphs, compile\+cuda-graphs"),
        ({"batch_size": "large"}, r"batch_size = 'large': a whole number above 0"),
        ({"precision.bits": 8}, r"nothing is called 'precision.bits'"),
    ],
)
def test_a_baseline_that_cannot_be_is_a_mistake(change, words):
    with pytest.raises(UserError, match=f"mine: baseline 'x': {words}"):
        planned(baselines=[{"name": "x", "change": change}])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"method.decoder_depth": 0}, r"baseline method\.decoder_depth: decoder_depth = 0: input should be greater"),
        ({"method": "byoll"}, r"unknown method 'byoll'; did you mean 'byol'\?"),
        ({"method": "byol:tau=1"}, r"unknown parameter 'tau'"),
    ],
)
def test_a_value_that_a_plugin_refuses_is_a_mistake(change, words):
    with pytest.raises(UserError, match=words):
        planned(baselines=[{"name": "x", "change": change}])


def test_several_mistakes_are_reported_at_once():
    with pytest.raises(UserError) as error:
        planned({"method": ["simclrr"], "evaluator": ["knn"], "backbone": ["convnet-smal"]})
    assert len(error.value.messages) == 3
    assert "unknown axis 'axes.evaluator' (allowed: method, augmentation" in str(error.value)


def test_an_axis_that_is_needed_and_empty_is_a_mistake():
    with pytest.raises(
        UserError, match=r"mine: axis 'masking' is empty; name at least one \(see: sslbench list masking\)"
    ):
        planned({"method": ["mae"], "backbone": ["vit"]})


def suite_on(device, name="mae-speedup"):
    raw, layout = read_speed_suite(name, {})
    speed = layout.speed.model_copy(update={"device": device, "precisions": ["fp32"]})
    return plan_speed(raw, layout.model_copy(update={"speed": speed}), {}, REGISTRY)


def test_mae_speedup_on_a_gpu_crosses_sizes_ratios_and_depths():
    plan = suite_on("cuda")
    masked = [row for row in plan.rows if not row.value("method.mask_tokens_in_encoder")]
    assert len(masked) == 3 * 5 * 2
    assert {row.mask_ratio for row in masked} == {0.005, 0.25, 0.5, 0.75, 0.9}
    # One encoder with mask tokens for each size and depth.
    assert len(plan.rows) - len(masked) == 3 * 2
    # Of depth 8, both baselines are the same row.
    assert {pair.names for pair in plan.pairs if plan.rows[pair.row].value("method.decoder_depth") == 8} == {
        ("like for like", "as in the paper's table")
    }
    assert (plan.seconds, plan.left_out) == (None, ())
    # With fewer images the time goes with launches.
    sizes = {(row.value("backbone.size"), row.batch_size) for row in plan.rows}
    assert sizes == {("base", 256), ("large", 256), ("huge", 128)}


def test_all_methods_that_train_are_measured_on_a_gpu_and_some_on_a_cpu():
    trained = {"distill", *(name for name in REGISTRY.names("method") if REGISTRY.get("method", name).trains)}
    names = {device: {row.method.name for row in suite_on(device, "methods").rows} for device in ("cuda", "cpu")}
    assert names["cuda"] == trained - {"distill"}  # which needs a teacher's weights
    assert len(names["cpu"]) == 7
    assert {row.batch_size for row in suite_on("cuda", "methods").rows} == {256}


def test_mae_speedup_on_a_cpu_has_small_models_and_says_what_it_leaves_out():
    plan = suite_on("cpu")
    assert {row.value("backbone.size") for row in plan.rows} == {"small", "tiny"}
    assert plan.seconds == 240
    (words,) = plan.left_out
    assert "ViT-B, L and H" in words
    assert "sslbench speed -b vit:size=base" in words
    names = [name for pair in plan.pairs for name in pair.names]
    assert set(names) == {"like for like", "as in the paper's table"}
