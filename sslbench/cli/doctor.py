"""``sslbench doctor``."""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from sslbench.cli.command import Command
from sslbench.cli.options import format_option, print_json
from sslbench.cli.streams import note, show


@click.command(
    "doctor",
    cls=Command,
    examples=[
        "sslbench doctor",
        "sslbench doctor --format json > machine.json",
    ],
)
@format_option(what="report")
def command(format_: str) -> int:
    """Report what this machine has, what is missing and how to get it. Exit code 1 if something is wrong."""
    facts = machine() | limits()
    problems, hints = findings(facts)
    if format_ == "json":
        print_json({**facts, "problems": problems, "hints": hints})
        return 1 if problems else 0
    from sslbench.report.text import hanging

    width = max(map(len, facts))
    lines = [hanging(f"{name:<{width}}  ", "-" if value is None else str(value)) for name, value in facts.items()]
    lines += [hanging("\nproblem: ", problem) for problem in problems] + [hanging("\nhint: ", hint) for hint in hints]
    show("\n".join(lines if problems else [*lines, "\nready: sslbench run"]))
    return 1 if problems else 0


def machine() -> dict[str, Any]:
    """What there is, by name."""
    from sslbench.contracts.observer import ObserverSpec
    from sslbench.hooks.registry import Registry
    from sslbench.measure.machine import torch_hardware
    from sslbench.store.provenance import machine_facts

    plugins = Registry().load_all()
    observers = [spec for plugin in plugins for spec in plugin.specs if isinstance(spec, ObserverSpec)]
    facts = machine_facts()
    memory = facts.get("memory_bytes")
    return {
        **{name: facts.get(name) for name in ("sslbench", "python", "processor")},
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory GiB": round(memory / 2**30, 1) if memory else None,
        "disk free GiB": round(shutil.disk_usage(Path.cwd()).free / 2**30, 1),
        **torch_hardware(),
        "plugins": len(plugins),
        "observers": ", ".join(spec.name for spec in observers if not spec.missing) or None,
        "more observers": "; ".join(spec.install for spec in observers if spec.missing) or None,
        "broken plugins": [f"{p.entry.name} ({p.entry.distribution}): {p.failure}" for p in plugins if p.failure],
    }


def limits() -> dict[str, Any]:
    """What the device in use can do at most, measured now or before; it may be more where other programs ran then."""
    from sslbench.measure.ceilings import ceilings
    from sslbench.measure.machine import resolve_device
    from sslbench.report.text import plural
    from sslbench.store.provenance import machine_facts

    device = resolve_device("auto")
    most = ceilings(device, machine_facts()["processor"], note)
    rates = {f"{name} product GFLOP/s": rate for name, rate in most.flops.items()}
    rates["memory copy GB/s"] = most.copy_bytes_per_second
    facts: dict[str, Any] = {name: None if rate is None else round(rate / 1e9, 1) for name, rate in rates.items()}
    threads = "" if most.threads is None else f", {plural(most.threads, 'thread')}"
    contended = ", beside other programs" if most.contended else ""
    facts["measured on"] = f"{device}{threads}, {most.measured}{contended}"
    return facts


def findings(facts: dict[str, Any]) -> tuple[list[str], list[str]]:
    """What is wrong, and what could be better, each with what to do."""
    problems = [f"broken plugin {line}; see: sslbench plugins" for line in facts["broken plugins"]]
    hints = []
    if facts["GPU"] is None and facts["CUDA of torch"] and Path("/proc/driver/nvidia").exists():
        cause = "is the driver older than this torch's CUDA?"
        problems.append(f"there is an NVIDIA driver but torch cannot use the GPU; {cause}")
    if facts["GPU"] is None:
        hints.append("no GPU: small suites run on the CPU; name a device with --device")
    if facts["disk free GiB"] < 2:
        problems.append(f"only {facts['disk free GiB']} GiB free here; results and features need room (--out DIR)")
    if find_spec("pytest") is None:
        hints.append("to run the tests: pip install 'sslbench[test]'")
    return problems, hints
