"""TensorBoard: scalars of every epoch, final metrics, hyperparameters and settings as event files."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from sslbench import BuildContext, ObservedPretraining, ObservedRun, ObserverSpec, Params, PathText, hookimpl, param
from sslbench_plugins.blocks.tracking.places import made_folder
from sslbench_plugins.blocks.tracking.tracker import End, TrackedRun, Tracker
from sslbench_plugins.blocks.tracking.words import LOSS, SECONDS, parameters

FOLDER = "tensorboard"
INSTALL = 'pip install "sslbench[tensorboard]"'


class TensorBoardParams(Params):
    """Where the event files are."""

    folder: PathText = param("", f"log folder, one folder a pretraining below it; empty: `{FOLDER}` in the results")


class EventFiles(TrackedRun):
    """One folder of event files. Each process that goes on in it adds a file."""

    def __init__(self, folder: Path, facts: Mapping[str, Any], command: str | None) -> None:
        self.last_epoch, self.has_cost = what_is_there(folder)
        writer = import_module("tensorboard.summary.writer.event_file_writer")
        self._events = import_module("tensorboard.compat.proto.event_pb2")
        self._summaries = import_module("tensorboard.compat.proto.summary_pb2")
        new = not folder.exists()
        self._writer = writer.EventFileWriter(str(folder))
        if new:
            hparams = import_module("tensorboard.plugins.hparams.summary_v2")
            self._write(hparams.hparams_pb({name: plain(value) for name, value in facts.items()}), 0)
            self._write(self._text("command", f"`{command}`" if command else "from Python"), 0)

    def log(self, metrics: Mapping[str, float], epoch: int) -> None:
        value = self._summaries.Summary.Value
        values = [value(tag=name, simple_value=number) for name, number in metrics.items()]
        self._write(self._summaries.Summary(value=values), epoch)

    def result(self, metrics: Mapping[str, float], epochs: int) -> None:
        self.log(metrics, epochs)

    def end(self, how: End, words: str) -> None:
        self._write(self._text("status", words), self.last_epoch)
        self._writer.close()

    def _write(self, summary: Any, step: int) -> None:
        """On the disk when this returns."""
        self._writer.add_event(self._events.Event(wall_time=time.time(), step=step, summary=summary))
        self._writer.flush()

    def _text(self, tag: str, markdown: str) -> Any:
        """A summary for the page TEXT."""
        tensors = import_module("tensorboard.compat.proto.tensor_pb2")
        types = import_module("tensorboard.compat.proto.types_pb2")
        plugin = self._summaries.SummaryMetadata.PluginData(plugin_name="text")
        value = self._summaries.Summary.Value(
            tag=tag,
            metadata=self._summaries.SummaryMetadata(plugin_data=plugin),
            tensor=tensors.TensorProto(dtype=types.DT_STRING, string_val=[markdown.encode()]),
        )
        return self._summaries.Summary(value=[value])


class TensorBoard(Tracker):
    """Event files that ``tensorboard --logdir FOLDER`` shows."""

    def __init__(self, folder: str) -> None:
        super().__init__()
        self._folder = folder

    def open(self, pretraining: ObservedPretraining, run: ObservedRun) -> EventFiles:
        """In the folder of its last attempt; one that begins anew by the user's wish has a folder of its own."""
        root = Path(self._folder or Path(run.out) / FOLDER)
        name = f"{re.sub(r'[^0-9A-Za-z.=-]+', '-', pretraining.name)}-{pretraining.run[:8]}"
        attempt = 1
        while (folder_of(root, name, attempt + 1)).exists():
            attempt += 1
        if pretraining.fresh and folder_of(root, name, attempt).exists():
            attempt += 1
        return EventFiles(folder_of(root, name, attempt), parameters(pretraining), run.command)


def folder_of(root: Path, name: str, attempt: int) -> Path:
    """``NAME``, then ``NAME-2`` and so on."""
    return root / (name if attempt == 1 else f"{name}-{attempt}")


def what_is_there(folder: Path) -> tuple[int, bool]:
    """The last epoch that the event files of a folder have, and whether they have the cost."""
    if not folder.exists():
        return 0, False
    reader = import_module("tensorboard.backend.event_processing.event_accumulator")
    events = reader.EventAccumulator(str(folder), size_guidance={reader.SCALARS: 0})
    events.Reload()
    tags = events.Tags()[reader.SCALARS]
    steps = [event.step for event in events.Scalars(LOSS)] if LOSS in tags else []
    return max(steps, default=0), SECONDS in tags


def plain(value: Any) -> Any:
    """As TensorBoard takes a hyperparameter."""
    return value if isinstance(value, (bool, int, float, str)) else str(value)


def build(params: TensorBoardParams, context: BuildContext) -> TensorBoard:
    """Raises UserError where the folder cannot be made."""
    return TensorBoard(made_folder("tensorboard", "folder", params.folder))


@hookimpl
def sslbench_observers() -> list[ObserverSpec]:
    return [
        ObserverSpec(name="tensorboard", params=TensorBoardParams, build=build, library="tensorboard", install=INSTALL)
    ]
