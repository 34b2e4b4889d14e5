"""What a study measured on each of several seeds, and the claims that rest on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from sslbench import Claim, across_seeds, check_claim

Result = TypeVar("Result")


@dataclass(frozen=True)
class SeedResults(Generic[Result]):
    """One result for each seed."""

    source: str
    """where the claims are from"""
    results: Mapping[int, Result]
    """seed -> what was measured"""

    def spread(self, value: Callable[[Result], float | None], digits: int = 3) -> str:
        """Mean, smallest and largest value over the seeds, with ``digits`` significant ones; see ``across_seeds``."""
        return across_seeds([value(result) for result in self.results.values()], digits)

    def claim(self, statement: str, expected: str, test: Callable[[Result], bool | None], measured: str) -> Claim:
        """The claim with its verdict; ``test`` returns whether it is true of one seed, None where that is undefined.

        ``expected`` says what is tested, ``measured`` what was measured.
        """
        outcomes = {seed: test(result) for seed, result in self.results.items()}
        return check_claim(statement, self.source, expected, outcomes, measured)
