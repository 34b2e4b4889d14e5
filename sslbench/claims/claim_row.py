"""A claim that the harness or finished runs can test, and its row in the table of claims."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from sslbench.contracts.simulator import Claim, Verdict, across_seeds, check_claim

NOT_MEASURED: Literal["not measured yet"] = "not measured yet"
"""verdict on a claim that needs a run which is not there"""


@dataclass(frozen=True)
class ClaimRow:
    """One claim with its verdict, the evidence, and the command that gives it."""

    statement: str
    source: str
    expected: str
    measured: str
    verdict: Verdict | Literal["not measured yet"]
    seeds: tuple[int, ...]
    """those that the verdict rests on; empty where nothing is drawn"""
    command: str

    @classmethod
    def of(cls, claim: Claim, command: str) -> ClaimRow:
        """The row of a claim that was checked."""
        return cls(claim.statement, claim.source, claim.expected, claim.measured, claim.verdict, claim.seeds, command)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "seeds": list(self.seeds)}


@dataclass(frozen=True)
class Hypothesis:
    """What is claimed, how it is tested, and by which command."""

    statement: str
    source: str
    expected: str
    command: str

    def unmeasured(self, why: str) -> ClaimRow:
        """Its row where what it needs is not there."""
        return ClaimRow(self.statement, self.source, self.expected, why, NOT_MEASURED, (), self.command)

    def by_seeds(
        self, values: Mapping[int, Sequence[float]], test: Callable[[Sequence[float]], bool | None], measured: str
    ) -> ClaimRow:
        """Its row where every seed has an outcome of its own.

        ``values``: seed -> what its runs gave; ``test``: whether they agree with the claim, None where they disagree
        with each other; ``measured``: words with ``{}`` for the values.
        """
        outcomes = {seed: test(of_seed) for seed, of_seed in values.items()}
        words = measured.format(across_seeds([value for of_seed in values.values() for value in of_seed]))
        claim = check_claim(self.statement, self.source, self.expected, outcomes, words)
        return ClaimRow.of(claim, self.command)

    def without_seeds(self, verdict: Verdict, measured: str) -> ClaimRow:
        """Its row where no seed plays a part."""
        return ClaimRow(self.statement, self.source, self.expected, measured, verdict, (), self.command)
