from __future__ import annotations

from collections import Counter

import pytest

from sslbench.errors import UserError
from sslbench.hooks.registry import Registry
from sslbench.plan.builtin import builtin_suites
from sslbench.plan.expand import resolve_suite
from sslbench.plan.suite import Overrides, RawSuite, read_layout, read_suite


def test_every_builtin_suite_is_well_formed():
    assert "quick" in builtin_suites()
    for name in builtin_suites():
        layout, mistakes = read_layout(read_suite(name))
        assert mistakes == []
        assert layout.name == name
        assert layout.summary


def test_an_unknown_suite_gets_a_hint():
    with pytest.raises(UserError, match=r"unknown suite 'quik'; did you mean 'quick'\? \(built in: .*; or the path"):
        read_suite("quik")


def test_a_missing_file_and_broken_toml_are_one_line(tmp_path):
    with pytest.raises(UserError, match=r"suite '.*none.toml' cannot be read: .*No such file"):
        read_suite(str(tmp_path / "none.toml"))
    path = tmp_path / "bad.toml"
    path.write_text("seeds = [\n")
    with pytest.raises(UserError, match=r"bad.toml: not valid TOML"):
        read_suite(str(path))


def test_all_mistakes_of_the_layout_are_named_at_once():
    data = {"seed": [0], "seeds": [], "training": {"epoch": 3, "batch_size": 1, "precision": "fp8"}}
    layout, mistakes = read_layout(RawSuite("s", "s.toml", data))
    assert layout.training.batch_size == 128, "what is wrong is left out, so that the rest can be checked"
    text = "\n".join(mistakes)
    assert len(mistakes) == 5
    assert "s.toml: unknown key 'seed'; did you mean 'seeds'?" in text
    assert "unknown key 'training.epoch'; did you mean 'epochs'?" in text
    assert "training.batch_size = 1: input should be greater than or equal to 2" in text
    assert "training.precision = 'fp8': input should be 'auto', 'fp32', 'tf32', 'bf16' or 'fp16'" in text
    assert "seeds = []: list should have at least 1 item" in text


SIZED = """
summary = "large"
seeds = [0, 1, 2]
[axes]
dataset = ["digits"]
method = ["raw-pixels"]
evaluator = ["knn", "linear-probe"]
[training]
epochs = 100
batch_size = 256
[sizes.small]
summary = "small"
seeds = [0]
axes.evaluator = ["knn"]
training.epochs = 5
[sizes.middle]
training.epochs = 50
"""


@pytest.fixture
def sized_file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(SIZED)
    return str(path)


def test_a_size_replaces_whole_axes_and_single_settings(sized_file):
    suite = resolve_suite(read_suite(sized_file, "small"), Overrides(), Registry())
    assert (suite.name, suite.seeds) == ("mine-small", (0,))
    assert [choice.name for choice in suite.axes["evaluator"]] == ["knn"]
    assert [choice.name for choice in suite.axes["method"]] == ["raw-pixels"]
    assert (suite.training.epochs, suite.training.batch_size) == (5, 256)
    middle = resolve_suite(read_suite(sized_file, "middle"), Overrides(), Registry())
    assert (middle.name, middle.seeds, middle.training.epochs) == ("mine-middle", (0, 1, 2), 50)
    whole = resolve_suite(read_suite(sized_file), Overrides(training={"epochs": 7}), Registry())
    assert (whole.name, whole.training.epochs) == ("mine", 7)
    assert read_suite(sized_file, "small").data["summary"] == "small"


def test_an_unknown_size_names_those_that_there_are(sized_file):
    words = r"mine.toml: unknown size 'smal'; did you mean 'small'\? \(sizes: small, middle\)"
    with pytest.raises(UserError, match=words):
        read_suite(sized_file, "smal")
    with pytest.raises(UserError, match=r"quick: unknown size 'small' \(it has none: a table \[sizes.NAME\] holds"):
        read_suite("quick", "small")


def test_mistakes_in_a_size_are_named_whether_it_is_run_or_not():
    sizes = {
        "small": {"training": {"epoch": 3, "batch_size": 1}, "axes": {"methods": []}},
        "wrong": {"seed": [1]},
        "fine": {"training": {"epochs": 3}},
    }
    text = "\n".join(read_layout(RawSuite("s", "s.toml", {"sizes": sizes}))[1])
    allowed = "(allowed: summary, axes, seeds, training)"
    assert f"s.toml: unknown key 'sizes.wrong.seed'; did you mean 'seeds'? {allowed}" in text
    del sizes["wrong"]
    text = "\n".join(mistakes := read_layout(RawSuite("s", "s.toml", {"sizes": sizes}))[1])
    assert len(mistakes) == 3
    assert "unknown key 'sizes.small.training.epoch'; did you mean 'epochs'?" in text
    assert "s.toml: sizes.small.training.batch_size = 1: input should be greater than or equal to 2" in text
    assert "s.toml: unknown axis 'sizes.small.axes.methods' (allowed: method, augmentation" in text


@pytest.mark.parametrize("name", builtin_suites())
def test_every_size_of_a_builtin_suite_has_a_summary_and_resolves(name):
    sizes = read_suite(name).data.get("sizes", {})
    for size, changes in sizes.items():
        assert changes["summary"]
        suite = resolve_suite(read_suite(name, size), Overrides(), Registry())
        assert suite.name == f"{name}-{size}"


def test_the_builtin_studies_have_a_small_size():
    small = {name for name in builtin_suites() if "small" in read_suite(name).data.get("sizes", {})}
    assert small == {"augmentations", "few-labels", "maskings"}


@pytest.mark.parametrize("size", [None, "small"])
def test_the_study_of_maskings_has_masked_methods_on_one_axis_of_every_masking(size):
    suite = resolve_suite(read_suite("maskings", size), Overrides(), Registry())
    masked = {choice.name for choice in suite.axes["method"] if "masking" in choice.spec.uses}
    assert masked == {"mae", "simmim", "ibot", "ijepa"}
    counts = Counter(choice.name for choice in suite.axes["masking"])
    assert set(counts) == {"random", "block", "grid", "multi-block"}
    assert set(counts.values()) == {2 if size else 4}


@pytest.mark.parametrize("name", builtin_suites())
def test_every_builtin_suite_resolves(name):
    suite = resolve_suite(read_suite(name), Overrides(), Registry())
    assert suite.name == name
    assert all(suite.axes[axis] for axis in ("method", "dataset", "evaluator", "backbone"))
