"""``sslbench doctor``."""

from __future__ import annotations

import json
import os
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click


@click.command("doctor", short_help="Say what this machine has and what is missing.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="Of the answer.",
)
def command(format_: str) -> int:
    """Say what this machine has, what is missing and how to get it. Exit code 1 if something is wrong."""
    facts = machine() | limits()
    problems, hints = findings(facts)
    if format_ == "json":
        click.echo(json.dumps({"schema": 1, **facts, "problems": problems, "hints": hints}, indent=1))
    else:
        width = max(map(len, facts))
        for name, value in facts.items():
            click.echo(f"{name:<{width}}  {'-' if value is None else value}")
        for problem in problems:
            click.echo(f"\nproblem: {problem}")
        for hint in hints:
            click.echo(f"\nhint: {hint}")
        if not problems:
            click.echo("\nready: sslbench run")
    return 1 if problems else 0


def machine() -> dict[str, Any]:
    """What there is, by name."""
    from sslbench.hooks.registry import Registry
    from sslbench.measure.machine import torch_hardware
    from sslbench.store.provenance import machine_facts

    loaded = Registry().load_all()
    facts = machine_facts()
    memory = facts.get("memory_bytes")
    return {
        "sslbench": facts.get("sslbench"),
        "python": facts.get("python"),
        "processor": facts.get("processor"),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory GiB": round(memory / 2**30, 1) if memory else None,
        "disk free GiB": round(shutil.disk_usage(Path.cwd()).free / 2**30, 1),
        **torch_hardware(),
        "plugins": len(loaded),
        "broken plugins": [
            f"{one.entry.name} ({one.entry.distribution}): {one.failure}" for one in loaded if one.failure
        ],
    }


def limits() -> dict[str, Any]:
    """What the device in use can do at most, measured now or before; ``at most`` may rise where programs ran beside."""
    from sslbench.measure.ceilings import ceilings
    from sslbench.measure.machine import resolve_device
    from sslbench.store.provenance import machine_facts

    device = resolve_device("auto")
    found = ceilings(device, machine_facts()["processor"], lambda text: click.echo(f"sslbench: {text}", err=True))
    threads = "" if found.threads is None else f", {found.threads} thread{'s' if found.threads != 1 else ''}"
    facts: dict[str, Any] = {
        f"{name} product GFLOP/s": None if rate is None else round(rate / 1e9, 1) for name, rate in found.flops.items()
    }
    copied = found.copy_bytes_per_second
    facts["memory copy GB/s"] = None if copied is None else round(copied / 1e9, 1)
    facts["measured on"] = f"{device}{threads}, {found.measured}" + (
        ", beside other programs" if found.contended else ""
    )
    return facts


def findings(facts: dict[str, Any]) -> tuple[list[str], list[str]]:
    """What is wrong, and what could be better, each with what to do."""
    problems = [f"broken plugin {line}; see: sslbench plugins" for line in facts["broken plugins"]]
    hints = []
    if facts["GPU"] is None and facts["CUDA of torch"] and Path("/proc/driver/nvidia").exists():
        problems.append(
            "there is an NVIDIA driver but torch cannot use the GPU; is the driver older than this torch's CUDA?"
        )
    if facts["GPU"] is None:
        hints.append("no GPU: small suites run on the CPU; name a device with --device")
    if facts["disk free GiB"] < 2:
        problems.append(f"only {facts['disk free GiB']} GiB free here; results and features need room (--out DIR)")
    if find_spec("pytest") is None:
        hints.append("to run the tests: pip install 'sslbench[test]'")
    return problems, hints
