"""What many tests of the harness share: scratch distributions, the command line, and small pieces of work."""

from __future__ import annotations

import atexit
import gc
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import distribution as distribution_of, entry_points
from pathlib import Path
from typing import Any

import pytest

# Two cores are shared with whatever else runs; one thread keeps timings and sums steady.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# A run of its own for each of some hundred tests: without a worker process, which takes seconds to start.
os.environ["SSLBENCH_EXECUTOR"] = "inline"
# Tables are laid out for it.
os.environ.pop("COLUMNS", None)
# A shell's background jobs ignore interrupts, and so would the processes that tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config: pytest.Config) -> None:
    """Let the warnings be that torch gives on a GPU without need; all others are errors."""
    from sslbench.measure.device_warnings import HARMLESS

    for message, category in HARMLESS:
        config.addinivalue_line("filterwarnings", f"ignore:{message}:{category.__name__}")


def pytest_collection_finish() -> None:
    """Leave what is imported by now out of all garbage collection: a search through it takes a quarter of a second,
    and what measures memory asks for many."""
    gc.collect()
    gc.freeze()


HIDDEN = "a GPU is there: tests/gpu/test_pretended.py runs it with the GPU hidden"


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs a GPU where there is none, and what pretends one where there is one."""
    needed, pretended = (item.get_closest_marker(name) for name in ("gpu", "pretended"))
    if not needed and not pretended:
        return
    import torch

    if needed and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    if pretended and torch.cuda.is_available():
        pytest.skip(HIDDEN)


collect_ignore = ["thirdparty"]  # a distribution with tests of its own
Distribution = Callable[..., Path]
PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"


def show_new_plugins() -> None:
    """An editable install knows the entry points of the day that it was made on: where pyproject.toml has others, let
    this process and its children find those."""
    project = tomllib.loads(PYPROJECT.read_text())["project"]
    known = {point.name for point in entry_points(group="sslbench")}
    new = [f"{name} = {module}\n" for name, module in project["entry-points"]["sslbench"].items() if name not in known]
    if not new:
        return
    folder = tempfile.mkdtemp(prefix="sslbench-metadata-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    info = Path(folder) / f"sslbench-{project['version']}.dist-info"
    shutil.copytree(distribution_of("sslbench")._path, info)
    with (info / "entry_points.txt").open("a") as points:
        points.writelines(["\n[sslbench]\n", *new])
    sys.path.insert(0, folder)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [folder, os.environ.get("PYTHONPATH")]))


show_new_plugins()


def write_distribution(
    folder: Path, name: str, entry_points: Mapping[str, str], modules: Mapping[str, str], version: str = "1.0"
) -> Path:
    """A distribution as pip leaves it: modules, and the metadata that importlib reads."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    points = "".join(f"{key} = {value}\n" for key, value in entry_points.items())
    (info / "entry_points.txt").write_text(f"[sslbench]\n{points}")
    for module, source in modules.items():
        path = folder.joinpath(*module.split(".")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(source))
    return folder


@pytest.fixture
def distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Distribution:
    """Write a scratch distribution and put it on the path of this process."""

    def make(name: str, entry_points: Mapping[str, str], modules: Mapping[str, str], version: str = "1.0") -> Path:
        folder = write_distribution(tmp_path / "dists" / name, name, entry_points, modules, version)
        monkeypatch.syspath_prepend(str(folder))
        return folder

    yield make
    scratch = str(tmp_path)
    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(scratch):
            del sys.modules[name]


@pytest.fixture
def sslbench(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command line as a user would: another process, in an empty folder."""
    folder = tmp_path / "cwd"
    folder.mkdir()

    def call(*arguments: str, path: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
        variables = {**os.environ, **environment}
        if path is not None:
            variables["PYTHONPATH"] = os.pathsep.join([str(path), variables.get("PYTHONPATH", "")])
        return subprocess.run(
            [sys.executable, "-m", "sslbench", *arguments],
            cwd=folder,
            env=variables,
            capture_output=True,
            text=True,
            timeout=300,
        )

    return call


@pytest.fixture
def small_work() -> Callable[..., Any]:
    """Make a piece of work that takes a second: two steps of a method on 128 digits."""
    from sslbench.contracts.executor import Evaluation, PluginChoice, TrainingSettings, Work

    small = {"batch_size": 64, "train_images": 128, "evaluate_on": "validation", "device": "cpu", "precision": "fp32"}

    def make(
        out: Path,
        method: str | PluginChoice = "simclr",
        evaluators: tuple[str, ...] = ("knn",),
        training: Mapping[str, Any] | None = None,
        key: str = "k0",
        plugins: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> Work:
        choices = {
            "method": PluginChoice(method) if isinstance(method, str) else method,
            "dataset": PluginChoice("digits"),
            "backbone": PluginChoice("convnet-small", {"width": 4}),
            "augmentation": PluginChoice("affine"),
            **(plugins or {}),
        }
        return Work(
            key=key,
            plugins={kind: choice for kind, choice in choices.items() if choice is not None},
            seed=0,
            training=TrainingSettings(**{"epochs": 1, **small, **(training or {})}),
            mask_ratio=None,
            evaluations=tuple(Evaluation(f"cell-{name}", PluginChoice(name)) for name in evaluators),
            out=str(out),
            **more,
        )

    return make


@pytest.fixture
def blocks() -> Callable[[str, str], list[str]]:
    """The blocks of code of a page in one language, in order."""
    return lambda text, language: re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture
def flipped() -> Callable[..., Iterator[bytes]]:
    """The content of a file with one bit changed, at evenly spread places."""

    def contents(path: Path, places: int = 20) -> Iterator[bytes]:
        content = path.read_bytes()
        for place in range(places):
            at = (2 * place + 1) * len(content) // (2 * places)
            yield content[:at] + bytes([content[at] ^ 1 << place % 8]) + content[at + 1 :]

    return contents


@dataclass(frozen=True)
class Emitted:
    """The events of one piece of work."""

    events: list[Any]

    @property
    def records(self) -> list[Any]:
        return [event.record for event in self.events if hasattr(event, "record")]

    @property
    def stages(self) -> list[str]:
        return self._texts("StageStarted")

    @property
    def warnings(self) -> list[str]:
        return self._texts("Warned")

    def _texts(self, kind: str) -> list[str]:
        return [event.text for event in self.events if type(event).__name__ == kind]


@pytest.fixture
def do_work() -> Callable[..., Emitted]:
    """Do a piece of work in this process."""
    from sslbench.execute.worker import run_work

    def run(work: Any, registry: Any = None) -> Emitted:
        events: list[Any] = []
        run_work(work, events.append, registry)
        return Emitted(events)

    return run


@pytest.fixture
def gone() -> Callable[[int], None]:
    """Wait until a process is no more; a zombie that nobody reaps counts as gone."""

    def wait(pid: int) -> None:
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        try:
            assert select.select([descriptor], [], [], 60)[0], f"process {pid} is still there"
        finally:
            os.close(descriptor)

    return wait
