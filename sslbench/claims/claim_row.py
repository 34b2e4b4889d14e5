"""A claim that the harness or finished runs can test, which runs may be compared for it, and its row in the table."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from sslbench.contracts.simulator import Claim, Verdict, across_seeds, check_claim
from sslbench.store.record import Record

NOT_MEASURED: Literal["not measured yet"] = "not measured yet"
"""verdict on a claim that needs a run which is not there"""
Setting = tuple[Any, ...]
Value = TypeVar("Value")


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
        return cls(**vars(claim), command=command)


@dataclass(frozen=True)
class Hypothesis:
    """What is claimed, how it is tested, and by which command."""

    statement: str
    source: str
    expected: str
    command: str

    def without_seeds(self, measured: str, verdict: Verdict | Literal["not measured yet"] = NOT_MEASURED) -> ClaimRow:
        """Its row where no seed plays a part, or (``measured`` says why) where what it needs is not there."""
        return ClaimRow(self.statement, self.source, self.expected, measured, verdict, (), self.command)

    def by_seeds(
        self,
        values: Mapping[int, Sequence[float]],
        test: Callable[[Sequence[float]], bool | None],
        measured: str,
        unknown: Collection[int] = (),
    ) -> ClaimRow:
        """Its row where every seed has an outcome of its own.

        ``values``: seed -> what its runs gave; ``test``: whether they agree with the claim, None where they disagree
        with each other; ``measured``: words with ``{}`` for the values; ``unknown``: seeds whose values do not tell.
        """
        outcomes = {seed: None if seed in unknown else test(of_seed) for seed, of_seed in values.items()}
        words = measured.format(across_seeds([value for of_seed in values.values() for value in of_seed]))
        return ClaimRow.of(check_claim(self.statement, self.source, self.expected, outcomes, words), self.command)


def setting_of(record: Record, detail: str | None) -> Setting:
    """What two runs must share to be compared, with what a claim holds fixed besides; the seed last."""
    device = record.params.get("training", {}).get("device")
    return detail, record.dataset, record.backbone, record.augmentation, device, record.seed


def by_seed(values: Mapping[Setting, Value]) -> dict[int, list[Value]]:
    """Seed, the last item of a setting -> the values of all its settings."""
    groups: dict[int, list[Value]] = {}
    for setting, value in values.items():
        groups.setdefault(setting[-1], []).append(value)
    return groups


def unanimous(outcomes: Sequence[bool]) -> bool | None:
    """What all of them are; None where they differ."""
    return outcomes[0] if len(set(outcomes)) == 1 else None
