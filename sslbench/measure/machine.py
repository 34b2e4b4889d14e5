"""The device and precision in use, and what torch knows of the machine."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import torch

from sslbench.errors import UserError, did_you_mean, quoted
from sslbench.measure.device_warnings import ignore_harmless
from sslbench.store.provenance import output_of

BF16_SINCE = 8.0
"""compute capability (Ampere); of TF32 as well"""


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
        return "bf16" if on_gpu and has_bf16(device) else "fp32"
    if wanted in ("fp16", "tf32") and not on_gpu:
        raise UserError(f"--precision {wanted} needs a GPU; allowed on a CPU: auto, fp32, bf16")
    return wanted


def has_bf16(device: str) -> bool:
    """Whether a GPU multiplies bf16; taken for granted of those of other machines. CUDA is not initialised where the
    driver says the same of all GPUs: its context would take the memory that workers need."""
    if not torch.cuda.is_available():
        return True
    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        capable = {number(text) >= BF16_SINCE for text in asked_of_driver("compute_cap")}
        if len(capable) == 1:
            return capable.pop()
    return has_tensor_formats(device)


def has_tensor_formats(device: str) -> bool:
    """Whether this GPU, and not the current one, multiplies bf16 and TF32 in hardware."""
    return torch.version.hip is not None or torch.cuda.get_device_capability(device)[0] >= BF16_SINCE


def asked_of_driver(field: str) -> list[str]:
    """What NVIDIA's driver says of each of its GPUs, in its own order; empty where it cannot be asked."""
    return (output_of("nvidia-smi", f"--query-gpu={field}", "--format=csv,noheader") or "").splitlines()


def number(text: str) -> float:
    """0 for what is none."""
    try:
        return float(text)
    except ValueError:
        return 0.0


def check_where_it_runs(device: str, precision: str) -> None:
    """Raises UserError where this machine lacks what was planned for another one."""
    resolve_device(device)
    if precision in ("bf16", "tf32") and device.startswith("cuda") and not has_tensor_formats(device):
        name = torch.cuda.get_device_name(device)
        raise UserError(f"--precision {precision}: {name} has none; allowed on it: fp32, fp16")


def torch_facts(device: str, precision: str | None = None) -> dict[str, Any]:
    """Versions and names for a record's provenance; ``precision``: of what it is about, resolved."""
    on_gpu = device.startswith("cuda")
    facts = {
        "torch": torch.__version__,
        "cuda": torch.version.cuda if on_gpu else None,
        "device": device,
        "gpu": torch.cuda.get_device_name(device) if on_gpu else None,
        "threads": torch.get_num_threads(),
    }
    if precision is not None:
        facts |= float32_fact(precision)
    if not on_gpu:
        return facts
    properties = torch.cuda.get_device_properties(device)
    return {
        **facts,
        "cudnn": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
        "driver": driver(),
        "compute_capability": f"{properties.major}.{properties.minor}",
        "gpu_memory_bytes": properties.total_memory,
    }


def float32_fact(precision: str) -> dict[str, str]:
    """What a record's provenance says of float32 in this precision, resolved."""
    return {"float32": "TF32" if precision == "tf32" else "IEEE"}


@cache
def driver() -> str | None:
    """The version of NVIDIA's driver, as it says; None where it cannot be asked."""
    return next(iter(asked_of_driver("driver_version")), None)


def torch_hardware() -> dict[str, Any]:
    """What torch finds on this machine, by name; of several GPUs what each has, in the order of their numbers."""
    import torchvision

    names = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    gpus = [torch.cuda.get_device_properties(name) for name in names]
    return {
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "GPUs": len(gpus),
        "GPU": listed(gpu.name for gpu in gpus),
        "GPU memory GiB": listed(round(gpu.total_memory / 2**30, 1) for gpu in gpus),
        "compute capability": listed(f"{gpu.major}.{gpu.minor}" for gpu in gpus),
        "bf16 and TF32 on GPU": listed("yes" if has_tensor_formats(name) else "no" for name in names),
        "driver": driver() if gpus else None,
        "CUDA of torch": torch.version.cuda,
        "torch's own float32 on GPU": own_float32() if gpus else None,
        "device in use": resolve_device("auto"),
    }


def own_float32() -> str:
    """How torch computes where no precision is in force, as its switches stand."""
    of = {True: "TF32", False: "IEEE"}
    switches = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    return f"products {of[switches[0]]}, convolutions {of[switches[1]]} (every precision of sslbench sets both)"


def listed(values: Iterable[object]) -> str | None:
    """One after the other; None for none."""
    return ", ".join(map(str, values)) or None
