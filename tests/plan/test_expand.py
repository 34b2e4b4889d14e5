from __future__ import annotations

import re
from dataclasses import replace

import pytest

from sslbench.contracts.evaluator import EvaluatorSpec
from sslbench.errors import UserError
from sslbench.hooks.registry import Registry
from sslbench.plan.expand import expand, incompatible, incompatible_evaluator, resolve_suite
from sslbench.plan.plan import make_plan
from sslbench.plan.suite import Overrides, RawSuite, read_suite


@pytest.fixture(scope="module")
def registry():
    return Registry()


AXES = {
    "method": ["simclr", "mae", "random-init", "raw-pixels"],
    "augmentation": ["auto"],
    "masking": ["random", "block:ratio=0.5"],
    "dataset": ["digits"],
    "backbone": ["convnet-small", "vit-tiny-small-image"],
    "evaluator": ["knn", "linear-probe"],
}


def suite_of(registry, axes=AXES, seeds=(0,), overrides=None, **training):
    # Forty epochs: as long as the longest warm-up of the methods here, which is MAE's.
    data = {"axes": axes, "seeds": list(seeds), "training": {"epochs": 40, **training}}
    raw = RawSuite("s", "s.toml", data)
    return resolve_suite(raw, overrides or Overrides(), registry)


def cells_of(registry, *args, **kwargs):
    return expand(suite_of(registry, *args, **kwargs))


def test_the_cross_product_holds_each_combination_once(registry):
    cells = cells_of(registry, seeds=(0, 1))
    names = [(c.axes["method"], c.axes["backbone"], c.axes["masking"], c.axes["seed"]) for c in cells if not c.skip]
    one_seed = [
        ("simclr", "convnet-small", None),
        ("simclr", "vit-tiny-small-image", None),
        ("mae", "vit-tiny-small-image", "random"),
        ("mae", "vit-tiny-small-image", "block"),
        ("random-init", "convnet-small", None),
        ("random-init", "vit-tiny-small-image", None),
        ("raw-pixels", None, None),
    ]
    expected = [(*row, seed) for seed in (0, 1) for row in one_seed for _ in AXES["evaluator"]]
    assert names == expected
    assert len({c.key for c in cells}) == len(cells)


def test_what_does_not_work_together_is_skipped_with_its_reason(registry):
    skipped = [c for c in cells_of(registry) if c.skip]
    assert {(c.axes["method"], c.axes["backbone"]) for c in skipped} == {("mae", "convnet-small")}
    assert skipped[0].skip == "mae needs a backbone with tokens; convnet-small has none"


def test_cells_that_differ_only_in_the_evaluator_share_a_pretraining(registry):
    groups = make_plan("s", cells_of(registry), None).groups
    assert [len(group.cells) for group in groups] == [2] * 7


def test_auto_means_what_the_data_set_recommends(registry):
    cells = cells_of(registry, {**AXES, "method": ["simclr"]})
    assert {c.axes["augmentation"] for c in cells} == {"affine"}


def test_auto_as_a_masking_means_the_papers(registry, monkeypatch):
    axes = {**AXES, "method": ["mae", "simclr"], "backbone": ["vit-tiny-small-image"]}
    named = {c.key for c in cells_of(registry, {**axes, "masking": ["block:ratio=0.5"]})}
    monkeypatch.setitem(vars(registry.get("method", "mae")), "masking", "block:ratio=0.5")
    cells = cells_of(registry, {**axes, "masking": ["auto"]})
    assert {c.key for c in cells} == named
    assert {c.axes["masking"] for c in cells} == {"block", None}


def test_an_entry_that_is_given_twice_is_a_mistake_however_it_is_written(registry):
    twice = {"method": ["raw-pixels", "raw-pixels"], "evaluator": ["knn", "knn:k=20"]}
    with pytest.raises(UserError) as caught:
        suite_of(registry, {**AXES, **twice})
    assert caught.value.messages == (
        "s.toml: axes.method[1]: 'raw-pixels' is given twice, here and before; name it once",
        "s.toml: axes.evaluator[1]: 'knn:k=20' is given twice, here and before; name it once",
    )
    with pytest.raises(UserError, match="^--method: 'simclr' is given twice"):
        suite_of(registry, overrides=Overrides({"method": ["simclr", "mae", "simclr"]}))


