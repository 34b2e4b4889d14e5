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
AWAY = re.compile(
    r"unable to contact|connect|timed out|not responding|temporarily unable|zero bytes|standby|SubmitJob",
    re.IGNORECASE,
)
"""what is said of a controller that is away, or that takes no more jobs for now; all else is about the job itself"""


class Unreachable(Exception):
    """The controller does not answer, or not yet; in one line."""


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
            self._run("sbatch", "--test-only", *options, given="#!/bin/bash\n")
        except Refused as error:
            # Of nodes that are down, --test-only says the same as of nodes that there are none of.
            if "node configuration is not available" not in str(error):
                raise UserError(f"executor 'slurm': sbatch refuses such jobs: {error}; given: {shown(options)}") from None
        except Unreachable:
            pass  # it is asked again when there is something to submit

    def submit(self, options: Sequence[str], script: str) -> str:
        """The number of the new job. Raises Refused, Unreachable."""
        return self._run("sbatch", "--parsable", *options, given=script).strip().splitlines()[-1].partition(";")[0]

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
        return JobEnd(fields[0].partition(" ")[0], fields[2], number(code), number(signal), fields[3])

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
            raise Unreachable(str(error)) from None

    def _run(self, *command: str, given: str = "") -> str:
        try:
            done = subprocess.run(
                command, input=given, capture_output=True, text=True, errors="replace", timeout=TIMEOUT
            )
        except subprocess.TimeoutExpired:
            raise Unreachable(f"{command[0]}: no answer within {TIMEOUT:g} s") from None
        except OSError as error:
            raise Unreachable(f"{command[0]}: {error.strerror}") from None
        if done.returncode == 0:
            return done.stdout
        said = [re.sub(r"^(sbatch|scontrol|scancel|squeue|sacct): (error: )?", "", s) for s in done.stderr.splitlines()]
        text = next((line for line in reversed(said) if line.strip()), f"exit code {done.returncode}")
        text = text.removeprefix("allocation failure: ").removeprefix("Batch job submission failed: ").strip()
        raise (Unreachable if any(AWAY.search(line) for line in said) else Refused)(f"{command[0]}: {text}")


def number(text: str) -> int:
    """Of digits; 0 for anything else."""
    return int(text) if text.isdecimal() else 0


def shown(options: Sequence[str]) -> str:
    """The options that say what a job needs, without those that name files."""
    return " ".join(option for option in options if not option.startswith(("--output", "--job-name"))) or "no options"
