"""What is named in the place of the suite's plugins has the suite's settings, under those that are given with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from sslbench.errors import UserError
from sslbench.hooks.registry import Registry
from sslbench.plan.expand import expand, resolve_suite
from sslbench.plan.observers import read_observers
from sslbench.plan.reference import Reference
from sslbench.plan.suite import Overrides, RawSuite, read_suite

AXES = {
    "method": ["simclr:temperature=0.3,lr=0.1", "mae:epochs=16", "random-init"],
    "augmentation": ["affine:degrees=5", "auto"],
    "masking": ["random:ratio=0.25", "random:ratio=0.5", "block:ratio=0.5"],
    "dataset": ["shapes:train_images=100,test_images=20"],
    "backbone": ["vit-tiny-small-image:dim=48,heads=3"],
    "evaluator": ["knn:k=5", "few-label:labels=[2,13]"],
}


@pytest.fixture(scope="module")
def registry():
    return Registry()


def suite_of(registry, axes=None, training=None, **named):
    raw = RawSuite("s", "s.toml", {"axes": {**AXES, **(axes or {})}, "training": {"preset": "quick", "epochs": 8}})
    return resolve_suite(raw, Overrides(named, training=training or {}), registry)


def params_of(choice, *names):
    return {name: getattr(choice.params, name) for name in names}


@pytest.mark.parametrize(
    ("axis", "name", "expected"),
    [
        ("method", "simclr", [{"temperature": 0.3, "lr": 0.1}]),
        ("method", "simclr:lr=0.2", [{"temperature": 0.3, "lr": 0.2}]),
        ("method", Reference("simclr", {"lr": 0.2}, "methods"), [{"temperature": 0.3, "lr": 0.2}]),
        ("augmentation", "affine", [{"degrees": 5}]),
        ("masking", "block", [{"ratio": 0.5}]),
        ("masking", "random", [{"ratio": 0.25}, {"ratio": 0.5}]),
        ("masking", "random:ratio=0.9", [{"ratio": 0.9}]),
        ("dataset", "shapes:test_images=30", [{"train_images": 100, "test_images": 30}]),
        ("backbone", "vit-tiny-small-image:depth=2", [{"dim": 48, "heads": 3, "depth": 2}]),
        ("evaluator", "knn", [{"k": 5}]),
    ],
)
def test_a_plugin_of_the_suite_has_its_settings_of_which_those_given_count_for_more(registry, axis, name, expected):
    choices = suite_of(registry, **{axis: [name]}).axes[axis]
    assert [params_of(choice, *values) for choice, values in zip(choices, expected, strict=True)] == expected


@pytest.mark.parametrize(
    ("axis", "name", "own"),
    [
        ("method", "simclr:preset=default,warmup_epochs=0", {"temperature": 0.1}),
        ("method", "simclr:preset=quick", {"temperature": 0.5}),
        ("backbone", "vit-tiny-small-image:preset=default", {"dim": 192}),
        ("evaluator", "knn:preset=default", {"k": 20}),
        ("method", "moco", {}),
    ],
)
def test_a_preset_leaves_the_settings_of_the_suite_out_and_so_does_another_plugin(registry, axis, name, own):
    plain = {**AXES, axis: [name]}
    (choice,) = suite_of(registry, **{axis: [name]}).axes[axis]
    (alone,) = suite_of(registry, axes=plain).axes[axis]
    assert choice.description == alone.description
    assert params_of(choice, *own) == own


def test_epochs_beside_a_method_are_its_settings_too_unless_epochs_for_all_are_given(registry):
    def epochs(*names, **training):
        cells = expand(suite_of(registry, method=names, training=training))
        return [cell.pretraining.epochs for cell in cells if cell.axes["method"] == "mae"][:1]

    assert epochs("mae") == epochs("mae:mask_tokens_in_encoder=true") == [16]
    assert epochs("mae", epochs=3) == [3]
    assert epochs("mae:epochs=5", epochs=3) == epochs("mae:epochs=5") == [5]
    assert epochs("mae:preset=quick") == epochs("mae:preset=default,warmup_epochs=0") == [8]


@pytest.mark.parametrize(
    ("written", "named", "size"),
    [
        ("imagefolder:root={here}/cats,size=40", "{here}/cats", 40),
        ("imagefolder:root={here}/cats,size=40", "imagefolder:root={here}/./cats/", 40),
        ("imagefolder:root={here}/cats,size=40", "{here}/dogs", None),
        ("{here}/cats", "{here}/dogs", None),
    ],
)
def test_a_data_set_of_another_folder_is_another_data_set(registry, tmp_path, written, named, size):
    axes = {"dataset": [written.format(here=tmp_path)]}
    named = named.format(here=tmp_path)
    for folder in ("cats", "dogs"):
        (tmp_path / folder / "one").mkdir(parents=True)
    (choice,) = suite_of(registry, axes=axes, dataset=[named]).axes["dataset"]
    assert Path(choice.params.root).name == ("dogs" if "dogs" in named else "cats")
    assert choice.params.size == (size or type(choice.params).model_fields["size"].default)


def test_another_model_is_another_model(registry):
    axes = {"method": ["pretrained:name=resnet18,size=64"]}
    (same,) = suite_of(registry, axes=axes, method=["pretrained"]).axes["method"]
    assert params_of(same, "name", "size") == {"name": "resnet18", "size": 64}
    (other,) = suite_of(registry, axes=axes, method=["pretrained:path=model"]).axes["method"]
    assert params_of(other, "name", "path", "size") == {"name": "", "path": "model", "size": 0}


def test_what_is_wrong_with_it_is_said_as_before(registry):
    with pytest.raises(UserError) as caught:
        suite_of(registry, method=["simclrr", "simclr:heat=1", "mae", "mae:epochs=16"], dataset=["labels.csv"])
    first, second, third, fourth = caught.value.messages
    assert first.startswith("--method: unknown method 'simclrr'; did you mean 'simclr'?")
    assert second.startswith("--method: method 'simclr': unknown parameter 'heat'")
    assert third == "--method: 'mae:epochs=16' is given twice, here and before; name it once"
    assert fourth.startswith("--dataset: labels.csv is a table of labels")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((), ("mine", "offline")),
        (("wandb",), ("mine", "offline")),
        (("wandb:mode=disabled",), ("mine", "disabled")),
        (("wandb:preset=default",), ("", "auto")),
    ],
)
def test_the_observers_of_a_suite_too(registry, given, expected):
    raw = RawSuite("s", "s.toml", {"observers": ["wandb:project=mine,mode=offline"]})
    (choice,), _ = read_observers(raw, given, registry)
    assert (choice.params.project, choice.params.mode) == expected


def test_mae_of_quick_is_trained_as_quick_trains_it(registry):
    """Naming methods of a built-in suite selects among its cells."""
    raw = read_suite("quick")
    whole = {cell.key for cell in expand(resolve_suite(raw, Overrides(), registry))}
    for name in ("mae", "byol", "simclr"):
        part = {cell.key for cell in expand(resolve_suite(raw, Overrides({"method": [name]}), registry))}
        assert part < whole
