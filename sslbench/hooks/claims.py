"""Verdicts on sentences of the literature, from what was measured on each seed. No verdict is written by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sslbench.hooks.contracts import Claim, Verdict


def judge_claim(
    statement: str, source: str, expected: str, outcomes: Mapping[int, bool | None], measured: str = ""
) -> Claim:
    """The claim with its verdict: ``holds`` or ``fails`` where every seed says so, else ``undecided``.

    ``outcomes``: seed -> whether the sentence was true there, None where it could not be told. ``expected`` says what
    was tested, ``measured`` what was seen; the shares are added to it. Raises ValueError without a seed.
    """
    if not outcomes:
        raise ValueError(f"no seed to judge by: {statement!r}")
    told = [bool(outcome) for outcome in outcomes.values() if outcome is not None]
    seeds, untold = len(outcomes), len(outcomes) - len(told)
    verdict: Verdict = "undecided"
    if not untold and all(told):
        verdict = "holds"
    elif not untold and not any(told):
        verdict = "fails"
    shares = f"true on {sum(told)} of {seeds} seeds" + (f", cannot be told on {untold}" if untold else "")
    return Claim(statement, source, expected, "; ".join(filter(None, [measured, shares])), verdict, tuple(outcomes))


def across_seeds(values: Sequence[float | None], digits: int = 3) -> str:
    """``0.893 (0.88 to 0.905)``: mean, smallest and largest with ``digits`` significant ones; ``undefined`` for none.

    Values that are None are left out of the three and counted.
    """
    known = [float(value) for value in values if value is not None]
    if not known:
        return "undefined"
    mean, low, high = (f"{value:.{digits}g}" for value in (sum(known) / len(known), min(known), max(known)))
    text = mean if low == high else f"{mean} ({low} to {high})"
    left_out = len(values) - len(known)
    return f"{text}, undefined on {left_out} seeds" if left_out else text
