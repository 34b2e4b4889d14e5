"""What planned plugins, and those that their parameters name, take from others: files to fetch, licences of weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from sslbench.errors import SslbenchError
from sslbench.plan.cell import Choice
from sslbench.plan.plan import Group


def taken_from_others(groups: Sequence[Group], download: bool) -> list[str]:
    """A line for each plugin of what is to run that is not on this machine (but with ``download``), or loads weights of
    somebody else. What cannot be said here is said when the plugin is built."""
    lines: list[str] = []
    for choice in choices_of(groups):
        with suppress(SslbenchError):
            if not download:
                lines += [
                    f"{label}: {what} is not on this machine; --download fetches it" for label, what in choice.fetches()
                ]
            lines += [f"{label}: licence {licence}" for label, licence in choice.licences()]
    return list(dict.fromkeys(lines))


def choices_of(groups: Sequence[Group]) -> Iterator[Choice[Any]]:
    """The plugins of pretrainings and of the cells that are to run."""
    for group in groups:
        yield from group.pretraining.choices.values()
        yield from group.pretraining.curve
        yield from (cell.evaluator for cell in group.cells)
