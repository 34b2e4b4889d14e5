"""Each check quotes a sentence that stands in the contract of its kind or in the page about plugins."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import sslbench.testing.conformance as conformance
from sslbench.hooks.catalogue import KINDS
from sslbench.testing.conformance import checked, targets
from sslbench.testing.conformance.check import CHECKS, EVERYBODYS, NO_TRACEBACK, OWN_RANDOMNESS

ROOT = Path(__file__).parents[2]
SOURCES = [*(ROOT / "sslbench/contracts").glob("*.py"), ROOT / "docs/plugins.md"]
OTHERS = [EVERYBODYS, NO_TRACEBACK, OWN_RANDOMNESS, checked.TWO_RANKS, targets.LOADS, targets.AT_IMPORT]


def words(text):
    return " ".join(re.sub(r"[`*#\"]", "", text).split())


CONTRACT = " ".join(words(path.read_text()) for path in SOURCES)


@pytest.mark.parametrize("promise", sorted({one.promise for kind in CHECKS.values() for one in kind} | {*OTHERS}))
def test_the_sentence_of_a_check_stands_in_the_contract(promise):
    assert words(promise) in CONTRACT


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_checked_first_for_being_one(kind):
    assert next(one for one in conformance.CHECKS[kind] if one.at != "spec").gate
