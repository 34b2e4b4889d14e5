"""What code gives a device to do, counted from the operations that torch dispatches: with real tensors on any device,
or on a pretended GPU."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

HERE = Path(__file__).parent
OWN_CODE = (
    Path(torch.__file__).parent,
    HERE / "device_work.py",
    HERE / "pretended_gpu.py",
    HERE / "pretended_backward.py",
)
ALLOCATES = {"empty", "empty_like", "empty_strided", "empty_permuted", "new_empty", "new_empty_strided", "resize_"}
ONLY_LOOKS = {"_unsafe_view", "_reshape_alias", "is_pinned", "_pin_memory", "record_stream", "set_", "is_same_size"}
COPIES = (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default)
INDEXES = {"index", "index_put", "index_put_", "_index_put_impl_"}


class DeviceWork(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """In a ``with`` block, counts what the code in it has a device do, its backward passes included.

    ``launches``: how often each operation launches a kernel, by its name (``launches.total()`` for all). One dispatched
    operation with a result on the device counts as one, a foreach or fused one too, however many tensors it takes: a
    lower bound, since some operations (sorting, random permutations, foreach over hundreds of tensors) launch several.
    Not counted: views and whatever else moves no numbers (``view``, ``expand``, ``t``, a slice, ``detach``, a
    ``reshape`` that need not copy), allocation (``empty``), results without elements, copies between devices, and what
    compiled code or a CUDA graph launches, which torch does not dispatch.

    ``crossings``: copies between host and device, one line each: from, to, shape, the line of code.
    ``waits``: where the host waits for the device, one line each: crossings, but for those that are asked not to block
    and have pinned memory on the host's side, and reads of a number (``item``, ``nonzero``, a mask as an index).

    device: ``cuda`` or ``cpu``: of which the launches are counted. On the host alone there is nothing to cross, and a
    step's counts are those of a GPU but for operations that torch has two of (cuDNN's batch norm, attention).
    """

    def __init__(self, device: str = "cuda") -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.device = device
        self.launches: Counter[str] = Counter()
        self.crossings: list[str] = []
        self.waits: list[str] = []

    def clear(self) -> None:
        """Forget what was counted so far."""
        self.launches.clear()
        self.crossings.clear()
        self.waits.clear()

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if reads_number(func, args) and any(self._there(tensor) for tensor in tensors_of(args)):
            self.waits.append(f"{name_of(func)}, {calling_line()}")
        result = self.run(func, args, kwargs)
        source = (args[1] if func is COPIES[1] else args[0]) if func in COPIES else result
        if func in COPIES and source.device.type != result.device.type:
            self._cross(func, source, result, args, kwargs)
        elif launches(func) and any(self._there(tensor) and tensor.numel() for tensor in written(func, args, result)):
            self.launches[name_of(func)] += 1
        return result

    def run(self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """The operation itself."""
        return func(*args, **kwargs)

    def _there(self, tensor: Tensor) -> bool:
        return tensor.device.type == self.device

    def _cross(self, func: Any, source: Tensor, result: Tensor, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        line = f"{source.device.type} to {result.device.type}, {list(source.shape)}, {calling_line()}"
        self.crossings.append(line)
        asked = kwargs.get("non_blocking", func is COPIES[1] and len(args) > 2 and args[2])
        # A new tensor on the host is pinned by torch itself where the copy is asked not to block.
        pinned = (func is COPIES[0] and self._there(source)) or self.is_pinned(
            result if self._there(source) else source
        )
        if not (asked and pinned):
            self.waits.append(line)

    def is_pinned(self, tensor: Tensor) -> bool:
        """Whether a tensor of the host lies in pinned memory."""
        return tensor.is_pinned()


def name_of(func: Any) -> str:
    """As in ``torch.ops.aten``: ``add``, ``_foreach_mul_``."""
    return str(func.overloadpacket.__name__)


def tensors_of(values: Any) -> Iterator[Tensor]:
    """All tensors in arguments or results, those in lists too."""
    return (leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor))


def written(func: Any, args: Sequence[Any], result: Any) -> Iterator[Tensor]:
    """The results of an operation; of one without, as foreach ones in place are, its first argument."""
    return tensors_of(args[:1] if result is None else result)


@cache
def launches(func: Any) -> bool:
    """Whether an operation computes or moves numbers."""
    looks = func.is_view or torch.Tag.inplace_view in func.tags or func.namespace == "prim"
    return not looks and name_of(func) not in ALLOCATES | ONLY_LOOKS and not name_of(func).startswith("sym_")


def reads_number(func: Any, args: Sequence[Any]) -> bool:
    """Whether the host needs a number of the device to go on: its value, or how many there are."""
    if name_of(func) in INDEXES:
        return any(tensor.dtype in (torch.bool, torch.uint8) for tensor in tensors_of(args[1]))
    return torch.Tag.data_dependent_output in func.tags or torch.Tag.dynamic_output_shape in func.tags


def calling_line() -> str:
    """File and line of the innermost code outside torch and the pretended GPU."""
    for frame in reversed(traceback.extract_stack()):
        if not any(Path(frame.filename).is_relative_to(path) for path in OWN_CODE):
            return f"{Path(frame.filename).name}:{frame.lineno}"
    return "nowhere"
