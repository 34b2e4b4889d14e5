"""The device and precision in use, and what torch knows of the machine."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import torch

from sslbench.errors import UserError, did_you_mean, quoted
from sslbench.measure.device_warnings import ignore_harmless
from sslbench.store.provenance import output_of

BF16_SINCE = 8.0
"""compute capability (Ampere)"""


def resolve_device(wanted: str, offered: Sequence[str] | None = None) -> str:
    """``auto`` -> ``cuda`` where there is one, else ``cpu``. ``offered``: what an executor runs on, as its ``devices``
    say; None: this machine. Raises UserError for a device that is not there."""
    kinds = {device.partition(":")[0] for device in offered or ()}
    if wanted != "cpu":
        ignore_harmless()
    if wanted == "auto":
        return "cuda" if ("cuda" in kinds if offered else torch.cuda.is_available()) else "cpu"
    if not re.fullmatch(r"cpu|cuda(:[0-9]{1,3})?", wanted):
        hint = did_you_mean(wanted, ["auto", "cpu", "cuda"])
        raise UserError(f"--device {quoted(wanted)}: allowed are auto, cpu, cuda and cuda:N{hint}")
    kind, _, number = wanted.partition(":")
    if offered and "cuda" in offered and kind == "cuda":
        if number:
            raise UserError(f"--device {wanted}: this executor deals GPUs out itself; allowed: auto, cuda")
        return wanted
    if kind == "cuda" and not torch.cuda.is_available():
        why = "this build of torch has no CUDA" if torch.version.cuda is None else "torch finds no usable GPU"
        raise UserError(f"--device {wanted}: {why}; allowed here: auto, cpu (see: sslbench doctor)")
    if number and int(number) >= (count := torch.cuda.device_count()):
        raise UserError(f"--device {wanted}: this machine has {count} GPU(s), cuda:0 to cuda:{count - 1}")
    if offered and kind not in kinds:
        raise UserError(f"--device {wanted}: this executor runs on {', '.join(offered)}")
    return wanted


def resolve_precision(wanted: str, device: str) -> str:
    """``auto`` -> ``bf16`` on a GPU that has it, else ``fp32``. Raises UserError for what the device does not have."""
    on_gpu = device.startswith("cuda")
    if wanted == "auto":
        return "bf16" if on_gpu and has_bf16() else "fp32"
    if wanted == "fp16" and not on_gpu:
        raise UserError("--precision fp16 needs a GPU; allowed on a CPU: auto, fp32, bf16")
    return wanted


def has_bf16() -> bool:
    """Whether the GPUs multiply bf16; taken for granted of those of other machines. CUDA is not initialised where the
    driver says so itself: its context would take the memory that workers need."""
    if not torch.cuda.is_available():
        return True
    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        capabilities = (output_of("nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader") or "").split()
        if capabilities and all(number(text) >= BF16_SINCE for text in capabilities):
            return True
    return bool(torch.cuda.is_bf16_supported(including_emulation=False))


def number(text: str) -> float:
    """0 for what is none."""
    try:
        return float(text)
    except ValueError:
        return 0.0


def check_where_it_runs(device: str, precision: str) -> None:
    """Raises UserError where this machine lacks what was planned for another one."""
    resolve_device(device)
    if (
        precision == "bf16"
        and device.startswith("cuda")
        and not torch.cuda.is_bf16_supported(including_emulation=False)
    ):
        name = torch.cuda.get_device_name(device)
        raise UserError(f"--precision bf16: {name} has none; allowed on it: fp32, fp16")


def torch_facts(device: str) -> dict[str, Any]:
    """Versions and names for a record's provenance."""
    on_gpu = device.startswith("cuda")
    facts = {
        "torch": torch.__version__,
        "cuda": torch.version.cuda if on_gpu else None,
        "device": device,
        "gpu": torch.cuda.get_device_name(device) if on_gpu else None,
        "threads": torch.get_num_threads(),
    }
    return {**facts, "cudnn": torch.backends.cudnn.version()} if on_gpu else facts  # type: ignore[no-untyped-call]


def torch_hardware() -> dict[str, Any]:
    """What torch finds on this machine, by name."""
    import torchvision

    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return {
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "GPU": ", ".join(gpus) or None,
        "CUDA of torch": torch.version.cuda,
        "bf16 on GPU": torch.cuda.is_bf16_supported(including_emulation=False) if gpus else None,
        "device in use": resolve_device("auto"),
    }
