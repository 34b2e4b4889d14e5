"""A pretended SLURM: the commands as scripts that say what a test wrote, and an executor whose clock a test moves."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sslbench import Ended, EventFile, RecordMade, StageStarted, Warned
from sslbench.store.record import Record
from sslbench_plugins.executors.slurm.cluster import Cluster
from sslbench_plugins.executors.slurm.executor import Slurm
from sslbench_plugins.executors.slurm.params import SlurmParams

COMMAND = """#!/bin/sh
cd {folder}
echo "{name} $*" >> calls
if [ -f {name}.error ]; then cat {name}.error >&2; exit 1; fi
case {name} in
  sbatch)
    case "$*" in *--test-only*) exit 0 ;; esac
    number=$(cat number 2> /dev/null || echo 11); number=$((number + 1)); echo $number > number
    cat > script.$number; echo $number ;;
  scontrol)
    if [ -f show.$4 ]; then cat show.$4; else echo "slurm_load_jobs error: Invalid job id specified" >&2; exit 1; fi ;;
  *) if [ -f {name} ]; then cat {name}; fi ;;
esac
"""


@dataclass
class Pretended:
    """What the commands say, and what they were asked."""

    folder: Path
    out: Path
    now: float = 1000.0
    pauses: list[float] = field(default_factory=list)
    queue: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def fails(self, command: str, error: str | None) -> None:
        """From now on the command fails with these words; None: no longer."""
        path = self.folder / f"{command}.error"
        path.unlink(missing_ok=True) if error is None else path.write_text(error + "\n")

    def says(self, job: str, state: str, reason: str = "None", node: str = "n1", name: str | None = None) -> None:
        """What squeue says of a job."""
        self.queue[job] = (job, state, node, name or self.name_of(job), reason)
        self._write()

    def forgets(self, job: str) -> None:
        """Squeue knows nothing of it."""
        self.queue.pop(job, None)
        self._write()

    def _write(self) -> None:
        (self.folder / "squeue").write_text("".join("|".join(line) + "\n" for line in self.queue.values()))

    def ends(self, job: str, state: str, exit_code: str = "0:0", reason: str = "None", **more: str) -> None:
        """What both squeue and scontrol say of a job that is over."""
        self.says(job, state, reason)
        facts = {"JobState": state, "ExitCode": exit_code, "NodeList": "n1", "TimeLimit": "01:00:00", **more}
        (self.folder / f"show.{job}").write_text(" ".join(f"{key}={value}" for key, value in facts.items()) + "\n")

    def name_of(self, job: str) -> str:
        """As the note of the job has it."""
        notes = [json.loads(path.read_text()) for path in (self.out / "jobs").glob("*.json")]
        return next(note["name"] for note in notes if note["job"] == job)

    def calls(self, command: str) -> list[str]:
        """The arguments of each call."""
        path = self.folder / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line.partition(" ")[2] for line in lines if line.split()[0] == command]

    def submissions(self) -> list[str]:
        """Calls of sbatch that submit."""
        return [call for call in self.calls("sbatch") if "--test-only" not in call]

    def executor(self, **params: Any) -> Followed:
        """One without a thread; the test calls its rounds."""
        executor = Followed(SlurmParams(**params), 1, Cluster(), clock=lambda: self.now, pause=self.pauses.append)
        executor.pretended = self
        return executor


class Followed(Slurm):
    """Its rounds are the test's to call."""

    pretended: Pretended

    def _start(self) -> None:
        pass

    def rounds(self, count: int, seconds: float = 10.0) -> None:
        """So many, with time between them."""
        for _ in range(count):
            self.pretended.now += seconds
            self.round()


@pytest.fixture
def slurm(tmp_path, monkeypatch) -> Pretended:
    folder = tmp_path / "slurm"
    folder.mkdir()
    for name in ("sbatch", "squeue", "scancel", "scontrol", "sacct", "sinfo"):
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(COMMAND.format(folder=folder, name=name))
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    return Pretended(folder, tmp_path / "out")


class Worker:
    """What a worker on a node does, in a test's own time."""

    def __init__(self, out: Path, key: str = "k0") -> None:
        self.file = EventFile(out / "events" / f"{key}.jsonl")
        self.heartbeat = out / "jobs" / f"{key}.alive"
        self.key = key

    def begins(self) -> None:
        self.file.append(StageStarted("training"))

    def records(self, *cells: str) -> None:
        for cell in cells:
            self.file.append(RecordMade(Record(cell, "done", method="simclr", seed=0)))

    def ends(self, failure: Any = None) -> None:
        self.file.append(Ended(self.key, failure))


class Events(list[Any]):
    """The events of one piece of work, as its scheduler got them."""

    @property
    def ended(self) -> Any:
        """The one ``Ended``, which is the last."""
        (found,) = [event for event in self if isinstance(event, Ended)]
        assert self[-1] is found
        return found

    @property
    def warnings(self) -> list[str]:
        return [event.text for event in self if isinstance(event, Warned)]

    @property
    def cells(self) -> list[str]:
        return [event.record.cell for event in self if isinstance(event, RecordMade)]


@pytest.fixture
def worker(slurm) -> Any:
    return lambda key="k0": Worker(slurm.out, key)


@pytest.fixture
def submitted(slurm, small_work) -> Any:
    """Submit a piece of work: its handle and its events."""

    def submit(executor: Followed, evaluators: tuple[str, ...] = ("knn",), **more: Any) -> tuple[Any, Events]:
        events = Events()
        handle = executor.submit(small_work(slurm.out, evaluators=evaluators, **more), events.append)
        return handle, events

    return submit
