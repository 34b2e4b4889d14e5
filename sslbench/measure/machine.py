"""The device and precision in use, and what torch knows of the machine."""

from __future__ import annotations

import re
from typing import Any

import torch

from sslbench.errors import UserError, quoted


def resolve_device(wanted: str) -> str:
    """``auto`` -> ``cuda`` where there is one, else ``cpu``. Raises UserError for a device that is not there."""
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if not re.fullmatch(r"cpu|cuda(:[0-9]{1,3})?", wanted):
        raise UserError(f"--device {quoted(wanted)}: allowed are auto, cpu, cuda and cuda:N")
    if wanted == "cpu":
        return wanted
    if not torch.cuda.is_available():
        why = "this build of torch has no CUDA" if torch.version.cuda is None else "torch finds no usable GPU"
        raise UserError(f"--device {wanted}: {why}; allowed here: auto, cpu (see: sslbench doctor)")
    count = torch.cuda.device_count()
    if ":" in wanted and int(wanted.partition(":")[2]) >= count:
        raise UserError(f"--device {wanted}: this machine has {count} GPU(s), cuda:0 to cuda:{count - 1}")
    return wanted


def resolve_precision(wanted: str, device: str) -> str:
    """``auto`` -> ``bf16`` on a GPU that has it, else ``fp32``. Raises UserError for what the device does not have."""
    on_gpu = device.startswith("cuda")
    if wanted == "auto":
        return "bf16" if on_gpu and torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    if wanted == "fp16" and not on_gpu:
        raise UserError("--precision fp16 needs a GPU; allowed on a CPU: auto, fp32, bf16")
    return wanted


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
