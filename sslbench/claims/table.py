"""All claims in one table: verdict, sentence, evidence, and the command that gives it."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sslbench.claims.claim_row import ClaimRow
from sslbench.claims.simulation_text import MARKS, tally
from sslbench.report.text import Column, broken, markdown, terminal

NO_VERDICT = "…"
"""marks a claim that no run has tested yet"""
WIDTHS = {"verdict": 18, "claim": 33, "evidence": 36, "command": 26}
"""characters of a terminal for each column"""


def render_claims(rows: Sequence[ClaimRow], fmt: str) -> str:
    """The claims as text without a newline at the end; ``fmt``: ``table``, ``markdown`` or ``json``."""
    if fmt == "json":
        return json.dumps({"schema": 2, "claims": [row.to_json() for row in rows]}, indent=1, allow_nan=False)
    counts = tally([row.verdict for row in rows])
    cells = {
        "verdict": [f"{MARKS.get(row.verdict, NO_VERDICT)} {row.verdict}" for row in rows],
        "claim": [row.statement for row in rows],
        "evidence": [row.measured for row in rows],
        "command": [row.command for row in rows],
    }
    if fmt == "markdown":
        return f"{markdown([Column(name, texts) for name, texts in cells.items()])}\n\n{counts}"
    # An empty line keeps rows of several lines apart.
    columns = [Column(name, [broken(text, WIDTHS[name]) + "\n" for text in texts]) for name, texts in cells.items()]
    return f"{terminal(columns, gap=2, broken_headers=False)}\n{counts}"
