"""Starts the ranks of a pretraining on several devices of this machine with torch's launcher, and takes what they
report, until all have ended."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import tempfile
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from sslbench.contracts.executor import Emit, Work
from sslbench.errors import SslbenchError
from sslbench.execute.event_file import EventFile
from sslbench.execute.events import Printed
from sslbench.execute.exits import how_it_ended
from sslbench.execute.outcome import RankFailed
from sslbench.execute.wire import to_line

OFTEN = 0.1
"""seconds between two looks at what the ranks report"""
LAST_LINES = 20
"""that are kept of what a lost rank printed"""
LOOPBACK = {"linux": "lo", "darwin": "lo0"}
"""the network interface of a machine with itself: its name may lead nowhere"""


def run_ranks(work: Work, emit: Emit) -> None:
    """Train and extract on ``work.training.devices`` devices; the result lies in the artifacts. Raises RankFailed where
    a rank failed or was lost; then the others have ended as well."""
    with tempfile.TemporaryDirectory(prefix="sslbench-ranks-") as name:
        folder = Path(name)
        (folder / "work.json").write_text(to_line(replace(work, fresh=False)))
        (folder / "job.json").write_text(json.dumps({"path": [*map(str, sys.path)], "parent": os.getpid()}))
        launcher = Launcher(folder, work.training.devices)
        events, log = EventFile(folder / "events.jsonl"), Log(folder / "0.log")
        launcher.start()
        try:
            ended = False
            while not ended:
                # What was reported before the end is there when the end is seen.
                ended = launcher.ended.wait(OFTEN)
                for event in (*log.new(), *events.new()):
                    emit(event)
        finally:
            launcher.end()
        launcher.check()


class Launcher(threading.Thread):
    """Runs torch's launcher. In a thread it leaves signals to this process; the ranks are killed when it ends."""

    def __init__(self, folder: Path, ranks: int) -> None:
        super().__init__(name="ranks", daemon=True)
        self.folder, self.ranks = folder, ranks
        self.exit_codes: dict[int, int] = {}
        """of the ranks that failed"""
        self.error: Exception | None = None
        """of the launcher itself"""
        self.ended = threading.Event()
        """to wait for: a ``join`` that a signal interrupts may take a thread that runs for one that has ended"""

    def run(self) -> None:
        """Until all ranks have ended."""
        try:
            self.exit_codes = self._launch()
        except Exception as error:
            self.error = error
        finally:
            self.ended.set()

    def _launch(self) -> dict[int, int]:
        """The exit codes of the ranks that failed."""
        from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
        from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
        from torch.distributed.launcher.api import LaunchConfig, elastic_launch

        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=self.ranks,
            run_id=uuid.uuid4().hex,
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            local_addr="localhost",
            max_restarts=0,
            monitor_interval=OFTEN,
            logs_specs=DefaultLogsSpecs(log_dir=str(self.folder / "launcher")),
        )
        try:
            with environment(), quiet_launcher():
                elastic_launch(config, sys.executable)("-P", "-m", "sslbench.execute.rank", str(self.folder))
        except ChildFailedError as error:
            return {rank: failure.exitcode for rank, failure in error.failures.items()}
        return {}

    def end(self) -> None:
        """Kill what is still running; the launcher ends the ranks that have only just begun."""
        while not self.ended.wait(OFTEN):
            for file in self.folder.glob("*.pid"):
                with suppress(OSError, ValueError):
                    os.kill(int(file.read_text()), getattr(signal, "SIGKILL", signal.SIGTERM))

    def check(self) -> None:
        """Raises RankFailed where a rank has failed: the one that did first, however the others ended."""
        if self.error is not None:
            raise SslbenchError(f"the {self.ranks} ranks could not be started: {self.error}") from self.error
        if not self.exit_codes:
            return
        files = {rank: self.folder / f"{rank}.failure" for rank in range(self.ranks)}
        told = [json.loads(file.read_text()) for file in files.values() if file.is_file()]
        lost = [rank for rank in self.exit_codes if not files[rank].is_file()]
        rank = min(lost, key=lambda rank: suspicion(self.exit_codes[rank]), default=0)
        if told and (not lost or self.exit_codes[rank] == -signal.SIGTERM):
            first = min(told, key=lambda failure: failure["time"])
            raise RankFailed(first["status"], first["reason"], first["trace"])
        lines = [event.text for event in Log(self.folder / f"{rank}.log").new()]
        raise RankFailed(
            "failed", f"lost: rank {rank} {how_it_ended(self.exit_codes[rank])}", "\n".join(lines[-LAST_LINES:])
        )


def suspicion(code: int) -> int:
    """Smallest for a rank that was lost by itself: the launcher ends the others with SIGTERM, and one that misses
    another may abort."""
    return {-signal.SIGTERM: 2, -signal.SIGABRT: 1}.get(code, 0)


class Log:
    """What a rank prints, line by line."""

    def __init__(self, path: Path) -> None:
        self._path, self._at = path, 0

    def new(self) -> list[Printed]:
        """The whole lines since the last call."""
        try:
            with open(self._path, "rb") as file:
                file.seek(self._at)
                whole, end, _ = file.read().rpartition(b"\n")
        except FileNotFoundError:
            return []
        self._at += len(whole) + len(end)
        return [Printed(line) for line in whole.decode(errors="replace").splitlines()]


@contextmanager
def environment() -> Iterator[None]:
    """The launcher's variables, which its ranks inherit, and this process's as they were afterwards."""
    names = ("TORCHELASTIC_SIGNALS_TO_HANDLE", "GLOO_SOCKET_IFNAME")
    before = {name: os.environ.get(name) for name in names}
    if sys.platform in LOOPBACK:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", LOOPBACK[sys.platform])
    try:
        yield
    finally:
        restore(before)


def restore(variables: Mapping[str, Any]) -> None:
    """Set variables of the environment; None: there is none."""
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@contextmanager
def quiet_launcher() -> Iterator[None]:
    """Without what the launcher logs on stderr: how ranks end is reported by ``Launcher.check``."""
    names = [name for name in logging.root.manager.loggerDict if name.startswith("torch.distributed.elastic")]
    loud = [logger for logger in map(logging.getLogger, names) if not logger.disabled]
    for logger in loud:
        logger.disabled = True
    try:
        yield
    finally:
        for logger in loud:
            logger.disabled = False