def test_keys_do_not_depend_on_order_or_on_how_parameters_are_written(registry):
    plain = {c.key for c in cells_of(registry, {**AXES, "method": ["simclr"]})}
    spelt = {c.key for c in cells_of(registry, {**AXES, "method": ["simclr:temperature=0.1"]})}
    table = {c.key for c in cells_of(registry, {**AXES, "method": [{"name": "simclr", "temperature": 0.1}]})}
    assert plain == spelt == table


SHAPING = [
    {"epochs": 41},
    {"batch_size": 64},
    {"evaluate_on": "validation"},
    {"precision": "bf16"},
    {"cuda_graphs": True},
]


@pytest.mark.parametrize("change", SHAPING)
def test_what_shapes_a_result_changes_the_key(registry, change):
    axes = {**AXES, "method": ["simclr"]}
    assert {c.key for c in cells_of(registry, axes)}.isdisjoint(c.key for c in cells_of(registry, axes, **change))


def test_several_devices_are_part_of_the_key_and_of_the_record_and_one_is_not(registry):
    axes = {**AXES, "method": ["simclr"]}
    plain, one, two = (cells_of(registry, axes, **change) for change in ({}, {"devices": 1}, {"devices": 2}))
    assert [c.key for c in plain] == [c.key for c in one]
    assert {c.key for c in plain}.isdisjoint(c.key for c in two)
    assert all("devices" not in c.params["training"] for c in plain)
    assert {c.params["training"]["devices"] for c in two} == {2}


def test_devices_do_not_matter_where_nothing_is_trained(registry):
    axes = {**AXES, "method": ["random-init"]}
    assert [c.key for c in cells_of(registry, axes)] == [c.key for c in cells_of(registry, axes, devices=2)]


@pytest.mark.parametrize("change", [{"time_limit": 9.0}, {"checkpoint_every": 1.0}])
def test_what_shapes_no_result_leaves_the_key(registry, change):
    axes = {**AXES, "method": ["simclr"]}
    assert [c.key for c in cells_of(registry, axes)] == [c.key for c in cells_of(registry, axes, **change)]


def test_epochs_do_not_matter_where_nothing_is_trained(registry):
    axes = {**AXES, "method": ["random-init"]}
    assert [c.key for c in cells_of(registry, axes)] == [c.key for c in cells_of(registry, axes, epochs=99)]


def test_the_command_line_replaces_an_axis(registry):
    overrides = Overrides({"method": ["raw-pixels"], "evaluator": ["knn:k=5"]}, [3], {"epochs": 2})
    suite = suite_of(registry, overrides=overrides)
    assert [c.name for c in suite.axes["method"]] == ["raw-pixels"]
    assert suite.axes["evaluator"][0].values["k"] == 5
    assert (suite.seeds, suite.training.epochs) == ((3,), 2)


def test_a_preset_of_the_suite_reaches_every_plugin_that_has_it(registry):
    suite = suite_of(registry, preset="quick")
    by_name = {c.name: c.values for c in suite.axes["method"]}
    assert by_name["simclr"]["optimizer"] == "adamw"
    assert suite_of(registry).axes["method"][0].values["optimizer"] == "lars"


def test_six_mistakes_are_six_messages(registry):
    wrong = {"method": ["simclrr", "simclr:temperature=-1"], "masking": ["random:ratio=2"], "evaluators": ["knn"]}
    data = {"axes": {**AXES, **wrong}, "seeds": ["x"], "training": {"epoch": 3}}
    with pytest.raises(UserError) as caught:
        resolve_suite(RawSuite("s", "s.toml", data), Overrides(), registry)
    messages = caught.value.messages
    assert len(messages) == 6
    text = "\n".join(messages)
    assert "s.toml: axes.method[0]: unknown method 'simclrr'; did you mean 'simclr'?" in text
    assert "s.toml: axes.method[1]: method 'simclr': temperature = -1: input should be greater than 0" in text
    assert "s.toml: axes.masking[0]: masking 'random': ratio = 2: input should be less than 1" in text
    assert "s.toml: unknown axis 'axes.evaluators' (allowed: method, augmentation" in text
    assert "s.toml: seeds = ['x']: expected integers separated by commas" in text
    assert "s.toml: unknown key 'training.epoch'" in text


def test_a_mistake_on_the_command_line_names_the_option(registry):
    with pytest.raises(UserError, match=r"^--method: unknown method 'moko'"):
        suite_of(registry, overrides=Overrides({"method": ["moko"]}))


