"""The pytest plugin of sslbench: the fixture ``sslbench_speed`` and a gate on what it measures; and plugins checked
against their contract, one test each. No torch is imported for who uses neither."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from torch import Tensor

    from sslbench.contracts.plugin import Spec
    from sslbench.measure.limits import Limit
    from sslbench.testing.conformance.targets import Target
    from sslbench.testing.speed import Speed

FOLDER = ".sslbench"
"""Where speeds that are stored by a name alone are kept, below pytest's root."""
PROPERTY = "sslbench_speed"
"""How a line of the summary travels from a test to the end of the session, also out of another process."""
CHECK = "sslbench_check"
"""name of the setting in pytest's configuration"""
SECONDS = 20.0
PRECISION = 0.01


@dataclass(frozen=True)
class Settings:
    """The options, read and checked."""

    limits: Sequence[Limit] = ()
    save: Path | None = None
    stored: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def precision(self) -> float:
        """A fifth of the narrowest limit, as a share."""
        return min([limit.percent / 500 for limit in self.limits if limit.percent], default=PRECISION)


SETTINGS = pytest.StashKey[Settings]()
MEASURED = pytest.StashKey[set[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--sslbench-save``, ``--sslbench-compare``, ``--sslbench-fail-on``, ``--sslbench-check``."""
    group = parser.getgroup("sslbench", "speed of steps (sslbench)")
    group.addoption(
        "--sslbench-save",
        metavar="NAME|PATH",
        help=f"Store what sslbench_speed measures in {FOLDER}/NAME.json, or in the .json file of that path.",
    )
    group.addoption("--sslbench-compare", metavar="NAME|PATH", help="Compare what is measured with what was stored.")
    group.addoption(
        "--sslbench-fail-on",
        action="append",
        default=[],
        metavar="QUANTITY:PERCENT",
        help="Fail a test whose step is slower by this, such as images_per_second:5%%; repeatable.",
    )
    text = "What sslbench_problems checks: distributions, modules, or plugins such as method.mine"
    group.addoption("--sslbench-check", action="append", default=[], metavar="TARGET", help=f"{text}; repeatable.")
    parser.addini(CHECK, f"{text}.", type="args", default=[])


def pytest_configure(config: pytest.Config) -> None:
    """Reads the options, if any are there."""
    options = [config.getoption(f"sslbench_{name}") for name in ("save", "compare", "fail_on")]
    config.stash[SETTINGS] = read_settings(config, *options) if any(options) else Settings()


def read_settings(config: pytest.Config, save: str | None, compare: str | None, fail_on: list[str]) -> Settings:
    """Raises pytest.UsageError, which ends the run before its first test, with a line for each mistake."""
    from sslbench.errors import UserError
    from sslbench.measure.limits import read_limits
    from sslbench.store.speeds import read_speeds
    from sslbench.testing.speed import QUANTITIES

    try:
        limits = read_limits("--sslbench-fail-on", fail_on, QUANTITIES)
        target = json_file(config, save) if save else None
        if target is not None and target.exists():
            read_speeds(target)
        return Settings(limits, target, read_speeds(json_file(config, compare)) if compare else {})
    except UserError as error:
        raise pytest.UsageError(*error.messages) from None


def json_file(config: pytest.Config, name: str) -> Path:
    """``NAME`` -> ``.sslbench/NAME.json`` below the root; what ends in .json is a path."""
    is_path = name.endswith(".json")
    return config.invocation_params.dir / name if is_path else config.rootpath / FOLDER / f"{name}.json"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test of ``sslbench_problems`` or ``sslbench_spec`` for each plugin that is to be checked."""
    if not {"sslbench_problems", "sslbench_spec"} & set(metafunc.fixturenames):
        return
    from sslbench.errors import SslbenchError
    from sslbench.hooks.registry import Registry
    from sslbench.testing.conformance.targets import targets_of

    texts = metafunc.config.getoption(CHECK) or metafunc.config.getini(CHECK)
    if not texts:
        raise pytest.UsageError(f'{metafunc.function.__name__}: name what to check: {CHECK} = ["my-package"]')
    try:
        targets = targets_of(texts, False, (), Registry())
    except SslbenchError as error:
        raise pytest.UsageError(*error.messages) from None
    metafunc.parametrize("_sslbench_target", targets, ids=[f"{t.kind}.{t.name}" for t in targets], indirect=True)


@pytest.fixture
def _sslbench_target(request: pytest.FixtureRequest) -> Target:
    """One plugin that is to be checked."""
    found: Target = request.param
    return found


@pytest.fixture
def sslbench_spec(_sslbench_target: Target) -> Spec:
    """The spec of each plugin that ``sslbench_check`` names."""
    if _sslbench_target.spec is None:
        pytest.fail(_sslbench_target.faults[0].text, pytrace=False)
    return _sslbench_target.spec


@pytest.fixture
def sslbench_problems(_sslbench_target: Target) -> list[str]:
    """How each plugin that ``sslbench_check`` names breaks its contract, one line each; empty for a good one."""
    from sslbench.testing.conformance import problems

    spec, faults = _sslbench_target.spec, [fault.text for fault in _sslbench_target.faults]
    return faults if spec is None else faults + problems(spec, **_sslbench_target.given)


@pytest.fixture
def sslbench_speed(request: pytest.FixtureRequest) -> Callable[..., Speed]:
    """Measure a step, alone or in turn with a baseline, and check it against the limits of the command line."""

    def measure(
        step: Callable[[], Any],
        *,
        images: int = 1,
        baseline: Callable[[], Any] | None = None,
        baseline_images: int | None = None,
        name: str | None = None,
        parameters: Iterable[Tensor] | None = None,
        baseline_parameters: Iterable[Tensor] | None = None,
        device: str | None = None,
        seconds: float = SECONDS,
    ) -> Speed:
        """Call ``step`` until its speed is known; fail the test where it crosses a limit of ``--sslbench-fail-on``.

        ``images``: source images of one call. ``baseline``: a step to be measured in turn with it, of
        ``baseline_images`` (by default as many). ``name``: of this measurement, where a test makes several.
        ``parameters``: tensors that the timed run must change, where the step trains; it then returns its loss.
        ``device``: where the step computes; by default where its parameters are, else the GPU where there is one.
        ``seconds``: to measure at most, warming up left out. Raises TimingError for a measurement that contradicts
        itself, UserError for a wrong setting and for a name used twice.
        """
        from sslbench.measure.timing import Arm
        from sslbench.testing.stopwatch import measure_speed

        settings = request.config.stash[SETTINGS]
        key = claim(request.node, name)
        other_images = images if baseline_images is None else baseline_images
        speed = measure_speed(
            Arm(step, images, listed(parameters)),
            Arm(baseline, other_images, listed(baseline_parameters)) if baseline else None,
            name=name or request.node.name,
            device=device,
            seconds=seconds,
            precision=settings.precision,
        )
        settle(request.node, key, speed, settings)
        return speed

    return measure


def listed(parameters: Iterable[Tensor] | None) -> list[Tensor] | None:
    """As a list: ``model.parameters()`` can be iterated only once."""
    return None if parameters is None else list(parameters)


def claim(node: pytest.Item, name: str | None) -> str:
    """The measurement's id among all tests. Raises UserError where this test has used it already."""
    from sslbench.errors import UserError

    key = node.nodeid if name is None else f"{node.nodeid} {name}"
    used = node.stash.setdefault(MEASURED, set())
    if key in used:
        raise UserError(f"sslbench_speed: {key} is measured already; give each measurement of a test its own name=")
    used.add(key)
    return key


def settle(node: pytest.Item, key: str, speed: Speed, settings: Settings) -> None:
    """Store it first, so that nothing is lost; then check its limits."""
    from sslbench.store.speeds import add_speed
    from sslbench.testing.speed import StoredSpeed, check_limits, summary_line

    if settings.save is not None:
        add_speed(settings.save, key, speed.described())
    stored = StoredSpeed.from_json(settings.stored[key], f"stored speed {key}") if key in settings.stored else None
    crossed, notes = check_limits(speed, stored, settings.limits)
    node.user_properties.append((PROPERTY, json.dumps([key, summary_line(speed, stored, crossed, notes)])))
    if crossed:
        pytest.fail("\n".join(crossed), pytrace=False)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line for each measurement, and nothing where there was none."""
    reports = [report for same_outcome in terminalreporter.stats.values() for report in same_outcome]
    lines = [value for report in reports for name, value in getattr(report, "user_properties", ()) if name == PROPERTY]
    if not lines:
        return
    terminalreporter.section("sslbench speed")
    # The reports of one test repeat its properties.
    for line in dict(json.loads(value) for value in lines).values():
        terminalreporter.write_line(line)
