"""The plugin as third parties meet it: their tests, run by pytest in this process on a clock that is made up."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

# What an inner session imports is forgotten after it, which torch does not survive: it is imported out here.
import sslbench.testing.stopwatch  # noqa: F401

pytest_plugins = ["pytester"]

CONFTEST = """
import numpy as np
import pytest
import torch
from sslbench.measure import comparison, timing
from sslbench.testing import stopwatch
from sslbench.testing.fake_time import FakeClock, fake_training


@pytest.fixture
def clock(monkeypatch):
    clock = FakeClock()
    monkeypatch.setattr(timing, "PAUSE", (0.0, 0.0))
    monkeypatch.setattr(comparison, "undisturbed_clock", lambda device: clock)
    monkeypatch.setattr(stopwatch, "undisturbed_clock", lambda device: clock)
    return clock


@pytest.fixture
def step(clock):
    def make(ms, noise=0.005):
        generator = np.random.default_rng(round(1000 * ms))
        return fake_training(clock, lambda _: ms * (1 + noise * generator.standard_exponential()))[0]

    return make
"""
TESTS = """
import pytest


def test_equal(sslbench_speed, step):
    sslbench_speed(step(4.0), images=64, baseline=step(4.0), device="cpu")


def test_slower(sslbench_speed, step):
    sslbench_speed(step(4.2), images=64, baseline=step(4.0), device="cpu")


def test_twice(sslbench_speed, step):
    found = sslbench_speed(step(2.0), images=64, baseline=step(4.0), device="cpu", name="fast")
    assert found.speed_up == pytest.approx(2.0, rel=0.02)
    assert found.images_per_second == pytest.approx(32_000, rel=0.02)
    found = sslbench_speed(step(4.0), images=64, baseline=step(4.0), baseline_images=32, device="cpu", name="large")
    assert found.speed_up == pytest.approx(2.0, rel=0.02)


def test_alone(sslbench_speed, step):
    assert sslbench_speed(step(4.0), images=64, device="cpu").images_per_second == pytest.approx(16_000, rel=0.02)
