"""Simulators: small studies without training, and the claims that they test."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

from sslbench.contracts.params import Params, SimulatorParams
from sslbench.contracts.plugin import BuildContext, Spec

Verdict = Literal["holds", "fails", "undecided"]


@dataclass(frozen=True)
class Claim:
    """A sentence of the literature that a run confirms or refutes, as ``check_claim`` makes it."""

    statement: str
    source: str  # paper, section
    expected: str  # what was tested, as a condition on the measured numbers
    measured: str  # the measured numbers, and on how many seeds the condition was true
    verdict: Verdict  # ``holds`` or ``fails`` where all seeds agree, else ``undecided``
    seeds: tuple[int, ...] = ()  # the seeds that the verdict rests on


@dataclass(frozen=True)
class SimulationResult:
    """What a simulator returns: named tables, claims, figures by name, and what follows."""

    tables: Mapping[str, list[dict[str, Any]]]
    """name -> rows of the same keys; what is undefined is None, never NaN, and the row's ``reason`` holds why"""
    claims: Sequence[Claim] = ()
    figures: Mapping[str, Callable[[], Any]] = field(default_factory=dict)
    """name -> a function that draws it and returns a matplotlib figure; only there is matplotlib imported"""
    advice: str = ""  # what follows for a practitioner, one sentence


@runtime_checkable
class Simulator(Protocol):
    """A small study without training."""

    def run(self, seed: int) -> SimulationResult:
        """Tables and figures of ``seed``, claims of it and those after. Raises UserError for what a user can mend."""


@dataclass(frozen=True, kw_only=True)
class SimulatorSpec(Spec):
    """The spec of a simulator."""

    kind: ClassVar[str] = "simulator"
    build: Callable[[Any, BuildContext], Simulator]
    params: type[Params] = SimulatorParams


def check_claim(
    statement: str, source: str, expected: str, outcomes: Mapping[int, bool | None], measured: str = ""
) -> Claim:
    """The claim with its verdict. ``outcomes``: seed -> whether the sentence was true there, None where unknown; the
    shares are added to ``measured``. Raises ValueError without a seed."""
    if not outcomes:
        raise ValueError(f"no seed to check the claim on: {statement!r}")
    known = [bool(outcome) for outcome in outcomes.values() if outcome is not None]
    seeds, unknown = len(outcomes), len(outcomes) - len(known)
    verdict: Verdict = "undecided"
    if not unknown and len(set(known)) == 1:
        verdict = "holds" if known[0] else "fails"
    shares = f"true on {sum(known)} of {seeds} seeds" + (f", unknown on {unknown}" if unknown else "")
    return Claim(statement, source, expected, "; ".join(filter(None, [measured, shares])), verdict, tuple(outcomes))


def across_seeds(values: Sequence[float | None], digits: int = 3) -> str:
    """``0.893 (0.88 to 0.905)``: mean, smallest and largest with ``digits`` significant ones, of those that are not
    None, the others being counted; ``undefined`` for none."""
    known = [float(value) for value in values if value is not None]
    if not known:
        return "undefined"
    mean, low, high = (f"{value:.{digits}g}" for value in (sum(known) / len(known), min(known), max(known)))
    text = mean if low == high else f"{mean} ({low} to {high})"
    left_out = len(values) - len(known)
    return f"{text}, undefined on {left_out} seeds" if left_out else text
