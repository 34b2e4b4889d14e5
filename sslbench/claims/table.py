"""All claims in one table: verdict, sentence, evidence, and the command that gives it."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from sslbench.claims.simulation_text import MARKS, tally
from sslbench.report.text import Column, markdown, terminal

UNTOLD = "…"
"""marks a claim that no run has judged yet"""
WIDTHS = {"claim": 33, "evidence": 36, "command": 26}
"""characters of a terminal for each column with long texts"""


def render_claims(rows: Sequence[Mapping[str, Any]], fmt: str) -> str:
    """The claims as text without a newline at the end; ``fmt``: ``table``, ``markdown`` or ``json``."""
    if fmt == "json":
        return json.dumps({"schema": 1, "claims": list(rows)}, indent=1, allow_nan=False)
    counted = tally([row["verdict"] for row in rows])
    texts = {
        "verdict": [f"{MARKS.get(row['verdict'], UNTOLD)} {row['verdict']}" for row in rows],
        "claim": [row["statement"] for row in rows],
        "evidence": [row["measured"] for row in rows],
        "command": [row["command"] for row in rows],
    }
    if fmt == "markdown":
        return f"{markdown([Column(name, cells) for name, cells in texts.items()])}\n\n{counted}"
    columns = [Column(name, [broken(cell, WIDTHS.get(name, 18)) for cell in cells]) for name, cells in texts.items()]
    return f"{terminal(columns, gap=2, broken_headers=False)}\n{counted}"
