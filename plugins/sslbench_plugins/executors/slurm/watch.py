"""What becomes of jobs: their events, and what the queue says of those that are silent."""

from __future__ import annotations

from collections.abc import Sequence

from sslbench import Warned
from sslbench_plugins.executors.slurm.cluster import OVER, Cluster, JobEnd, JobState, Unreachable
from sslbench_plugins.executors.slurm.failure import failure_of
from sslbench_plugins.executors.slurm.job import CANCELLED, SlurmJob
from sslbench_plugins.executors.slurm.params import SlurmParams

LOOKS = 2
"""looks by which a job has ended before it is believed: its last events may come late, and it may be put back"""
PUT_BACK, PUT_BACK_LOOKS = frozenset({"BOOT_FAIL", "NODE_FAIL", "PREEMPTED"}), 6
"""states from which SLURM puts a job back into the queue, and how long it is given for that"""
WAITS = 60.0
"""seconds in the queue before it is said why"""
HELD = "it is held; scontrol release JOB lets it go on"
IN_VAIN = {
    "PartitionConfig": "no node of its partition has what it asks for",
    "BadConstraints": "no node has what it asks for",
    "PartitionTimeLimit": "its time (time) is more than its partition allows",
    "PartitionNodeLimit": "it asks for more nodes than its partition allows",
    "InvalidAccount": "its account is not valid",
    "InvalidQOS": "its quality of service (qos) is not valid",
    "JobHeldUser": HELD,
    "JobHeldAdmin": HELD,
    "launch failed requeued held": HELD,
}
"""reasons that do not pass, in words; these are said at once"""
HEARTBEATS = 3
"""missed before a job that the queue does not know is lost"""


class Watch:
    """Looks at the queue for jobs that say nothing."""

    def __init__(self, params: SlurmParams, cluster: Cluster) -> None:
        self.params, self.cluster = params, cluster
        self._silent: set[str] = set()
        """commands that were not answered, which was said"""

    def look(self, jobs: Sequence[SlurmJob], now: float) -> None:
        """Ask the queue, end what has ended, and say what waits; ``now``: in seconds, of any clock."""
        submitted = [job for job in jobs if job.id and not job.ended]
        try:
            queue = self.cluster.jobs() if submitted else {}
            for job in submitted:
                self._see(job, queue.get(job.id), now)
        except Unreachable as error:
            return self.away(error, submitted)
        if submitted:
            self._silent.discard("squeue")
        return self._say_what_waits([job for job in submitted if not job.ended], now)

    def away(self, error: Unreachable, jobs: Sequence[SlurmJob]) -> None:
        """Say once of each command that SLURM does not answer: nothing is known of its jobs then, and none is lost."""
        if jobs and error.command not in self._silent:
            self._silent.add(error.command)
            jobs[0].emit(Warned(f"SLURM does not answer for now ({error}); its jobs go on, and it is asked again"))

    def answered(self) -> None:
        """It took what there was to submit and to cancel."""
        self._silent -= {"sbatch", "scancel"}

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
        if job.missed < (PUT_BACK_LOOKS if job.state is not None and job.state.state in PUT_BACK else LOOKS):
            return None
        end = JobEnd("") if is_another else self.cluster.end_of(job.id)
        if end.state and end.state not in OVER:  # it was put back since the queue was asked
            job.missed = 0
            return None
        if not end.state and job.lives(now, HEARTBEATS * self.params.heartbeat):
            return None
        job.read()
        if not job.ended and job.id:
            job.finish(failure_of(job.id, end, self.params, job.log, job.began))
        return None

    def _tell_of_restart(self, job: SlurmJob, before: JobState | None) -> None:
        ran = before is not None and before.state in ("RUNNING", "COMPLETING")
        if ran and job.state is not None and job.state.state == "PENDING":
            job.emit(Warned(f"job {job.id} was preempted or lost its node; SLURM will start it again, and it goes on"))

    def _say_what_waits(self, jobs: Sequence[SlurmJob], now: float) -> None:
        """One line for all jobs that have waited for a while for one reason."""
        reasons: dict[str, list[SlurmJob]] = {}
        for job in jobs:
            waits = job.state is not None and job.state.state == "PENDING"
            job.waits_since = (now if job.waits_since is None else job.waits_since) if waits else None
            if job.state is None or job.waits_since is None or job.told_why_it_waits:
                continue
            if now - job.waits_since >= WAITS or job.state.reason in IN_VAIN:
                job.told_why_it_waits = True
                reasons.setdefault(job.state.reason, []).append(job)
        for reason, waiting in reasons.items():
            which = f"job {waiting[0].id} waits" if len(waiting) == 1 else f"{len(waiting)} jobs wait"
            words = f" ({IN_VAIN[reason]})" if reason in IN_VAIN else ""
            waiting[0].emit(Warned(f"{which} in the queue of SLURM: {reason}{words}"))