@pytest.mark.parametrize("axis", ["method", "dataset", "evaluator", "backbone", "masking"])
def test_an_axis_that_is_needed_and_empty_is_named(registry, axis):
    with pytest.raises(UserError, match=f"s.toml: axis '{axis}' is empty"):
        suite_of(registry, {**AXES, axis: []})


def test_a_folder_that_is_not_there_ends_the_plan(registry):
    with pytest.raises(UserError, match="/no/such/folder"):
        cells_of(registry, {**AXES, "dataset": ["imagefolder:root=/no/such/folder"]})


class Remembers:
    def __init__(self, cells, status="done", inputs=None):
        self.rows = {c.description: [(c.key, inputs or c.inputs, status)] for c in cells}

    def find(self, description):
        return self.rows.get(description, [])

    def data_of(self, cell):
        return None


def states(cells, memory, **options):
    return [item.state for item in make_plan("s", cells, memory, **options).planned if item.state != "skipped"]


def test_what_is_done_is_not_run_again_and_what_failed_is(registry):
    cells = cells_of(registry, {**AXES, "method": ["raw-pixels"]})
    assert states(cells, Remembers(cells)) == ["done", "done"]
    assert states(cells, Remembers(cells, "failed")) == ["to run", "to run"]
    assert states(cells, Remembers(cells, "damaged"), keep_stale=True) == ["to run", "to run"]
    assert states(cells, Remembers(cells), fresh=True) == ["to run", "to run"]
    assert make_plan("s", cells, Remembers(cells), fresh=True).planned[0].reason == "--fresh"


def test_changed_code_or_data_makes_a_record_stale_with_the_reason(registry):
    cells = cells_of(registry, {**AXES, "method": ["raw-pixels"]})
    old = {"code": {**cells[0].inputs["code"], "method 'raw-pixels'": "sslbench 0.0.1"}, "data": "other"}
    memory = Remembers(cells, inputs=old)
    memory.rows = {d: [("old-key", old, "done")] for d in memory.rows}
    plan = make_plan("s", cells, memory)
    assert [item.state for item in plan.planned] == ["stale", "stale"]
    assert plan.planned[0].reason.startswith("the data changed; ")
    assert "method 'raw-pixels' changed (sslbench 0.0.1 -> " in plan.planned[0].reason
    kept = make_plan("s", cells, memory, keep_stale=True).planned[0]
    assert (kept.state, kept.record) == ("done", "old-key")


def test_a_plugin_that_a_parameter_names_counts_as_code_of_the_cell(registry):
    axes = {"method": ["raw-pixels"], "evaluator": ["label-free:augmentation=crop-only", "knn"]}
    cells = cells_of(registry, {**AXES, **axes})
    named = "augmentation 'crop-only' of evaluator 'label-free'"
    codes = [cell.inputs["code"] for cell in cells]
    assert [named in code for code in codes] == [True, False]
    evaluator = cells[0].evaluator
    older = replace(evaluator.named["augmentation"], code="sslbench 0.0.1")
    other = replace(cells[0], evaluator=replace(evaluator, named={"augmentation": older}))
    assert (other.key == cells[0].key, other.description == cells[0].description) == (False, True)
    reasons = [item.reason for item in make_plan("s", cells[:1], Remembers([other])).planned]
    assert reasons == [f"{named} changed (sslbench 0.0.1 -> {codes[0][named]})"]


@pytest.mark.parametrize(
    ("evaluator", "words"),
    [
        ("label-free:augmentation=simclrr", "unknown augmentation 'simclrr'; did you mean 'simclr'?"),
        ("fine-tune:augmentation=crop-only:scale_mn=1", "augmentation 'crop-only': unknown parameter 'scale_mn'; did"),
        ("reconstruction:masking=block:ratio=2", "masking 'block': ratio = 2: input should be less than 1"),
        ("few-label-scratch:augmentation=", "'' names no plugin; expected NAME"),
    ],
)
def test_a_plugin_that_a_parameter_names_wrongly_is_reported_before_the_run(registry, evaluator, words):
    name, _, rest = evaluator.partition(":")
    parameter = rest.partition("=")[0]
    with pytest.raises(UserError, match=re.escape(f"evaluator {name!r}: {parameter}: {words}")) as caught:
        suite_of(registry, {**AXES, "evaluator": [evaluator]})
    assert len(caught.value.messages) == 1


