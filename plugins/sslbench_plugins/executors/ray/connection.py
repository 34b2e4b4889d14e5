"""The way to a cluster. What was started here is ended here, somebody's cluster is only left."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from sslbench import UserError
from sslbench_plugins.executors.ray.needs import Resources

PATIENCE = 5.0
"""seconds that a cluster has to answer in; Ray itself would wait for more than a minute, then end the process"""
SETTINGS = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DEDUP_LOGS": "0"}
"""of Ray, unless the user set them"""
START = "start one with `ray start --head`, or give address=HOST:PORT, or address=local for a new one on this machine"


@dataclass
class Connection:
    """To one cluster, opened when it is first needed."""

    ray: Any
    """the module"""
    address: str
    own: bool = field(default=False, init=False)
    """whether it was opened here"""

    @classmethod
    def to(cls, address: str) -> Connection:
        """Raises UserError where Ray is not installed, or nothing answers there."""
        for name, value in SETTINGS.items():
            os.environ.setdefault(name, value)
        try:
            ray = import_module("ray")
            ray.init  # noqa: B018  # a folder of that name is no Ray
        except (ImportError, AttributeError):
            raise UserError("executor 'ray' needs ray: pip install 'sslbench[ray]'") from None
        if not ray.is_initialized():
            check(address)
        return cls(ray, address)

    @property
    def is_local(self) -> bool:
        """Whether it is a cluster of this machine alone, which is started for this run."""
        return self.address == "local" and not self.ray.is_initialized()

    def open(self) -> None:
        """Connect, unless this process is connected already. Raises UserError."""
        if self.ray.is_initialized():
            return
        more: dict[str, Any] = {"include_dashboard": False} if self.address == "local" else {}
        environment = {"env_vars": environment_of_workers()}
        try:
            with own_signals():
                self.ray.init(
                    address=self.address,
                    log_to_driver=False,
                    logging_level=logging.CRITICAL,
                    runtime_env=environment,
                    **more,
                )
        except (Exception, SystemExit) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise UserError(f"executor 'ray': no cluster at address={self.address}: {reason}") from None
        self.own = True

    def nodes(self) -> list[Resources]:
        """What each node has that is there now, in use or not. Raises UserError."""
        self.open()
        return [node["Resources"] for node in self.ray.nodes() if node["Alive"]]

    def close(self) -> None:
        """Leave the cluster; one that was started by ``open`` ends."""
        if self.own:
            self.own = False
            with own_signals():
                self.ray.shutdown()


def check(address: str) -> None:
    """Raises UserError for an address where no cluster can be or none answers."""
    if address == "local":
        return
    if "://" in address:
        raise UserError(
            f"executor 'ray': address={address}: tasks do not report through Ray Client; run this on a node of the"
            " cluster with address=auto (`ray job submit` does), or give HOST:PORT"
        )
    found = known_address() if address == "auto" else address
    host, colon, port = found.rpartition(":")
    if address == "auto" and not found:
        raise UserError(f"executor 'ray': no cluster runs on this machine (address=auto); {START}")
    if not (host and colon and port.isdecimal() and 0 < int(port) < 65536):
        raise UserError(f"executor 'ray': address={found}: allowed are auto, local and HOST:PORT")
    try:
        socket.create_connection((host.strip("[]"), int(port)), PATIENCE).close()
    except OSError as error:
        raise UserError(f"executor 'ray': no cluster answers at {found}: {error.strerror or error}; {START}") from None


def known_address() -> str:
    """The cluster that ``auto`` means; empty where there is none."""
    if address := os.environ.get("RAY_ADDRESS", ""):
        return address
    folder = Path(os.environ.get("RAY_TMPDIR") or "/tmp", "ray")
    with suppress(OSError):
        return (folder / "ray_current_cluster").read_text(encoding="utf-8").strip()
    return ""


def environment_of_workers() -> dict[str, str]:
    """What workers are to know of this process: where its code lies, but for what is installed, and its settings."""
    installed = (sys.prefix, sys.base_prefix, sys.exec_prefix)
    paths = [os.path.abspath(path) for path in sys.path if os.path.isdir(path or ".")]
    own = [path for path in dict.fromkeys(paths) if not path.startswith(installed)]
    settings = {name: value for name, value in os.environ.items() if name.startswith("SSLBENCH_")}
    return {**settings, "PYTHONPATH": os.pathsep.join(own)}


@contextmanager
def own_signals() -> Iterator[None]:
    """Ray puts its own handler of SIGTERM in the place of ours; put it back."""
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if handler is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)
