"""Memory: the peak of a piece of work, what is in use now, what is left."""

from __future__ import annotations

import ctypes
from contextlib import suppress
from pathlib import Path

import torch

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
MEMINFO = Path("/proc/meminfo")


class PeakMemory:
    """Bytes at the highest point since it was made: on CUDA what torch's allocator handed out, on a CPU the resident
    memory of the process, interpreter and torch included (Linux only; None elsewhere)."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._known = True
        try:
            if device.type == "cuda":
                torch.cuda.reset_peak_memory_stats(device)
            else:
                CLEAR.write_text("5")
        except OSError:
            self._known = False

    def bytes(self) -> int | None:
        """The peak; None where the system does not report it."""
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device)
        return kibibytes(STATUS, "VmHWM:") if self._known else None

    def reserved_bytes(self) -> int | None:
        """What torch's allocator held of the GPU, handed out or not; None on a CPU."""
        return torch.cuda.max_memory_reserved(self._device) if self._device.type == "cuda" else None


def kibibytes(path: Path, name: str) -> int | None:
    """A number of one of Linux's status files, in bytes; None elsewhere."""
    with suppress(OSError):
        for line in path.read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) * 1024
    return None


def used_bytes(device: torch.device) -> int | None:
    """Now: on CUDA what torch's allocator has handed out, on a CPU the resident memory of the process."""
    return torch.cuda.memory_allocated(device) if device.type == "cuda" else kibibytes(STATUS, "VmRSS:")


def available_bytes(device: torch.device) -> int | None:
    """What could still be allocated: of the GPU, what torch holds unused included; of the system, without swapping."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return kibibytes(MEMINFO, "MemAvailable:")


def release_unused(device: torch.device) -> None:
    """Give freed memory back, so that the next measurement counts it as its own. On a CPU where libc can (glibc)."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        return
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
