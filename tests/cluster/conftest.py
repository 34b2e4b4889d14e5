"""A real SLURM for the slow tests: Debian's packages, unprivileged, in a scratch folder, ended afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol")
USER = pwd.getpwuid(os.getuid()).pw_name
PACKAGES = "slurmctld slurmd slurm-client slurm-wlm-basic-plugins munge"
CONF = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=1
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmctldPort={controller}
SlurmdPort={daemon}
ProctrackType=proctrack/pgid
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
KillWait=3
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 RealMemory=4000 Gres=gpu:2 State=UNKNOWN
PartitionName=low Nodes={host} Default=YES MaxTime=600 State=UP PriorityTier=1
PartitionName=urgent Nodes={host} MaxTime=INFINITE State=UP PriorityTier=10
"""
GPUS = "Name=gpu File=/dev/null\nName=gpu File=/dev/zero\n"


class Cluster:
    """One controller and one node, on free ports; ``folder`` holds everything that they write."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.processes = folder, []
        self.environment = {**os.environ, "PATH": PATH, "SLURM_CONF": str(folder / "slurm.conf")}

    def start(self) -> None:
        """Returns when the node takes jobs."""
        for name in ("state", "spool"):
            (self.folder / name).mkdir()
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        host, ports = socket.gethostname().partition(".")[0], free_ports(2)
        places = {"controller": ports[0], "daemon": ports[1]}
        (self.folder / "slurm.conf").write_text(CONF.format(host=host, user=USER, folder=self.folder, **places))
        (self.folder / "gres.conf").write_text(GPUS)
        names = {"socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
        files = [f"--{option}={self.folder}/munge.{name}" for option, name in names.items()]
        self.spawn("munged", "--foreground", "--force", f"--key-file={key}", *files)
        self.wait_for(lambda: (self.folder / "munge.socket").exists())
        self.spawn("slurmctld", "-D")
        self.spawn("slurmd", "-D", "-N", host)
        self.wait_for(lambda: "idle" in self.call("sinfo", "-h", "-o", "%T", fails=True))

    def spawn(self, *command: str) -> None:
        """Start a part of it, in a session of its own."""
        with open(self.folder / f"{command[0]}.out", "wb") as out:
            streams = {"stdin": subprocess.DEVNULL, "stdout": out, "stderr": out}
            self.processes.append(subprocess.Popen(command, env=self.environment, start_new_session=True, **streams))

    def stop(self, name: str) -> None:
        """End a part of it, as when its machine is away."""
        (process,) = [process for process in self.processes if process.args[0] == name]
        process.terminate()
        process.wait(30)
        self.processes.remove(process)

    def call(self, *command: str, fails: bool = False) -> str:
        """What a command of SLURM prints; ``fails``: also one that fails."""
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=30)
        assert fails or done.returncode == 0, done.stderr
        return done.stdout

    def state(self, job: int | str) -> str:
        """Of a job, such as ``RUNNING``; empty where it is not known."""
        return self.call("squeue", "-h", "-t", "all", "-j", str(job), "-o", "%T", fails=True).strip()

    def jobs(self, states: str = "all") -> list[str]:
        """The numbers of all jobs in these states."""
        return self.call("squeue", "-h", "-r", "-t", states, "-o", "%i").split()

    def wait_for(self, condition: Callable[[], object], seconds: float = 60) -> None:
        """Until it holds. Fails with the last lines of the logs."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end or any(process.poll() is not None for process in self.processes):
                logs = [*self.folder.glob("*.log"), *self.folder.glob("*.out")]
                pytest.fail("\n".join(f"{log.name}: {log.read_text(errors='replace')[-1500:]}" for log in logs))
            time.sleep(0.05)

    def cancel_all(self) -> None:
        """End every job."""
        self.call("scancel", "-u", USER, fails=True)
        self.wait_for(lambda: not self.jobs("PD,R,CG,CF"))

    def end(self) -> None:
        """End all that runs, jobs included."""
        order = ("slurmd", "slurmctld", "munged")  # slurmd waits for a controller that is gone
        for process in sorted(self.processes, key=lambda process: order.index(process.args[0])):
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()
            process.wait()
        self.kill()

    def kill(self) -> None:
        """End at once what is left of it."""
        end = time.monotonic() + 10
        while (left := self.left()) and time.monotonic() < end:
            for number in left:
                with suppress(ProcessLookupError):
                    os.kill(number, signal.SIGKILL)
            time.sleep(0.05)

    def left(self) -> list[int]:
        """The processes of its daemons and jobs that run."""
        variable = f"SLURM_CONF={self.folder}/".encode()
        return [number for number in processes() if variable in environment(number)]


def processes() -> list[int]:
    """The numbers of all that run."""
    return [int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdecimal()]


def environment(process: int) -> bytes:
    """What a process was started with; empty where it has gone or is another user's."""
    with suppress(OSError):
        return Path(f"/proc/{process}/environ").read_bytes()
    return b""


def free_ports(count: int) -> list[int]:
    """Of this machine, each another."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for number in sockets:
            number.bind(("127.0.0.1", 0))
        return [number.getsockname()[1] for number in sockets]


@contextmanager
def cluster() -> Iterator[Cluster]:
    """A cluster that is ended whatever happens. Skips the test where a program is missing."""
    missing = [program for program in PROGRAMS if shutil.which(program, path=PATH) is None]
    if missing:
        pytest.skip(f"no {', '.join(missing)}: apt-get install --no-install-recommends {PACKAGES}")
    with tempfile.TemporaryDirectory(prefix="slurm-", ignore_cleanup_errors=True) as folder:
        command = [sys.executable, __file__, folder]  # ends it where this process is killed
        watcher = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
        started = Cluster(Path(folder))
        try:
            started.start()
            yield started
        finally:
            started.end()
            watcher.communicate()


@pytest.fixture(scope="session")
def slurm() -> Iterator[Cluster]:
    """A SLURM of four pretended cores and two pretended GPUs; jobs in ``urgent`` preempt those in ``low``."""
    with cluster() as started:
        yield started


if __name__ == "__main__":
    sys.stdin.read()
    Cluster(Path(sys.argv[1])).kill()
    shutil.rmtree(sys.argv[1], ignore_errors=True)
