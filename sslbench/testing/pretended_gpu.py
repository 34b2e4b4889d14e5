"""A GPU that is not there: tensors with a device and a shape and no numbers. What would go wrong on one, and how often
the host would wait for it, shows on any machine; values of results do not."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
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
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode

from sslbench.testing.device_work import DeviceWork
from sslbench.testing.pretended_backward import backward

DEVICE = torch.device("cuda", 0)
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

    ``work``: what is given to the GPU in the block: launches, copies, waits, see ``DeviceWork``. ``launches`` and
    ``crossings`` are those of ``work``. A read of a number does not return, it raises one of ``WAITS``.

    Backward passes and autocast work. Tensors made outside the block are the host's, see ``take``.
    """

    def __init__(self) -> None:
        super().__init__()
        self.work: DeviceWork = _Watch()
        self.launches, self.crossings = self.work.launches, self.work.crossings

    def __enter__(self) -> Self:
        # Torch looks for a driver, unless it was set up for fake tensors.
        torch._C._ensureCUDADeviceGuardSet()
        self.enter_context(FakeTensorMode(allow_non_fake_inputs=True))
        self.enter_context(self.work)
        self.enter_context(_Generators())
        self.callback(delattr, FakeTensor, "numpy")
        FakeTensor.numpy = as_array  # type: ignore[assignment]
        self._replace(Tensor, "backward", backward)
        # Autocast asks whether there is a GPU, and whether it has bf16.
        self._replace(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)
        self._replace(torch.cuda, "is_bf16_supported", lambda: True)
        return self

    def _replace(self, owner: Any, name: str, value: Any) -> None:
        self.callback(setattr, owner, name, getattr(owner, name))
        setattr(owner, name, value)

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


class _Watch(DeviceWork):  # type: ignore[no-untyped-call]
    """Knows what is pinned, which tensors without numbers do not, and raises one exception for mixed devices."""

    def __init__(self) -> None:
        super().__init__(DEVICE.type)
        self._pinned: set[StorageWeakRef] = set()

    def run(self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """The operation without numbers."""
        if func is torch.ops.aten.is_pinned.default:
            return self.is_pinned(args[0])
        try:
            if func in UNCHECKED:
                check_one_device(args)
            if pins := func is torch.ops.aten._pin_memory.default:
                func = torch.ops.aten.clone.default
            result = func(*args[:1] if pins else args, **({} if pins else kwargs))
        except RuntimeError as error:
            raise mixed(error) or error from None
        if pins or kwargs.get("pin_memory"):
            self._pinned.add(storage_of(result))
        return result

    def is_pinned(self, tensor: Tensor) -> bool:
        """Whether a tensor, or what it is a view of, was made in pinned memory in the block."""
        return storage_of(tensor) in self._pinned


def storage_of(tensor: Tensor) -> StorageWeakRef:
    """Which memory a tensor lies in."""
    return StorageWeakRef(tensor.untyped_storage())  # type: ignore[no-untyped-call]
