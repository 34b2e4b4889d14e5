"""Apart: a process of its own for each pretraining, one after the other."""

import subprocess
import sys
import threading
from pathlib import Path

from sslbench import (
    BuildContext,
    Emit,
    Ended,
    EventFile,
    ExecutorSpec,
    Failure,
    Params,
    Work,
    WorkFiles,
    hookimpl,
    how_it_ended,
    to_line,
)


class Running:
    """One piece of work, and the thread that reads what its process reports."""

    def __init__(self, work: Work, emit: Emit, before: threading.Thread | None) -> None:
        self.files, self.work, self.emit, self.before = WorkFiles(Path(work.out), work.key), work, emit, before
        self.process: subprocess.Popen | None = None
        self.cancelled = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self) -> None:
        if self.before is not None:
            self.before.join()
        try:
            failure = self.failure_of_process()
        except Exception as error:
            failure = Failure(f"lost: {error!r}")
        self.emit(Ended(self.work.key, Failure("cancelled", "cancelled") if failure and self.cancelled else failure))

    def failure_of_process(self) -> Failure | None:
        for path in (self.files.work, self.files.events):
            path.parent.mkdir(parents=True, exist_ok=True)
        self.files.events.unlink(missing_ok=True)
        self.files.work.write_text(to_line(self.work))
        if self.cancelled:
            return Failure("cancelled", "cancelled")
        command = [sys.executable, "-m", "sslbench.execute.by_file", str(self.files.work)]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        events, alive = EventFile(self.files.events), True
        while alive:
            alive = not self.ends_within(0.1)
            for event in events.new():
                if isinstance(event, Ended):
                    return event.failure
                self.emit(event)
        return Failure(f"lost: the process {how_it_ended(self.process.returncode)}")

    def ends_within(self, seconds: float) -> bool:
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def cancel(self) -> None:
        self.cancelled = True
        if self.process is not None:
            self.process.terminate()


class Apart:
    slots = 1

    def __init__(self) -> None:
        self.latest: Running | None = None

    def devices(self) -> tuple[str, ...]:
        return ("cpu",)

    def submit(self, work: Work, emit: Emit) -> Running:
        self.latest = Running(work, emit, self.latest.thread if self.latest else None)
        return self.latest

    def close(self) -> None:
        if self.latest:
            self.latest.thread.join()


def build(params: Params, context: BuildContext) -> Apart:
    return Apart()


@hookimpl
def sslbench_executors():
    return [ExecutorSpec(name="apart", build=build)]
