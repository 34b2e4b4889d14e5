"""``sslbench.run``."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from sslbench.contracts.executor import Event
from sslbench.errors import UserError
from sslbench.execute.events import Warned
from sslbench.execute.request import Outcome
from sslbench.execute.scheduler import run as run_request
from sslbench.execute.session import OnEvent
from sslbench.progress.display import Display
from sslbench.report.text import plural
from sslbench.results.request import request_of
from sslbench.results.results import Results, warn_of
from sslbench.results.words import in_python, keywords_for_options


def run(
    suite: str | os.PathLike[str] = "quick",
    *,
    data: Any = None,
    methods: Any = None,
    augmentations: Any = None,
    maskings: Any = None,
    backbones: Any = None,
    evaluators: Any = None,
    seeds: Any = None,
    progress: bool | OnEvent = True,
    **options: Any,
) -> Results:
    """Run a suite, of which what is done already is not run again, and return its results.

    ``suite``: a built-in one by name, or a TOML file. Each axis takes one plugin or a list, as the command line does:
    a name, ``"NAME:key=value"``, a path, or ``{"name": NAME, "key": value}``, with the suite's settings if the suite
    has that plugin and no preset is named; None: the suite's. ``seeds``: a list, a range or ``"0-4"``. ``progress``:
    True shows bars, or lines where there is no terminal; False warns of what should be known; or a function that is
    called with each event. Other keywords are training settings (``epochs``, ``batch_size``, ``device``, ...:
    docs/suites.md) and ``out``, ``size``, ``executor``, ``retries``, ``fresh``, ``keep_stale``, ``max_cells``,
    ``download``, ``trust``, ... as ``sslbench run --help`` says.

    Raises UserError for what cannot be run, PluginError, StoreLocked; and KeyboardInterrupt where it is interrupted:
    what is finished is kept, and the same call goes on from there.
    """
    axes = {"data": data, "methods": methods, "augmentations": augmentations, "maskings": maskings}
    axes |= {"backbones": backbones, "evaluators": evaluators}
    known: list[str] = []
    with in_python(), shown(progress, known) as on_event:
        outcome = run_request(request_of(suite, axes, seeds, options), on_event)
    if outcome.interrupted:
        raise KeyboardInterrupt(interrupted(outcome))
    if outcome.all_skipped:
        reasons = Counter(str(record.reason) for record in outcome.records)
        lines = (f"{plural(count, 'cell')}: {reason}" for reason, count in reasons.items())
        raise UserError(f"nothing could be run: {'; '.join(lines)}")
    folder = outcome.out if outcome.store_error is None else None
    results = Results(outcome.records, folder, outcome.suite, notes_of(outcome), outcome.unfinished)
    if outcome.store_error is not None:
        known = [text for text in known if outcome.store_error not in text]
    warn_of(results, known)
    return results


@contextmanager
def shown(progress: bool | OnEvent, known: list[str]) -> Iterator[OnEvent]:
    """What is called with each event; where nothing is shown, warnings are added to ``known``."""
    if progress is True:
        with Display() as display:
            yield lambda event: display.show(reworded(event))
    elif progress is False:
        yield lambda event: known.extend([event.text] if isinstance(event, Warned) else [])
    elif callable(progress):
        yield lambda event: progress(reworded(event))
    else:
        raise UserError(f"progress = {progress!r}: expected True, False or a function that takes an event")


def reworded(event: Event) -> Event:
    """The event, with keywords in the place of options."""
    return replace(event, text=keywords_for_options(event.text)) if isinstance(event, Warned) else event


def interrupted(outcome: Outcome) -> str:
    """What is kept, and how to go on."""
    there = sum(record.status != "skipped" for record in outcome.records)
    kept = f"{plural(there, 'cell')} kept in {outcome.out}" if outcome.store_error is None else "nothing could be kept"
    return f"{kept}; the same call goes on from there"


def notes_of(outcome: Outcome) -> list[str]:
    """What to know of results that are not whole."""
    notes = [*outcome.notes]
    if outcome.store_error is not None:
        notes.append(f"not stored: {outcome.store_error}; without encoders, features and pictures")
    if outcome.detached is not None:
        notes.append(
            f"{plural(outcome.detached, 'pretraining')} left to the cluster; the same call picks up what it did"
        )
    return notes
