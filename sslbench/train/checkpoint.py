"""State on disk: safetensors only, so that reading a checkpoint never runs code; written whole or not at all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.optim import Optimizer

from sslbench.errors import PluginError
from sslbench.store.digests import EMPTY, FIELD, DamagedFile, check_digest, write_digested
from sslbench.train.curve import Curve
from sslbench.train.ranks import ranks

DTYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.float8_e4m3fn: "F8_E4M3",
    torch.float8_e5m2: "F8_E5M2",
    torch.complex64: "C64",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint64: "U64",
    torch.uint32: "U32",
    torch.uint16: "U16",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
"""safetensors' names"""


def save_tensors(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> str:
    """Tensors by name, and JSON-able facts in the file's header; returns the file's digest. Raises OSError, and
    PluginError for numbers of a type that the format does not have."""
    head, ordered = layout(tensors, facts)
    return write_digested(path, head, (content(bytes_of(tensor).cpu()) for tensor in ordered))


def layout(tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> tuple[bytes, list[Tensor]]:
    """The head of a safetensors file, with room for its digest, and the tensors in the order in which their bytes
    follow. Tied tensors come once per name: the format has no views of one storage."""
    names = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    header: dict[str, Any] = {"__metadata__": {FIELD: EMPTY, "format": "1", "facts": json.dumps(facts)}}
    end = 0
    for name in names:
        tensor = tensors[name]
        if tensor.dtype not in DTYPES:
            known = ", ".join(str(dtype).removeprefix("torch.") for dtype in DTYPES)
            raise PluginError(f"{name}: a file of tensors holds no {tensor.dtype}; allowed: {known}")
        begin, end = end, end + tensor.nbytes
        header[name] = {"dtype": DTYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text, [tensors[name] for name in names]


def bytes_of(tensor: Tensor) -> Tensor:
    """Its numbers in row-major order, uint8 ``[nbytes]`` on its device; a view where they lie in that order."""
    return tensor.detach().contiguous().reshape(-1).view(torch.uint8)


def content(flat: Tensor) -> memoryview:
    """The bytes of a uint8 tensor ``[N]`` in memory, not copied."""
    return memoryview(flat.numpy())  # type: ignore[arg-type]


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What ``save_tensors`` wrote, on the CPU. Raises DamagedFile for anything else, OSError."""
    check_digest(path)
    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {}).get("facts", "{}"))
            return {name: file.get_tensor(name) for name in file.keys()}, facts  # noqa: SIM118
    except (SafetensorError, ValueError) as error:
        raise DamagedFile(f"{path}: damaged: {error}") from None


def load_checkpoint(
    path: Path, model: nn.Module, total_steps: int, curve: Curve | None
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What this training, on as many devices, left. Raises DamagedFile for anything else, OSError."""
    tensors, facts = load_tensors(path)
    if not fits(model, weights_in(tensors)) or facts["step"] > total_steps:
        raise DamagedFile(f"{path}: of another training")
    if facts.get("ranks", 1) != ranks():
        raise DamagedFile(f"{path}: of a training on {facts.get('ranks', 1)} devices, not {ranks()}")
    if curve is not None and (facts.get("curve") or {}).get("asked") != curve.asked:
        raise DamagedFile("the checkpoint is of a training without this curve")
    return tensors, facts


def fits(model: nn.Module, tensors: Mapping[str, Tensor]) -> bool:
    """Whether these are all the weights and buffers of the model, by name and shape."""
    own = model.state_dict()
    return {name: t.shape for name, t in tensors.items()} == {name: t.shape for name, t in own.items()}


def training_state(model: nn.Module, optimizer: Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors by name and JSON-able facts that continue a training exactly: weights, buffers, the optimizer's state."""
    tensors = {f"method/{name}": value for name, value in model.state_dict().items()}
    state = optimizer.state_dict()
    numbers: dict[str, dict[str, Any]] = {}
    for index, slots in state["state"].items():
        for slot, value in slots.items():
            if isinstance(value, Tensor):
                tensors[f"optimizer/{index}/{slot}"] = value
            else:
                numbers.setdefault(str(index), {})[slot] = value
    return tensors, {"optimizer_numbers": numbers, "param_groups": state["param_groups"]}


def expected_bytes(model: nn.Module) -> int:
    """Of ``training_state``, with two moments for each parameter that is trained: no optimizer here has more."""
    trained = [p for p in model.parameters() if p.requires_grad]
    return sum(tensor.nbytes for tensor in (*model.state_dict().values(), *trained, *trained))


def weights_in(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights and buffers among the tensors of ``training_state``."""
    return {name.removeprefix("method/"): t for name, t in tensors.items() if name.startswith("method/")}


def restore_training(
    model: nn.Module, optimizer: Optimizer, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]
) -> None:
    """Put back what ``training_state`` took. Raises RuntimeError where the state does not fit the model."""
    model.load_state_dict(weights_in(tensors))
    slots: dict[int, dict[str, Any]] = {int(index): dict(of) for index, of in facts["optimizer_numbers"].items()}
    for name, tensor in tensors.items():
        if name.startswith("optimizer/"):
            _, index, slot = name.split("/", 2)
            slots.setdefault(int(index), {})[slot] = tensor
    optimizer.load_state_dict({"state": slots, "param_groups": facts["param_groups"]})
    match_layout(optimizer)


def match_layout(optimizer: Optimizer) -> None:
    """Give the optimizer's tensors their parameters' memory layout, which a file does not keep: fused kernels walk both
    side by side through memory, whatever their strides say."""
    for group in optimizer.param_groups:
        for p in group["params"]:
            state = optimizer.state.get(p, {})
            for slot, value in state.items():
                if isinstance(value, Tensor) and value.shape == p.shape and value.stride() != p.stride():
                    state[slot] = torch.empty_like(p).copy_(value)


def weights_digest(model: nn.Module) -> str:
    """A short text that changes when any weight or buffer does."""
    return tensors_digest(model.state_dict())


def tensors_digest(tensors: Mapping[str, Tensor]) -> str:
    """A short text that changes when a name or a value does; the device makes no difference."""
    digest = hashlib.blake2b(digest_size=8)
    for name, tensor in sorted(tensors.items()):
        digest.update(name.encode())
        digest.update(content(bytes_of(tensor).cpu()))
    return digest.hexdigest()
