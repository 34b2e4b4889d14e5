"""SLURM's own commands: submit, ask, cancel. Each may fail because the controller is away for a while."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sslbench import UserError

TIMEOUT = 60.0
"""seconds that one command may take"""
FIXED = ("--nodes=1", "--ntasks=1", "--requeue", "--open-mode=append")
"""options of every job: one process that may be preempted, and goes on then in the same log"""
AWAY = re.compile(
    r"unable to contact|connect|timed out|not responding|temporarily unable|zero bytes|standby|SubmitJob",
    re.IGNORECASE,
)
"""what is said of a controller that is away, or that takes no more jobs for now; all else is about the job itself"""


OVER = frozenset(
    "BOOT_FAIL CANCELLED COMPLETED DEADLINE FAILED NODE_FAIL OUT_OF_MEMORY PREEMPTED REVOKED TIMEOUT".split()
)
"""states in which a job has ended"""
PREFIX = re.compile(r"^(\w+( error)?: )?(error: )?(allocation failure: |Batch job submission failed: )?")


class Unreachable(Exception):
    """The controller does not answer, or not yet."""

    def __init__(self, command: str, text: str) -> None:
        super().__init__(f"{command}: {text}")
        self.command = command


class Refused(Exception):
    """SLURM does not take the job; in one line."""


@dataclass(frozen=True)
class JobState:
    """What the queue says of a job."""

    state: str
    """such as ``PENDING``"""
    node: str
    """where it runs; empty where it does not"""
    name: str
    reason: str
    """why it waits, or why it ended"""


@dataclass(frozen=True)
class JobEnd:
    """How a job ended, as far as SLURM still knows."""

    state: str
    """such as ``FAILED``; empty where nobody knows"""
    node: str = ""
    code: int = 0
    """of its process"""
    signal: int = 0
    """that ended its process"""
    limit: str = ""
    """its time, such as ``01:00:00``"""


class Cluster:
    """The cluster that this machine can submit to."""

    def check(self, options: Sequence[str]) -> None:
        """Raises UserError where there is no cluster, or where it would not take a job with these options of sbatch."""
        if shutil.which("sbatch") is None:
            raise UserError(
                "executor 'slurm': there is no sbatch here; run it on a login node of the cluster, "
                "or install the client (Debian: apt-get install slurm-client)"
            )
        try:
            self._run("sbatch", "--test-only", *FIXED, *options, given="#!/bin/bash\n")
        except Refused as error:
            if str(error).startswith("fatal: "):
                raise UserError(f"executor 'slurm': sbatch finds no cluster here: {error}") from None
            # Of nodes that are down, --test-only says the same as of nodes that there are none of.
            if "node configuration is not available" in str(error):
                return
            given = f"; given: {' '.join(options)}" if options else ""
            allowed = self._partitions() if "partition" in str(error).lower() else ""
            raise UserError(f"executor 'slurm': sbatch refuses such jobs: {error}{given}{allowed}") from None
        except Unreachable:
            pass  # it is asked again when there is something to submit

    def _partitions(self) -> str:
        try:
            return f"; partitions: {', '.join(sorted(set(self._ask('sinfo', '-h', '-o', '%R').split())))}"
        except Unreachable:
            return ""

    def submit(self, options: Sequence[str], script: str) -> str:
        """The number of the new job. Raises Refused, Unreachable."""
        return (
            self._run("sbatch", "--parsable", *FIXED, *options, given=script).strip().splitlines()[-1].partition(";")[0]
        )

    def jobs(self) -> dict[str, JobState]:
        """This user's jobs that the queue knows, elements of arrays by themselves (``12_3``). Raises Unreachable."""
        asked = ("-h", "-r", "-t", "all", "-u", str(os.getuid()), "-o", "%i|%T|%N|%j|%r")
        lines = (line.split("|", 4) for line in self._ask("squeue", *asked).splitlines())
        return {fields[0].strip(): JobState(*(field.strip() for field in fields[1:])) for fields in lines if fields[4:]}

    def end_of(self, job: str) -> JobEnd:
        """How a job ended, from the controller, else from the accounts, where there are any. Raises Unreachable."""
        text = self._ask("scontrol", "show", "job", "-o", job, unknown=True)
        if text:
            facts = dict(re.findall(r"(JobState|ExitCode|NodeList|TimeLimit)=(\S*)", text))
            code, _, signal = facts.get("ExitCode", "").partition(":")
            node = facts.get("NodeList", "").replace("(null)", "")
            return JobEnd(facts.get("JobState", ""), node, number(code), number(signal), facts.get("TimeLimit", ""))
        try:
            accounts = self._ask("sacct", "-n", "-X", "-P", "-j", job, "-o", "State,ExitCode,NodeList,Timelimit")
        except Unreachable:  # most often there are none
            accounts = ""
        fields = accounts.splitlines()[-1].split("|") if accounts.strip() else []
        if len(fields) < 4:
            return JobEnd("")
        code, _, signal = fields[1].partition(":")
        state = fields[0].partition(" ")[0]
        return JobEnd(state if state in OVER else "", fields[2], number(code), number(signal), fields[3])

    def cancel(self, jobs: Iterable[str]) -> None:
        """End them; one that has ended is no error. Raises Unreachable."""
        self._ask("scancel", "--quiet", *jobs, unknown=True)

    def _ask(self, *command: str, unknown: bool = False) -> str:
        """What a command prints; nothing where it does not know the job and that is expected. Raises Unreachable."""
        try:
            return self._run(*command)
        except Refused as error:
            if unknown and "invalid job id" in str(error).lower():
                return ""
            raise Unreachable(command[0], str(error)) from None

    def _run(self, *command: str, given: str = "") -> str:
        try:
            done = subprocess.run(
                command, input=given, capture_output=True, text=True, errors="replace", timeout=TIMEOUT
            )
        except subprocess.TimeoutExpired:
            raise Unreachable(command[0], f"no answer within {TIMEOUT:g} s") from None
        except OSError as error:
            raise Unreachable(command[0], error.strerror or "") from None
        if done.returncode == 0:
            return done.stdout
        lines = [PREFIX.sub("", line).strip() for line in done.stderr.splitlines()]
        away = [line for line in lines if AWAY.search(line)]
        if away:
            raise Unreachable(command[0], away[-1])
        lines = [line for line in lines if line and not line.startswith("Try ")]
        raise Refused(lines[-1] if lines else f"exit code {done.returncode}")


def number(text: str) -> int:
    """Of digits; 0 for anything else."""
    return int(text) if text.isdecimal() else 0
