"""A GPU that is not there: tensors with a device and a shape and no numbers. What would go wrong on one, and how often
the host would wait for it, shows on any machine; values of results do not."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensor,
    FakeTensorMode,
    unset_fake_temporarily,
)
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

DEVICE = torch.device("cuda", 0)
OWN_CODE = Path(torch.__file__).parent, Path(__file__)
WAITS = (DataDependentOutputException, DynamicOutputShapeException)
"""Raised where the host asks the GPU for a number: ``item``, ``tolist``, ``nonzero``, a mask as an index."""
MIXED = re.compile(r"two (?:different )?devices|same device")
"""In torch's message where tensors of two devices meet; its exception has another type in each version."""
DEVICE_NAMES = re.compile(r"\bcpu\b|\bcuda(?::\d+)?")
UNCHECKED = (torch.ops.aten.convolution.default, torch.ops.aten.convolution_backward.default)
"""Operations whose tensors some versions of torch do not look at the devices of, without numbers."""


class MixedDevices(RuntimeError):
    """Raised, as a GPU would raise it, where tensors of two devices meet."""

    def __init__(self, devices: Iterable[str]) -> None:
        names = " and ".join(devices)
        super().__init__(f"Expected all tensors to be on the same device, but found at least two devices, {names}!")


class OtherGenerator(RuntimeError):
    """Raised, as a GPU would raise it, where numbers are drawn on one device with the generator of another."""

    def __init__(self, expected: str, found: str) -> None:
        super().__init__(f"Expected a '{expected}' device type for generator but found '{found}'")


class NotOnHost(TypeError):
    """Raised, as a GPU would raise it, where NumPy is given a tensor that is there."""

    def __init__(self) -> None:
        super().__init__(f"can't convert {DEVICE} device type tensor to numpy")


def mixed(error: BaseException | None) -> MixedDevices | None:
    """What torch's own error says in this module's; None where it says something else."""
    if not isinstance(error, RuntimeError) or isinstance(error, MixedDevices) or not MIXED.search(str(error)):
        return None
    return MixedDevices(dict.fromkeys(DEVICE_NAMES.findall(str(error))))


def check_one_device(args: Sequence[Any]) -> None:
    """Raises MixedDevices where tensors are on several."""
    devices = dict.fromkeys(str(tensor.device) for tensor in args if isinstance(tensor, Tensor))
    if len(devices) > 1:
        raise MixedDevices(devices)


class PretendedGenerator(Generator):
    """A generator whose device is the pretended GPU. It draws nothing there."""

    def __new__(cls, device: torch.device = DEVICE) -> PretendedGenerator:
        return super().__new__(cls)

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        """The pretended GPU."""
        return DEVICE


class PretendedGpu(ExitStack):
    """In a ``with`` block, tensors made on ``cuda`` are without numbers. Not for a machine that has a GPU.

    ``crossings``: where tensors were copied between host and GPU in the block, one line each. The host waits for each
    of these, but for copies from pinned memory. Tensors made outside the block are the host's, see ``take``.
    """

    def __init__(self) -> None:
        super().__init__()
        self.crossings: list[str] = []

    def __enter__(self) -> Self:
        # Torch looks for a driver, unless it was set up for fake tensors.
        torch._C._ensureCUDADeviceGuardSet()
        self.enter_context(FakeTensorMode(allow_non_fake_inputs=True))
        self.enter_context(_Watch(self.crossings))
        self.enter_context(_Generators())
        self.callback(delattr, FakeTensor, "numpy")
        FakeTensor.numpy = as_array  # type: ignore[assignment]
        return self

    def __exit__(self, *details: Any) -> bool:
        suppressed = bool(super().__exit__(*details))
        # Some operations look at devices before they are dispatched.
        if error := mixed(details[1]):
            raise error from None
        return suppressed

    @staticmethod
    def take(module: nn.Module) -> None:
        """Put a module on the GPU, within the block, and what it learns from, if it is a method. What is neither
        parameter nor buffer stays behind, as with ``Module.to``."""
        moved: dict[int, Tensor] = {}
        for part in (part for whole in (module, *getattr(module, "learns_from", ())) for part in whole.modules()):
            for tensors in (part._parameters, part._buffers):
                for name, tensor in tensors.items():
                    if tensor is not None:
                        tensors[name] = moved.setdefault(id(tensor), without_numbers(tensor))


def as_array(tensor: Tensor, *, force: bool = False) -> NDArray[Any]:
    """Zeros in the place of the numbers of a tensor, if it is the host's. Raises NotOnHost where it is the GPU's."""
    if tensor.device.type == DEVICE.type and not force:
        raise NotOnHost
    with unset_fake_temporarily():
        return torch.zeros(tensor.shape, dtype=tensor.dtype).numpy()


def without_numbers(tensor: Tensor) -> Tensor:
    """A tensor of the same shape, strides and dtype on the pretended GPU."""
    empty = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device=DEVICE)
    return nn.Parameter(empty, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else empty


class _Generators(TorchFunctionMode):
    """Holds a generator's device against that of what is drawn with it, before torch forgets which one was given."""

    def __torch_function__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for given in (*args, *(kwargs or {}).values()):
            if isinstance(given, Generator) and isinstance(result, Tensor) and given.device.type != result.device.type:
                raise OtherGenerator(result.device.type, given.device.type)
        return result


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes copies between devices, and gives all versions of torch one exception for mixed devices."""

    def __init__(self, crossings: list[str]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._crossings = crossings

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        try:
            if func in UNCHECKED:
                check_one_device(args)
            result = func(*args, **(kwargs or {}))
        except RuntimeError as error:
            raise mixed(error) or error from None
        if func in (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default):
            source = args[1] if func is torch.ops.aten.copy_.default else args[0]
            if source.device.type != result.device.type:
                where = f"{list(source.shape)}, {calling_line()}"
                self._crossings.append(f"{source.device.type} to {result.device.type}, {where}")
        return result


def calling_line() -> str:
    """File and line of the innermost code outside torch and this module."""
    for frame in reversed(traceback.extract_stack()):
        if not any(Path(frame.filename).is_relative_to(path) for path in OWN_CODE):
            return f"{Path(frame.filename).name}:{frame.lineno}"
    return "nowhere"
