"""Peak memory of a stretch of work."""

from __future__ import annotations

from pathlib import Path

import torch

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class PeakMemory:
    """Bytes at the highest point since it was made.

    On CUDA what torch's allocator handed out; on a CPU the resident memory of the process, which holds the
    interpreter and torch itself as well (Linux only; None elsewhere).
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._known = True
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            return
        try:
            CLEAR.write_text("5")
        except OSError:
            self._known = False

    def bytes(self) -> int | None:
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device)
        if not self._known:
            return None
        try:
            lines = STATUS.read_text().splitlines()
        except OSError:
            return None
        peak = next((line for line in lines if line.startswith("VmHWM:")), None)
        return int(peak.split()[1]) * 1024 if peak else None

    def reserved_bytes(self) -> int | None:
        """What torch's allocator held of the GPU, handed out or not; None on a CPU."""
        return torch.cuda.max_memory_reserved(self._device) if self._device.type == "cuda" else None
