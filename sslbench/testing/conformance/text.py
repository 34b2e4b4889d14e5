"""What was checked, in words and as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sslbench.report.screen import one_line
from sslbench.report.text import plural, wrapped
from sslbench.testing.conformance.checked import Checked
from sslbench.testing.conformance.fault import Fault


def as_text(plugins: Sequence[Checked]) -> str:
    """The faults of each plugin, what was not checked, and the counts."""
    blocks = [block(one) for one in plugins if one.faults]
    notes = [line for one in plugins for line in one.not_checked]
    if notes:
        blocks.append("\n".join(wrapped(one_line(f"not checked: {line}"), rest="    ") for line in notes))
    return "\n\n".join([*blocks, wrapped(counts(plugins), rest="    ")])


def block(one: Checked) -> str:
    """The faults of one plugin, each with its place and the contract's sentence."""
    brought = f"  [{one.distribution}]" if one.distribution else ""
    return "\n".join([one_line(f"{one.label}{brought}"), *(lines_of(fault) for fault in one.faults)])


def lines_of(fault: Fault) -> str:
    """One fault, as a paragraph."""
    where = f"{shown(fault.place.file)}:{fault.place.line}: " if fault.place else ""
    told = f"  {where}{fault.text}{f' ({fault.setting})' if fault.setting else ''}"
    lines = [wrapped(one_line(told.strip()), first="  ", rest="    ")]
    if fault.promise:
        lines.append(wrapped(f'the contract: "{plain(fault.promise)}"', first="    ", rest="      "))
    return "\n".join(lines)


def plain(promise: str) -> str:
    """The sentence without the marks of its page."""
    return promise.replace("``", "`").replace("**", "")


def shown(file: str) -> str:
    """Relative to the folder that the command runs in, where it is below that."""
    path = Path(file).resolve()
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else file


def counts(plugins: Sequence[Checked]) -> str:
    """The last line."""
    tried = [one for one in plugins if one.settings]
    faults = sum(len(one.faults) for one in plugins)
    settings, checks = sum(one.settings for one in plugins), sum(one.checks for one in plugins)
    parts = f"{plural(len(tried), 'plugin')}, {plural(settings, 'set')} of parameters, {plural(checks, 'check')}"
    notes = sum(len(one.not_checked) for one in plugins)
    left = f"; {notes:,} not checked, for the reasons above" if notes else ""
    return f"checked {parts}: {plural(faults, 'fault') if faults else 'no fault'}{left}"


def as_json(plugins: Sequence[Checked]) -> dict[str, Any]:
    """The same for programs."""
    return {
        "plugins": [
            {
                "kind": one.kind,
                "name": one.name,
                "distribution": one.distribution or None,
                "settings": one.settings,
                "checks": one.checks,
                "faults": [fault_json(fault) for fault in one.faults],
                "not_checked": one.not_checked,
            }
            for one in plugins
        ],
        "faults": sum(len(one.faults) for one in plugins),
    }


def fault_json(fault: Fault) -> dict[str, Any]:
    """One fault."""
    place = fault.place
    return {
        "text": fault.text,
        "contract": plain(fault.promise) or None,
        "file": place.file if place else None,
        "line": place.line if place else None,
        "in": place.name or None if place else None,
        "with": fault.setting or None,
    }
