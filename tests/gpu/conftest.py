"""The road of a command, on the CPU wherever the tests run and on a GPU where there is one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sslbench.cli.main import call
from sslbench.measure.ceilings import Ceilings

DIGITS = "-d digits -b convnet-small:width=4 -a affine --batch-size 16 --set train_images=64".split()
HUES = {"blue": (40, 60, 200), "red": (210, 50, 40)}


@dataclass(frozen=True)
class Answer:
    """What one command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def records(self) -> list[dict[str, Any]]:
        return json.loads(self.out)["records"]


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def ask(
    device: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Answer]:
    """One command of sslbench on the device, in this process and an empty folder: warnings are errors in it too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    # What the machine can do at most takes a minute to measure.
    most = Ceilings("chip", 1, "2.14", {"fp32": 1e11}, 1e10, "2026-01-01T00:00:00+00:00", False)
    monkeypatch.setattr("sslbench.speed.run.ceilings", lambda *given: most)
    monkeypatch.setattr("sslbench.measure.timing.PAUSE", (0.0, 0.0))
    monkeypatch.setattr("sslbench.measure.comparison.SLOT_MS", 0.0)

    def run(*arguments: str, on_device: bool = True, code: int = 0) -> Answer:
        capfd.readouterr()
        given = [*arguments, *(["--device", device] if on_device else [])]
        answer = Answer(call(given), *capfd.readouterr())
        assert answer.code == code, answer.err
        return answer

    return run


@pytest.fixture
def run_digits(ask: Callable[..., Answer]) -> Callable[..., Answer]:
    """``sslbench run`` of a small training on 64 digits, four steps an epoch."""
    given = [*DIGITS, "--set", "evaluate_on=validation", "--format", "json", "--out", "out"]

    def run(*arguments: str, **expected: Any) -> Answer:
        methods = [] if {"-m", "--method"} & set(arguments) else ["-m", "simclr"]
        evaluators = [] if "-e" in arguments else ["-e", "knn"]
        epochs = [] if "--epochs" in arguments else ["--epochs", "1"]
        return ask("run", *arguments, *methods, *evaluators, *epochs, *given, **expected)

    return run


@pytest.fixture
def little_memory(device: str) -> Iterator[None]:
    """256 MB more than are in use, of a GPU."""
    if device == "cpu":
        yield
        return
    import torch

    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + 2**28) / total)
    yield
    torch.cuda.set_per_process_memory_fraction(1.0)


@pytest.fixture
def photos(tmp_path: Any) -> Any:
    """Two classes of sixteen noisy JPEG files of one hue each."""
    generator = np.random.default_rng(0)
    for name, hue in HUES.items():
        for number in range(16):
            pixels = np.clip(np.array(hue) + generator.integers(-40, 41, (24, 28, 3)), 0, 255).astype(np.uint8)
            path = tmp_path / "photos" / name / f"{number:02}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
    return tmp_path / "photos"
