"""What the tables of planted mistakes share: each is named, and where it is known the line is the plugin's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from sslbench.testing.conformance.check import Trial, faults_of
from sslbench.testing.conformance.fault import Fault


def marked(table: list[tuple[Any, str]]) -> list[Any]:
    """What shows on a pretended GPU alone is marked as such."""
    return [pytest.param(*row, marks=pytest.mark.pretended if "on a GPU" in row[1] else ()) for row in table]


def faults(spec: Any, **given: Any) -> list[Fault]:
    """Of a spec with its defaults and what is given. What torch warns of once a process it warns of here each time, so
    that the order of tests decides nothing."""
    before = torch.is_warn_always_enabled()
    torch.set_warn_always(True)
    try:
        found = list(faults_of(Trial(spec, spec.params(**given), patience=0.0)))
    finally:
        torch.set_warn_always(before)
    return [fault for fault in found if isinstance(fault, Fault)]


def assert_named(spec: Any, words: str, file: str) -> None:
    """One fault says these words, and the place of each is in the file of the plant."""
    found = faults(spec)
    assert any(words in fault.text for fault in found), [fault.text for fault in found]
    places = [fault.place.file for fault in found if fault.place]
    assert places
    assert {Path(place) for place in places} == {Path(file)}