def test_quick_plans_without_mistakes(registry):
    cells = [c for c in expand(resolve_suite(read_suite("quick"), Overrides(), registry)) if not c.skip]
    epochs = {c.axes["method"]: c.pretraining.epochs for c in cells}
    trained = {"simclr": 5, "moco-v3": 5, "dino": 5, "byol": 12, "mae": 12}
    assert epochs == {**trained, "random-init": None, "raw-pixels": None}
    assert {c.axes["masking"] for c in cells} == {None, "random"}
    assert {c.pretraining.method.params.local_crops for c in cells if c.axes["method"] == "dino"} == {0}


def with_curve(registry, curve=("knn",), every=2, method="simclr", **training):
    return cells_of(registry, {**AXES, "method": [method]}, curve=list(curve), curve_every=every, **training)


def test_a_curve_is_part_of_no_key_and_a_record_without_it_is_made_again(registry):
    plain = cells_of(registry, {**AXES, "method": ["simclr"]})
    curved = with_curve(registry)
    assert [c.key for c in plain] == [c.key for c in curved]
    assert [c.pretraining.key for c in plain] == [c.pretraining.key for c in curved]
    assert states(curved, Remembers(curved)) == ["done"] * len(curved)
    assert states(plain, Remembers(curved)) == ["done"] * len(plain)
    plan = make_plan("s", curved, Remembers(plain))
    assert {(item.state, item.reason) for item in plan.planned} == {("stale", "it has no curve")}
    assert {item.state for item in make_plan("s", curved, Remembers(plain), keep_stale=True).planned} == {"done"}
    for other in (with_curve(registry, every=3), with_curve(registry, curve=["knn:k=5"])):
        reasons = {item.reason for item in make_plan("s", other, Remembers(curved)).planned}
        assert reasons == {"its curve is of other settings or older code"}


def test_a_curve_names_its_evaluators_with_their_parameters(registry):
    settings = with_curve(registry, curve=[{"name": "knn", "k": 5}, "linear-probe"])[0].pretraining.curve_settings
    assert settings["every"] == 2
    parameters = [(evaluator["name"], evaluator["params"].get("k")) for evaluator in settings["evaluators"]]
    assert parameters == [("knn", 5), ("linear-probe", None)]
    assert all(evaluator["code"] for evaluator in settings["evaluators"])


@pytest.mark.parametrize("untrained", [{"method": "random-init"}, {"epochs": 0}])
def test_what_is_not_trained_has_no_curve(registry, untrained):
    assert {c.pretraining.curve_settings == {} for c in with_curve(registry, **untrained)} == {True}


@pytest.mark.parametrize(
    ("training", "words"),
    [
        ({"curve_every": 1, "curve": ["kn"]}, "s.toml: training.curve[0]: unknown evaluator 'kn'; did you mean 'knn'?"),
        ({"curve_every": 1, "curve": ["knn:k=0"]}, "s.toml: training.curve[0]: evaluator 'knn': k = 0"),
        ({"curve_every": 1, "curve": ["knn", "knn:k=5"]}, "s.toml: training.curve names evaluator 'knn' twice"),
        ({"curve_every": 1, "curve": [{"k": 1}]}, "training.curve[0] = {'k': 1}: expected \"NAME:key=value\""),
        ({"curve": "knn"}, "s.toml: training.curve is given, but curve_every = 0 asks for no curve"),
        ({"curve_every": -1}, "training.curve_every = -1: input should be greater than or equal to 0"),
        ({"curve_every": 1, "curve": []}, "training.curve = []: tuple should have at least 1 item"),
    ],
)
def test_mistakes_in_a_curve_are_named(registry, training, words):
    with pytest.raises(UserError, match=re.escape(words)):
        suite_of(registry, **training)


@pytest.mark.parametrize(
    ("method", "key", "value"),
    [
        ("simclr:warmup_epochs=11", "warmup_epochs", 11),
        ("dino:teacher_warmup_epochs=11", "teacher_warmup_epochs", 11),
        ("dino:preset=boosted", "teacher_warmup_epochs", 30),
        ("mae", "warmup_epochs", 40),
    ],
)
def test_a_warmup_longer_than_the_training_is_refused_wherever_it_is_from(registry, method, key, value):
    name = method.partition(":")[0]
    allowed = f"allowed: 0 to 10, as in -m {name}"
    words = f"method '{name}': {key} = {value} is longer than the training (epochs = 10); {allowed}"
    with pytest.raises(UserError, match=re.escape(words)):
        suite_of(registry, overrides=Overrides({"method": [method]}), epochs=10)
    assert suite_of(registry, overrides=Overrides({"method": [method]}), epochs=value)


