"""JSON lines: every event of a run as one line of a file, for programs that follow it (tail -f, jq, pandas)."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sslbench import (
    BuildContext,
    EpochEnded,
    ObservedPretraining,
    ObservedRun,
    Observer,
    ObserverSpec,
    Params,
    PathText,
    hookimpl,
    param,
)
from sslbench_plugins.blocks.tracking.places import made_file

FILE = "events.jsonl"


class JsonLinesParams(Params):
    """Where the file is."""

    path: PathText = param("", f"file to append to; empty: `{FILE}` in the results folder")


class JsonLines(Observer):
    """Appends whole lines alone: each is written at once, and one that a kill tore is ended first."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._given = bool(path)
        self._last: dict[str, int] = {}
        """run of a pretraining -> the last epoch that the file has"""
        self._runs: dict[str, str] = {}
        """pretraining -> its run"""

    def run_started(self, run: ObservedRun) -> None:
        if not self._given:
            self._path = Path(run.out) / FILE
            made_file("jsonl", "path", str(self._path))
        self._last = last_epochs(self._path)
        self._append("run_started", asdict(run))

    def pretraining_started(self, pretraining: ObservedPretraining) -> int:
        self._runs[pretraining.key] = pretraining.run
        last = 0 if pretraining.fresh else self._last.get(pretraining.run, 0)
        self._append("pretraining_started", {**asdict(pretraining), "last_epoch": last})
        return last

    def epoch_ended(self, epoch: EpochEnded) -> None:
        facts = asdict(epoch)
        key = facts.pop("work")
        self._append("epoch_ended", {"key": key, "run": self._runs[key], **facts})

    def record_written(self, key: str, record: Mapping[str, Any]) -> None:
        self._append("record_written", {"key": key, "run": self._runs[key], "record": record})

    def pretraining_ended(self, key: str, statuses: Mapping[str, int]) -> None:
        self._append("pretraining_ended", {"key": key, "run": self._runs[key], "statuses": statuses})

    def run_finished(self, statuses: Mapping[str, int]) -> None:
        self._append("run_finished", {"statuses": statuses})

    def _append(self, event: str, facts: Mapping[str, Any]) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"event": event, "time": now, **facts}).encode() + b"\n"
        with open(self._path, "ab+" if self._path.is_file() else "ab") as file:
            if file.seekable() and file.seek(0, os.SEEK_END):
                file.seek(-1, os.SEEK_END)
                line = line if file.read(1) == b"\n" else b"\n" + line
            file.write(line)


def last_epochs(path: Path) -> dict[str, int]:
    """The last epoch of each run that the file has; a line that is none is passed over."""
    last: dict[str, int] = {}
    if not path.is_file():  # a pipe has no past
        return last
    with open(path, "rb") as lines:
        for line in lines:
            if b'"epoch_ended"' not in line[:40] and b'"pretraining_started"' not in line[:40]:
                continue
            try:
                facts = json.loads(line)
                last[facts["run"]] = facts["epoch"] if facts["event"] == "epoch_ended" else facts["last_epoch"]
            except (ValueError, KeyError):
                continue
    return last


def build(params: JsonLinesParams, context: BuildContext) -> JsonLines:
    """Raises UserError where the file cannot be written."""
    return JsonLines(made_file("jsonl", "path", params.path))


@hookimpl
def sslbench_observers() -> list[ObserverSpec]:
    return [ObserverSpec(name="jsonl", params=JsonLinesParams, build=build)]
