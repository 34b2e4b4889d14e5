"""Energy, by the counters of the hardware: of a GPU the whole card, of a CPU its packages, whoever uses them."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

POWERCAP = Path("/sys/class/powercap")
PACKAGES = "intel-rapl:[0-9]*"
"""of AMD's processors too; what lies below one (``intel-rapl:0:0``) is a part of it"""
NVML = "libnvidia-ml.so.1"
SECONDS = {"cpu": 0.5, "cuda": 2.0}
"""of steps in a row, so that a counter that moves every millisecond, or tenth of a second, tells them"""
LEAST_STEPS = 3


class Unreadable(Exception):
    """Why a counter cannot be read, in one line."""


@dataclass(frozen=True)
class Counter:
    """One that only grows, and begins again at 0 after ``most``."""

    read: Callable[[], int]
    """microjoules; raises Unreadable"""
    most: int | None = None
    """microjoules"""


class EnergyMeter:
    """Joules since it was made, added up at each reading: one at least in the half hour in which a package's counter
    may begin again. ``why_not``: why nothing is known of them; None where they can be read."""

    def __init__(
        self, device: torch.device, counters: Callable[[torch.device], Sequence[Counter]] | None = None
    ) -> None:
        self.why_not: str | None = None
        self._joules, self._last = 0.0, list[int]()
        try:
            self._counters = (counters or counters_of)(device)
            self._last = [counter.read() for counter in self._counters]
        except Unreadable as error:
            self.why_not = str(error)

    def read(self) -> float | None:
        """Joules until now; None where they are not known."""
        self._joules += self._since_last() / 1e6
        return None if self.why_not else self._joules

    def leave_out(self) -> None:
        """What was used since the last reading does not count."""
        self._since_last()

    def _since_last(self) -> int:
        if self.why_not:
            return 0
        try:
            now = [counter.read() for counter in self._counters]
        except Unreadable as error:
            self.why_not = str(error)
            return 0
        pairs = zip(self._counters, self._last, now, strict=True)
        used = sum(after - before + (counter.most or 0) * (after < before) for counter, before, after in pairs)
        self._last = now
        return used


def joules_per_image(
    step: Callable[[], object],
    images: int,
    step_ms: float,
    seconds: float,
    meter: EnergyMeter,
    wait: Callable[[], object],
) -> float | None:
    """Of as many steps in a row as take ``seconds``, 3 at least; None where it is not known. ``step_ms``: about how
    long one takes; ``images``: of a step; ``wait``: until the device has done its work."""
    steps = max(LEAST_STEPS, math.ceil(1000 * seconds / max(step_ms, 1e-6)))
    wait()
    meter.leave_out()
    for _ in range(steps):
        step()
    wait()
    joules = meter.read()
    return None if joules is None else joules / (steps * images)


def counters_of(device: torch.device) -> Sequence[Counter]:
    """Of the device. Raises Unreadable."""
    return [card(device)] if device.type == "cuda" else packages()


def packages(folder: Path = POWERCAP) -> list[Counter]:
    """One for each package of the processors, by RAPL (Linux). Raises Unreadable."""
    zones = [zone for zone in sorted(folder.glob(PACKAGES)) if zone.name.count(":") == 1]
    zones = [zone for zone in zones if text_in(zone / "name").startswith("package")]
    if not zones:
        raise Unreadable(f"this machine shows no counter of its processor's energy ({folder}/intel-rapl:0)")

    def of(zone: Path) -> Counter:
        return Counter(lambda: number_in(zone / "energy_uj"), number_in(zone / "max_energy_range_uj"))

    return [of(zone) for zone in zones]


def number_in(path: Path) -> int:
    """Raises Unreadable for what is none."""
    text = text_in(path)
    if not text.isdecimal():
        raise Unreadable(f"{path} holds {text[:20]!r}, no number")
    return int(text)


def text_in(path: Path) -> str:
    """Raises Unreadable."""
    try:
        return path.read_text().strip()
    except PermissionError:
        raise Unreadable(f"{path} may not be read by this user (sudo chmod a+r {path})") from None
    except (OSError, ValueError) as error:
        raise Unreadable(f"{path} cannot be read: {error}") from None


def card(device: torch.device, library: Callable[[str], ctypes.CDLL] = ctypes.CDLL) -> Counter:
    """Of the GPU's card, by NVML, which comes with the driver (``nvmlDeviceGetTotalEnergyConsumption``, since Volta).
    Raises Unreadable."""
    try:
        nvml = library(NVML)
    except OSError as error:
        raise Unreadable(f"NVML cannot be loaded: {error}") from None
    nvml.nvmlErrorString.restype = ctypes.c_char_p

    def check(code: int) -> None:
        if code:
            raise Unreadable(f"NVML gives no energy of {device}: {nvml.nvmlErrorString(code).decode()}")

    handle, millijoules = ctypes.c_void_p(), ctypes.c_ulonglong()
    check(nvml.nvmlInit_v2())
    # By its name: CUDA_VISIBLE_DEVICES gives GPUs other numbers than NVML has.
    uuid = f"GPU-{torch.cuda.get_device_properties(device).uuid}".encode()
    check(nvml.nvmlDeviceGetHandleByUUID(uuid, ctypes.byref(handle)))

    def read() -> int:
        check(nvml.nvmlDeviceGetTotalEnergyConsumption(handle, ctypes.byref(millijoules)))
        return 1000 * millijoules.value

    return Counter(read)