"""
LIMIT = "--sslbench-fail-on=images_per_second:5%"


@pytest.fixture
def their(pytester):
    """Their test session: call it with the options of pytest."""
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(test_speed=TESTS)
    return lambda *options: pytester.runpytest_inprocess("-W", "error", *options)


def test_a_slower_step_turns_red_in_one_line(their):
    result = their(LIMIT)
    result.assert_outcomes(passed=3, failed=1)
    words = "*test_slower: an image takes * longer than the baseline of this run (99%: *): not within the limit *:5%"
    result.stdout.fnmatch_lines(["*_ test_slower _*", words])
    assert "Traceback" not in result.stdout.str()
    result.stdout.fnmatch_lines(["test_slower: *<- TOO SLOW"])


def test_without_a_limit_nothing_is_checked_but_all_is_reported(their):
    result = their()
    result.assert_outcomes(passed=4)
    lines = list(filter(None, result.stdout.str().split("= sslbench speed =")[1].splitlines()))
    assert [line.partition(":")[0] for line in lines[1:6]] == [
        "test_equal",
        "test_slower",
        "fast",
        "large",
        "test_alone",
    ]
    assert "TOO SLOW" not in result.stdout.str()


def test_what_has_no_baseline_is_not_checked_and_says_so(their):
    result = their(LIMIT, "-k", "alone")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["test_alone: *; images_per_second:5% not checked: no baseline= in the test and *"])


def test_speeds_are_stored_with_the_machine_also_those_that_are_too_slow(their, pytester):
    their(LIMIT, "--sslbench-save=before")
    document = json.loads((pytester.path / ".sslbench/before.json").read_text())
    speeds = document["speeds"]
    assert list(speeds) == [
        f"test_speed.py::test_{name}" for name in ("equal", "slower", "twice fast", "twice large", "alone")
    ]
    slower = speeds["test_speed.py::test_slower"]
    assert slower["machine"].keys() >= {"processor", "cores", "gpu", "torch", "threads", "time", "python"}
    assert slower["low"] < slower["speed_up"] < slower["high"] < 1
    assert len(slower["step_ms"]) >= 100


def test_stored_speeds_are_what_a_test_without_baseline_is_compared_with(their, pytester):
    their("--sslbench-save=deep/before.json", "-k", "alone")
    assert (pytester.path / "deep/before.json").is_file()
    their("--sslbench-compare=deep/before.json", LIMIT, "-k", "alone").assert_outcomes(passed=1)
    pytester.makepyfile(
        test_speed=TESTS.replace(
            "sslbench_speed(step(4.0), images=64, device", "sslbench_speed(step(4.4), images=64, device"
        )
    )
    result = their("--sslbench-compare=deep/before.json", LIMIT, "-k", "alone")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["test_alone: an image takes 10.* longer than stored (99%: *): not within the limit *"])


def test_a_stored_ratio_is_what_a_ratio_is_compared_with(their, pytester):
    their("--sslbench-save=before", "-k", "twice")
    pytester.makepyfile(test_speed=TESTS.replace("step(2.0)", "step(2.3)").replace("assert", "0 and"))
    result = their("--sslbench-compare=before", "--sslbench-fail-on=speed_up:5%", "-k", "twice")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["fast: an image takes 1* longer than its stored speed-up over the baseline, *"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--sslbench-fail-on=images:5%"], "*'images:5%': unknown quantity 'images'*(allowed: images_per_second, *"),
        (["--sslbench-fail-on=5"], "*--sslbench-fail-on '5' is not QUANTITY:PERCENT*such as images_per_second:5%"),
        (["--sslbench-compare=never"], "*never.json: no such file; --sslbench-save makes one"),
        (["--sslbench-save=conf.json"], "*conf.json: cannot be read as JSON*"),
    ],
)
def test_a_wrong_option_ends_the_run_before_its_first_test(their, pytester, options, words):
    (pytester.path / "conf.json").write_text("mine")
    result = their(*options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([words])
    assert "passed" not in result.stdout.str()
    assert (pytester.path / "conf.json").read_text() == "mine"


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("images=0", "sslbench_speed(images=0): must be above 0"),
        ("seconds=-1", "sslbench_speed(seconds=-1): must be above 0"),
        ("baseline=step(1.0), baseline_images=-1", "sslbench_speed(baseline_images=-1): must be above 0"),
        ("device='gpu'", "'gpu': allowed are auto, cpu, cuda and cuda:N"),
        (
            "device='cpu') and sslbench_speed(step(4.0)",
            "test_wrong is measured already; give each measurement of a test",
        ),
        ("device='cpu', parameters=[torch.zeros(2)]", "none of 1 parameter tensors changed in the timed run"),
    ],
)
def test_a_wrong_call_is_reported(pytester, call, words):
    pytester.makeconftest(CONFTEST)
    source = f"import torch\ndef test_wrong(sslbench_speed, step):\n    sslbench_speed(step(4.0), {call})"
    pytester.makepyfile(test_speed=source)
    result = pytester.runpytest_inprocess("-W", "error")
    result.assert_outcomes(failed=1)
    assert words in result.stdout.str()


def test_a_step_that_trains_is_checked_where_its_parameters_are(pytester):
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(
        test_speed="""
        from sslbench.testing.fake_time import fake_training

        def test_training(sslbench_speed, clock):
            step, parameters = fake_training(clock, lambda _: 4.0)
            assert sslbench_speed(step, images=2, parameters=iter(parameters)).step_ms_median == 4.0
        """
    )
    pytester.runpytest_inprocess("-W", "error").assert_outcomes(passed=1)


def test_a_real_step_on_the_real_clock(pytester):
    pytester.makepyfile(
        test_speed="""
        import time

        def test_sleeping(sslbench_speed):
            found = sslbench_speed(lambda: time.sleep(0.002), images=4, device="cpu", seconds=0.1)
            assert found.step_ms_median >= 1.9
            assert found.machine["gpu"] is None
        """
    )
    pytester.runpytest_inprocess("-W", "error").assert_outcomes(passed=1)


def test_who_does_not_use_it_sees_nothing_of_it(tmp_path):
    """Another process, warnings as errors: no torch, no word in the output, no file."""
    (tmp_path / "test_theirs.py").write_text(
        "import sys\n"
        "def test_theirs():\n"
        "    assert 'sslbench.testing.pytest_plugin' in sys.modules\n"
        "    heavy = {'torch', 'numpy', 'pandas', 'sslbench.testing.speed', 'sslbench.errors'}\n"
        "    assert not heavy & set(sys.modules)\n"
    )
    command = [sys.executable, "-W", "error", "-m", "pytest", "-W", "error", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "speed" not in done.stdout
    assert done.stderr == ""
    assert not (tmp_path / ".sslbench").exists()


def test_the_options_are_in_the_help(pytester):
    text = pytester.runpytest_inprocess("--help").stdout.str()
    for option in ("--sslbench-save=NAME|PATH", "--sslbench-compare=NAME|PATH", "--sslbench-fail-on=QUANTITY:PERCENT"):
        assert option in text


def test_the_test_of_the_documentation(pytester):
    text = (Path(__file__).parents[2] / "docs/gates.md").read_text()
    (source,) = re.findall(r"^```python\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    pytester.makeconftest(CONFTEST)
    theirs = """
import pytest
import torch

batch, now = None, None


@pytest.fixture(autouse=True)
def on_a_clock_that_is_made_up(clock):
    global now
    now = clock


def make_model():
    return torch.nn.Linear(1, 1)


make_old_model = make_model


def train_step(model, batch, ms=4.0):
    now.now += ms
    model.weight.data.add_(0.5)
    return torch.ones(())


def old_train_step(model, batch):
    return train_step(model, batch, ms=6.0)


"""
    pytester.makepyfile(test_theirs=theirs + source)
    pytester.runpytest_inprocess("-W", "error", LIMIT).assert_outcomes(passed=1)
