"""What becomes of jobs: their events, and what the queue says of those that are silent."""

from __future__ import annotations

from collections.abc import Sequence

from sslbench import Warned
from sslbench_plugins.executors.slurm.cluster import Cluster, JobEnd, JobState, Unreachable
from sslbench_plugins.executors.slurm.failure import failure_of
from sslbench_plugins.executors.slurm.job import CANCELLED, SlurmJob
from sslbench_plugins.executors.slurm.params import SlurmParams

OVER = frozenset("COMPLETED FAILED TIMEOUT NODE_FAIL OUT_OF_MEMORY CANCELLED BOOT_FAIL DEADLINE PREEMPTED REVOKED".split())
"""states in which a job has ended"""
LOOKS = 2
"""looks by which a job has ended before it is believed: its last events may come late, and it may be put back"""
WAITS = 60.0
"""seconds in the queue before it is said why"""
HEARTBEATS = 3
"""missed before a job that the queue does not know is lost"""


class Watch:
    """Looks at the queue for jobs that say nothing."""

    def __init__(self, params: SlurmParams, cluster: Cluster) -> None:
        self.params, self.cluster = params, cluster
        self._away = False

    def look(self, jobs: Sequence[SlurmJob], now: float) -> None:
        """Ask the queue, end what has ended, and say what waits; ``now``: in seconds, of any clock."""
        submitted = [job for job in jobs if job.id and not job.ended]
        try:
            queue = self.cluster.jobs() if submitted else {}
            for job in submitted:
                self._see(job, queue.get(job.id), now)
        except Unreachable as error:
            return self.away(error, submitted)
        self._away = False
        return self._say_what_waits([job for job in submitted if not job.ended], now)

    def away(self, error: Unreachable, jobs: Sequence[SlurmJob]) -> None:
        """Say once that SLURM does not answer: nothing is known of its jobs then, and none is lost."""
        if not self._away and jobs:
            jobs[0].emit(Warned(f"SLURM does not answer ({error}); its jobs go on, and it is asked again"))
            self._away = True

    def _see(self, job: SlurmJob, state: JobState | None, now: float) -> None:
        """What the queue says of one job. Raises Unreachable."""
        is_another = state is not None and state.name != job.name  # its number was given again
        before, job.state = job.state, None if is_another else state
        if job.cancel_sent and (job.state is None or job.state.state in OVER | {"COMPLETING"}):
            return job.finish(CANCELLED)
        if job.state is not None and job.state.state not in OVER:
            job.missed = 0
            return self._tell_of_restart(job, before)
        job.missed += 1
        if job.missed < LOOKS:
            return None
        end = JobEnd("") if is_another else self.cluster.end_of(job.id)
        if not end.state and job.lives(now, HEARTBEATS * self.params.heartbeat):
            return None
        job.read()
        if not job.ended and job.id:
            job.finish(failure_of(job.id, end, self.params, job.log, job.began))
        return None

    def _tell_of_restart(self, job: SlurmJob, before: JobState | None) -> None:
        ran = before is not None and before.state in ("RUNNING", "COMPLETING")
        if ran and job.state is not None and job.state.state == "PENDING":
            job.emit(Warned(f"job {job.id} was preempted or lost its node; it goes on from there when SLURM restarts it"))

    def _say_what_waits(self, jobs: Sequence[SlurmJob], now: float) -> None:
        """One line for all jobs that have waited for a while for one reason."""
        reasons: dict[str, list[SlurmJob]] = {}
        for job in jobs:
            waits = job.state is not None and job.state.state == "PENDING"
            job.waits_since = (now if job.waits_since is None else job.waits_since) if waits else None
            if job.waits_since is not None and now - job.waits_since >= WAITS and not job.told_why_it_waits:
                job.told_why_it_waits = True
                reasons.setdefault(job.state.reason if job.state else "", []).append(job)
        for reason, waiting in reasons.items():
            others = f" and {len(waiting) - 1} more" if waiting[1:] else ""
            waiting[0].emit(Warned(f"job {waiting[0].id}{others} waiting in the queue: {reason}"))
