"""``epochs`` beside a method's parameters: how long it alone is trained."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sslbench.contracts.params import Params, param
from sslbench.errors import UserError
from sslbench.hooks.registry import Registry
from sslbench.plan.choose import chosen
from sslbench.plan.expand import expand, resolve_suite
from sslbench.plan.method_epochs import takes_epochs
from sslbench.plan.plan import make_plan
from sslbench.plan.reference import Reference
from sslbench.plan.suite import Overrides, RawSuite, sized

AXES = {
    "method": ["simclr", "mae:epochs=16", {"name": "byol", "epochs": 12}, "random-init"],
    "augmentation": ["auto"],
    "masking": ["random"],
    "dataset": ["digits"],
    "backbone": ["vit-tiny-small-image"],
    "evaluator": ["knn"],
}


@pytest.fixture(scope="module")
def registry():
    return Registry()


def cells_of(registry, methods=AXES["method"], overrides=None, size=None, sizes=(), **training):
    training = {"preset": "quick", "epochs": 8, **training}
    data = {"axes": {**AXES, "method": methods}, "training": training, "sizes": dict(sizes)}
    raw = RawSuite("s", "s.toml", data)
    raw = raw if size is None else sized(raw, size)
    return expand(resolve_suite(raw, overrides or Overrides(), registry))


def epochs(cells):
    return [(cell.axes["method"], cell.pretraining.epochs) for cell in cells]


def mistakes_of(registry, *methods, **settings):
    with pytest.raises(UserError) as caught:
        cells_of(registry, methods, **settings)
    return caught.value.messages


def test_a_method_with_epochs_of_its_own_is_trained_for_these_and_all_others_for_the_suites(registry):
    cells = cells_of(registry)
    assert epochs(cells) == [("simclr", 8), ("mae", 16), ("byol", 12), ("random-init", None)]
    assert [cell.pretraining.training.epochs for cell in cells[:3]] == [8, 16, 12]
    assert [cell.params["training"].get("epochs") for cell in cells] == [8, 16, 12, None]
    assert all("epochs" not in cell.params["method"] for cell in cells)


def test_the_key_is_that_of_a_suite_with_these_epochs_so_that_nothing_is_trained_twice(registry):
    own = {cell.axes["method"]: cell.key for cell in cells_of(registry)}
    of_all = {cell.axes["method"]: cell.key for cell in cells_of(registry, ["simclr", "mae", "byol"], epochs=16)}
    plain = {cell.axes["method"]: cell.key for cell in cells_of(registry, ["simclr", "mae", "byol", "random-init"])}
    assert own["mae"] == of_all["mae"] != plain["mae"]
    assert own["byol"] not in (of_all["byol"], plain["byol"])
    assert (own["simclr"], own["random-init"]) == (plain["simclr"], plain["random-init"])


def test_a_record_of_other_epochs_is_not_taken_for_one_of_these(registry):
    class Memory:
        def __init__(self, cells):
            self.cells = cells

        def find(self, description):
            return [(cell.key, cell.inputs, "done") for cell in self.cells if cell.description == description]

        def data_of(self, cell):
            return None

    before = Memory(cells_of(registry, ["simclr", "mae", "byol", "random-init"]))
    states = [(item.cell.axes["method"], item.state) for item in make_plan("s", cells_of(registry), before).planned]
    assert states == [("simclr", "done"), ("mae", "to run"), ("byol", "to run"), ("random-init", "done")]
    longer = Memory(cells_of(registry, ["mae"], epochs=16))
    assert [item.state for item in make_plan("s", cells_of(registry, ["mae:epochs=16"]), longer).planned] == ["done"]


def test_one_method_may_be_trained_for_several(registry):
    cells = cells_of(registry, ["mae", "mae:epochs=16", "mae:epochs=24"])
    assert epochs(cells) == [("mae", 8), ("mae", 16), ("mae", 24)]
    assert epochs(cells_of(registry, ["mae", "mae:epochs=8"])) == [("mae", 8)], "the same recipe is run once"
    words = "s.toml: axes.method[1]: 'mae:epochs=16' is given twice, here and before; name it once"
    assert mistakes_of(registry, "mae:epochs=16", "mae:epochs=16") == (words,)


def test_epochs_of_the_command_line_are_for_all_methods_of_the_suite(registry):
    overrides = Overrides(training={"epochs": 2})
    assert epochs(cells_of(registry, overrides=overrides)) == [
        ("simclr", 2),
        ("mae", 2),
        ("byol", 2),
        ("random-init", None),
    ]
    assert epochs(cells_of(registry, ["mae:epochs=16", "mae:epochs=24"], overrides)) == [("mae", 2)]


def test_beside_a_method_of_the_command_line_they_are_for_it_alone(registry):
    overrides = Overrides({"method": ["mae:epochs=4", "simclr"]}, training={"epochs": 2})
    assert epochs(cells_of(registry, overrides=overrides)) == [("mae", 4), ("simclr", 2)]
    overrides = Overrides({"method": ["mae"]})
    assert epochs(cells_of(registry, overrides=overrides)) == [("mae", 16)], "as the suite has it"
    overrides = Overrides({"method": ["mae"]}, training={"epochs": 2})
    assert epochs(cells_of(registry, overrides=overrides)) == [("mae", 2)]
    assert epochs(cells_of(registry, overrides=overrides, size="s", sizes={"s": {"training": {"epochs": 3}}})) == [
        ("mae", 2)
    ]
    overrides = Overrides({"method": ["mae"]})
    assert epochs(cells_of(registry, overrides=overrides, size="s", sizes={"s": {"training": {"epochs": 3}}})) == [
        ("mae", 3)
    ], "epochs of a size are for every method"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"training": {"epochs": 2}}, [("simclr", 2), ("mae", 2), ("byol", 2), ("random-init", None)]),
        ({"training": {"batch_size": 64}}, [("simclr", 8), ("mae", 16), ("byol", 12), ("random-init", None)]),
        ({"training": {"epochs": 2}, "axes": {"method": ["mae:epochs=4", "simclr"]}}, [("mae", 4), ("simclr", 2)]),
        ({"axes": {"method": ["mae:epochs=4", "simclr"]}}, [("mae", 4), ("simclr", 8)]),
    ],
)
def test_so_are_those_of_a_size(registry, changes, expected):
    assert epochs(cells_of(registry, size="small", sizes={"small": changes})) == expected


def test_a_size_that_is_no_table_is_one_mistake(registry):
    lines = mistakes_of(registry, "raw-pixels", size="small", sizes={"small": {"training": 3}})
    assert lines == ("s.toml: sizes.small.training = 3: input should be an object",)


def test_every_mistake_is_named_at_once_with_its_place(registry):
    methods = ["mae:epoch=16", "simclr:epochs=-1", {"name": "byol", "epochs": True}, "dino:epochs=2.5"]
    lines = mistakes_of(registry, *methods, "random-init:epochs=3", {"name": "moco", "epochs": "4"})
    assert "s.toml: axes.method[0]: method 'mae': unknown parameter 'epoch'; did you mean 'epochs'?" in lines[0]
    assert lines[1:] == (
        "s.toml: axes.method[1]: method 'simclr': epochs = -1: input should be greater than or equal to 0",
        "s.toml: axes.method[2]: method 'byol': epochs = True: input should be a valid integer",
        "s.toml: axes.method[3]: method 'dino': epochs = 2.5: input should be a valid integer",
        "s.toml: axes.method[4]: method 'random-init': unknown parameter 'epochs' (allowed: none, it has no"
        " parameters)",
        "s.toml: axes.method[5]: method 'moco': epochs = '4': input should be a valid integer",
    )


def test_a_warm_up_is_held_against_the_epochs_of_its_method(registry):
    line = "method 'mae': warmup_epochs = 40 is longer than the training (epochs = 30); allowed: 0 to 30, as in"
    assert mistakes_of(registry, "mae:epochs=30", epochs=50, preset="default")[0].startswith(line)
    assert epochs(cells_of(registry, ["mae:epochs=40"], epochs=30, preset="default")) == [("mae", 40)]


def test_only_a_suite_takes_them_and_only_for_methods_that_train_and_call_no_parameter_so(registry):
    with pytest.raises(UserError, match="^--model: method 'mae': unknown parameter 'epochs'"):
        chosen("method", Reference("mae", {"epochs": 3}, "--model"), registry)
    mae = registry.get("method", "mae")
    assert takes_epochs(mae)

    class Own(Params):
        epochs: int = param(3, "of its own")

    assert not takes_epochs(replace(mae, params=Own))
    assert not takes_epochs(registry.get("method", "random-init"))
    assert not takes_epochs(registry.get("evaluator", "fine-tune"))
