"""Seeds as people write them: whole numbers and ranges such as ``0-4``, each once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from sslbench.errors import UserError, quoted

LARGEST = 2**63 - 1
MOST = 10_000
RANGE = re.compile(r"(0|[1-9]\d{,18})-(0|[1-9]\d{,18})", re.ASCII)
WHOLE = re.compile(r"0|[1-9]\d{,18}", re.ASCII)
EXPECTED = "expected integers separated by commas, such as 0,1,2, or a list of them, or ranges such as 0-4"
LIMITS = f"seeds are 0 or larger and below 2**63, at most {MOST:,} of them"


def seeds_of(written: Any) -> tuple[int, ...]:
    """``[0, "2-4"]`` or ``"0,2-4"`` -> (0, 2, 3, 4). Raises ValueError for anything else, or a seed given twice."""
    entries = written.split(",") if isinstance(written, str) else written
    if not isinstance(entries, Sequence) or not entries:
        expected = "list should have at least 1 item" if isinstance(entries, Sequence) else "expected a list"
        raise ValueError(f"{expected}; {EXPECTED}")
    spans = list(map(span_of if entries is written else span_of_text, entries))
    if sum(span.stop - span.start for span in spans) > MOST:
        raise ValueError(f"these are too many; {LIMITS}")
    counts = Counter(seed for span in spans for seed in span)
    if twice := [str(seed) for seed, count in counts.items() if count > 1]:
        raise ValueError(f"seed {twice[0]} is given twice")
    return tuple(counts)


def span_of(entry: Any) -> range:
    """Of an integer, or of a range in text."""
    if isinstance(entry, int) and not isinstance(entry, bool) and 0 <= entry <= LARGEST:
        return range(entry, entry + 1)
    if isinstance(entry, str) and (ends := RANGE.fullmatch(entry.strip())):
        first, last = map(int, ends.groups())
        if first <= last <= LARGEST:
            return range(first, last + 1)
        raise ValueError(f"{quoted(entry)} is no range: it ends before it begins, or too late; {LIMITS}")
    raise ValueError(f"{EXPECTED}; {quoted(entry)} is none: {LIMITS}")


def span_of_text(word: str) -> range:
    """Of ``3`` or ``0-4``."""
    word = word.strip()
    return span_of(int(word) if WHOLE.fullmatch(word) else word)


def read_seeds(text: str | None, where: str = "--seeds") -> tuple[int, ...] | None:
    """Those of the command line. Raises UserError."""
    try:
        return None if text is None else seeds_of(text)
    except ValueError as error:
        raise UserError(f"{where} {quoted(text)}: {error}") from None
