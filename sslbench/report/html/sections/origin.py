"""Where the numbers come from: commands, code, versions and machine; and the records themselves."""

from __future__ import annotations

import base64
import gzip
import shlex

from sslbench.report.html.folder import Folder
from sslbench.report.html.model import Code, Download, Lines, Part, Section, Table
from sslbench.report.tables import render
from sslbench.report.text import Column, plural
from sslbench.store.found import Found

FACTS = {
    "sslbench": "sslbench",
    "python": "Python",
    "torch": "torch",
    "cuda": "CUDA",
    "platform": "system",
    "processor": "processor",
    "cores": "cores that it may use",
    "threads": "threads",
    "memory_bytes": "memory, bytes",
    "gpu": "GPU",
    "git_commit": "git commit of the working folder",
    "git_dirty": "changed since that commit",
}
"""of a record's provenance -> words"""
MOST_BYTES = 330_000
"""of records as they are packed into a page"""


def provenance(folder: Folder) -> Section:
    """The command that makes them again, with what, on what, when."""
    parts: list[Part] = []
    if folder.commands:
        parts.append(Lines([], "Made by"))
        parts.append(Code("\n".join(folder.commands)))
    facts = [record.provenance or {} for record in folder.records]
    known = {words: values_of([fact.get(name) for fact in facts]) for name, words in FACTS.items()}
    times = sorted(str(fact["time"]) for fact in facts if fact.get("time"))
    known["made"] = " to ".join(dict.fromkeys((times[0], times[-1]))) if times else ""
    brought = {pair for fact in facts for pair in (fact.get("distributions") or {}).items()}
    known["distributions of plugins"] = ", ".join(f"{name} {version}" for name, version in sorted(brought))
    shown = {words: text for words, text in known.items() if text}
    parts.append(
        Table("Versions and machine", [Column("fact", list(shown)), Column("value", list(shown.values()))], prose=True)
    )
    codes = {pair for record in folder.records for pair in ((record.inputs or {}).get("code") or {}).items()}
    if codes:
        names, identities = zip(*sorted((str(name), str(code)) for name, code in codes), strict=True)
        parts.append(
            Table(
                "Identity of the code", [Column("code", names), Column("identity", identities)], prose=True, folded=True
            )
        )
    return Section("provenance", "Provenance", parts)


def how_it_was_made(found: Found) -> Section:
    """The command, versions and machine of what was found out beside records."""
    facts = {words: str(found.provenance[name]) for name, words in FACTS.items() if found.provenance.get(name)}
    facts |= {"made": str(found.provenance["time"])} if found.provenance.get("time") else {}
    columns = [Column("fact", list(facts)), Column("value", list(facts.values()))]
    table = Table("Versions and machine", columns, prose=True, folded=True)
    return Section("made", "How it was made", [Code(found.command), table])


def values_of(values: list[object]) -> str:
    """Each value once; empty where none is known."""
    return ", ".join(dict.fromkeys(str(value) for value in values if value is not None))


def records(folder: Folder) -> Section:
    """As ``sslbench results --format json`` prints them."""
    text = render(folder.records, "json", folder.suite, folder.path, folder.superseded, folder.unfinished)
    packed = gzip.compress(text.encode(), mtime=0)
    count = plural(len(folder.records), "record")
    if len(packed) > MOST_BYTES * folder.share:
        command = shlex.join(["sslbench", "results", str(folder.path), "--format", "json"])
        line = f"{count} are too large for this page ({len(packed) / 1e6:.1f} MB packed); this prints them:"
        return Section("records", "Records", [Lines([line]), Code(command)])
    source = f"data:application/gzip;base64,{base64.b64encode(packed).decode()}"
    download = Download("records.json.gz", source, f"{count} as JSON, packed with gzip ({len(packed) / 1e3:,.0f} kB)")
    return Section(
        "records", "Records", [Lines(["What sslbench results --format json prints is part of this page."]), download]
    )
