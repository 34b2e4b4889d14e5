"""Where and with what a number was made. Names no host and no user."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

CPUINFO = Path("/proc/cpuinfo")
ASK_SECONDS = 2.0


def provenance(torch_facts: Mapping[str, Any], distributions: Mapping[str, str]) -> dict[str, Any]:
    """A record's ``provenance``: this machine, what torch knows of it, and the distributions that took part."""
    return {**machine_facts(), **torch_facts, "distributions": dict(sorted(distributions.items()))}


def machine_facts() -> dict[str, Any]:
    """``time`` (UTC, ISO 8601) and what does not change while the process runs; unknown facts are None. Cores are those
    that this process may use; git's facts those of the repository around the current directory at the first call."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return {"time": now, **lasting_facts(), **git_facts(os.getcwd())}


@cache
def lasting_facts() -> dict[str, Any]:
    """What does not change while the process runs."""
    own = None
    with suppress(PackageNotFoundError):
        own = version("sslbench")
    return {
        "sslbench": own,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": processor(),
        "cores": len(usable_cores()),
        "physical_cores": physical_cores(),
        "memory_bytes": memory_bytes(),
    }


def processor() -> str | None:
    """The processor's model name."""
    name = re.search(r"^(?:model name|Model|cpu model)\s*:\s*(.+)$", cpuinfo(), re.MULTILINE)
    if name:
        return name[1].strip()
    if platform.system() == "Darwin":
        return output_of("sysctl", "-n", "machdep.cpu.brand_string") or platform.processor() or None
    return platform.processor() or platform.machine() or None


def usable_cores() -> set[int]:
    """The logical cores that this process may use."""
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))


def physical_cores() -> int | None:
    """Different (socket, core) pairs among the usable logical cores, where Linux says which is which."""
    pairs = set()
    for block in cpuinfo().split("\n\n"):
        facts = dict(re.findall(r"^(processor|physical id|core id)\s*:\s*(\d+)$", block, re.MULTILINE))
        if facts.keys() == {"processor", "physical id", "core id"} and int(facts["processor"]) in usable_cores():
            pairs.add((facts["physical id"], facts["core id"]))
    if not pairs and platform.system() == "Darwin":
        count = output_of("sysctl", "-n", "hw.physicalcpu") or ""
        return int(count) if count.isdigit() else None
    return len(pairs) or None


@cache
def cpuinfo() -> str:
    """What Linux tells of the processors; empty elsewhere."""
    with suppress(OSError):
        return CPUINFO.read_text(encoding="utf-8", errors="replace")
    return ""


def memory_bytes() -> int | None:
    """Of the whole machine."""
    with suppress(AttributeError, ValueError, OSError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return None


@cache
def git_facts(folder: str) -> dict[str, Any]:
    """The commit checked out around ``folder`` and whether tracked files differ from it; None without git."""
    commit = output_of("git", "-C", folder, "rev-parse", "--verify", "HEAD")
    if not commit:
        return {"git_commit": None, "git_dirty": None}
    changes = output_of("git", "-C", folder, "status", "--porcelain", "--untracked-files=no")
    return {"git_commit": commit, "git_dirty": None if changes is None else bool(changes)}


def output_of(*command: str) -> str | None:
    """What a program prints, or None if it is missing, fails or takes too long."""
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}  # git would refresh its index, which is a write
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=ASK_SECONDS, stdin=subprocess.DEVNULL, env=environment
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
