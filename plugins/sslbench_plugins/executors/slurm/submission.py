"""From pieces of work that wait to jobs in the queue."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from sslbench import Failure
from sslbench_plugins.executors.slurm.cluster import OVER, Cluster, Refused
from sslbench_plugins.executors.slurm.job import SlurmJob
from sslbench_plugins.executors.slurm.params import SlurmParams, options_of, script_of

LARGEST_ARRAY = 1000  # SLURM's own default


@dataclass(frozen=True)
class Batch:
    """Jobs that are submitted by one call of sbatch, under a name that no other call has."""

    jobs: Sequence[SlurmJob]
    name: str

    def number(self, place: int, job: str) -> str:
        """Of the job at a place, where sbatch gave the batch this number."""
        return f"{job}_{place}" if len(self.jobs) > 1 else job


class Submission:
    """Calls sbatch. A call that got no answer may have been heard: the queue is asked before it is made again."""

    def __init__(self, params: SlurmParams, devices: int, cluster: Cluster) -> None:
        self.params, self.devices, self.cluster = params, devices, cluster
        self._unsure: list[Batch] = []

    def submit(self, waiting: Sequence[SlurmJob]) -> None:
        """Submit them; each has a number then, or has ended because SLURM refuses it. Raises Unreachable."""
        if self._unsure:
            self._settle()
        waiting = self._free([job for job in waiting if not job.id])
        size = LARGEST_ARRAY if self.params.array else 1
        for start in range(0, len(waiting), size):
            self._send(waiting[start : start + size])

    def _free(self, waiting: Sequence[SlurmJob]) -> Sequence[SlurmJob]:
        """Those that replace no job, or one that is gone; the others are cancelled and may still write."""
        replaced = [job.replaces for job in waiting if job.replaces]
        if not replaced:
            return waiting
        queue = self.cluster.jobs()
        states = {note.job: queue[note.job] for note in replaced if note.job in queue}
        there = [note.job for note in replaced if note.job in states and states[note.job].name == note.name]
        there = [job for job in there if states[job].state not in OVER]
        if there:
            self.cluster.cancel(there)
        return [job for job in waiting if job.replaces is None or job.replaces.job not in there]

    def _settle(self) -> None:
        """Find the jobs of calls that got no answer; those that are not there are free to be submitted."""
        queue = self.cluster.jobs()
        for batch in self._unsure:
            for place, job in enumerate(batch.jobs):
                found = [key for key, state in queue.items() if state.name == batch.name]
                ours = [key for key in found if key == batch.number(place, key.partition("_")[0])]
                if ours and job.ended:  # it was cancelled before anybody knew its number
                    self.cluster.cancel(ours)
                elif ours:
                    job.submitted(ours[0])
        self._unsure = []

    def _send(self, jobs: Sequence[SlurmJob]) -> None:
        batch = Batch(jobs, name_of(jobs))
        for job in jobs:
            job.replaces, job.name = None, batch.name
        try:
            works = [job.prepare() for job in jobs]
            folder = str(jobs[0].files.work.parent).replace("%", "%%")
            options = [f"--job-name={batch.name}", *options_of(self.params, self.devices)]
            options += [f"--output={folder}/%A_%a.log", f"--array=0-{len(jobs) - 1}"] if jobs[1:] else []
            options += [] if jobs[1:] else [f"--output={folder}/%j.log"]
            self._unsure.append(batch)
            number = self.cluster.submit(options, script_of(self.params, works, self.devices))
        except (Refused, OSError) as error:
            for job in jobs:
                job.finish(Failure(f"refused: {error}", "refused"))
        else:
            for place, job in enumerate(jobs):
                job.submitted(batch.number(place, number))
        self._unsure = []


def name_of(jobs: Sequence[SlurmJob]) -> str:
    """Of a job or an array, as ``squeue`` shows it; no other has it."""
    method = jobs[0].work.plugins["method"].name if len(jobs) == 1 else f"{len(jobs)}-pretrainings"
    return f"sslbench-{method}-{uuid.uuid4().hex[:8]}"
