from __future__ import annotations

import pytest

from sslbench.contracts.params import Params, param
from sslbench.hooks.params import resolve


class Example(Params):
    rate: float = param(0.5, "a rate", gt=0, lt=1)
    size: int = param(..., "a size", unit="px", ge=1)


PRESETS = {"small": {"size": 2}, "fast": {"rate": 0.9, "size": 9}}


def test_defaults_then_preset_then_given():
    params, mistakes = resolve("x", Example, {"rate": 0.1}, PRESETS, "fast")
    assert (params, mistakes) == (Example(rate=0.1, size=9), [])


def test_the_users_preset_beats_the_suites():
    params, _ = resolve("x", Example, {"preset": "small"}, PRESETS, "fast")
    assert params == Example(rate=0.5, size=2)


def test_a_suites_preset_that_the_plugin_lacks_is_ignored_and_a_users_is_not():
    assert resolve("x", Example, {"size": 1}, PRESETS, "nope")[1] == []
    assert resolve("x", Example, {"size": 1, "preset": "nope"}, PRESETS)[1] == [
        "x: no preset 'nope'; allowed: default, small, fast"
    ]


def test_every_mistake_gets_its_line():
    params, mistakes = resolve("method 'x'", Example, {"rate": 2, "sise": 3})
    assert params is None
    assert mistakes == [
        "method 'x': unknown parameter 'sise'; did you mean 'size'? (allowed: rate, size)",
        "method 'x': rate = 2: input should be less than 1",
        "method 'x': size is required",
    ]


def test_not_a_number_is_no_parameter():
    assert "rate = nan" in resolve("x", Example, {"rate": float("nan"), "size": 1})[1][0]


def test_parameters_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        Example(size=1).size = 2