def test_an_augmentation_without_the_views_that_a_method_asks_for_is_skipped(registry):
    overrides = Overrides(axes={"method": ["dino:local_crops=2", "dino"], "augmentation": ["affine", "dino"]})
    cells = expand(resolve_suite(read_suite("quick"), overrides, registry))
    skips = {(c.pretraining.method.params.local_crops, c.axes["augmentation"]): c.skip for c in cells}
    assert skips == {
        (2, "affine"): "dino asks for local views; augmentation affine makes none",
        (2, "dino"): None,
        (0, "affine"): None,
        (0, "dino"): None,
    }


def test_a_method_that_trains_on_labels_is_skipped_where_there_are_none(registry):
    (method,) = suite_of(registry, {**AXES, "method": ["supervised"]}).axes["method"]
    (dataset,) = suite_of(registry).axes["dataset"]
    bare = replace(dataset, spec=replace(dataset.spec, provides=frozenset()))
    assert incompatible(method, None, dataset) is None
    assert incompatible(method, None, bare) == f"supervised trains on labels; data set {dataset.name} has none"


def reason_for(registry, evaluator, method="random-init", dataset="digits", backbone="convnet-small"):
    axes = {**AXES, "method": [method], "dataset": [dataset], "backbone": [backbone], "evaluator": [evaluator]}
    axes["masking"] = ["random"]
    (cell,) = cells_of(registry, axes)
    return cell.skip


NEEDY = {
    "needs-map": ({"mask", "tokens"}, "needs-map needs mask; data set digits has none"),
    "needs-more": ({"depth", "factors"}, "needs-more needs depth, factors; data set digits has none"),
    "needs-tokens": ({"tokens"}, "needs-tokens needs tokens; random-init on convnet-small has none"),
    "needs-reconstruction": (
        {"encoder", "reconstruction"},
        "needs-reconstruction needs reconstruction; random-init on convnet-small has none",
    ),
    "needs-little": ({"labels", "encoder"}, None),
}


@pytest.fixture
def needy(registry, monkeypatch):
    """The registry, with evaluators of each need."""
    get = registry.get
    made = {
        name: EvaluatorSpec(name=name, summary="Needy.", build=lambda params, context: None, needs=frozenset(needs))
        for name, (needs, _) in NEEDY.items()
    }
    monkeypatch.setattr(registry, "get", lambda kind, name: made.get(name) or get(kind, name))
    entry = registry.entry_of("evaluator", "knn")
    entry_of = registry.entry_of
    monkeypatch.setattr(registry, "entry_of", lambda kind, name: entry if name in made else entry_of(kind, name))
    return registry


@pytest.mark.parametrize("name", NEEDY)
def test_an_evaluator_that_needs_what_is_not_there_is_skipped_with_the_reason(needy, name):
    assert reason_for(needy, name) == NEEDY[name][1]


def test_what_the_data_set_the_backbone_or_the_method_provides_is_enough(needy):
    assert reason_for(needy, "needs-map", dataset="shapes", backbone="vit-tiny-small-image") is None
    assert reason_for(needy, "needs-more", dataset="shapes") is None
    assert reason_for(needy, "needs-reconstruction", "mae", backbone="vit-tiny-small-image") is None


def test_a_method_without_a_backbone_has_no_encoder_to_train(needy):
    reason = "needs-little needs encoder; raw-pixels has none"
    assert reason_for(needy, "needs-little", "raw-pixels") == reason


def test_what_a_data_set_provides_may_depend_on_its_parameters(needy):
    shared = cells_of(needy, {**AXES, "method": ["random-init"], "evaluator": ["needs-map"]})[0].pretraining
    calls = []

    def provides(params):
        calls.append(params)
        return frozenset({"mask"})

    spec = replace(shared.dataset.spec, provides=provides)
    other = replace(shared, dataset=replace(shared.dataset, spec=spec))
    (evaluator,) = suite_of(needy, {**AXES, "evaluator": ["needs-map"]}).axes["evaluator"]
    assert incompatible_evaluator(evaluator, other) == "needs-map needs tokens; random-init on convnet-small has none"
    assert calls == [shared.dataset.params]
