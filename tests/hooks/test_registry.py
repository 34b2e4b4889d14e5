from __future__ import annotations

import pytest

from sslbench.errors import PluginError, UserError
from sslbench.hooks.registry import Registry

GOOD = '''
"""A masking."""
from sslbench import MaskingSpec, hookimpl

@hookimpl
def sslbench_maskings():
    return [MaskingSpec(name="mine", summary="A masking.", build=lambda params, context: None)]
'''


def test_a_third_party_plugin_is_found_like_a_builtin(distribution):
    distribution("good", {"masking.mine": "good_plugin"}, {"good_plugin": GOOD})
    registry = Registry()
    assert registry.get("masking", "mine").summary == "A masking."
    assert registry.entry_of("masking", "mine").distribution == "good"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import no_such_module\n", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("raise SystemExit(3)\n", "SystemExit: 3"),
        ("def broken(:\n", "SyntaxError"),
        ("x = 1\n", "promises masking.mine, the module brings nothing"),
        (GOOD.replace('name="mine"', 'name="other"'), "promises masking.mine, the module brings masking.other"),
        (GOOD.replace("sslbench_maskings", "sslbench_masking"), "unknown hook 'sslbench_masking'"),
        (
            GOOD.replace("return [MaskingSpec", "return [dict").replace(", build", ", b"),
            "must return a list of MaskingSpec, not dict",
        ),
        (GOOD.replace("maskings()", "maskings(extra)"), "Argument"),
        (
            GOOD.replace('name="mine"', 'name="../mine"'),
            "name = '../mine' is no name that a folder can have; a name has",
        ),
    ],
)
def test_a_broken_plugin_says_why_and_hurts_nobody_else(distribution, capsys, source, reason):
    distribution("bad", {"masking.mine": "bad_plugin"}, {"bad_plugin": source})
    registry = Registry()
    with pytest.raises(PluginError, match="masking 'mine' from bad 1.0 is broken: "):
        registry.get("masking", "mine")
    assert registry.get("masking", "random").name == "random"
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("sslbench: plugin masking.mine of bad 1.0 left out: ")
    assert reason in line


def test_plugins_loads_each_and_says_ok_or_failed(distribution):
    distribution("bad", {"masking.bad": "bad_plugin2"}, {"bad_plugin2": "1 / 0\n"})
    results = {plugin.entry.name: plugin.failure for plugin in Registry().load_all()}
    assert results["masking.bad"] == "ZeroDivisionError: division by zero"
    assert results["method.simclr"] == ""


def test_a_bundle_brings_what_its_hooks_return(distribution):
    distribution("sack", {"sack": "sack_plugin1"}, {"sack_plugin1": GOOD.replace("mine", "sacked")})
    registry = Registry()
    assert "sacked" in registry.names("masking")
    assert registry.get("masking", "sacked").name == "sacked"


def test_a_bundle_may_not_take_a_name_that_has_an_owner(distribution):
    distribution("sack", {"sack": "sack_plugin2"}, {"sack_plugin2": GOOD.replace("mine", "random")})
    registry = Registry()
    with pytest.raises(PluginError, match="brought by both 'sslbench' and 'sack'"):
        registry.get("masking", "random")
    failures = {plugin.entry.name: plugin.failure for plugin in registry.load_all()}
    assert "brought by both" in failures["sack"]
    assert "brought by both" in failures["masking.random"]


def test_two_bundles_may_not_bring_one_name(distribution):
    distribution("sack", {"sack": "sack_plugin3"}, {"sack_plugin3": GOOD.replace("mine", "sacked")})
    distribution("bag", {"bag": "bag_plugin"}, {"bag_plugin": GOOD.replace("mine", "sacked")})
    with pytest.raises(PluginError, match="brought by both 'bag' and 'sack'"):
        Registry().get("masking", "sacked")


def test_one_entry_point_that_is_written_twice_is_loaded_once_and_named(distribution):
    folder = distribution("double", {"masking.mine": "double_plugin"}, {"double_plugin": GOOD})
    points = next(folder.glob("*.dist-info")) / "entry_points.txt"
    points.write_text("[sslbench]\nmasking.mine = double_plugin\nmasking.mine=double_plugin\n")
    failures = [plugin.failure for plugin in Registry().load_all() if plugin.entry.distribution == "double"]
    assert failures == ["plugin masking.mine: distribution 'double' brings it twice; a name has one owner"] * 2


def test_an_unknown_name_gets_a_hint():
    words = r"unknown method 'simclrr'; did you mean 'simclr'\? \(see: sslbench list method\)"
    with pytest.raises(UserError, match=words):
        Registry().get("method", "simclrr")


def test_an_unknown_name_says_when_the_environment_hides_everything(monkeypatch):
    monkeypatch.setenv("SSLBENCH_PLUGINS", "nothing")
    with pytest.raises(UserError, match="SSLBENCH_PLUGINS is 'nothing'"):
        Registry().get("method", "simclr")
