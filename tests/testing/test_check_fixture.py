"""The fixtures by which authors check their plugins in their own tests."""

from __future__ import annotations

import pytest
import timm  # noqa: F401
import torch._dynamo  # noqa: F401  (both before a run inside this process, which forgets what it imports)

import sslbench.testing.conformance  # noqa: F401

pytest_plugins = ["pytester"]
GOOD = '''"""Good: nothing random."""
from sslbench import AugmentationSpec, Params, centre_view, hookimpl, param
class Shade(Params):
    light: float = param(1.0, "share of the light that is kept", gt=0, le=1)
class Good:
    def __init__(self, light):
        self.light = light
    def view(self, index, kind, size):
        return lambda images, generator: centre_view(images, size) * self.light
@hookimpl
def sslbench_augmentations():
    return [AugmentationSpec(name=name, params=Shade, build=lambda p, c: Good(p.light)) for name in NAMES]
NAMES = ("good", "fine")
'''
TEST = """
def test_it_keeps_its_contract(sslbench_problems):
    assert sslbench_problems == []

def test_its_name(sslbench_spec):
    assert sslbench_spec.kind == "augmentation"
"""


def test_there_is_a_test_for_each_plugin_of_a_distribution(pytester, distribution):
    distribution(
        "my-plugins", {"augmentation.good": "good_ones", "augmentation.fine": "good_ones"}, {"good_ones": GOOD}
    )
    pytester.makeini("[pytest]\nsslbench_check = my-plugins")
    pytester.makepyfile(TEST)
    result = pytester.runpytest_inprocess("-v")
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(["*test_it_keeps_its_contract[[]augmentation.good[]]*"])


def test_a_fault_is_in_the_failure_and_the_option_counts_for_more(pytester, distribution):
    bad = GOOD.replace("* self.light", "* 255")
    distribution("my-bad-ones", {"augmentation.good": "bad_ones"}, {"bad_ones": bad})
    pytester.makeini("[pytest]\nsslbench_check = others")
    pytester.makepyfile(TEST)
    result = pytester.runpytest_inprocess("--sslbench-check=my-bad-ones")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*augmentation 'good': view 0 (global) of 5 x 16 x 16: values from *"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], '*test_it_keeps_its_contract: name what to check: sslbench_check = *"my-package"*'),
        (["--sslbench-check=nobodys"], "*'nobodys' is nothing to check*; allowed: a plugin (kind.name), *"),
    ],
)
def test_what_is_to_be_checked_must_be_named(pytester, options, words):
    pytester.makepyfile(TEST)
    result = pytester.runpytest_inprocess(*options)
    assert result.ret != 0
    assert any(
        words.strip("*").split("*")[0] in line for line in (result.stdout.str() + result.stderr.str()).splitlines()
    )


def test_one_that_cannot_be_loaded_fails(pytester, distribution):
    distribution("my-broken-ones", {"augmentation.good": "broken_ones"}, {"broken_ones": "import nothing_of_this_name"})
    pytester.makepyfile(TEST)
    result = pytester.runpytest_inprocess("--sslbench-check=my-broken-ones")
    result.assert_outcomes(failed=1, errors=1)
    result.stdout.fnmatch_lines(["*cannot be loaded: ModuleNotFoundError: No module named 'nothing_of_this_name'*"])
