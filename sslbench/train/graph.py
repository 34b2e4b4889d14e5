"""A whole training step in one CUDA graph: recorded once, then repeated by one launch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import Generator, Tensor

from sslbench.contracts.method import Progress
from sslbench.errors import UserError
from sslbench.measure.device_errors import out_of_memory
from sslbench.train.graph_progress import GraphProgress, outside_graphs
from sslbench.train.graph_rates import DeviceRates
from sslbench.train.graph_state import first_changed, python_state
from sslbench.train.randomness import Stream
from sslbench.train.step import TrainingStep

WARMUP = 3
"""steps that are computed as usual before the first capture: kernels are chosen and compiled, state is made"""
SCHEDULED = 64
"""numbers that a method may ask for in a step, at most"""


class Step(Protocol):
    """A training step in two parts: the host's and the device's."""

    @property
    def update(self) -> TrainingStep:
        """What trains."""

    @property
    def streams(self) -> Sequence[Stream]:
        """What it draws from beside torch's global generators."""

    def prepare(self, progress: Progress, /) -> None:
        """What the host does for a step."""

    def compute(self, inputs: Sequence[Tensor], labels: Tensor | None, progress: Progress, /) -> Tensor:
        """What the device does for it; the loss."""


class Recorder(Protocol):
    """Records what a function does on a device, to repeat it."""

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Within it, work is done where it will be recorded."""

    def record(
        self, function: Callable[[], Tensor], generators: Sequence[Generator]
    ) -> tuple[Callable[[], None], Tensor]:
        """Call ``function``, with no effect but that on Python's objects. Returns what repeats its work, with the
        numbers that its tensors have by then, and what it returned, which the work will fill."""


class CudaRecorder:
    """Records CUDA graphs."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    @contextmanager
    def aside(self) -> Iterator[None]:
        """On a stream of its own: what is bound to a stream is bound to the one that is captured."""
        current = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            yield
        current.wait_stream(self._stream)

    def record(
        self, function: Callable[[], Tensor], generators: Sequence[Generator]
    ) -> tuple[Callable[[], None], Tensor]:
        """As ``Recorder`` says. Other threads may go on using the device meanwhile."""
        graph = torch.cuda.CUDAGraph()
        for generator in generators:
            graph.register_generator_state(generator)
        with torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
            result = function()
        return graph.replay, result


class GraphedStep:
    """Takes the same steps as ``step`` would: some as usual, then by repeating a recorded one. It is recorded anew
    where a method would decide otherwise than it did."""

    def __init__(
        self, step: Step, recorder: Recorder, inputs: Sequence[Tensor] = (), labels: Tensor | None = None
    ) -> None:
        """``inputs`` and ``labels``: tensors that the graph may read where they lie, if every step is given these."""
        self._step, self._recorder = step, recorder
        update = step.update
        if update.settings.compile:
            outside_graphs()
        self._name = type(update.method).__name__
        self._rates = DeviceRates(update.optimizer, update.task.params.weight_decay_end is not None)
        self._numbers = torch.zeros(self._rates.count + SCHEDULED, dtype=torch.float64, device=update.settings.device)
        self._progress = GraphProgress(self._numbers[self._rates.count :])
        self._inputs, self._labels = list(inputs), labels
        self._recorded: tuple[Callable[[], None], Tensor] | None = None
        self._to_warm_up = WARMUP

    def __call__(self, inputs: Sequence[Tensor], labels: Tensor | None, progress: Progress) -> Tensor:
        """The batch's loss, as of ``step``. Raises UserError for a method that cannot be captured, with the reason."""
        self._step.prepare(progress)
        self._take(inputs, labels)
        if not self._progress.unchanged(progress):
            # Its memory is free before other state is made, which must not be made within a graph.
            self._recorded = None
            self._to_warm_up = max(1, self._to_warm_up)
        if self._to_warm_up:
            return self._warm_up(progress)
        if self._recorded is None:
            self._recorded = self._record(progress)
        self._fill([*self._rates.numbers(), *self._progress.numbers_at(progress)])
        replay, loss = self._recorded
        replay()
        # The next replay overwrites it.
        return loss.clone()

    def _take(self, inputs: Sequence[Tensor], labels: Tensor | None) -> None:
        """Put what the step is given where the graph reads it."""
        if not self._inputs:
            self._inputs = [tensor.clone() for tensor in inputs]
            self._labels = None if labels is None else labels.clone()
            return
        for place, tensor in zip([*self._inputs, self._labels], [*inputs, labels], strict=True):
            if place is not None and tensor is not None and place is not tensor:
                place.copy_(tensor, non_blocking=True)

    def _fill(self, numbers: Sequence[float]) -> None:
        """Give the device its numbers, without waiting for it."""
        given = torch.tensor(numbers, dtype=self._numbers.dtype)
        given = given.pin_memory() if self._numbers.is_cuda else given
        self._numbers[: len(given)].copy_(given, non_blocking=True)

    def _warm_up(self, progress: Progress) -> Tensor:
        """Take the step as it will be captured, and see whether it can be."""
        self._to_warm_up -= 1
        self._fill(self._rates.numbers())
        self._progress.begin(progress, capturing=False)
        with self._recorder.aside():
            loss = self._compute(capturing=False)
        self._progress.check(self._name)
        if any(stream.asked for stream in self._step.streams):
            what = "the masking or augmentation takes the seed of its generator, as multi-block does for sizes of masks"
            raise UserError(f"cuda_graphs: {what}; in a graph it would stay as it is; allowed: another one")
        return loss

    def _compute(self, *, capturing: bool) -> Tensor:
        with self._rates.applied(self._numbers[: self._rates.count], capturing=capturing):
            return self._step.compute(self._inputs, self._labels, self._progress)

    def _record(self, progress: Progress) -> tuple[Callable[[], None], Tensor]:
        update = self._step.update
        before = python_state(update.method, update.optimizer)
        self._progress.begin(progress, capturing=True)
        generators = [stream.generator for stream in self._step.streams]
        try:
            recorded = self._recorder.record(lambda: self._compute(capturing=True), generators)
        except RuntimeError as error:
            if out_of_memory(error):
                raise
            reason = str(error).strip().partition("\n")[0]
            raise UserError(f"cuda_graphs: a step of {self._name} cannot be captured: {reason}") from error
        self._progress.check(self._name)
        changed = first_changed(before, python_state(update.method, update.optimizer))
        if changed is not None:
            what = f"a step of {self._name} leaves another {changed} behind"
            raise UserError(f"cuda_graphs: {what}, which a graph would not; allowed: buffers that are changed in place")
        return recorded
