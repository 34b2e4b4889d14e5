"""How many times as fast MAE trains when its encoder sees a quarter of the tokens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from sslbench.claims.claim_row import ClaimRow, Hypothesis, by_seed, setting_of, unanimous
from sslbench.claims.defaults import MASKED
from sslbench.contracts.simulator import Verdict
from sslbench.store.record import Record

TIMED = Hypothesis(
    "MAE trains at least three times as fast when the encoder sees 25% of the tokens",
    "He et al. 2022, Masked Autoencoders, abstract",
    "times as fast as with mask tokens in the encoder, the same decoder: intervals above 3 for every model",
    "sslbench speed && sslbench claims",
)
TRAINED = replace(
    TIMED, expected="images per second at a mask ratio of 0.75, over those with (nearly) all tokens, at least 3"
)
TIMES = 3.0
FEW_TOKENS, ALL_TOKENS = 0.75, 0.05
"""the mask ratio of the claim, and the largest that counts as no masking"""
BASELINE = "like for like"
"""of the built-in speed suite: the same model whose encoder sees mask tokens"""


def speed_up(records: Iterable[Record], timed: Iterable[Record] = ()) -> ClaimRow:
    """By the steps that ``sslbench speed`` timed in turn, if there are any; else by trainings, seed by seed."""
    ratios = {title: ratio for record in timed for title, ratio in ratios_of(record)}
    return by_timed_steps(ratios) if ratios else by_trainings(records)


def ratios_of(record: Record) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Of a speed row of MAE at the claim's mask ratio: the model in words, and its ratio to the baseline with the ends
    of its interval, ``low`` and ``high``."""
    if record.method == MASKED and record.mask_ratio == FEW_TOKENS and record.speed is not None:
        model = " ".join(filter(None, [record.backbone, record.params.get("backbone", {}).get("size", "")]))
        depth = record.params["method"].get("decoder_depth")
        for pair in record.speed["against"]:
            if BASELINE in pair["baselines"]:
                yield f"{model} on {record.speed['device']}, decoder depth {depth}", pair


def verdict_of(pair: Mapping[str, Any]) -> Verdict:
    """Of one ratio and its interval."""
    if pair.get("of_launches"):
        return "undecided"
    return "holds" if pair["low"] >= TIMES else "fails" if pair["high"] < TIMES else "undecided"


def by_timed_steps(ratios: Mapping[str, Mapping[str, Any]]) -> ClaimRow:
    """Holds where the interval of every model lies above 3, fails where that of every model lies below. A ratio of
    launches says nothing of masking."""
    verdicts: set[Verdict] = {verdict_of(pair) for pair in ratios.values()}
    measured = "; ".join(
        f"{title}: {pair['ratio']:.2f} ({pair['low']:.2f} to {pair['high']:.2f})"
        + (" of launches" if pair.get("of_launches") else "")
        for title, pair in ratios.items()
    )
    return TIMED.without_seeds(measured, verdicts.pop() if len(verdicts) == 1 else "undecided")


def by_trainings(records: Iterable[Record]) -> ClaimRow:
    """Images per second of trainings at a mask ratio of 0.75, over those that mask hardly anything."""
    few, full = {}, {}
    for record in records:
        speed = record.pretraining.images_per_second if record.pretraining else None
        if record.method == MASKED and record.mask_ratio is not None and speed:
            setting = setting_of(record, record.masking)
            if record.mask_ratio == FEW_TOKENS:
                few[setting] = speed
            elif record.mask_ratio <= ALL_TOKENS:
                full[setting] = speed
    ratios = by_seed({setting: few[setting] / full[setting] for setting in few if setting in full})
    if not ratios:
        return TRAINED.without_seeds(
            f"no finished run of MAE at a mask ratio of {FEW_TOKENS:g} and at one of at most {ALL_TOKENS:g}"
        )
    return TRAINED.by_seeds(ratios, lambda values: unanimous([ratio >= TIMES for ratio in values]), "{} times as fast")
