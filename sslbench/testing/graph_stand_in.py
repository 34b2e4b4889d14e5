"""A stand-in for CUDA graphs: records the operations of a step on any device, and repeats them with Python's values
frozen as a graph freezes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Generator, Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from sslbench.testing.device_work import reads_number


class RecordedOperations:
    """Records as a ``Recorder`` of ``sslbench.train.graph`` does: what is recorded has no effect until it is repeated,
    an operation that waits for the device is refused, and so is a generator that is seeded meanwhile or not known.

    ``lengths``: the number of operations of each recording.
    """

    def __init__(self) -> None:
        self.lengths: list[int] = []

    @contextmanager
    def aside(self) -> Iterator[None]:
        """There is only one stream."""
        yield

    def record(
        self, function: Callable[[], Tensor], generators: Sequence[Generator]
    ) -> tuple[Callable[[], None], Tensor]:
        """As ``Recorder`` says. Raises RuntimeError where a CUDA graph could not be captured."""
        known = [torch.default_generator, *generators]
        stood = [generator.get_state() for generator in known]
        seeds = [generator.initial_seed() for generator in known]
        tape = _Tape(known)
        try:
            with tape:
                result = function()
        finally:
            seeded = seeds != [generator.initial_seed() for generator in known]
            tape.undo()
            for generator, state in zip(known, stood, strict=True):
                generator.set_state(state)
        if seeded:
            raise RuntimeError("a generator is seeded while a step is captured")
        self.lengths.append(len(tape.operations))
        return tape.replay, result


class _Tape(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self, generators: Sequence[Generator]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations: list[Callable[[], None]] = []
        self._known = {address(generator) for generator in generators}
        self._overwritten: list[tuple[Tensor, Tensor]] = []

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        self._check(func, args, kwargs)
        # Shapes and strides as they are now: some operations change only these.
        now_args, now_kwargs = tree_map_only(Tensor, Tensor.detach, (tuple(args), kwargs))
        targets = written(func, now_args, now_kwargs)
        self._overwritten += [(tensor, tensor.clone()) for tensor in targets]
        result = func(*args, **kwargs)
        given = {leaf.untyped_storage().data_ptr() for leaf in tensors_of((now_args, now_kwargs))}
        made = {
            number: leaf.detach()
            for number, leaf in enumerate(tensors_of(result))
            if leaf.untyped_storage().data_ptr() not in given
        }
        if (made or targets) and torch.Tag.inplace_view not in func.tags:
            self.operations.append(lambda: repeat(func, now_args, now_kwargs, made))
        return result

    def _check(self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        name = func.name().removeprefix("aten::")
        if reads_number(func, args):
            raise RuntimeError(f"operation not permitted when stream is capturing: {name} waits for the device")
        generator = kwargs.get("generator")
        if generator is not None and address(generator) not in self._known:
            raise RuntimeError(f"{name} draws from a generator that the graph does not know")

    @torch.no_grad()
    def undo(self) -> None:
        """Give everything that was overwritten its old numbers."""
        for tensor, old in reversed(self._overwritten):
            tensor.copy_(old)
        self._overwritten.clear()

    @torch.no_grad()
    def replay(self) -> None:
        """Do it all again, into the same tensors."""
        for operation in self.operations:
            operation()


def address(generator: Generator) -> int:
    """The same for all of Python's objects of one generator."""
    return generator._cdata  # type: ignore[attr-defined,no-any-return]


def tensors_of(tree: Any) -> list[Tensor]:
    """All that are somewhere in it."""
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def written(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Tensor]:
    """The tensors that an operation writes to."""
    given = {argument.name: value for argument, value in zip(func._schema.arguments, args, strict=False)} | dict(kwargs)
    targets = [a.name for a in func._schema.arguments if a.alias_info is not None and a.alias_info.is_write]
    if "batch_norm" in func.name() and given.get("training"):
        # Its schema does not say so.
        targets += ["running_mean", "running_var"]
    return tensors_of([given.get(name) for name in targets])


def repeat(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any], into: Mapping[int, Tensor]) -> None:
    """Call an operation again, and put what it makes anew where it went the first time."""
    results = tensors_of(func(*args, **kwargs))
    for number, place in into.items():
        place.copy_(results[number])
