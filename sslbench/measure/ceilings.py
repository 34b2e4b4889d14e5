"""What this machine can do at most: matrix products and memory copies, measured, and kept with their date."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sslbench.errors import TimingError
from sslbench.hooks.user_paths import user_cache
from sslbench.measure.clocks import contended, undisturbed_clock
from sslbench.measure.precision import float32_arithmetic
from sslbench.store.digests import DamagedFile, read_json, write_json

PRECISIONS: Mapping[str, Mapping[str, torch.dtype]] = {
    "cpu": {"fp32": torch.float32, "bf16": torch.bfloat16},
    "cuda": {
        "fp32": torch.float32,
        "tf32": torch.float32,
        "bf16": torch.bfloat16,
        "fp16": torch.float16,
        "fp8": torch.float8_e4m3fn,
    },
}
"""What is worth measuring: no training step of a CPU is faster in fp16. No step is computed in fp8: what a GPU could
do in it is shown beside the others."""
SIDES = {"cpu": 1536, "cuda": 8192}
"""side of the square matrices: large enough to reach the ceiling, small enough for a tenth of a second"""
COPIED = {"cpu": 2**28, "cuda": 2**31}
"""bytes that are copied, far more than a cache holds"""
SECONDS = 0.3
"""for each quantity"""


@dataclass(frozen=True)
class Ceilings:
    """The best of several tries of each; None where the device cannot do it."""

    device: str
    """processor or GPU by name"""
    threads: int | None
    """of a CPU; None on a GPU"""
    torch: str
    flops: Mapping[str, float | None]
    """precision -> operations per second of a matrix product, a multiply-add counted as two"""
    copy_bytes_per_second: float | None
    """bytes read and written by a copy within the device's memory"""
    measured: str
    """when: UTC, ISO 8601"""
    contended: bool
    """other programs took cores meanwhile: a ceiling may be higher"""

    def utilisation(self, flops_per_second: float | None, precision: str) -> float | None:
        """The share of the ceiling that is in use; None where either is unknown."""
        ceiling = self.flops.get(precision)
        return None if flops_per_second is None or not ceiling else flops_per_second / ceiling


def ceilings(device: str, processor: str | None, report: Callable[[str], None] = lambda text: None) -> Ceilings:
    """Those of this machine: from the cache, or measured within two seconds and cached. What was measured beside other
    programs is measured again the next time, and the higher number is kept. ``processor``: its name."""
    path = cache_path(device, processor)
    known = read(path)
    if known and not known.contended:
        return known
    if known is None and path.exists():
        report(f"{path}: damaged or of an older sslbench; measured again")
    report(f"measuring what {device} can do at most (about a second; kept in {path.parent})")
    measured = measure(device, processor)
    measured = highest(known, measured) if known else measured
    with suppress(OSError):  # without a cache it is measured each time
        write_json(path, asdict(measured), indent=1)
    return measured


def identity(device: str, processor: str | None) -> dict[str, Any]:
    """What a ceiling depends on."""
    if device.startswith("cuda"):
        name, threads = torch.cuda.get_device_name(device), None
    else:
        name, threads = processor or "unknown processor", torch.get_num_threads()
    return {"device": name, "threads": threads, "torch": torch.__version__}


def cache_path(device: str, processor: str | None) -> Path:
    """``ceilings-HASH.json`` in ``sslbench`` of the user's cache folder ($XDG_CACHE_HOME, ~/.cache)."""
    folder = user_cache()
    asked = {**identity(device, processor), "precisions": list(PRECISIONS[torch.device(device).type])}
    machine = json.dumps(asked, sort_keys=True).encode()
    return folder / f"ceilings-{hashlib.blake2b(machine, digest_size=6).hexdigest()}.json"


def read(path: Path) -> Ceilings | None:
    """None for a file that is not there or is damaged."""
    try:
        known = Ceilings(**read_json(path))
        numbers = [*known.flops.values(), known.copy_bytes_per_second]
        whole = all(n is None or (isinstance(n, (int, float)) and n > 0) for n in numbers)
        return known if whole and isinstance(known.contended, bool) and isinstance(known.measured, str) else None
    except (OSError, DamagedFile, TypeError, AttributeError):
        return None


def highest(earlier: Ceilings, later: Ceilings) -> Ceilings:
    """The higher of each number, with the later date; contended only if both were."""

    def higher(a: float | None, b: float | None) -> float | None:
        return max(filter(None, (a, b)), default=None)

    flops = {name: higher(earlier.flops.get(name), later.flops.get(name)) for name in later.flops}
    copied = higher(earlier.copy_bytes_per_second, later.copy_bytes_per_second)
    busy = earlier.contended and later.contended
    return replace(later, flops=flops, copy_bytes_per_second=copied, contended=busy)


def measure(device: str, processor: str | None) -> Ceilings:
    """Measured now, without the cache."""
    where = torch.device(device)
    side, copied = SIDES[where.type], COPIED[where.type]
    contentions = []

    def rate(amount: float, make: Callable[[], Callable[[], Any]]) -> float | None:
        # None: no such kernel, no room, or clocks that disagree.
        with suppress(RuntimeError, TimingError):
            seconds, busy = shortest(make(), where)
            contentions.append(busy)
            return amount / seconds
        return None

    def product(dtype: torch.dtype) -> Callable[[], Any]:
        factors = [torch.randn(side, side, device=where).to(dtype) for _ in range(2)]
        return partial(fp8_product if dtype is torch.float8_e4m3fn else torch.matmul, *factors)

    def rate_of(precision: str, dtype: torch.dtype) -> float | None:
        with float32_arithmetic(precision):
            return rate(2 * side**3, partial(product, dtype))

    def copy() -> Callable[[], Any]:
        source = torch.zeros(copied, dtype=torch.uint8, device=where)
        return partial(torch.empty_like(source).copy_, source)

    return Ceilings(
        **identity(device, processor),
        flops={name: rate_of(name, dtype) for name, dtype in PRECISIONS[where.type].items()},
        copy_bytes_per_second=rate(2 * copied, copy),
        measured=datetime.now(UTC).isoformat(timespec="seconds"),
        contended=any(contentions),
    )


def fp8_product(left: Tensor, right: Tensor) -> Tensor:
    """Of float8 ``[M, K]`` and ``[N, K]``, bf16 ``[M, N]``: tensor cores take the second factor by columns. Raises
    RuntimeError on what has no such kernel (GPUs below compute capability 8.9)."""
    one = torch.ones((), device=left.device)
    return torch._scaled_mm(left, right.mT, one, one, out_dtype=torch.bfloat16, use_fast_accum=True)


def shortest(call: Callable[[], Any], device: torch.device) -> tuple[float, bool]:
    """Seconds of the fastest of the calls that fit into ``SECONDS`` (at least three); whether cores were taken."""
    call()
    began, busy = time.perf_counter(), False
    taken_ms: list[float] = []
    while len(taken_ms) < 3 or time.perf_counter() - began < SECONDS:
        clock = undisturbed_clock(device)
        clock.start()
        for _ in range(1 if device.type == "cpu" else 8):
            call()
            clock.mark()
        laps = clock.stop()
        taken_ms += laps.step_ms
        busy = busy or bool(contended(laps, torch.get_num_threads()))
    return min(taken_ms) / 1000, busy
