"""Weights that somebody else trained: what was taken of a file, what was left, and under which licence."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

PERMISSIVE = frozenset(
    "apache-2.0 mit bsd bsd-2-clause bsd-3-clause isc 0bsd zlib unlicense cc0-1.0 cc-by-4.0 cc-by-3.0 mpl-2.0".split()
)
"""licences that clearly allow commercial use, as SPDX and the Hugging Face hub write them"""
FORBIDDING = re.compile(r"(^|-)nc(-|$)|non-?commercial|research|apple-amlr")
"""in the name of a licence that forbids it"""


@dataclass(frozen=True)
class Licence:
    """Of published weights; a ``name`` of None is not known, for the reason."""

    name: str | None
    reason: str = ""

    @property
    def why_not_commercial(self) -> str:
        """Why commercial use is not clearly allowed; empty where it is."""
        if self.name is None:
            return f"its licence is not known: {self.reason}"
        name = self.name.lower()
        if name in PERMISSIVE:
            return ""
        forbids = FORBIDDING.search(name)
        return f"{self.name} forbids commercial use" if forbids else f"{self.name} has terms of its own"

    def __str__(self) -> str:
        return self.name or f"not known ({self.reason})"


Names = Mapping[str, int]
"""names of tensors, with * for numbers -> how many there are"""


@dataclass(frozen=True)
class LoadedWeights:
    """What a network was given of somebody else's weights. Every tensor of the file is used or in ``dropped``."""

    source: str
    """whose: a name, a path, a repository"""
    file: str | None = None
    digest: str | None = None
    """of the file"""
    tensors: int = 0
    """in the file"""
    used: int = 0
    chosen: str | None = None
    """of a file with several copies: ``ema`` or ``raw``"""
    prefix: str = ""
    """in front of the names of those that were used"""
    changed: Mapping[str, Names] = field(default_factory=dict)
    """``renamed``, ``reshaped``, ``resampled``, ``merged`` -> which tensors of the network"""
    dropped: Mapping[str, Names] = field(default_factory=dict)
    """reason -> which tensors of the file"""
    input_from: Mapping[str, str] = field(default_factory=dict)
    """part of the input -> who says so: ``user``, ``config``, ``timm`` or ``guess``"""
    white: Mapping[str, float] | None = None
    """value of deep grey (more than 8 bits, floats) that became 255 in its training, by kind; None: not known"""
    licence: str | None = None
    licence_reason: str | None = None
    """why that is not known"""
    code: str | None = None
    """whose code built the network, where that came with the model"""
    notes: tuple[str, ...] = ()
    """what a user should know, a line each"""

    @property
    def licence_in_words(self) -> str:
        """Its name, or that it is not known and why."""
        return str(Licence(self.licence, self.licence_reason or ""))
