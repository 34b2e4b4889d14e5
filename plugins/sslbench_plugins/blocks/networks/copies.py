"""Copies of one network in a file, such as the student and its EMA: which there are, and which is taken."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Literal

from torch import Tensor

from sslbench import UserError

Tensors = Mapping[str, Tensor]
Which = Literal["auto", "ema", "raw"]
EMA = frozenset("ema teacher momentum target shadow averaged swa k key".split())
"""words in front of a moving average of weights"""
SECOND_CHOICE = ("student", "encoder_k", "momentum", "target", "optimizer")
"""words in front of weights that are not the ones to evaluate where another copy fits as well: DINO's teacher, MoCo's
query encoder and BYOL's online network are evaluated"""


def prefixes_of(tensors: Tensors, wanted: Tensors) -> list[str]:
    """What stands before the network's names in the tensors' names, that of the copy to evaluate first."""
    counts: Counter[str] = Counter()
    for name in tensors:
        starts = [0, *(index + 1 for index, letter in enumerate(name) if letter == ".")]
        counts.update(name[:start] for start in starts if name[start:] in wanted)
    most = max(counts.values(), default=0)
    copies = [prefix for prefix, count in counts.items() if 2 * count > most]

    def preference(prefix: str) -> tuple[int, bool, bool]:
        return counts[prefix], not any(word in prefix for word in SECOND_CHOICE), kind_of(prefix) == "ema"

    return sorted(copies, key=preference, reverse=True)


def kind_of(prefix: str) -> Literal["ema", "raw"]:
    """Whether a copy is a moving average, by its prefix."""
    return "ema" if EMA & set(re.split(r"[._]", prefix.lower())) else "raw"


def choose_copy(prefixes: list[str], which: Which, where: str) -> str:
    """The prefix of the copy that is asked for; ``auto``: the first. Raises UserError where there is none."""
    fitting = [prefix for prefix in prefixes if which in ("auto", kind_of(prefix))]
    if not fitting and which != "auto" and prefixes:
        there = ", ".join(f"{prefix or 'without a prefix'} ({kind_of(prefix)})" for prefix in prefixes)
        raise UserError(f"{where}: weights = {which}: the file has no such copy; it has: {there}")
    return next(iter(fitting), "")
